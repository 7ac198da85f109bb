"""Addresses: one spelling, one key for a page, one site for its hosts."""

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from documents.web import urls


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("example.com", "https://example.com/"),
        ("www.example.com/a", "https://www.example.com/a"),
        ("example.com:8080", "https://example.com:8080/"),
        ("HTTP://EXAMPLE.com:80/A", "http://example.com/A"),
        ("https://example.com:443", "https://example.com/"),
        ("https://example.com./a", "https://example.com/a"),
        ("https://example.com/a#top", "https://example.com/a"),
        ("https://example.com/ä", "https://example.com/%C3%A4"),
        ("https://münchen.de/", "https://xn--mnchen-3ya.de/"),
        ("https://example.com/?utm_source=x&id=7&gclid=1", "https://example.com/?id=7"),
        ("https://example.com/?utm_source=x", "https://example.com/"),
        ("http://[::1]:80/", "http://[::1]/"),
        (" https://example.com/a\n", "https://example.com/a"),
        # A separate domain since IDNA 2008, and one that only browsers allow.
        ("https://straße.de/", "https://xn--strae-oqa.de/"),
        ("https://☕.example/", "https://xn--53h.example/"),
        # Other spellings of letters, and of the dot.
        ("https://ＥＸＡＭＰＬＥ。com/", "https://example.com/"),
        ("https://ex%61mple.com/", "https://example.com/"),
        # IP addresses, as resolvers read them.
        ("http://0x7f.1/", "http://127.0.0.1/"),
        ("http://017700000001/", "http://127.0.0.1/"),
        ("http://①②⑦.0.0.1/", "http://127.0.0.1/"),
        ("http://[0:0:0:0:0:0:0:1]/", "http://[::1]/"),
        ("https://example.com/a/./b/../c", "https://example.com/a/c"),
        ("https://example.com/a/%2E%2e/c", "https://example.com/c"),
        ("https://example.com/a/%2e", "https://example.com/a/"),
        ("https://example.com/a/../%2e;", "https://example.com/%2e;"),
        ("https://example.com/../..", "https://example.com/"),
        ("https://example.com//other.example/..", "https://example.com//"),
        (r"https://example.com/a\..\b", "https://example.com/b"),
        ("https://example.com/a;jsessionid=0AF7.node1?b=1", "https://example.com/a?b=1"),
        ("https://example.com/a;JSESSIONID=1/b", "https://example.com/a/b"),
        ("https://example.com/?PHPSESSID=abc&id=7", "https://example.com/?id=7"),
        ("https://example.com/?id=7&phpsessid=abc", "https://example.com/?id=7"),
        ("https://example.com/?CFID=1&CFTOKEN=2", "https://example.com/"),
        ("https://example.com/?ASPSESSIONIDQQTABC=1", "https://example.com/"),
    ],
)
def test_an_address_is_written_in_one_way(address: str, expected: str) -> None:
    assert urls.normalised(address) == expected
    assert urls.normalised(expected) == expected


@pytest.mark.parametrize(
    "address",
    [
        "https://example.com/?tag=a&tag=b",
        "https://example.com/?a=",
        "https://example.com/?b=2&a=1",
        "https://example.com/%7Eann",
        "https://example.com/?2",
        "https://example.com/index.php?/about",
        "https://example.com/a/",
        "https://example.com/a%2Fb",
        "https://example.com/?next=https://other.example/",
        "https://example.com/talks?session_id=7&sid=8&session=9",
        "https://example.com/?note=phpsessid=1",
        "https://example.com/a;v=2",
    ],
)
def test_an_address_that_may_be_another_page_is_not_shortened(address: str) -> None:
    """Servers can treat the short form as another page."""
    assert urls.normalised(address) == address


@pytest.mark.parametrize(
    "address",
    [
        "",
        "?",
        "https://",
        "https:///a",
        "ftp://example.com/",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "mailto:ann@example.com",
        "https://ann:secret@example.com/",
        "ann@example.com",
        "https://exa[mple.com/",
        "https://example.com:99999/",
        "https://example.com:x/",
        "https://.",
        "https://a..example/",
        "https://exa mple.com/",
        "https://example.com%2F@other.example/",
        "https://example.com%2Fa/",
        "https://example.com%00.other.example/",
        r"https://example.com\@other.example/",
        "https://exam‥ple.com/",
        f"https://{'a' * 64}.example/",
        f"https://{'a.' * 127}example/",
        f"https://{'ü.' * 60}example/",
        # Soft hyphens are left out of names.
        f"https://{chr(0xAD) * 300}a.example/",
        "https://example.256/",
        "https://1.2.3.4.5/",
        "https://192.168.0.256/",
        "https://[fe80::1%25eth0]/",
        "https://[::1/",
        "https://example.com/\ud800",
    ],
)
def test_an_invalid_address_is_refused_in_our_words(address: str) -> None:
    with pytest.raises(ValueError, match=r"^the address is not valid$"):
        urls.normalised(address)


def test_an_address_in_the_query_is_not_taken_for_a_scheme() -> None:
    assert urls.normalised("example.com/login?next=https://other.example/").startswith("https://example.com/")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://example.com/", "http://www.example.com"),
        ("https://example.com/a", "https://example.com/a/"),
        ("https://example.com/a?b=1", "http://www.example.com/a/?b=1#c"),
        ("https://example.com/a", "https://example.com/a;jsessionid=1"),
    ],
)
def test_addresses_of_one_page_have_one_key(one: str, other: str) -> None:
    one, other = urls.normalised(one), urls.normalised(other)

    assert urls.key(one) == urls.key(other)
    assert one in urls.names(other)
    assert other in urls.names(one)


