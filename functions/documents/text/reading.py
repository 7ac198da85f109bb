"""Read one page at a time, for its chunks or for its outline: it is all processor and memory."""

from dataclasses import dataclass, field
from threading import Lock

from documents.text.chunks import chunks_of
from documents.text.links import canonical, directives, links, refresh
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
        refresh: as of `links.refresh`.
        links: as of `links.links`; none if the page asks not to follow them.
        noindex: whether the page asks not to be indexed.
        lines: as of `page.line_hashes`.
    """

    canonical: str | None
    refresh: str | None
    links: list[str]
    noindex: bool
    lines: frozenset[int] = field(repr=False)


def outline(html: bytes, charset: str | None, url: str, agent: str, asked: frozenset[str]) -> Outline | None:
    """Read a page's outline; None if it cannot be parsed.

    Args:
        html, charset: as of `page.parse`.
        url: of the page.
        agent: as of `links.directives`.
        asked: directives that its server has sent along; they count like the page's own.
    """
    with _reading:
        tree = parse(html, charset)
        if tree is None:
            return None
        asked |= directives(tree, agent)
        return Outline(
            canonical(tree, url),
            refresh(tree, url),
            [] if asked & {"nofollow", "none"} else links(tree, url),
            bool(asked & {"noindex", "none"}),
            frozenset(line_hashes(tree)),
        )


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
