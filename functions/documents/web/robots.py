"""robots.txt: what a host forbids, and how slowly it wants to be asked (RFC 9309)."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from protego import Protego

from documents.web.directives import AGENT
from documents.web.errors import FetchError
from documents.web.fetch import Fetched

BYTES_LIMIT = 1_000_000


@dataclass(frozen=True)
class Robots:
    """What one host's robots.txt says.

    Attributes:
        body: its bytes; b"" if there is none.
        delay: seconds between two requests; 0 if it does not say.
        sitemaps: addresses of sitemaps.
    """

    rules: Any
    body: bytes = field(repr=False)
    delay: float
    sitemaps: tuple[str, ...]

    def allows(self, url: str) -> bool:
        """Whether we may fetch a page."""
        return bool(self.rules.can_fetch(url, AGENT))


def read_robots(url: str, fetch_text: Callable[[str, int], Fetched]) -> Robots:
    """Read the robots.txt of a page's host.

    Args:
        url: of a page.
        fetch_text: fetches an address, with a limit in bytes.

    Raises:
        FetchError: it may exist and cannot be read; then nothing may be fetched (RFC 9309, 2.3.1.4).
    """
    parts = urlsplit(url)
    try:
        body = fetch_text(f"{parts.scheme}://{parts.netloc}/robots.txt", BYTES_LIMIT).body
    except FetchError as error:
        if error.status is None or error.again:
            raise
        # There is none (RFC 9309, 2.3.1.3).
        body = b""
    return parse_robots(body)


def parse_robots(body: bytes) -> Robots:
    """Read the bytes of a robots.txt."""
    rules = Protego.parse(body.decode("utf-8-sig", "replace"))
    rate = rules.request_rate(AGENT)
    delay = max(rules.crawl_delay(AGENT) or 0, rate.seconds / rate.requests if rate else 0)
    return Robots(rules, body, float(delay), tuple(rules.sitemaps))
