"""Rows of words on the pages of a PDF, found with PDFium."""

import re
from collections.abc import Iterator
from ctypes import byref, c_double, create_string_buffer
from dataclasses import dataclass
from itertools import pairwise, product
from math import atan2, hypot, pi

import pypdfium2
from pypdfium2 import raw

from documents.text.pdf_paragraphs import LEADER, Row

# Words, with PDFium's mark for a hyphen at the end of a row; and the ends of rows.
TOKEN = re.compile("[^\\s\x00\x02\ufffe]+[\x02\ufffe]?|[\r\n]+")
HYPHENS = "\x02\ufffe"
# In names of fonts; the last two are bold faces of TeX's fonts.
BOLD = re.compile("bold|black|heavy|demi|medi(?!um)|(?:cm|sf)bx", re.IGNORECASE)
LONGEST_FONT_NAME = 128
# Words this far apart are in two cells of a table, in units of the letter size.
CELL_GAP = 1.5
CELLS = " | "
LONGEST_BULLET = 3
# Two words are on one row if their baselines differ by less.
SAME_BASELINE = 0.3
# Or if one is an index or exponent: its letters are smaller, and its baseline is further away.
SMALLER, RAISED = 0.85, 0.6
LEADING_DOTS = re.compile(r"(?:\s?[._·…]){5,}\s*")


@dataclass(slots=True)
class _Word:
    text: str
    first: int
    size: float
    left: float
    right: float
    y: float
    turns: int


def rows_of(page: pypdfium2.PdfTextPage) -> Iterator[Row]:
    """Yield the rows of a page, in the order of its content."""
    codes = (raw.FPDFText_GetUnicode(page, index) for index in range(raw.FPDFText_CountChars(page)))
    text = "".join(chr(code) if code < 0x110000 else "\ufffd" for code in codes)
    words: list[_Word] = []
    new_row = False
    for token in TOKEN.finditer(text):
        if token[0][0] in "\r\n":
            new_row = True
            continue
        word = _word(page, token[0], token.start(), token.end())
        if words and not _are_one_row(words[-1], word, new_row=new_row):
            yield _row(page, words)
            words = []
        words.append(word)
        new_row = False
    if words:
        yield _row(page, words)


def _word(page: pypdfium2.PdfTextPage, text: str, start: int, end: int) -> _Word:
    matrix, x, y = raw.FS_MATRIX(), c_double(), c_double()
    raw.FPDFText_GetMatrix(page, start, byref(matrix))
    raw.FPDFText_GetCharOrigin(page, start, byref(x), byref(y))
    turns = round(atan2(matrix.b, matrix.a) * 2 / pi) % 4
    ends = [_box(page, index) for index in (start, end - 1 - (text[-1] in HYPHENS))]
    corners = [_upright(*corner, turns) for left, right, *ys in ends for corner in product((left, right), ys)]
    return _Word(
        text,
        start,
        raw.FPDFText_GetFontSize(page, start) * hypot(matrix.c, matrix.d),
        min(x for x, _ in corners),
        max(x for x, _ in corners),
        _upright(x.value, y.value, turns)[1],
        turns,
    )


def _box(page: pypdfium2.PdfTextPage, index: int) -> tuple[float, float, float, float]:
    left, right, bottom, top = c_double(), c_double(), c_double(), c_double()
    raw.FPDFText_GetCharBox(page, index, byref(left), byref(right), byref(bottom), byref(top))
    return left.value, right.value, bottom.value, top.value


def _upright(x: float, y: float, turns: int) -> tuple[float, float]:
    """Rotate a point back by quarter turns."""
    return ((x, y), (y, -x), (-x, -y), (-y, x))[turns]


def _are_one_row(word: _Word, following: _Word, *, new_row: bool) -> bool:
    """Return whether two words are on one row."""
    if word.text[-1] in HYPHENS or word.turns != following.turns:
        return False
    if not new_row:
        return True
    larger, smaller = max(word.size, following.size), min(word.size, following.size)
    raised = SAME_BASELINE if smaller > SMALLER * larger else RAISED
    return abs(word.y - following.y) < raised * larger and following.left > word.right - larger / 4


def _row(page: pypdfium2.PdfTextPage, words: list[_Word]) -> Row:
    parts, cells = [words[0].text], 1
    for word, following in pairwise(words):
        apart = following.left - word.right > CELL_GAP * max(word.size, following.size)
        cells += apart
        parts += [CELLS if apart else " ", following.text]
    # PDFium counts in UTF-16: an emoji is two characters.
    text = "".join(parts).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    # The number or bullet of a list item is no cell.
    if cells == 2 and text.index(CELLS) <= LONGEST_BULLET:
        text, cells = text.replace(CELLS, " "), 1
    longest = max(words, key=lambda word: len(word.text))
    return Row(
        LEADING_DOTS.sub(LEADER, text.rstrip(HYPHENS)),
        cells,
        text[-1] in HYPHENS,
        round(longest.size, 1),
        _is_bold(page, words[0].first) and _is_bold(page, words[-1].first),
        min(word.left for word in words),
        max(word.right for word in words),
        words[0].y,
        words[0].turns,
    )


def _is_bold(page: pypdfium2.PdfTextPage, index: int) -> bool:
    name = create_string_buffer(LONGEST_FONT_NAME)
    raw.FPDFText_GetFontInfo(page, index, name, LONGEST_FONT_NAME, None)
    return bool(BOLD.search(name.value.decode("utf-8", "replace")))
