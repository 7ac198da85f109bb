"""Read one page at a time, for its chunks or for its outline: it is all processor and memory."""

from dataclasses import dataclass, field
from threading import Lock

from documents.text.chunks import chunks_of
from documents.text.links import canonical, links
from documents.text.main_text import main_lines
from documents.text.page import line_hashes, parse
from mojodex.clock import Deadline
from mojodex.errors import TransientError

# Of 5 MB that are nothing but tags; most pages take some milliseconds.
SECONDS_TO_READ = 40
# Of a page of 5 MB, a tree takes some 100 MB.
_reading = Lock()


@dataclass(frozen=True)
class Outline:
    """Where a page says that it is and leads to, and which lines it has.

    Attributes:
        canonical: as of `links.canonical`.
        links: as of `links.links`.
        lines: as of `page.line_hashes`.
    """

    canonical: str | None
    links: list[str]
    lines: frozenset[int] = field(repr=False)


def outline(html: bytes, charset: str | None, url: str) -> Outline | None:
    """Read a page's outline; None if it cannot be parsed.

    Args:
        html, charset: as of `page.parse`.
        url: of the page.
    """
    with _reading:
        tree = parse(html, charset)
        if tree is None:
            return None
        return Outline(canonical(tree, url), links(tree, url), frozenset(line_hashes(tree)))


def chunks_of_page(
    html: bytes, charset: str | None, repeated: frozenset[int], deadline: Deadline
) -> list[str]:
    """The chunks of a page's main text, without the lines that most pages of its site have.

    Raises:
        TransientError: the other pages of the batch take too long.
    """
    wait = deadline.seconds_left() - SECONDS_TO_READ
    if wait <= 0 or not _reading.acquire(timeout=wait):
        raise TransientError("too little time left in this invocation", retry_after=1)
    try:
        tree = parse(html, charset)
        return [] if tree is None else chunks_of(main_lines(tree, repeated))
    finally:
        _reading.release()
