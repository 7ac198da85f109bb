"""A visit of a site: what its hosts may cost together."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import pytest

from documents.web import visit
from documents.web.errors import FetchError
from documents.web.fetch import Fetched, FetchSettings
from documents.web.turns import Turns
from documents.web.visit import ROBOTS_BYTES, Visitor
from mojodex.clock import Deadline

SETTINGS = FetchSettings(contact_url="https://example.com/crawler", page_bytes_limit=5_000_000)


class NoTurns:
    @contextmanager
    def turn(self, host: str, delay: float) -> Iterator[None]:
        yield


@pytest.fixture
def visitor(monkeypatch: pytest.MonkeyPatch) -> Visitor:
    """Of a site whose every host has a robots.txt of 400 KB."""

    def fetch(settings: FetchSettings, url: str, **options: Any) -> Fetched:
        body = b"#" * 400_000 if url.endswith("/robots.txt") else b"<p>Hello"
        return Fetched(url, 200, "text/html", None, body, None)

    monkeypatch.setattr(visit, "fetch", fetch)
    return Visitor(cast(Turns, NoTurns()), SETTINGS, "https://example.com/", Deadline(lambda: 900_000))


def test_hosts_of_a_site_whose_robots_txt_are_too_large_together_are_left_out(visitor: Visitor) -> None:
    read = ROBOTS_BYTES // 400_000 + 1
    for number in range(read):
        assert visitor.fetch(f"https://{number}.example.com/a").body == b"<p>Hello"

    with pytest.raises(FetchError, match="those of other hosts of the site were too large"):
        visitor.fetch("https://last.example.com/a")

    assert visitor.fetch("https://0.example.com/b").body == b"<p>Hello"
