"""Lines of a page or of trafilatura's result: paragraphs, headings, list items and table rows."""

import re
from dataclasses import dataclass, field

from lxml import etree

HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
BLOCKS = frozenset(
    (
        *HEADINGS,
        *("address", "article", "aside", "blockquote", "body", "caption", "center", "dd", "details"),
        *("dialog", "div", "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "header"),
        *("hgroup", "hr", "legend", "li", "main", "menu", "nav", "ol", "option", "p", "pre", "section"),
        *("summary", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "ul"),
    )
)
# Levels of headings. `head` is trafilatura's; a summary is the question above an answer.
LEVELS = {**{heading: level for level, heading in enumerate(HEADINGS, 1)}, "head": 2, "summary": 6}
CELLS = ("td", "th", "cell")
ROWS = ("tr", "row")
# A row with one of these, or with more characters, is layout; any other row is one line.
NOT_IN_ROW = (*HEADINGS, "dl", "head", "item", "li", "list", "row", "table", "tr")
CHARS_OF_ROW = 300
# Elements without text that break a line; then all that do, with the blocks of trafilatura's result.
BREAKS = frozenset(("br", "lb"))
BREAKING = BLOCKS | BREAKS | {"cell", "head", "item", "list", "quote", "row"}
# Shorter descriptions of pictures add nothing to the text: "logo", "Photo of Anna".
WORDS_OF_PICTURE = 4
FILE_NAME = re.compile(r"\.\w{2,4}$")
NOT_XML = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")
# Soft hyphens and byte order marks occur within words.
UNSEEN = re.compile("[\xad\ufeff]|" + NOT_XML.pattern)


@dataclass(frozen=True)
class Line:
    """A paragraph, heading, list item or table row.

    Attributes:
        text: with single spaces.
        level: of a heading, 1 for the highest; 0 for any other line.
        header: of a table row: the row with the names of the columns; '' if there is none.
        page: of a PDF, counted from 1.
    """

    text: str
    level: int = 0
    header: str = ""
    page: int | None = None


@dataclass(frozen=True, slots=True)
class Placed:
    """A line and its place on the page.

    Attributes:
        line: the whole line, or the whole of a preformatted text.
        pieces: the lines of a preformatted text; otherwise the line.
        element: the innermost block around it.
        links: the share of its characters in links, 0 to 1.
        is_row: whether it is a row of a table.
        is_picture: whether it describes a picture.
    """

    line: Line
    pieces: tuple[Line, ...]
    element: etree._Element = field(repr=False)
    links: float = 0.0
    is_row: bool = False
    is_picture: bool = False


def lines_of(root: etree._Element) -> list[Line]:
    """Return the lines in the body of a tree, which is HTML's or trafilatura's."""
    return [piece for placed in placed_lines(root) for piece in placed.pieces]


def placed_lines(root: etree._Element) -> list[Placed]:
    """Return the lines in the body of a tree, with their places."""
    body = root.find("body")
    root = root if body is None else body
    found: list[Placed] = []
    blocks, parts = [root], list[str]()
    linked = links = preformatted = level = 0
    row = False
    # The header row of each open table.
    headers = [""]
    pictures: list[str] = []

    def end_line(*, is_row: bool) -> None:
        nonlocal linked, level
        written = "".join(parts)
        # Usually there is only white space between two blocks.
        if written and (text := collapsed(written)):
            line = Line(text, level, headers[-1] if is_row else "")
            if is_row and not headers[-1] and _names_columns(blocks[-1]):
                headers[-1] = text
            pieces: tuple[Line, ...] = (line,)
            if preformatted:
                pieces = tuple(Line(piece) for piece in map(collapsed, written.splitlines()) if piece)
            found.append(Placed(line, pieces, blocks[-1], min(linked / len(text), 1), is_row))
        parts.clear()
        if pictures:
            descriptions = map(Line, pictures)
            found.extend(Placed(line, (line,), blocks[-1], is_picture=True) for line in descriptions)
            pictures.clear()
        linked = level = 0

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
            if tag == "table" and starts:
                headers.append("")
            elif tag == "table":
                headers.pop()
            preformatted += (1 if starts else -1) if tag == "pre" else 0
        if starts:
            links += tag == "a"
            level = level or LEVELS.get(str(tag), 0)
            text = element.text
            if tag == "img" and (shown := _shown(element)):
                pictures.append(shown)
        else:
            links -= tag == "a"
            text = None if element is root else element.tail
        if text:
            parts.append(text)
            linked += len(text.strip()) if links else 0
    end_line(is_row=False)
    return found


def _shown(picture: etree._Element) -> str:
    """Return the description of a picture, unless it is just a name or there is a caption."""
    shown = collapsed(picture.get("alt", ""))
    if len(shown.split()) < WORDS_OF_PICTURE or FILE_NAME.search(shown):
        return ""
    figure = next(picture.iterancestors("figure"), None)
    return "" if figure is not None and figure.find(".//figcaption") is not None else shown


def _names_columns(row: etree._Element) -> bool:
    parent = row.getparent()
    return (parent is not None and parent.tag == "thead") or all(cell.tag == "th" for cell in row)


def _is_one_line(row: etree._Element) -> bool:
    if next(row.iterdescendants(*NOT_IN_ROW), None) is not None:
        return False
    return sum(map(len, row.itertext())) <= CHARS_OF_ROW


def collapsed(text: str) -> str:
    """Return a text without invisible characters, with single spaces."""
    text = text.strip()
    # A printable text has none of them, and the check takes a tenth of the time.
    return " ".join((text if text.isprintable() else UNSEEN.sub("", text)).split())


def squashed(text: str) -> str:
    """Return a text without spaces and without the marks between cells."""
    return "".join(text.replace("|", "").split())
