"""Fetches a page politely: robots.txt is asked, the host's turn is waited for, what fails is tried again."""

import gzip
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from threading import Lock
from urllib.parse import urlsplit

from documents import page_text
from documents.fetch import NO_TLS, Fetched, FetchError, FetchSettings, fetch
from documents.robots import Robots, read_robots
from documents.sitemap import read_sitemaps
from documents.turns import turn
from documents.urls import key, normalised, site
from mojodex.clock import Deadline
from mojodex.database import Database
from mojodex.errors import TransientError
from mojodex.runtime import made_once

# A page that is larger, and of which nothing can be parsed, is not empty.
LARGEST_EMPTY = 100_000
HTML = ("text/html", "application/xhtml+xml")
# What one try takes at most (fetch's `seconds`).
SECONDS_OF_TRY = 20
# Seconds before the second and the third try of what may work later.
PAUSES = (1, 3)
# A host that wants more seconds between two requests does not want to be crawled.
LONGEST_DELAY = 60
# After so many seconds, no further sitemap is asked for.
SECONDS_FOR_SITEMAPS = 60
# A page is not begun with less time than this left: three tries, and what lies between.
SECONDS_NEEDED = 70
# One tree at a time: of a page of 5 MB it takes some 100 MB.
_parsing = Lock()


@dataclass(frozen=True)
class Read:
    """A page that was read.

    Attributes:
        url: where it is, after redirects, normalised.
        canonical: where it says that it is, normalised; None if it does not say, or names another site.
        links: the pages of the same site that it leads to, normalised, in order.
        lines: hashes of its lines (see `page_text.line_hashes`).
        html, charset, html_hash, etag: see `BackgroundPage`; `html` is not compressed.
    """

    url: str
    canonical: str | None
    links: tuple[str, ...]
    lines: frozenset[int] = field(repr=False)
    html: bytes = field(repr=False)
    charset: str | None
    html_hash: str
    etag: str | None

    @property
    def staged(self) -> bytes:
        """The HTML, compressed; the same bytes for the same page."""
        return gzip.compress(self.html, mtime=0)


class Visitor:
    """Fetches pages of one site; safe to use from several threads.

    Args:
        database, settings: the worker's.
        website: an address of the site.
        deadline: when the invocation ends.
    """

    def __init__(self, database: Database, settings: FetchSettings, website: str, deadline: Deadline) -> None:
        self._database, self._settings, self._deadline = database, settings, deadline
        self._site = site(website)
        # Whether a host wants its requests one by one.
        self.slow = False
        # Of each host, made once, for as long as this crawl runs.
        self._robots = made_once(self._read_robots)

    def read(self, url: str) -> Read:
        """Fetch a page and look at its links.

        Raises:
            FetchError: it cannot be had, or is none.
            TransientError: the host is busy, the database is away, or too little time is left.
        """
        fetched = self.fetch(url)
        with _parsing:
            tree = page_text.parse(fetched.body, fetched.charset)
            if tree is None:
                much = len(fetched.body) > LARGEST_EMPTY
                raise FetchError("it has too many tags" if much else "it is empty", unwanted=True)
            return Read(
                url=normalised(fetched.url),
                canonical=next(iter(self._of_site([page_text.canonical(tree, fetched.url) or ""])), None),
                links=tuple(self._of_site(page_text.links(tree, fetched.url))),
                lines=frozenset(page_text.line_hashes(tree)),
                html=fetched.body,
                charset=fetched.charset,
                html_hash=html_hash(fetched.body),
                etag=fetched.etag,
            )

    def fetch(self, url: str, etag: str | None = None) -> Fetched:
        """Fetch a page that robots.txt allows; `etag` and the errors as in `read` and `fetch.fetch`."""
        robots = self._robots_of(url)
        if not robots.allows(url):
            raise FetchError("robots.txt forbids it", unwanted=True)
        return self._patiently(
            lambda: fetch(
                self._settings,
                url,
                media_types=HTML,
                seconds=SECONDS_OF_TRY,
                etag=etag,
                may_follow=self._may_follow,
                turn=lambda host: turn(self._database, host, robots.delay, self._deadline),
            )
        )

    def sitemap(self, url: str, pages_wanted: int) -> list[str]:
        """The pages of the site that its sitemaps name: those of robots.txt, or else /sitemap.xml."""
        robots = self._robots_of(url)
        parts = urlsplit(url)
        addresses = robots.sitemaps or (f"{parts.scheme}://{parts.netloc}/sitemap.xml",)
        ends = time.monotonic() + SECONDS_FOR_SITEMAPS

        def fetch_text(url: str, bytes_limit: int) -> Fetched:
            if time.monotonic() > ends:
                raise FetchError("the sitemaps take too long")
            try:
                # It may be on another host, which has a say.
                its_robots = self._robots_of(url)
                if not its_robots.allows(url):
                    raise FetchError("robots.txt forbids it", unwanted=True)
                return self._text(its_robots.delay, url, bytes_limit)
            except TransientError as error:
                # No turn: the page that was read before is worth more.
                raise FetchError(str(error)) from None

        return self._of_site(read_sitemaps(addresses, fetch_text, pages_wanted))

    def _may_follow(self, url: str) -> bool:
        if site(url) != self._site:
            return False
        if not self._robots_of(url).allows(url):
            raise FetchError("robots.txt forbids it", unwanted=True)
        return True

    def _of_site(self, urls: list[str]) -> list[str]:
        found: dict[str, str] = {}
        for url in urls:
            try:
                address = normalised(url)
            except ValueError:
                continue
            if site(address) == self._site:
                found.setdefault(key(address), address)
        return list(found.values())

    def _robots_of(self, url: str) -> Robots:
        parts = urlsplit(url)
        robots = self._robots(parts.scheme, parts.netloc)
        if isinstance(robots, FetchError):
            again = robots.again or robots.reason == NO_TLS
            raise FetchError(f"robots.txt cannot be read: {robots.reason}", again=again)
        if robots.delay > LONGEST_DELAY:
            raise FetchError(f"robots.txt wants {robots.delay:g} seconds between two requests", unwanted=True)
        self.slow = self.slow or robots.delay > 0
        return robots

    def _read_robots(self, scheme: str, host: str) -> Robots | FetchError:
        try:
            return read_robots(
                f"{scheme}://{host}/", lambda *what: self._patiently(partial(self._text, 0, *what))
            )
        except FetchError as error:
            return error

    def _text(self, delay: float, url: str, bytes_limit: int) -> Fetched:
        """Fetch what is no page."""
        return fetch(
            self._settings,
            url,
            bytes_limit=bytes_limit,
            seconds=SECONDS_OF_TRY,
            turn=lambda host: turn(self._database, host, delay, self._deadline),
        )

    def _patiently(self, get: Callable[[], Fetched]) -> Fetched:
        pauses = iter(PAUSES)
        while True:
            if self._deadline.seconds_left() < SECONDS_OF_TRY:
                raise TransientError("too little time left in this invocation", retry_after=1)
            try:
                return get()
            except FetchError as error:
                pause = next(pauses, None)
                if pause is None or not error.again:
                    raise
            time.sleep(pause)


def html_hash(html: bytes) -> str:
    """By which a page is known to be the same."""
    return hashlib.sha256(html).hexdigest()
