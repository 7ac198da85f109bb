"""A visit of a site: limits for all its hosts together, and sitemaps that its robots.txt names."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import pytest

from documents.web import visit
from documents.web.errors import FetchError
from documents.web.fetch import Fetched, FetchSettings
from documents.web.host_slots import HostSlots
from documents.web.scope import scope_of
from documents.web.visit import ROBOTS_BYTES, Visitor
from mojodex.clock import Deadline

SETTINGS = FetchSettings(contact_url="https://example.com/crawler", page_bytes_limit=5_000_000)


class FreeSlots:
    @contextmanager
    def slot(self, host: str, delay: float) -> Iterator[None]:
        yield

    def kept_robots(self, _host: str, _origin: str) -> bytes | None:
        return None


class Site:
    """Answers every request. Each of its hosts has the same robots.txt."""

    def __init__(self, robots: bytes, page: bytes = b"<p>Hello") -> None:
        self.robots, self.page = robots, page
        self.asked: list[str] = []

    def fetch(self, _settings: FetchSettings, url: str, **_options: Any) -> Fetched:
        self.asked.append(url)
        body = self.robots if url.endswith("/robots.txt") else self.page
        return Fetched(url, 200, "text/html", None, body, None)


def visitor_of(site: Site, monkeypatch: pytest.MonkeyPatch) -> Visitor:
    monkeypatch.setattr(visit, "fetch", site.fetch)
    return Visitor(
        cast(HostSlots, FreeSlots()), SETTINGS, scope_of("https://example.com/"), Deadline(lambda: 900_000)
    )


def test_hosts_are_left_out_once_the_robots_txt_of_a_site_are_too_large_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    visitor = visitor_of(Site(b"#" * 400_000), monkeypatch)
    read = ROBOTS_BYTES // 400_000 + 1
    for number in range(read):
        assert visitor.fetch(f"https://{number}.example.com/a").body == b"<p>Hello"

    with pytest.raises(FetchError, match=r"the site's other robots\.txt files were too large"):
        visitor.fetch("https://last.example.com/a")

    assert visitor.fetch("https://0.example.com/b").body == b"<p>Hello"


@pytest.mark.parametrize("address", ["http://[", "//[/", "http://℀.example/", "http://a:b/", "", "/s.xml"])
def test_an_invalid_address_of_a_sitemap_does_not_stop_the_visit(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    site = Site(f"Sitemap: {address}\nSitemap: HTTPS://Example.com:443/s.xml".encode())
    site.page = b"<urlset><url><loc>https://example.com/a</loc></url></urlset>"

    assert visitor_of(site, monkeypatch).sitemap("https://example.com/", 10) == {
        "https://example.com/a": None
    }
    assert site.asked == ["https://example.com/robots.txt", "https://example.com/s.xml"]
