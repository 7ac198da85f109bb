"""Sitemaps: the pages that a site lists (sitemaps.org)."""

import re
import zlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import islice

from lxml import etree

from documents.web.errors import FetchError
from documents.web.fetch import Fetched

# Sitemaps read of one site, and how deep they may be nested.
SITEMAPS_READ = 20
DEEPEST = 2
BYTES_LIMIT = 10_000_000
# sitemaps.org allows 50,000 addresses, each with images and languages. After the second number of elements,
# no further sitemap of a site is read.
MOST_ELEMENTS, MOST_ELEMENTS_OF_SITE = 500_000, 2_000_000
# Of an address; sitemaps.org's limit, too.
MOST_CHARACTERS = 2_048
GZIP = b"\x1f\x8b"
MOMENT = re.compile(r"\d{4}-\d\d-\d\d(?P<time>[T ]\d\d:\d\d\S{0,30})?", re.ASCII)
# A day ends last twelve hours behind UTC. A time without a zone may be in that zone.
WESTERNMOST = timedelta(hours=12)


def read_sitemaps(
    addresses: Iterable[str],
    fetch_text: Callable[[str, int], Fetched],
    pages_wanted: int,
    is_wanted: Callable[[str], bool] = lambda _url: True,
) -> dict[str, datetime | None]:
    """Return the pages that sitemaps name, in order, each with the latest time at which it may have changed.

    That time is None if it is not given. A sitemap that cannot be read names no pages.

    Args:
        addresses: of the sitemaps.
        fetch_text: fetches an address, with a limit in bytes.
        pages_wanted: stop after this many.
        is_wanted: whether an address counts.
    """
    waiting = [(address, 0) for address in dict.fromkeys(addresses)]
    seen = {address for address, _ in waiting}
    pages: dict[str, datetime | None] = {}
    read = elements = 0
    while waiting and read < SITEMAPS_READ and len(pages) < pages_wanted and elements < MOST_ELEMENTS_OF_SITE:
        address, depth = waiting.pop(0)
        read += 1
        try:
            sitemaps, urls, changed, element_count = _parse(fetch_text(address, BYTES_LIMIT).body)
        except FetchError:
            continue
        elements += element_count
        for url in filter(is_wanted, urls):
            # Two entries of one page may disagree.
            pages[url] = None if url in pages else last_moment(changed.get(url, ""))
        if depth < DEEPEST:
            # No more than can be read: some sitemaps name 200,000.
            room = max(SITEMAPS_READ - read - len(waiting), 0)
            new = list(dict.fromkeys(each for each in sitemaps if each not in seen))[:room]
            waiting += [(sitemap, depth + 1) for sitemap in new]
            seen |= set(new)
    return dict(islice(pages.items(), pages_wanted))


def last_moment(lastmod: str) -> datetime | None:
    """Return the latest time that a sitemap's `lastmod` may mean; None if it cannot be read.

    Args:
        lastmod: a date or time (https://www.w3.org/TR/NOTE-datetime), with or without a zone.
    """
    match = MOMENT.fullmatch(lastmod)
    if not match:
        return None
    try:
        moment = datetime.fromisoformat(lastmod)
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
        return moment.replace(tzinfo=UTC) + WESTERNMOST + timedelta(days=0 if match["time"] else 1)
    except (ValueError, OverflowError):
        return None


def _parse(body: bytes) -> tuple[list[str], list[str], dict[str, str], int]:
    """Return a sitemap's sitemaps and pages, the pages' `lastmod` by address, and the elements read."""
    if body.startswith(GZIP):
        try:
            body = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(body, BYTES_LIMIT)
        except zlib.error:
            return [], [], {}, 0
    locations = _Locations()
    # The type stubs demand a target's optional methods, too.
    parser = etree.XMLParser(target=locations, recover=True)  # type: ignore[call-overload]
    # Addresses read before an error or limit still count.
    with suppress(etree.XMLSyntaxError, ValueError, _EnoughError):
        etree.fromstring(body, parser)
    # Popped: parser and target reference each other, and would keep the lists until garbage collection.
    found = locations.found
    return found.pop("sitemap"), found.pop("url"), locations.changed, locations.elements


class _EnoughError(Exception):
    """Ends the parsing of a sitemap."""


class _Locations:
    """Collects a sitemap's addresses during parsing. A tree of 10 MB of empty elements takes 400 MB."""

    def __init__(self) -> None:
        self.found: dict[str, list[str]] = {"sitemap": [], "url": []}
        self.changed: dict[str, str] = {}
        # Of the current page; either may come first.
        self._page = self._lastmod = ""
        self._open: list[str] = []
        self._text: list[str] = []
        self.elements = 0

    def doctype(self, *_names: object) -> None:
        # It could define entities or load files. No sitemap needs one.
        raise _EnoughError

    def start(self, tag: str, _attributes: object) -> None:
        self.elements += 1
        if self.elements > MOST_ELEMENTS:
            raise _EnoughError
        self._open.append(tag.rpartition("}")[2])
        self._text.clear()

    def data(self, text: str) -> None:
        self._text.append(text)

    def end(self, _tag: str) -> None:
        name = self._open.pop()
        parent = self._open[-1] if self._open else ""
        text = "".join(self._text).strip()
        if name == "loc" and parent in self.found and 0 < len(text) <= MOST_CHARACTERS:
            self.found[parent].append(text)
            self._page = text
        elif name == "lastmod" and parent == "url":
            self._lastmod = text[:MOST_CHARACTERS]
        elif name == "url":
            if self._page and self._lastmod:
                self.changed[self._page] = self._lastmod
            self._page = self._lastmod = ""
        self._text.clear()

    def close(self) -> None:
        """Do nothing; the parser calls it."""
