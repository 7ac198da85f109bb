"""Fetches a page politely: robots.txt is asked, the host's turn is waited for, what fails is tried again."""

import hashlib
import time
from collections.abc import Callable
from functools import partial
from urllib.parse import urlsplit

from documents.web.errors import NO_TLS, FetchError
from documents.web.fetch import Fetched, FetchSettings, fetch
from documents.web.robots import Robots, read_robots
from documents.web.sitemap import read_sitemaps
from documents.web.turns import Turns
from documents.web.urls import key, normalised, site
from mojodex.clock import Deadline
from mojodex.errors import TransientError
from mojodex.runtime import made_once

HTML = ("text/html", "application/xhtml+xml")
# What one try takes at most (fetch's `seconds`).
SECONDS_OF_TRY = 20
# Seconds before the second and the third try of what may work later.
PAUSES = (1, 3)
# A host that wants more seconds between two requests does not want to be crawled.
LONGEST_DELAY = 60
# Of one site, all hosts together: what a robots.txt says takes up to 90 times its bytes in memory.
ROBOTS_BYTES = 1_000_000
# After so many seconds, no further sitemap is asked for.
SECONDS_FOR_SITEMAPS = 60
# A page is not begun with less time than this left: three tries, and what lies between.
SECONDS_NEEDED = 70


class Visitor:
    """Fetches pages of one site; safe to use from several threads.

    Args:
        turns: of all workers.
        settings: the worker's.
        website: an address of the site.
        deadline: when the invocation ends.
    """

    def __init__(self, turns: Turns, settings: FetchSettings, website: str, deadline: Deadline) -> None:
        self._turns, self._settings, self._deadline = turns, settings, deadline
        self._site = site(website)
        # Whether a host wants its requests one by one.
        self.slow = False
        # Of each host, made once, for as long as this crawl runs.
        self._robots = made_once(self._read_robots)
        self._robots_bytes = 0

    def fetch(self, url: str, etag: str | None = None) -> Fetched:
        """Fetch a page that robots.txt allows; `etag` as in `fetch.fetch`.

        Raises:
            FetchError: it cannot be had, or is no page.
            TransientError: the host is busy, the database is away, or too little time is left.
        """
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
                turn=lambda host: self._turns.turn(host, robots.delay),
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
                url = normalised(url)
                # It may be on another host, which has a say.
                its_robots = self._robots_of(url)
                if not its_robots.allows(url):
                    raise FetchError("robots.txt forbids it", unwanted=True)
                return self._text(its_robots.delay, url, bytes_limit)
            except (TransientError, ValueError) as error:
                # No turn, or no address: the page that was read before is worth more.
                raise FetchError(str(error)) from None

        return self.of_site(read_sitemaps(addresses, fetch_text, pages_wanted))

    def _may_follow(self, url: str) -> bool:
        if site(url) != self._site:
            return False
        if not self._robots_of(url).allows(url):
            raise FetchError("robots.txt forbids it", unwanted=True)
        return True

    def of_site(self, urls: list[str]) -> list[str]:
        """Keep the addresses of this site: normalised, each page once, in their order."""
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
        def fetch_text(url: str, bytes_limit: int) -> Fetched:
            fetched = self._patiently(partial(self._text, 0, url, bytes_limit))
            self._robots_bytes += len(fetched.body)
            return fetched

        if self._robots_bytes > ROBOTS_BYTES:
            return FetchError("those of other hosts of the site were too large")
        try:
            return read_robots(f"{scheme}://{host}/", fetch_text)
        except FetchError as error:
            return error

    def _text(self, delay: float, url: str, bytes_limit: int) -> Fetched:
        """Fetch what is no page."""
        return fetch(
            self._settings,
            url,
            bytes_limit=bytes_limit,
            seconds=SECONDS_OF_TRY,
            turn=lambda host: self._turns.turn(host, delay),
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
