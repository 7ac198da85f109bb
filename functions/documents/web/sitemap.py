"""Sitemaps: the pages that a site says it has (sitemaps.org)."""

import re
import zlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import islice

from lxml import etree

from documents.web.errors import FetchError
from documents.web.fetch import Fetched

# Of one site: sitemaps that are read, and how deep they may name further ones.
SITEMAPS_READ = 20
DEEPEST = 2
BYTES_LIMIT = 10_000_000
# sitemaps.org allows 50,000 addresses; each may come with some images and languages. And of all sitemaps
# together: after so many, no further one is read.
MOST_ELEMENTS, MOST_ELEMENTS_OF_SITE = 500_000, 2_000_000
# Of an address; also sitemaps.org's.
MOST_CHARACTERS = 2_048
GZIP = b"\x1f\x8b"
MOMENT = re.compile(r"\d{4}-\d\d-\d\d(?P<time>[T ]\d\d:\d\d\S{0,30})?", re.ASCII)
# A day ends last in the zone twelve hours behind UTC, and a moment without a zone may be meant there.
WESTERNMOST = timedelta(hours=12)


def read_sitemaps(
    addresses: Iterable[str],
    fetch_text: Callable[[str, int], Fetched],
    pages_wanted: int,
    is_wanted: Callable[[str], bool] = lambda _url: True,
) -> dict[str, datetime | None]:
    """Return the addresses of pages that sitemaps name, in their order, each with the last moment at which it
    may have changed, if that is told; a sitemap that cannot be read has none.

    Args:
        addresses: of the sitemaps.
        fetch_text: fetches an address, with a limit in bytes.
        pages_wanted: it stops when there are as many.
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
            sitemaps, urls, changed, its_elements = _parse(fetch_text(address, BYTES_LIMIT).body)
        except FetchError:
            continue
        elements += its_elements
        for url in filter(is_wanted, urls):
            # Of one that is named twice, nothing is certain.
            pages[url] = None if url in pages else last_moment(changed.get(url, ""))
        if depth < DEEPEST:
            # No more than can be read: one names 200,000.
            room = max(SITEMAPS_READ - read - len(waiting), 0)
            new = list(dict.fromkeys(each for each in sitemaps if each not in seen))[:room]
            waiting += [(sitemap, depth + 1) for sitemap in new]
            seen |= set(new)
    return dict(islice(pages.items(), pages_wanted))


def last_moment(lastmod: str) -> datetime | None:
    """Return the last moment that a sitemap's `lastmod` may mean; None if it cannot be read.

    Args:
        lastmod: a date or a moment (https://www.w3.org/TR/NOTE-datetime), with or without a zone.
    """
    said = MOMENT.fullmatch(lastmod)
    if not said:
        return None
    try:
        moment = datetime.fromisoformat(lastmod)
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
        return moment.replace(tzinfo=UTC) + WESTERNMOST + timedelta(days=0 if said["time"] else 1)
    except (ValueError, OverflowError):
        return None


def _parse(body: bytes) -> tuple[list[str], list[str], dict[str, str], int]:
    """Return the sitemaps and the pages that a sitemap names, the `lastmod` of pages by address, and how many
    elements of it were read.
    """
    if body.startswith(GZIP):
        try:
            body = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(body, BYTES_LIMIT)
        except zlib.error:
            return [], [], {}, 0
    locations = _Locations()
    # The stubs want a target's optional methods, too.
    parser = etree.XMLParser(target=locations, recover=True)  # type: ignore[call-overload]
    # What was named until it ends, or is enough, counts.
    with suppress(etree.XMLSyntaxError, ValueError, _EnoughError):
        etree.fromstring(body, parser)
    # Taken out: parser and target hold each other, and so what they hold, until garbage is collected.
    found = locations.found
    return found.pop("sitemap"), found.pop("url"), locations.changed, locations.elements


class _EnoughError(Exception):
    """The rest of a sitemap is not read."""


class _Locations:
    """Collects what a sitemap names while it is parsed. A tree of 10 MB of empty elements takes 400 MB."""

    def __init__(self) -> None:
        self.found: dict[str, list[str]] = {"sitemap": [], "url": []}
        self.changed: dict[str, str] = {}
        # Of the page that is being read; either may come first.
        self._page = self._lastmod = ""
        self._open: list[str] = []
        self._text: list[str] = []
        self.elements = 0

    def doctype(self, *_names: object) -> None:
        # It could define entities, or name what is to be loaded. No sitemap has one.
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
        said = "".join(self._text).strip()
        if name == "loc" and parent in self.found and 0 < len(said) <= MOST_CHARACTERS:
            self.found[parent].append(said)
            self._page = said
        elif name == "lastmod" and parent == "url":
            self._lastmod = said[:MOST_CHARACTERS]
        elif name == "url":
            if self._page and self._lastmod:
                self.changed[self._page] = self._lastmod
            self._page = self._lastmod = ""
        self._text.clear()

    def close(self) -> None:
        """Return nothing; the parser asks for it."""
