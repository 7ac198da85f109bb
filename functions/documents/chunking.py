"""Lines become chunks of about 200 tokens, so that a change in a text changes few of them.

A text is first cut into sections, before headings and after lines that are chosen by their own hash. Where a
cut is depends on what is near it and not on how long the text before it is; so what lies behind a change is
cut as before, and keeps its rows and vectors. A section that is too long for a chunk is cut by semchunk.
"""

from collections.abc import Iterable, Iterator
from zlib import crc32

from documents.page_text import Line
from mojodex.tokens import count_tokens

# Mojodex's own limits.
CHUNK_TOKENS = 200
SHORTEST_CHUNK = 30
MOST_CHUNKS = 10_000
# A section is not closed before it has so many tokens; from then on, after one line in four.
SECTION_TOKENS = 100
ONE_LINE_IN = 4


def chunks_of(lines: Iterable[Line]) -> list[str]:
    """The chunks of a text, in order, without duplicates; at most 10,000, none with under 30 characters."""
    from semchunk.semchunk import chunk as cut

    chunks: dict[str, None] = {}
    for section in _sections(lines):
        # Without a memory, which would grow for as long as the execution environment lives.
        for chunk in map(str, cut(section, CHUNK_TOKENS, count_tokens, memoize=False)):
            if len(chunk) >= SHORTEST_CHUNK:
                chunks[chunk] = None
        if len(chunks) >= MOST_CHUNKS:
            break
    return list(chunks)[:MOST_CHUNKS]


def _sections(lines: Iterable[Line]) -> Iterator[str]:
    section: list[Line] = []
    tokens = 0
    for line in lines:
        its_tokens = count_tokens(line.text)
        if tokens >= SECTION_TOKENS and (
            line.heading or _closes(section[-1]) or tokens + its_tokens > CHUNK_TOKENS
        ):
            # A heading belongs to what follows it.
            headings: list[Line] = []
            while len(section) > 1 and section[-1].heading:
                headings.insert(0, section.pop())
            yield "\n".join(each.text for each in section)
            section, tokens = headings, sum(count_tokens(each.text) for each in headings)
        section.append(line)
        tokens += its_tokens
    if section:
        yield "\n".join(line.text for line in section)


def _closes(line: Line) -> bool:
    return not line.heading and crc32(line.text.encode()) % ONE_LINE_IN == 0
