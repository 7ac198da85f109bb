"""Polite visits: obey robots.txt, wait for a slot of the host, and try again what fails."""

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from urllib.parse import urlsplit

from documents.web.errors import NO_TLS, FetchError, HostRestsError
from documents.web.fetch import Fetched, FetchSettings, fetch
from documents.web.host_slots import HostSlots
from documents.web.media import PAGES
from documents.web.robots import Robots, parse_robots, read_robots
from documents.web.scope import Scope
from documents.web.sitemap import read_sitemaps
from documents.web.urls import key, normalised, shown, site
from mojodex.clock import Deadline
from mojodex.errors import TransientError
from mojodex.runtime import made_once

# Time limit of one try (fetch's `seconds`).
SECONDS_OF_TRY = 20
# Seconds before the second and third try.
PAUSES = (1, 3)
# A host that wants more seconds between two requests is not crawled.
LONGEST_DELAY = 60
# For all hosts of a site: a parsed robots.txt takes up to 90 times its bytes in memory.
ROBOTS_BYTES = 1_000_000
# After this time, no further sitemap is requested.
SECONDS_FOR_SITEMAPS = 60
# The time left that a visit needs: three tries and the pauses between them.
SECONDS_NEEDED = 70


class Visitor:
    """Fetches pages of one site; safe to use from several threads.

    Args:
        slots: of all hosts.
        settings: the worker's.
        scope: which addresses may be fetched.
        deadline: when the invocation ends.

    Attributes:
        home: where the first page redirected out of the scope; '' if it did not.
    """

    def __init__(self, slots: HostSlots, settings: FetchSettings, scope: Scope, deadline: Deadline) -> None:
        self._slots, self._settings, self._deadline = slots, settings, deadline
        self._scope, self.home = scope, ""
        # Crawl delays in seconds, by host.
        self._delays: dict[str, float] = {}
        self._robots = made_once(self._read_robots)
        self._robots_bytes = 0

    def fetch(
        self,
        url: str,
        etag: str | None = None,
        *,
        first: bool = False,
        is_known: Callable[[str], bool] = lambda _key: False,
    ) -> Fetched:
        """Fetch a page that robots.txt allows.

        Args:
            url: of the page.
            etag: as in `fetch.fetch`.
            first: whether it is the first page of a crawl, which may redirect out of the scope, once.
            is_known: whether the page with a key is fetched anyway; no redirect to it is followed.

        Raises:
            FetchError: it cannot be fetched, or is no page.
            HostRestsError: its host asks us to slow down.
            TransientError: the host is busy, the database is unavailable, or too little time is left.
        """
        robots = self._robots_of(url)
        if not robots.allows(url):
            raise FetchError("robots.txt forbids it", unwanted=True)

        def may_follow(target: str) -> bool:
            follows = self.may_follow(target, url, first=first)
            address = normalised(target) if follows else ""
            if follows and key(address) != key(url) and is_known(key(address)):
                raise FetchError(f"it redirects to {shown(address)}", unwanted=True)
            return follows

        with self._storing_robots(url, robots):
            return self._patiently(
                lambda: fetch(
                    self._settings,
                    url,
                    media_types=PAGES,
                    seconds=SECONDS_OF_TRY,
                    etag=etag,
                    may_follow=may_follow,
                    slot=lambda host: self._slots.slot(host, self._delays.get(host, 0), page=True),
                )
            )

    @property
    def slow(self) -> bool:
        """Whether a host wants its requests one by one."""
        return bool(self._delays)

    def sitemap(self, url: str, pages_wanted: int) -> dict[str, datetime | None]:
        """Read the site's sitemaps: those that robots.txt names, or else /sitemap.xml.

        Returns:
            The normalised addresses of pages, as in `read_sitemaps`.

        Raises:
            HostRestsError: a host asks us to slow down.
        """
        robots = self._robots_of(url)
        parts = urlsplit(url)
        addresses = robots.sitemaps or (f"{parts.scheme}://{parts.netloc}/sitemap.xml",)
        ends = time.monotonic() + SECONDS_FOR_SITEMAPS
        path = self._scope.path

        def may_be_wanted(url: str) -> bool:
            # Not exact, but fast: there may be a million addresses.
            return path in f"{url}/"

        def fetch_text(url: str, bytes_limit: int) -> Fetched:
            if time.monotonic() > ends:
                raise FetchError("the sitemaps take too long")
            try:
                url = normalised(url)
                # It may be on another host, with its own rules.
                host_robots = self._robots_of(url)
                if not host_robots.allows(url):
                    raise FetchError("robots.txt forbids it", unwanted=True)
                with self._storing_robots(url, host_robots):
                    return self._text(host_robots.delay, url, bytes_limit)
            except HostRestsError:
                raise
            except (TransientError, ValueError) as error:
                # Skip this sitemap rather than lose the page that was read before it.
                raise FetchError(str(error)) from None

        named = read_sitemaps(addresses, fetch_text, pages_wanted, may_be_wanted)
        return {address: named[url] for address, url in self._of_site(named).items()}

    @contextmanager
    def _storing_robots(self, url: str, robots: Robots) -> Iterator[None]:
        """Store the robots.txt of a host that begins to rest: the next probe need not fetch it."""
        try:
            yield
        except HostRestsError as error:
            if error.answer:
                self._slots.keep_robots(*_origin(url), robots.body)
            raise

    def may_follow(self, url: str, source: str, *, first: bool) -> bool:
        """Return whether to follow a redirect to an address.

        Args:
            url: the address.
            source: the page that redirects (normalised). In a refresh it may be out of the scope itself;
                then it may redirect anywhere in its site.
            first: as in `fetch`.

        Raises:
            FetchError: it is not followed, for another reason than another site.
        """
        try:
            address = normalised(url)
        except ValueError:
            return False
        if not self._scope.holds(address):
            if not first or self.home:
                if site(address) == self._scope.site:
                    if not first and not self._scope.holds(source):
                        return self._allows(address)
                    raise FetchError("it redirects out of the path that is read", unwanted=True)
                return False
            self.home, self._scope = address, self._scope.moved(address)
        return self._allows(url)

    def _allows(self, url: str) -> bool:
        if not self._robots_of(url).allows(url):
            raise FetchError("robots.txt forbids it", unwanted=True)
        return True

    def of_site(self, urls: Iterable[str]) -> list[str]:
        """Return the addresses that may be fetched: normalised, each page once, in their order."""
        return list(self._of_site(urls))

    def _of_site(self, urls: Iterable[str]) -> dict[str, str]:
        """Return the normalised address of each page that may be fetched, with the given address."""
        found: dict[str, tuple[str, str]] = {}
        for url in urls:
            try:
                address = normalised(url)
            except ValueError:
                continue
            if self._scope.holds(address):
                found.setdefault(key(address), (address, url))
        return dict(found.values())

    def _robots_of(self, url: str) -> Robots:
        parts = urlsplit(url)
        robots = self._robots(parts.scheme, parts.netloc)
        if isinstance(robots, FetchError):
            again = robots.again or robots.reason == NO_TLS
            raise FetchError(f"robots.txt cannot be read: {robots.reason}", again=again)
        if robots.delay > LONGEST_DELAY:
            raise FetchError(f"robots.txt wants {robots.delay:g} seconds between two requests", unwanted=True)
        if robots.delay:
            self._delays[parts.hostname or ""] = robots.delay
        return robots

    def _read_robots(self, scheme: str, host: str) -> Robots | FetchError:
        def fetch_text(url: str, bytes_limit: int) -> Fetched:
            fetched = self._patiently(partial(self._text, 0, url, bytes_limit))
            self._robots_bytes += len(fetched.body)
            return fetched

        url = f"{scheme}://{host}/"
        if (kept := self._slots.kept_robots(*_origin(url))) is not None:
            return parse_robots(kept)
        if self._robots_bytes > ROBOTS_BYTES:
            return FetchError("the site's other robots.txt files were too large")
        try:
            return read_robots(url, fetch_text)
        except FetchError as error:
            return error

    def _text(self, delay: float, url: str, bytes_limit: int) -> Fetched:
        """Fetch a robots.txt or sitemap."""
        return fetch(
            self._settings,
            url,
            bytes_limit=bytes_limit,
            seconds=SECONDS_OF_TRY,
            slot=lambda host: self._slots.slot(host, delay, page=False),
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


def _origin(url: str) -> tuple[str, str]:
    """Return the host of an address, and the origin whose robots.txt applies to it."""
    parts = urlsplit(url)
    return parts.hostname or "", f"{parts.scheme}://{parts.netloc}"


def html_hash(html: bytes) -> str:
    """Hash a page, to recognise it when it has not changed."""
    return hashlib.sha256(html).hexdigest()
