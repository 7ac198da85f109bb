"""The lines of a page or of trafilatura's result: a paragraph, heading, list item or table row each."""

import re
from dataclasses import dataclass, field
from functools import partial

from lxml import etree

HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
BLOCKS = frozenset(
    (
        *HEADINGS,
        *(
            "address",
            "article",
            "aside",
            "blockquote",
            "body",
            "caption",
            "center",
            "dd",
            "details",
            "dialog",
        ),
        *("div", "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "header", "hgroup", "hr"),
        *("legend", "li", "main", "menu", "nav", "ol", "option", "p", "pre", "section", "summary", "table"),
        *("tbody", "td", "tfoot", "th", "thead", "tr", "ul"),
    )
)
# What stands above other text, be it HTML's or trafilatura's.
TITLING = frozenset((*HEADINGS, "head", "summary"))
CELLS = ("td", "th", "cell")
ROWS = ("tr", "row")
# A row that holds one of these, or more characters, is there for the layout; any other is one line.
NOT_IN_ROW = (*HEADINGS, "dl", "head", "item", "li", "list", "row", "table", "tr")
CHARS_OF_ROW = 300
# What breaks a line but holds no text; with what trafilatura calls the blocks of its result.
BREAKS = frozenset(("br", "lb"))
BREAKING = BLOCKS | BREAKS | {"cell", "head", "item", "list", "quote", "row"}
NOT_XML = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")
# A soft hyphen and a mark of byte order stand within words.
UNSEEN = re.compile("[\xad\ufeff]|" + NOT_XML.pattern)


@dataclass(frozen=True)
class Line:
    """A paragraph, heading, list item or table row.

    Attributes:
        page: of a PDF, counted from 1.
    """

    text: str
    heading: bool = False
    page: int | None = None


@dataclass(frozen=True, slots=True)
class Placed:
    """A line and where it stands.

    Attributes:
        line: all of it, also of a preformatted text.
        pieces: the lines of a preformatted text; else the line.
        element: the innermost block around it.
        links: the share of its characters that links hold, 0 to 1.
        is_row: whether it is a row of a table.
    """

    line: Line
    pieces: tuple[Line, ...]
    element: etree._Element = field(repr=False)
    links: float = 0.0
    is_row: bool = False


def lines_of(root: etree._Element) -> list[Line]:
    """Return all that the body of a tree says; HTML's, or that of trafilatura."""
    return [piece for placed in placed_lines(root) for piece in placed.pieces]


def placed_lines(root: etree._Element) -> list[Placed]:
    """Return all that the body of a tree says, with where it stands."""
    body = root.find("body")
    root = root if body is None else body
    found: list[Placed] = []
    blocks, parts = [root], list[str]()
    linked = links = preformatted = 0
    heading = row = False

    def end_line(*, is_row: bool) -> None:
        nonlocal linked, heading
        written = "".join(parts)
        if text := collapsed(written):
            line = Line(text, heading)
            pieces: tuple[Line, ...] = (line,)
            if preformatted:
                pieces = tuple(Line(piece) for piece in map(collapsed, written.splitlines()) if piece)
            found.append(Placed(line, pieces, blocks[-1], min(linked / len(text), 1), is_row))
        parts.clear()
        linked, heading = 0, False

    for event, element in etree.iterwalk(root, events=("start", "end")):
        tag, starts = element.tag, event == "start"
        if tag in BREAKING:
            if tag in ROWS:
                end_line(is_row=row)
                row = starts and _is_one_line(element)
            elif not row:
                end_line(is_row=False)
            else:
                next_cell = tag in CELLS and starts and element.getprevious() is not None
                parts.append(" | " if next_cell else " ")
            if starts and element is not root:
                blocks.append(element)
            elif element is not root:
                blocks.pop()
            preformatted += (1 if starts else -1) if tag == "pre" else 0
        if starts:
            links += tag == "a"
            heading = heading or tag in TITLING
            text = element.text
        else:
            links -= tag == "a"
            text = None if element is root else element.tail
        if text:
            parts.append(text)
            linked += len(text.strip()) if links else 0
    end_line(is_row=False)
    return found


def _is_one_line(row: etree._Element) -> bool:
    if next(row.iterdescendants(*NOT_IN_ROW), None) is not None:
        return False
    return sum(map(len, row.itertext())) <= CHARS_OF_ROW


def collapsed(text: str) -> str:
    """Return a text without what nobody sees, with single spaces."""
    return " ".join(UNSEEN.sub("", text).split())


squashed = partial(re.compile(r"[\s|]+").sub, "")
