"""Paragraphs, headings and table rows from the rows of a PDF.

A PDF holds the positions of letters but no structure, so each rule is a guess from positions and sizes.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from documents.text.lines import Line, collapsed

# Rows at each end of a page that may be running headers, footers and page numbers.
EDGE_ROWS = 3
# On fewer pages than this, a text repeats by chance.
LEAST_REPEATED = 3
# A running header on this share of the pages is dropped from the first of them, too.
SHARE_OF_PAGES = 1 / 3
NUMBER = re.compile(r"\d+|\b[ivxlc]+\b")
# A heading is larger than the body text by this factor.
HEADING_SIZE = 1.15
HEADING_ROWS, HEADING_CHARS, BOLD_HEADING_CHARS = 3, 200, 100
LOWEST_LEVEL = 6
# If a larger share of a text is bold, bold letters do not mark headings.
MOST_BOLD = 0.3
# Sizes within a paragraph differ by less, in points.
SAME_SIZE = 0.6
# Rows that are further apart than usual by this factor are two paragraphs.
WIDE_GAP = 1.2
USUAL_PITCH = 1.2
# In units of the letter size: the indent of a paragraph's first row, and the widest letter.
INDENT = 0.8
LETTER_WIDTH = 0.7
# The last rows of a paragraph that tell its right margin.
ROWS_LOOKED_AT = 10
# The escapes are a right single quotation mark, en and em dashes, and full-width ! and ?.
SENTENCE_END = re.compile("[.!?:;。\uff01\uff1f][\"'”\u2019»)\\]]*$")
ITEM = re.compile(r"[•▪◦‣●■*\u2013\u2014-]\s|\(?(?:\d{1,3}|[a-z])[.)]\s|\[\d{1,3}\]\s")
# Between an entry of a table of contents and its page number.
LEADER = " … "
# Marks around words.
MARKS = ".,;:!?()[]\"'“”„«»\u2018\u2019"
# Chinese and Japanese have no spaces between words; Korean has.
NO_SPACES = re.compile("[\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef]")


@dataclass(frozen=True, slots=True)
class Row:
    """Words beside each other.

    Lengths are in points (1/72 inch); y grows upwards. Rotated text is measured as if it were upright.

    Attributes:
        text: of all cells, " | " between them.
        cells: their number.
        hyphen: whether its last word continues in the next row.
        size: of the letters of its longest word.
        bold: whether its first and last words are bold.
        turns: the quarter turns of its text.
    """

    text: str
    cells: int
    hyphen: bool
    size: float
    bold: bool
    left: float
    right: float
    y: float
    turns: int = 0


def lines_of_pages(pages: Sequence[Sequence[Row]], outline: frozenset[str]) -> list[Line]:
    """Return the text of pages without running headers, footers and page numbers.

    Args:
        pages: their rows; a page that could not be read has none.
        outline: the titles in the PDF's outline, each `folded`.
    """
    kept = _without_running(pages)
    # On pages with few rows, all rows may repeat.
    kept = kept if any(kept) else list(map(list, pages))
    rows = [row for page in kept for row in page]
    sizes = Counter[float]()
    for row in rows:
        sizes[row.size] += len(row.text)
    body = max(sizes, key=sizes.__getitem__, default=0.0)
    bold = sum(len(row.text) for row in rows if row.bold) <= MOST_BOLD * sizes.total()
    words = frozenset(_bare(word) for row in rows for word in row.text.split())
    found = []
    for number, paragraph in _paragraphs(kept):
        text = _joined(paragraph, words)
        is_heading = folded(text) in outline or _looks_like_heading(paragraph, text, body, bold=bold)
        size = paragraph[0].size if is_heading else 0.0
        if any(map(str.isalnum, text)):
            found.append((text.replace(" | ", " ") if is_heading else text, size, number))
    # Larger letters make a higher heading.
    sizes_of_headings = sorted({size for _, size, _ in found if size}, reverse=True)
    levels = {size: min(level, LOWEST_LEVEL) for level, size in enumerate(sizes_of_headings, 1)}
    return [Line(text, levels.get(size, 0), page=number) for text, size, number in found]


def folded(title: str) -> str:
    """Return a title as it is compared: letters and digits in lower case."""
    return "".join(filter(str.isalnum, title.casefold()))


def _without_running(pages: Sequence[Sequence[Row]]) -> list[list[Row]]:
    keys = [{key for row in _edges(page) if (key := _running_key(row))} for page in pages]
    counts = Counter(key for of_page in keys for key in of_page)
    often = max(LEAST_REPEATED, SHARE_OF_PAGES * sum(map(bool, pages)))
    everywhere = {key for key, count in counts.items() if count >= often}
    kept = []
    for number, page in enumerate(pages):
        # Left and right pages may differ, so compare with two pages before.
        before = set().union(*keys[max(number - 2, 0) : number])
        running = keys[number] & (everywhere | before)
        edges = set(_edges(page))
        kept.append([row for row in page if row not in edges or _running_key(row) not in running])
    return kept


def _edges(page: Sequence[Row]) -> list[Row]:
    by_height = sorted(page, key=lambda row: row.y)
    return by_height[:EDGE_ROWS] + by_height[EDGE_ROWS:][-EDGE_ROWS:]


def _running_key(row: Row) -> tuple[str, int] | None:
    """Return the text of a row without numbers, and its height; None for several numbers without text."""
    text, numbers = NUMBER.subn("#", row.text)
    if numbers > 1 and not any(map(str.isalpha, text)):
        return None
    return text, round(row.y)


def _paragraphs(pages: Sequence[Sequence[Row]]) -> Iterator[tuple[int, list[Row]]]:
    """Yield each paragraph with the number of the page on which it begins."""
    pitches = _pitches(pages)
    paragraph: list[Row] = []
    began = 0
    last_page = 0
    for number, page in enumerate(pages, 1):
        for row in page:
            if paragraph and not _continues(paragraph, row, pitches, jumps=number != last_page):
                yield began, paragraph
                paragraph = []
            began = began if paragraph else number
            last_page = number
            paragraph.append(row)
    if paragraph:
        yield began, paragraph


def _pitches(pages: Sequence[Sequence[Row]]) -> dict[int, float]:
    """Return the usual distance between rows by the size of their letters, both in points."""
    distances: dict[int, list[float]] = {}
    for page in pages:
        for row, following in pairwise(page):
            distance = row.y - following.y
            if abs(row.size - following.size) < SAME_SIZE and 0 < distance < 3 * row.size:
                distances.setdefault(round(row.size), []).append(distance)
    return {size: median(found) for size, found in distances.items()}


def _continues(paragraph: Sequence[Row], row: Row, pitches: dict[int, float], *, jumps: bool) -> bool:
    """Return whether a row continues the paragraph before it.

    Args:
        jumps: whether the row is on another page.
    """
    last = paragraph[-1]
    if (
        abs(last.size - row.size) > SAME_SIZE
        or last.turns != row.turns
        or last.cells + row.cells > 2
        or LEADER in last.text
    ):
        return False
    if last.hyphen:
        return True
    distance = last.y - row.y
    if jumps or distance <= 0:
        return row.text[0].islower() and not SENTENCE_END.search(last.text)
    pitch = pitches.get(round(row.size), USUAL_PITCH * row.size)
    if last.bold != row.bold or distance > WIDE_GAP * pitch or ITEM.match(row.text):
        return False
    ended = SENTENCE_END.search(last.text) and not ITEM.match(last.text)
    indent = row.left - last.left
    # The second row of a paragraph may be left of its first, or right of an item's bullet.
    if abs(indent) > INDENT * row.size and (len(paragraph) > 1 or (indent > 0 and ended)):
        return False
    # If the next word had fitted, the row above ended early.
    margin = max(each.right for each in (*paragraph[-ROWS_LOOKED_AT:], row))
    first_word = row.text.split(" ", 1)[0]
    return last.right + (len(first_word) + 1) * LETTER_WIDTH * row.size > margin


def _looks_like_heading(paragraph: Sequence[Row], text: str, body: float, *, bold: bool) -> bool:
    if len(paragraph) > HEADING_ROWS or len(text) > HEADING_CHARS or not any(map(str.isalpha, text)):
        return False
    if LEADER in text:
        return False
    if paragraph[0].size >= HEADING_SIZE * body:
        return True
    is_bold = bold and all(row.bold and row.cells == 1 for row in paragraph)
    return is_bold and len(text) <= BOLD_HEADING_CHARS and text[-1] not in ".,;"


def _joined(paragraph: Sequence[Row], words: frozenset[str]) -> str:
    """Return the text of a paragraph.

    Args:
        words: of the whole text, to tell whether a hyphen belongs to a word.
    """
    text = paragraph[0].text
    for row, following in pairwise(paragraph):
        if row.hyphen:
            first, second = row.text.rsplit(" ", 1)[-1], following.text.split(" ", 1)[0]
            text += "-" if _keeps_hyphen(first, second, words) else ""
        elif not (NO_SPACES.match(text[-1]) and NO_SPACES.match(following.text[0])):
            text += " "
        text += following.text
    if paragraph[-1].hyphen:
        text += "-"
    return collapsed(text)


def _keeps_hyphen(first: str, second: str, words: frozenset[str]) -> bool:
    """Return whether the hyphen between the end of a row and the start of the next belongs to the word."""
    if _bare(first + second) in words:
        return False
    return _bare(f"{first}-{second}") in words or not second[:1].islower()


def _bare(word: str) -> str:
    return word.casefold().strip(MARKS)
