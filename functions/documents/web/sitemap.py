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
# sitemaps.org allows 50,000 addresses; each may come with some images and languages.
MOST_ELEMENTS = 500_000
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
    read = 0
    while waiting and read < SITEMAPS_READ and len(pages) < pages_wanted:
        address, depth = waiting.pop(0)
        read += 1
        try:
            sitemaps, urls = _parse(fetch_text(address, BYTES_LIMIT).body)
        except FetchError:
            continue
        pages |= dict.fromkeys(filter(is_wanted, urls))
        if depth < DEEPEST:
            waiting += [(sitemap, depth + 1) for sitemap in sitemaps if sitemap not in seen]
            seen |= set(sitemaps)
    return list(pages)[:pages_wanted]


def _parse(body: bytes) -> tuple[list[str], list[str]]:
    """The sitemaps and the pages that a sitemap names."""
    if body.startswith(GZIP):
        try:
            body = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(body, BYTES_LIMIT)
        except zlib.error:
            return [], []
    locations = _Locations()
    # The stubs want a target's optional methods, too.
    parser = etree.XMLParser(target=locations, recover=True)  # type: ignore[call-overload]
    # What was named until it ends, or is enough, counts.
    with suppress(etree.XMLSyntaxError, ValueError, _EnoughError):
        etree.fromstring(body, parser)
    return locations.found["sitemap"], locations.found["url"]


class _EnoughError(Exception):
    """The rest of a sitemap is not read."""


class _Locations:
    """Collects what a sitemap names while it is parsed. A tree of 10 MB of empty elements takes 400 MB."""

    def __init__(self) -> None:
        self.found: dict[str, list[str]] = {"sitemap": [], "url": []}
        self._open: list[str] = []
        self._text: list[str] = []
        self._elements = 0

    def doctype(self, *_names: object) -> None:
        # It could define entities, or name what is to be loaded. No sitemap has one.
        raise _EnoughError

    def start(self, tag: str, _attributes: object) -> None:
        self._elements += 1
        if self._elements > MOST_ELEMENTS:
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
