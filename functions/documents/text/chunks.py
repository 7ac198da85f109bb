"""Cut a text into chunks of about 200 tokens, so that an edit changes few of them.

The text is first cut into sections: before headings, and after lines that their own hash chooses. A cut
depends on the lines near it and not on the length of the text before it. So text after an edit is cut as
before, and keeps its rows and vectors. semchunk cuts a section that is too long for a chunk.

Each chunk begins with its path: the text's title, the headings above the chunk, and the page of a PDF. Only
so does "closed on Monday" say what is closed. If a table is cut, each chunk repeats its header.
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
# A section has at least this many tokens. Beyond that, one line in four closes it.
SECTION_TOKENS = 100
ONE_LINE_IN = 4
# A longer line is cut before semchunk: without spaces, semchunk's time is quadratic.
LONGEST_LINE = 1500
LONGEST_PIECE = 300
# In a path: characters of a title or heading, and headings, counted from the lowest.
LONGEST_NAME, MOST_HEADINGS = 80, 3
# The last two are full-width ! and ?.
SENTENCE_ENDS = (". ", "! ", "? ", "。", "\uff01", "\uff1f")
WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class _Section:
    """Lines that belong together, and the path above them; '' for none."""

    path: str
    text: str


def chunks_of(lines: Iterable[Line], title: str = "") -> list[str]:
    """Return the chunks of a text, in order, without duplicates; at most 10,000.

    Args:
        lines: of the text.
        title: of the text, if it has one; it need not be among the lines.

    Returns:
        Texts. Each begins with its path, if it has one, on a line of its own. The rest has 30 characters or
        more.
    """
    chunks: dict[str, None] = {}
    for section in _sections((piece for line in lines for piece in _pieces(line)), title):
        chunks |= dict.fromkeys(_cut(section))
        if len(chunks) >= MOST_CHUNKS:
            break
    return list(chunks)[:MOST_CHUNKS]


def _pieces(line: Line) -> Iterator[Line]:
    """Yield a line, or the pieces of a long one, cut after a sentence, or else a word."""
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
    """Return the chunks of a section; none if it is too short for one."""
    from semchunk.semchunk import chunk

    # The cache would grow for as long as the execution environment lives.
    room = CHUNK_TOKENS - _tokens(section.path)
    found = list(map(str, chunk(section.text, room, count_tokens, memoize=False)))
    # A short end of a sentence stays with the chunk before it.
    while len(found) > 1 and len(found[-1]) < SHORTEST_CHUNK:
        short = found.pop()
        found[-1] = f"{found[-1]} {short}"
    long_enough = (each for each in found if len(each) >= SHORTEST_CHUNK)
    return [f"{section.path}\n{each}" if section.path else each for each in long_enough]


def _sections(lines: Iterable[Line], title: str) -> Iterator[_Section]:
    # The headings above the current line, and the section's lines. Its first text sets its path.
    above: list[Line] = []
    section: list[Line] = []
    path: str | None = None
    tokens = 0
    for line in lines:
        line_tokens = _tokens(line.text)
        is_full = tokens + line_tokens > CHUNK_TOKENS
        if tokens >= SECTION_TOKENS and (line.level or _closes(section[-1]) or is_full):
            # Headings at the end belong to the next section.
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
        tokens += line_tokens
    if section:
        yield _section(path, section, title)


def _section(path: str | None, lines: Iterable[Line], title: str) -> _Section:
    return _Section(_path(title, [], None) if path is None else path, "\n".join(line.text for line in lines))


def _path(title: str, above: list[Line], page: int | None) -> str:
    """Join the title, the headings that add words, and the page of a PDF."""
    names = [title] if title else []
    for heading in above[-MOST_HEADINGS:]:
        if _words(heading.text) not in _words(" ".join(names)):
            names.append(heading.text)
    names += [f"page {page}"] if page else []
    return " > ".join(name[:LONGEST_NAME] for name in names)


def _words(text: str) -> str:
    """Return the words of a text in lower case, with a space around each."""
    return f" {' '.join(WORD.findall(text.casefold()))} "


def _tokens(text: str) -> int:
    # Plus one for the end of the line.
    return count_tokens(text) + 1


def _closes(line: Line) -> bool:
    return not line.level and crc32(line.text.encode()) % ONE_LINE_IN == 0
