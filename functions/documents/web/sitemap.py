"""Sitemaps: the pages that a site says it has (sitemaps.org)."""

import zlib
from collections.abc import Callable, Iterable

from lxml import etree

from documents.web.errors import FetchError
from documents.web.fetch import Fetched

# Of one site: sitemaps that are read, and how deep they may name further ones.
SITEMAPS_READ = 20
DEEPEST = 2
BYTES_LIMIT = 10_000_000
GZIP = b"\x1f\x8b"


def read_sitemaps(
    addresses: Iterable[str], fetch_text: Callable[[str, int], Fetched], pages_wanted: int
) -> list[str]:
    """The addresses of pages that sitemaps name, in their order; a sitemap that cannot be read has none.

    Args:
        addresses: of the sitemaps.
        fetch_text: fetches an address, with a limit in bytes.
        pages_wanted: it stops when there are as many.
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
        pages |= dict.fromkeys(urls)
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
    # No entity is expanded and nothing is loaded, whatever the document says.
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, recover=True)
    try:
        root = etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError):
        return [], []
    found: dict[str, list[str]] = {"sitemap": [], "url": []}
    if root is not None:
        for loc in root.iter("{*}loc"):
            parent = loc.getparent()
            kind = etree.QName(parent).localname if parent is not None else ""
            if kind in found and loc.text:
                found[kind].append(loc.text.strip())
    return found["sitemap"], found["url"]
