"""Lines become chunks of about 200 tokens, so that a change in a text changes few of them.

A text is first cut into sections, before headings and after lines that are chosen by their own hash. Where a
cut is depends on what is near it and not on how long the text before it is; so what lies behind a change is
cut as before, and keeps its rows and vectors. A section that is too long for a chunk is cut by semchunk.

Before each chunk stands its path: the title of the text, the headings above the chunk, the page of a PDF.
What is "closed on Monday" is found only if the chunk says it. The rows of a table that is cut have its header
above them, too.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
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
# Of a path: the characters of a title or heading, and the headings from the lowest up.
LONGEST_NAME, MOST_HEADINGS = 80, 3
# The last two are the full-width forms of the marks before them.
SENTENCE_ENDS = (". ", "! ", "? ", "。", "\uff01", "\uff1f")
WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class _Section:
    """Lines that belong together, below their path; '' for none."""

    path: str
    text: str


def chunks_of(lines: Iterable[Line], title: str = "") -> list[str]:
    """Return the chunks of a text, in order, without duplicates; at most 10,000.

    Args:
        lines: of the text.
        title: of the text, if it has one; it need not be among the lines.

    Returns:
        Texts. Each begins with its path, if it has one, in a line of its own; what follows has 30 characters
        or more.
    """
    chunks: dict[str, None] = {}
    for section in _sections((piece for line in lines for piece in _pieces(line)), title):
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
        yield replace(line, text=text[start:cut].strip())
        start = cut
    yield replace(line, text=text[start:].strip())


def _cut(section: _Section) -> list[str]:
    """Return the chunks of a section; none if all of it is too short for one."""
    from semchunk.semchunk import chunk

    # Without a memory, which would grow for as long as the execution environment lives.
    room = CHUNK_TOKENS - _tokens(section.path)
    found = list(map(str, chunk(section.text, room, count_tokens, memoize=False)))
    # What is left of a sentence is not lost, though it is short.
    while len(found) > 1 and len(found[-1]) < SHORTEST_CHUNK:
        short = found.pop()
        found[-1] = f"{found[-1]} {short}"
    long_enough = (each for each in found if len(each) >= SHORTEST_CHUNK)
    return [f"{section.path}\n{each}" if section.path else each for each in long_enough]


def _sections(lines: Iterable[Line], title: str) -> Iterator[_Section]:
    # The headings above the present line, and the section's lines. It has a path from its first text on.
    above: list[Line] = []
    section: list[Line] = []
    path: str | None = None
    tokens = 0
    for line in lines:
        its_tokens = _tokens(line.text)
        is_full = tokens + its_tokens > CHUNK_TOKENS
        if tokens >= SECTION_TOKENS and (line.level or _closes(section[-1]) or is_full):
            # A heading belongs to what follows it.
            headings: list[Line] = []
            while path is not None and section[-1].level:
                headings.insert(0, section.pop())
            yield _section(path, section, title)
            section, path, tokens = headings, None, 0
        if line.level:
            above = [*(heading for heading in above if heading.level < line.level), line]
        elif path is None:
            path = _path(title, above, line.page)
            section = [each for each in section if each not in above or len(each.text) > LONGEST_NAME]
            tokens = _tokens(path) + sum(_tokens(each.text) for each in section)
        if line.header and all(line.header not in (each.text, each.header) for each in section):
            section.append(Line(line.header))
            tokens += _tokens(line.header)
        section.append(line)
        tokens += its_tokens
    if section:
        yield _section(path, section, title)


def _section(path: str | None, lines: Iterable[Line], title: str) -> _Section:
    return _Section(_path(title, [], None) if path is None else path, "\n".join(line.text for line in lines))


def _path(title: str, above: list[Line], page: int | None) -> str:
    """Write the title, the headings that say more than the one before them, and the page of a PDF."""
    names = [title] if title else []
    for heading in above[-MOST_HEADINGS:]:
        if _words(heading.text) not in _words(" ".join(names)):
            names.append(heading.text)
    names += [f"page {page}"] if page else []
    return " > ".join(name[:LONGEST_NAME] for name in names)


def _words(text: str) -> str:
    """Write the words of a text in small letters, with a space around each."""
    return f" {' '.join(WORD.findall(text.casefold()))} "


def _tokens(text: str) -> int:
    # With the end of its line.
    return count_tokens(text) + 1


def _closes(line: Line) -> bool:
    return not line.level and crc32(line.text.encode()) % ONE_LINE_IN == 0
