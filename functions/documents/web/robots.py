"""robots.txt: a host's rules and crawl delay (RFC 9309)."""

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
# Lines with a meaning. Any other line would end a group for Protego, against RFC 9309, 2.2.4.
FIELD = re.compile(r"\s*(?:user|allow|dis|dias|site|crawl|request)", re.IGNORECASE)
# The agent of a group. What follows the name, maybe a version, is ignored (RFC 9309, 2.2.1).
AGENT_LINE = re.compile(r"\s*user[-\s]*agent[\s:]+(\*(?=[\s#]|$)|[a-z_-]*)", re.IGNORECASE)


@dataclass(frozen=True)
class Robots:
    """One host's robots.txt.

    Attributes:
        body: its bytes; b"" if there is none.
        delay: seconds between two requests; 0 if not given.
        sitemaps: addresses of sitemaps.
    """

    rules: Any
    body: bytes = field(repr=False)
    delay: float
    sitemaps: tuple[str, ...]

    def allows(self, url: str) -> bool:
        """Return whether we may fetch a page."""
        return bool(self.rules.can_fetch(url, AGENT))


def read_robots(url: str, fetch_text: Callable[[str, int], Fetched]) -> Robots:
    """Read the robots.txt of a page's host.

    Args:
        url: of a page.
        fetch_text: fetches an address, with a limit in bytes.

    Raises:
        FetchError: it may exist but cannot be read; nothing may be fetched then (RFC 9309, 2.3.1.4).
    """
    parts = urlsplit(url)
    try:
        body = fetch_text(f"{parts.scheme}://{parts.netloc}/robots.txt", BYTES_LIMIT).body
    except FetchError as error:
        if error.status is None or error.again:
            raise
        # It counts as absent (RFC 9309, 2.3.1.3).
        body = b""
    return parse_robots(body)


def parse_robots(body: bytes) -> Robots:
    """Parse the bytes of a robots.txt."""
    lines = filter(FIELD.match, body.decode("utf-8-sig", "replace").splitlines())
    rules = Protego.parse("\n".join(map(_for_protego, lines)))
    rate = rules.request_rate(AGENT)
    delay = max(rules.crawl_delay(AGENT) or 0, rate.seconds / rate.requests if rate else 0)
    return Robots(rules, body, float(delay), tuple(rules.sitemaps))


def _for_protego(line: str) -> str:
    """Reduce the agent of a group to ours, `*` or `other`.

    Protego copies each rule to each agent of its group: 1,000 agents with 1,000 rules make a million.
    """
    if (match := AGENT_LINE.match(line)) is None:
        return line
    name = match[1].lower()
    return f"user-agent: {name if name in ('*', AGENT.lower()) else 'other'}"
