"""The pages that a sitemap lists, with any content."""

import gzip
from datetime import UTC, datetime, timedelta

import pytest

from documents.create_from_website.existing_pages import has_not_changed
from documents.create_from_website.frontier import FoundPage
from documents.web import sitemap, urls
from documents.web.errors import FetchError
from documents.web.fetch import Fetched
from documents.web.sitemap import SITEMAPS_READ, read_sitemaps

NAMESPACE = 'xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"'


def pages(body: str | bytes, pages_wanted: int = 100) -> list[str]:
    content = body.encode() if isinstance(body, str) else body
    answer = Fetched("https://a.test/sitemap.xml", 200, "text/xml", None, content, None)
    return list(read_sitemaps([answer.url], lambda _url, _limit: answer, pages_wanted))


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
def test_the_pages_of_a_sitemap_are_the_locs_of_its_urls(body: str, found: list[str]) -> None:
    assert pages(body) == found


def test_a_sitemap_is_read_up_to_the_limit_of_elements(monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_each_sitemap_of_an_index_is_read_once_up_to_the_limit() -> None:
    asked = []

    def fetch_text(url: str, _limit: int) -> Fetched:
        asked.append(url)
        named = (f"{url}.{number // 2}" for number in range(2000))
        return Fetched(url, 200, "", None, index(*named), None)

    assert read_sitemaps(["s"], fetch_text, 10) == {}
    assert asked == ["s", *(f"s.{number}" for number in range(SITEMAPS_READ - 1))]


def test_sitemaps_are_read_until_their_elements_together_reach_the_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sitemap, "MOST_ELEMENTS_OF_SITE", 2500)
    asked = []

    def fetch_text(url: str, _limit: int) -> Fetched:
        asked.append(url)
        return Fetched(url, 200, "", None, b"<urlset>" + b"<a/>" * 999, None)

    assert read_sitemaps(["1", "2", "3", "4"], fetch_text, 10) == {}
    assert asked == ["1", "2", "3"]


def test_a_sitemap_that_cannot_be_fetched_names_nothing() -> None:
    def fetch_text(_url: str, _limit: int) -> Fetched:
        raise FetchError("the page answers 404", status=404)

    assert read_sitemaps(["https://a.test/sitemap.xml"], fetch_text, 10) == {}


def changed(*parts: str) -> dict[str, str | None]:
    body = f"<urlset>{''.join(f'<url>{part}</url>' for part in parts)}</urlset>"
    answer = Fetched("https://a.test/sitemap.xml", 200, "text/xml", None, body.encode(), None)
    found = read_sitemaps([answer.url], lambda _url, _limit: answer, 100)
    return {url: moment and moment.isoformat(timespec="minutes") for url, moment in found.items()}


@pytest.mark.parametrize(
    ("lastmod", "last"),
    [
        # A day ends twelve hours later in the west. A time without a zone can be one there.
        ("2026-11-20", "2026-11-21T12:00+00:00"),
        ("2026-11-20T10:00:00", "2026-11-20T22:00+00:00"),
        ("2026-11-20T10:00:00Z", "2026-11-20T10:00+00:00"),
        ("2026-11-20T10:00:00.123+02:00", "2026-11-20T08:00+00:00"),
        (" 2026-11-20T10:00+00:00\n", "2026-11-20T10:00+00:00"),
        ("2026-11", None),
        ("2026", None),
        ("yesterday", None),
        ("9999-12-31", None),
        ("", None),
        ("1" * 5_000, None),
    ],
)
def test_lastmod_is_read_as_the_latest_moment_that_it_can_mean(lastmod: str, last: str | None) -> None:
    page, told = "<loc>https://a.test/1</loc>", f"<lastmod>{lastmod}</lastmod>"

    assert changed(page + told) == changed(told + page) == {"https://a.test/1": last}


def test_each_page_has_the_lastmod_of_its_own_element() -> None:
    first, second = "<loc>https://a.test/1</loc>", "<loc>https://a.test/2</loc>"
    told = "<lastmod>2026-11-20T10:00Z</lastmod>"

    assert changed(first + told, second) == {
        "https://a.test/1": "2026-11-20T10:00+00:00",
        "https://a.test/2": None,
    }
    assert changed(told, first) == {"https://a.test/1": None}
    # A page that is listed twice has no certain date.
    assert changed(first + told, first + told) == {"https://a.test/1": None}


FETCHED_AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("changed_at", "fetched_at", "since", "unchanged"),
    [
        # The site's clock may be an hour slow. After thirty days, the page itself is fetched.
        (FETCHED_AT - timedelta(hours=1) - SECOND, FETCHED_AT, timedelta(days=30) - SECOND, True),
        (FETCHED_AT - timedelta(hours=1), FETCHED_AT, timedelta(days=8), False),
        (FETCHED_AT - timedelta(days=8), FETCHED_AT, timedelta(days=30), False),
        (FETCHED_AT - timedelta(days=8), None, timedelta(days=8), False),
        (None, FETCHED_AT, timedelta(days=8), False),
    ],
)
def test_a_sitemap_is_trusted_within_limits_that_a_page_has_not_changed(
    changed_at: datetime | None, fetched_at: datetime | None, since: timedelta, unchanged: bool
) -> None:
    page = FoundPage(1, "https://a.test/1", 1, fetched_at=fetched_at)
    named = {urls.key(page.url): changed_at}

    assert has_not_changed(page, named, FETCHED_AT + since) is unchanged
    assert not has_not_changed(page, {}, FETCHED_AT + since)
