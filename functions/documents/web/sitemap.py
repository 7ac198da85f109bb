"""Sitemaps: the pages that a site says it has (sitemaps.org)."""

import zlib
from collections.abc import Callable, Iterable
from contextlib import suppress

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


def read_sitemaps(
    addresses: Iterable[str],
    fetch_text: Callable[[str, int], Fetched],
    pages_wanted: int,
    is_wanted: Callable[[str], bool] = lambda _url: True,
) -> list[str]:
    """The addresses of pages that sitemaps name, in their order; a sitemap that cannot be read has none.

    Args:
        addresses: of the sitemaps.
        fetch_text: fetches an address, with a limit in bytes.
        pages_wanted: it stops when there are as many.
        is_wanted: whether an address counts.
    """
    waiting = [(address, 0) for address in dict.fromkeys(addresses)]
    seen = {address for address, _ in waiting}
    pages: dict[str, None] = {}
    read = elements = 0
    while waiting and read < SITEMAPS_READ and len(pages) < pages_wanted and elements < MOST_ELEMENTS_OF_SITE:
        address, depth = waiting.pop(0)
        read += 1
        try:
            sitemaps, urls, its_elements = _parse(fetch_text(address, BYTES_LIMIT).body)
        except FetchError:
            continue
        elements += its_elements
        pages |= dict.fromkeys(filter(is_wanted, urls))
        if depth < DEEPEST:
            # No more than can be read: one names 200,000.
            room = max(SITEMAPS_READ - read - len(waiting), 0)
            new = list(dict.fromkeys(each for each in sitemaps if each not in seen))[:room]
            waiting += [(sitemap, depth + 1) for sitemap in new]
            seen |= set(new)
    return list(pages)[:pages_wanted]


def _parse(body: bytes) -> tuple[list[str], list[str], int]:
    """The sitemaps and the pages that a sitemap names, and how many elements of it were read."""
    if body.startswith(GZIP):
        try:
            body = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(body, BYTES_LIMIT)
        except zlib.error:
            return [], [], 0
    locations = _Locations()
    # The stubs want a target's optional methods, too.
    parser = etree.XMLParser(target=locations, recover=True)  # type: ignore[call-overload]
    # What was named until it ends, or is enough, counts.
    with suppress(etree.XMLSyntaxError, ValueError, _EnoughError):
        etree.fromstring(body, parser)
    # Taken out: parser and target hold each other, and so what they hold, until garbage is collected.
    return locations.found.pop("sitemap"), locations.found.pop("url"), locations.elements


class _EnoughError(Exception):
    """The rest of a sitemap is not read."""


class _Locations:
    """Collects what a sitemap names while it is parsed. A tree of 10 MB of empty elements takes 400 MB."""

    def __init__(self) -> None:
        self.found: dict[str, list[str]] = {"sitemap": [], "url": []}
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
        address = "".join(self._text).strip()
        if name == "loc" and parent in self.found and 0 < len(address) <= MOST_CHARACTERS:
            self.found[parent].append(address)
        self._text.clear()

    def close(self) -> None:
        """Return nothing; the parser asks for it."""