@pytest.mark.parametrize("host", ["[2606:4700::1]", "192.0.2.1", "192.0.2.1:8080"])
def test_a_host_without_a_name_has_no_www(host: str) -> None:
    assert urls.names(f"http://{host}/a") == [
        f"{scheme}://{host}/a{end}" for scheme in ("http", "https") for end in ("", "/")
    ]


def test_the_order_of_parameters_does_not_make_another_page() -> None:
    """Within a crawl. A document is also found by its name with sorted parameters."""
    one, other = "https://example.com/?b=2&a=1", "https://example.com/?a=1&b=2"

    assert urls.key(one) == urls.key(other)
    assert other in urls.names(one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://example.com/a", "https://example.com/b"),
        ("https://example.com/a", "https://example.com/A"),
        ("https://example.com/a?b=1", "https://example.com/a"),
        ("https://example.com/", "https://example.com:8080/"),
        ("https://example.com/", "https://shop.example.com/"),
        (f"https://example.com/{'x' * 600}1", f"https://example.com/{'x' * 600}2"),
    ],
)
def test_addresses_of_two_pages_have_two_keys(one: str, other: str) -> None:
    one, other = urls.normalised(one), urls.normalised(other)

    assert urls.key(one) != urls.key(other)
    assert not set(urls.names(one)) & set(urls.names(other))


def test_the_key_of_a_long_address_fits_into_an_index() -> None:
    assert len(urls.key(f"https://example.com/{'x' * 5000}")) < 1000


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("https://example.com/", "example.com"),
        ("https://www.example.com/", "example.com"),
        ("https://a.b.example.com/", "example.com"),
        ("https://www.example.co.uk/", "example.co.uk"),
        ("https://ann.github.io/", "ann.github.io"),
        ("https://192.0.2.1/", "192.0.2.1"),
        ("https://192.0.2.1:8080/", "192.0.2.1:8080"),
        ("https://[2001:db8::1]/", "[2001:db8::1]"),
    ],
)
def test_the_site_of_an_address(address: str, expected: str) -> None:
    assert urls.site(address) == expected


def test_hosts_below_a_public_suffix_are_separate_sites() -> None:
    hosts = ("a.co.uk", "b.co.uk", "ann.github.io", "bob.github.io", "github.io", "localhost", "com")

    assert len({urls.site(f"https://{host}/") for host in hosts}) == len(hosts)


@pytest.mark.parametrize(
    ("path", "holds_none", "kind"),
    [
        ("/photo.JPG", True, None),
        ("/all.tar.gz", True, None),
        ("/plan.pdf", False, None),
        ("/plan.doc", False, "application/msword"),
        ("/plan.DOC?download=1", False, "application/msword"),
        ("/notes.txt", False, "text/plain"),
        ("/a.html", False, None),
        ("/a.php?image=x.jpg", False, None),
        ("/v1.2", False, None),
        ("/", False, None),
    ],
)
def test_the_ending_of_an_address_tells_its_type(path: str, holds_none: bool, kind: str | None) -> None:
    url = f"https://example.com{path}"

    assert urls.holds_no_text(url) == holds_none
    assert urls.other_type(url) == kind


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/plan.PDF?download=1", True),
        ("/plan.docx", True),
        ("/plan.doc", False),
        ("/pdf", False),
        ("/", False),
    ],
)
def test_the_ending_of_an_address_tells_whether_it_is_a_file(path: str, expected: bool) -> None:
    assert urls.names_file(f"https://example.com{path}") == expected


@given(
    st.text(alphabet="ab;=&?/", max_size=12), st.sampled_from([";jsessionid=1", "?PHPSESSID=1", "&cfid=2"])
)
def test_a_session_id_does_not_make_another_page(rest: str, session: str) -> None:
    url = urls.normalised(f"https://example.com/{rest}{session}")

    assert urls.normalised(url) == url
    assert {urls.key(name) for name in urls.names(url)} == {urls.key(url)}


hosts = st.sampled_from(
    ["example.com", "www.example.com", "straße.de", "192.0.2.1", "localhost:80", "[::1]", "0x7f.1", "%41.com"]
)
PARTS = (
    *(
        "/",
        "\\",
        ".",
        "..",
        "%2e",
        "?",
        "&",
        "=",
        "#",
        ";",
        "@",
        ":",
        "[",
        "]",
        "%",
        "%2f",
        ":80",
        "https://",
    ),
    *("ß", "①", "。", "xn--", "0x", "1", "a", ".com", "www.", "utm_source=1", " ", "\t", "\0", "\ud800"),
)
parts = st.lists(st.sampled_from(PARTS)).map("".join)


@given(st.one_of(st.text(), parts, st.builds(lambda host, rest: f"http://{host}/{rest}", hosts, parts)))
def test_any_text_is_a_valid_address_or_is_refused(address: str) -> None:
    try:
        url = urls.normalised(address)
    except ValueError as error:
        assert str(error) == "the address is not valid"
        return

    assert url.isascii()
    assert urls.normalised(url) == url
    assert url in urls.names(url)
    assert {urls.key(name) for name in urls.names(url)} == {urls.key(url)}
    assert urlsplit(url).scheme in ("http", "https")
    assert not urlsplit(url).fragment
