"""Lines become chunks of about 200 tokens, so that a change in a text changes few of them.

A text is first cut into sections, before headings and after lines that are chosen by their own hash. Where a
cut is depends on what is near it and not on how long the text before it is; so what lies behind a change is
cut as before, and keeps its rows and vectors. A section that is too long for a chunk is cut by semchunk.
"""

from collections.abc import Iterable, Iterator
from zlib import crc32

from documents.text.lines import Line
from mojodex.tokens import count_tokens

# Mojodex's own limits.
CHUNK_TOKENS = 200
SHORTEST_CHUNK = 30
MOST_CHUNKS = 10_000
# A section is not closed before it has so many tokens; from then on, after one line in four.
SECTION_TOKENS = 100
ONE_LINE_IN = 4
# A longer line is given to semchunk in pieces: without spaces, its time grows with the square of the line.
LONGEST_LINE = 1500
LONGEST_PIECE = 300
# The last two are the full-width forms of the marks before them.
SENTENCE_ENDS = (". ", "! ", "? ", "。", "\uff01", "\uff1f")


def chunks_of(lines: Iterable[Line]) -> list[str]:
    """The chunks of a text, in order, without duplicates; at most 10,000, none with under 30 characters."""
    chunks: dict[str, None] = {}
    for section in _sections(piece for line in lines for piece in _pieces(line)):
        chunks |= dict.fromkeys(_cut(section))
        if len(chunks) >= MOST_CHUNKS:
            break
    return list(chunks)[:MOST_CHUNKS]


def _pieces(line: Line) -> Iterator[Line]:
    """A line, or if it is too long its pieces, cut after a sentence, or else a word."""
    start, text = 0, line.text
    if len(text) <= LONGEST_LINE:
        yield line
        return
    while len(text) - start > LONGEST_PIECE:
        end = start + LONGEST_PIECE
        sentence = max(text.rfind(mark, start, end) for mark in SENTENCE_ENDS)
        cut = sentence if sentence > start else text.rfind(" ", start, end)
        cut = cut + 1 if cut > start else end
        yield Line(text[start:cut].strip(), line.heading)
        start = cut
    yield Line(text[start:].strip(), line.heading)


def _cut(section: str) -> list[str]:
    """The chunks of a section; none if all of it is too short for one."""
    from semchunk.semchunk import chunk

    # Without a memory, which would grow for as long as the execution environment lives.
    found = list(map(str, chunk(section, CHUNK_TOKENS, count_tokens, memoize=False)))
    # What is left of a sentence is not lost, though it is short.
    while len(found) > 1 and len(found[-1]) < SHORTEST_CHUNK:
        short = found.pop()
        found[-1] = f"{found[-1]} {short}"
    return [each for each in found if len(each) >= SHORTEST_CHUNK]


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
