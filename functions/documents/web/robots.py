"""robots.txt: what a host forbids, and how slowly it wants to be asked (RFC 9309)."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from protego import Protego

from documents.web.directives import AGENT
from documents.web.errors import FetchError
from documents.web.fetch import Fetched

BYTES_LIMIT = 1_000_000
# What begins a line with a meaning. For Protego any other one ends a group, too, against RFC 9309, 2.2.4.
FIELD = re.compile(r"\s*(?:user|allow|dis|dias|site|crawl|request)", re.IGNORECASE)
# Whom a group is for; what follows the name, a version maybe, says nothing (RFC 9309, 2.2.1).
AGENT_LINE = re.compile(r"\s*user[-\s]*agent[\s:]+(\*(?=[\s#]|$)|[a-z_-]*)", re.IGNORECASE)


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
    lines = filter(FIELD.match, body.decode("utf-8-sig", "replace").splitlines())
    rules = Protego.parse("\n".join(map(_for_protego, lines)))
    rate = rules.request_rate(AGENT)
    delay = max(rules.crawl_delay(AGENT) or 0, rate.seconds / rate.requests if rate else 0)
    return Robots(rules, body, float(delay), tuple(rules.sitemaps))


def _for_protego(line: str) -> str:
    """Call a group ours, everybody's, or that of another one.

    Protego copies each rule of a group to all of its names: 1,000 names with 1,000 rules are a million.
    """
    if (match := AGENT_LINE.match(line)) is None:
        return line
    name = match[1].lower()
    return f"user-agent: {name if name in ('*', AGENT.lower()) else 'other'}"
