"""The text of a PDF: paragraphs, headings and table rows, each with its page.

PDFium, Chrome's PDF library, finds the words. It is not thread-safe: one PDF at a time in a process. A
hostile file may make it take all memory or crash, so it needs a process of its own with limits.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

from documents.text.errors import UnreadableError
from documents.text.file_text import FileText, title_of
from documents.text.pdf_paragraphs import Row, folded, lines_of_pages

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument

MOST_PAGES = 500
# Of a document, which gets at most 10,000 chunks.
MOST_CHARS = 5_000_000
MOST_CHARS_OF_PAGE = 100_000
MOST_TITLES = 5_000
# A text with fewer letters and digits per page is a scan.
LEAST_CHARS_OF_PAGE = 10
# On a page with a smaller share of letters and digits, the fonts do not name their letters.
LEAST_ALPHANUMERIC = 0.3
BROKEN = "it is not a PDF, or a broken one"


def read_pdf(body: bytes) -> FileText:
    """Read the text of a PDF, at most 500 pages or 5 million characters.

    Raises:
        UnreadableError: it is broken, encrypted, or scanned.
    """
    import pypdfium2

    try:
        with pypdfium2.PdfDocument(body) as pdf:
            return _text(pdf)
    except (UnreadableError, MemoryError):
        raise
    except pypdfium2.PdfiumError as error:
        locked = error.err_code in (pypdfium2.raw.FPDF_ERR_PASSWORD, pypdfium2.raw.FPDF_ERR_SECURITY)
        raise UnreadableError("it is encrypted" if locked else BROKEN) from None
    # A hostile file may cause any exception.
    except Exception:
        raise UnreadableError(BROKEN) from None


def _text(pdf: PdfDocument) -> FileText:
    pages = list(_pages(pdf))
    read = [page for page in pages if page is not None]
    if not read:
        raise UnreadableError("no page of it can be read")
    letters = sum(_alphanumeric(row.text) for page in read for row in page)
    if letters < LEAST_CHARS_OF_PAGE * len(read):
        raise UnreadableError("it has hardly any text: it may be scanned")
    titles = islice(pdf.get_toc(), MOST_TITLES)
    outline = frozenset(folded(title.get_title()) for title in titles)
    lines = lines_of_pages([page or [] for page in pages], outline)
    return FileText(title_of(pdf.get_metadata_value("Title"), lines), lines, len(pdf) - len(read))


def _pages(pdf: PdfDocument) -> Iterator[list[Row] | None]:
    """Yield the rows of each page; None for one that cannot be read."""
    from pypdfium2 import PdfiumError

    from documents.text.pdf_rows import rows_of

    chars = 0
    for index in range(min(len(pdf), MOST_PAGES)):
        try:
            page = pdf[index]
            text = page.get_textpage()
        except PdfiumError:
            yield None
            continue
        chars += text.count_chars()
        if chars > MOST_CHARS:
            return
        rows = None if text.count_chars() > MOST_CHARS_OF_PAGE else list(rows_of(text))
        page.close()
        yield rows if rows is not None and _has_letters(rows) else None


def _has_letters(rows: list[Row]) -> bool:
    """Return whether a page is empty or has text with a meaning."""
    chars = sum(len(row.text) for row in rows)
    return sum(_alphanumeric(row.text) for row in rows) >= LEAST_ALPHANUMERIC * chars


def _alphanumeric(text: str) -> int:
    return sum(map(str.isalnum, text))
