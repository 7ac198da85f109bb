"""Which pages a sitemap names, whatever it holds."""

import gzip

import pytest

from documents.web import sitemap
from documents.web.errors import FetchError
from documents.web.fetch import Fetched
from documents.web.sitemap import SITEMAPS_READ, read_sitemaps

NAMESPACE = 'xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"'


def pages(body: str | bytes, pages_wanted: int = 100) -> list[str]:
    content = body.encode() if isinstance(body, str) else body
    answer = Fetched("https://a.test/sitemap.xml", 200, "text/xml", None, content, None)
    return read_sitemaps([answer.url], lambda _url, _limit: answer, pages_wanted)


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (f"<urlset {NAMESPACE}><url><loc> https://a.test/1\n</loc></url></urlset>", ["https://a.test/1"]),
        ("<urlset><url><loc>https://a.test/?a=1&amp;b=2</loc></url></urlset>", ["https://a.test/?a=1&b=2"]),
        ("<urlset><url><loc><![CDATA[https://a.test/1]]></loc></url></urlset>", ["https://a.test/1"]),
        ("<urlset><url><image><loc>https://a.test/i.png</loc></image></url></urlset>", []),
        ("<urlset><url><loc> </loc></url></urlset>", []),
        (f"<urlset><url><loc>https://a.test/{'a' * 2_100}</loc></url></urlset>", []),
        ("<urlset><loc>https://a.test/1</loc></urlset>", []),
        ("<urlset><url><loc>https://a.test/1</loc></url><url><loc>https://a.t", ["https://a.test/1"]),
        ("</urlset></urlset><url><loc>https://a.test/1</loc></url>", []),
        ("", []),
        ("no XML", []),
    ],
)
def test_the_pages_that_a_sitemap_names_are_those_of_its_urls(body: str, found: list[str]) -> None:
    assert pages(body) == found


def test_a_sitemap_is_read_up_to_so_many_elements(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sitemap, "MOST_ELEMENTS", 10)
    body = (
        f"<urlset><url><loc>https://a.test/1</loc></url>{'<a/>' * 10}<url><loc>https://a.test/2</loc></url>"
    )

    assert pages(gzip.compress(body.encode())) == ["https://a.test/1"]


@pytest.mark.parametrize(
    "declared", ['<!ENTITY a "https://a.test/">', '<!ENTITY a SYSTEM "file:///etc/passwd">', ""]
)
def test_a_sitemap_that_could_define_entities_is_not_read(declared: str) -> None:
    body = f"<!DOCTYPE urlset [{declared}]><urlset><url><loc>https://a.test/&a;</loc></url></urlset>"

    assert pages(body) == pages(body.encode("utf-16")) == []


def index(*names: object) -> bytes:
    return f"<x>{''.join(f'<sitemap><loc>{name}</loc></sitemap>' for name in names)}</x>".encode()


def test_of_the_sitemaps_that_an_index_names_each_is_read_once_and_no_more_than_may_be() -> None:
    asked = []

    def fetch_text(url: str, _limit: int) -> Fetched:
        asked.append(url)
        named = (f"{url}.{number // 2}" for number in range(2000))
        return Fetched(url, 200, "", None, index(*named), None)

    assert read_sitemaps(["s"], fetch_text, 10) == []
    assert asked == ["s", *(f"s.{number}" for number in range(SITEMAPS_READ - 1))]


def test_sitemaps_of_too_many_elements_together_are_not_all_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sitemap, "MOST_ELEMENTS_OF_SITE", 2500)
    asked = []

    def fetch_text(url: str, _limit: int) -> Fetched:
        asked.append(url)
        return Fetched(url, 200, "", None, b"<urlset>" + b"<a/>" * 999, None)

    assert read_sitemaps(["1", "2", "3", "4"], fetch_text, 10) == []
    assert asked == ["1", "2", "3"]


def test_a_sitemap_that_cannot_be_fetched_names_nothing() -> None:
    def fetch_text(_url: str, _limit: int) -> Fetched:
        raise FetchError("the page answers 404", status=404)

    assert read_sitemaps(["https://a.test/sitemap.xml"], fetch_text, 10) == []
