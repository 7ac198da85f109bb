"""The text of a file: its title and lines."""

import re
from dataclasses import dataclass

from documents.text.lines import Line, collapsed

LONGEST_TITLE = 200
# Titles that programs make up: their own names, file names, numbers.
NO_TITLE = re.compile(
    r"(?:untitled|document|presentation|slide|microsoft \w+|powerpoint|word|title|print)[\s\d-]*"
    r"|microsoft \w+ - .*|.*\.(?:pdf|docx?|odt|rtf|txt|tex|dvi|ps|indd|qxd|pptx?|xlsx?|pages)|[\W\d_]*",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class FileText:
    """The text of a file.

    Attributes:
        title: from its properties, unless a program made it up, or else its first heading; "" for none.
        lines: in reading order; those of a PDF have their page.
        unread_pages: the number of a PDF's pages that were not read: broken, or beyond the limit.
    """

    title: str
    lines: list[Line]
    unread_pages: int = 0


def title_of(property_: str, lines: list[Line]) -> str:
    """Return the title from a file's properties, or else its first heading.

    Args:
        property_: the title in the properties; "" for none.
        lines: of the file.
    """
    title = collapsed(property_)[:LONGEST_TITLE]
    if not NO_TITLE.fullmatch(title):
        return title
    return next((line.text[:LONGEST_TITLE] for line in lines if line.level), "")
