"""robots.txt: where Protego differs from RFC 9309, and rules that real hosts write."""

import tracemalloc
from itertools import islice, product
from string import ascii_lowercase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from documents.web.fetch import Fetched
from documents.web.robots import Robots, read_robots

PAGE = "https://example.com/private/a"


def robots(body: bytes) -> Robots:
    fetched = Fetched("https://example.com/robots.txt", 200, "text/plain", None, body, None)
    return read_robots(PAGE, lambda url, limit: fetched)


@pytest.mark.parametrize(
    "name",
    [
        "MojodexBackground",
        "mojodexbackground",
        "MojodexBackground/1.0",
        "MojodexBackground (crawler)",
        "* # all",
    ],
)
def test_a_group_is_ours_by_its_name_with_any_suffix(name: str) -> None:
    assert not robots(f"User-agent: {name}\nDisallow: /private/".encode()).allows(PAGE)


@pytest.mark.parametrize("field", ["USER-AGENT:", "useragent:", "User agent", "user  agent", " User-Agent :"])
def test_the_user_agent_field_is_read_as_protego_reads_it(field: str) -> None:
    assert not robots(f"{field} MojodexBackground/1.0\nDisallow: /private/".encode()).allows(PAGE)


@pytest.mark.parametrize("name", ["Other", "Other/1.0 MojodexBackground", "*Other", ""])
def test_a_group_of_another_crawler_is_not_ours(name: str) -> None:
    assert robots(f"User-agent: {name}\nDisallow: /private/".encode()).allows(PAGE)


def test_our_own_group_takes_precedence_over_the_general_one() -> None:
    body = b"User-agent: *\nDisallow: /\n\nUser-agent: MojodexBackground/2\nDisallow: /other/"

    assert robots(body).allows(PAGE)


@pytest.mark.parametrize(
    "line", ["Noindex: /x", "Clean-param: a /x", "# Disallow: /x", "", "nonsense", "Sitemap: x"]
)
def test_a_line_that_is_not_a_rule_does_not_end_a_group(line: str) -> None:
    body = f"User-agent: MojodexBackground\n{line}\nUser-agent: Other\nDisallow: /private/"

    assert not robots(body.encode()).allows(PAGE)


def test_a_rule_ends_a_group() -> None:
    body = b"User-agent: MojodexBackground\nAllow: /\nUser-agent: Other\nDisallow: /private/"

    assert robots(body).allows(PAGE)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_line_endings_and_a_byte_order_mark_do_not_matter(end: str, mark: bytes) -> None:
    lines = (
        "User-agent: *",
        "Disallow: /private/",
        "Crawl-delay: 3",
        "Sitemap: https://example.com/s.xml",
        "",
    )
    found = robots(mark + end.join(lines).encode())

    assert not found.allows(PAGE)
    assert found.delay == 3
    assert found.sitemaps == ("https://example.com/s.xml",)


def test_thousands_of_names_with_thousands_of_rules_do_not_fill_the_memory() -> None:
    names = islice(product(ascii_lowercase, repeat=3), 2_000)
    body = "".join(f"user-agent:{''.join(name)}\n" for name in names) + "allow:/\n" * 2_000

    tracemalloc.start()
    robots(body.encode())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert len(body) < 50_000
    assert peak < 10_000_000


@pytest.mark.parametrize("begin", ["", "user", "user-agent", "user-agent:", "allow:/"])
def test_a_line_of_a_million_spaces_is_read_once(begin: str) -> None:
    """If twice the spaces took four times as long, this would run for minutes."""
    assert robots(begin.encode() + b" " * 900_000 + b"x").allows(PAGE)


WORDS = (
    "User-agent",
    "Disallow",
    "Allow",
    "Crawl-delay",
    "Request-rate",
    "Sitemap",
    ":",
    " ",
    "*",
    "$",
    "/",
    "%",
)
VALUES = ("MojodexBackground", "1/0", "0/1", "1/5s", "-1", "nan", "inf", "\n", "\r", "\0", "\u2028", "#", "²")


@given(
    st.one_of(st.binary(), st.lists(st.sampled_from(WORDS + VALUES)).map(lambda all: "".join(all).encode()))
)
def test_any_bytes_are_read(body: bytes) -> None:
    found = robots(body)

    assert found.delay >= 0
    assert found.allows(PAGE) in (True, False)
