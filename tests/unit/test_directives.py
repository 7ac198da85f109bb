"""Requests of a page and its server to search engines: directives, refresh, nofollow."""

import pytest

from documents.text.child import read_outline
from documents.text.links import directives as of_page
from documents.text.links import links, refresh
from documents.text.page import parse
from documents.web.directives import directives

URL = "https://example.com/shop/page"


@pytest.mark.parametrize(
    ("tags", "found"),
    [
        ([], set()),
        ([""], {""}),
        (["noindex"], {"noindex"}),
        (["NoIndex, NOFOLLOW"], {"noindex", "nofollow"}),
        (["MojodexBackground: noindex"], {"noindex"}),
        (["mojodexbackground: noindex, nofollow"], {"noindex", "nofollow"}),
        (["otherbot: noindex, nofollow"], set()),
        (["otherbot: noindex, mojodexbackground: nofollow"], {"nofollow"}),
        (["otherbot: noindex", "nofollow"], {"nofollow"}),
        (["*: none"], {"none"}),
        (["unavailable_after: 25 Jun 2010 15:00:00 PST, noindex"], {"noindex"}),
        (["max-snippet: 20, noindex"], {"noindex"}),
    ],
)
def test_a_tag_is_for_all_or_for_one_agent(tags: list[str], found: set[str]) -> None:
    plain = {each for each in directives(tags) if ":" not in each}

    assert plain == found


@pytest.mark.parametrize(
    ("meta", "found"),
    [
        ('<meta name="robots" content="noindex, nofollow">', {"noindex", "nofollow"}),
        ('<META NAME="ROBOTS" CONTENT="NOINDEX">', {"noindex"}),
        ('<meta name="mojodexbackground" content="none">', {"none"}),
        ('<meta name="robots" content="nofollow"><meta name="MojodexBackground" content="noindex">',
         {"noindex", "nofollow"}),
        ('<meta name="otherbot" content="noindex">', set()),
        ('<meta name="robots">', {""}),
        ('<meta property="robots" content="noindex">', set()),
        ('<script><meta name="robots" content="noindex"></script>', set()),
    ],
)  # fmt: skip
def test_directives_are_read_from_the_meta_tags_of_a_page(meta: str, found: set[str]) -> None:
    tree = parse(f"<head>{meta}</head><body>x</body>".encode(), None)

    assert of_page(tree, "MojodexBackground") == found


@pytest.mark.parametrize(
    ("rel", "followed"),
    [("", True), ("nofollow", False), ("noopener NoFollow", False), ("ugc", True), ("sponsored", True)],
)
def test_a_link_with_nofollow_is_not_followed(rel: str, followed: bool) -> None:
    tree = parse(f'<a href="/x" rel="{rel}">x</a>'.encode(), None)

    assert links(tree, URL) == (["https://example.com/x"] if followed else [])


@pytest.mark.parametrize(
    ("content", "target"),
    [
        ("0; url=/x", "https://example.com/x"),
        ("0;URL='/x'", "https://example.com/x"),
        ("5, x", "https://example.com/shop/x"),
        ("0.5; url=x", "https://example.com/shop/x"),
        ("6; url=/x", None),
        ("0", None),
        ("0; url=javascript:alert(1)", None),
        ("soon; url=/x", None),
        ("٣; url=/x", None),
        ("", None),
    ],
)
def test_a_refresh_within_five_seconds_is_a_redirect(content: str, target: str | None) -> None:
    tree = parse(f'<head><meta http-equiv="Refresh" content="{content}"></head>x'.encode(), None)

    assert refresh(tree, URL) == target


@pytest.mark.parametrize(
    ("asked", "noindex", "follows"),
    [
        (set(), False, True),
        ({"noindex"}, True, True),
        ({"nofollow"}, False, False),
        ({"none"}, True, False),
        ({"noarchive"}, False, True),
    ],
)
def test_directives_in_headers_count_like_those_in_the_page(
    asked: set[str], noindex: bool, follows: bool
) -> None:
    link = '<a href="/x">x</a>'
    meta = f'<meta name="robots" content="{",".join(asked)}">'
    by_server = read_outline(link.encode(), None, URL, "us", asked)
    by_page = read_outline((meta + link).encode(), None, URL, "us", ())

    for seen in (by_server, by_page):
        assert seen
        assert (seen["noindex"], bool(seen["links"])) == (noindex, follows)
