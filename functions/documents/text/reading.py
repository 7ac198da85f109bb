"""What is read of a page, in a process that can be ended (see `reader`): its outline, or its chunks.

A page is HTML, a PDF or a Word document: its first bytes tell, whatever its server calls it.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from documents.beginnings import is_pdf, is_word
from documents.text.boilerplate import Boilerplate, boilerplate_parts
from documents.text.chunks import chunks_of
from documents.text.docx import read_docx
from documents.text.file import FileText
from documents.text.links import canonical, directives, links, refresh
from documents.text.main_text import main_lines
from documents.text.page import line_hashes, parse, title
from documents.text.pdf import read_pdf
from documents.text.reader import Reader
from mojodex.clock import Deadline

_reader = Reader()


@dataclass(frozen=True)
class Outline:
    """Where a page is by its own account, where it leads, and which lines it has.

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


@dataclass(frozen=True)
class PageText:
    """What a page says.

    Attributes:
        chunks: of its text, as of `chunks_of`.
        unread_pages: as of `FileText`.
    """

    chunks: list[str] = field(repr=False)
    unread_pages: int = 0


def outline(
    body: bytes, charset: str | None, url: str, agent: str, asked: frozenset[str], deadline: Deadline
) -> Outline | None:
    """Read a page's outline; None if it cannot be parsed. A PDF or Word document leads nowhere.

    Args:
        body: the page.
        charset: as of `page.parse`.
        url: of the page.
        agent: as of `links.directives`.
        asked: directives that its server has sent along; they count like the page's own.
        deadline: when the invocation ends.

    Raises:
        UnreadableError, TransientError: as `Reader.read`.
    """
    arguments = {"charset": charset, "url": url, "agent": agent, "asked": sorted(asked)}
    found = _reader.read("read_outline", body, deadline, **arguments)
    return found and Outline(**found | {"lines": frozenset(found["lines"])})


def text_of_page(body: bytes, charset: str | None, boilerplate: Boilerplate, deadline: Deadline) -> PageText:
    """Read a page's main text, without the lines that most pages of its site have, unless it is the page that
    keeps them.

    Args:
        body: the page.
        charset: as of `page.parse`.
        boilerplate: of its site.
        deadline: when the invocation ends.

    Raises:
        UnreadableError, TransientError: as `Reader.read`.
    """
    repeated = sorted(boilerplate.hashes)
    arguments = {"charset": charset, "repeated": repeated, "keeps_repeated": boilerplate.is_kept}
    return PageText(**_reader.read("read_text", body, deadline, **arguments))


# From here on: what runs in that process.


def read_outline(
    body: bytes, charset: str | None, url: str, agent: str, asked: Collection[str]
) -> dict[str, Any] | None:
    """Read what `outline` returns, as JSON can hold it."""
    tree = None if _reader_of_file(body) else parse(body, charset)
    if tree is None and not _reader_of_file(body):
        return None
    said = {*asked, *(directives(tree, agent) if tree is not None else ())}
    noindex = bool(said & {"noindex", "none"})
    if tree is None:
        return {"canonical": None, "refresh": None, "links": [], "noindex": noindex, "lines": []}
    return {
        "canonical": canonical(tree, url),
        "refresh": refresh(tree, url),
        "links": [] if said & {"nofollow", "none"} else links(tree, url),
        "noindex": noindex,
        "lines": sorted(line_hashes(tree)),
    }


def read_text(
    body: bytes, charset: str | None, repeated: Collection[int], keeps_repeated: bool
) -> dict[str, Any]:
    """Read what `text_of_page` returns, as JSON can hold it."""
    if read_file := _reader_of_file(body):
        file = read_file(body)
        return {"chunks": chunks_of(file.lines, file.title), "unread_pages": file.unread_pages}
    tree = parse(body, charset)
    if tree is None:
        return {"chunks": []}
    name, hashes = title(tree), frozenset(repeated)
    lines = main_lines(tree, hashes)
    chunks = chunks_of(lines, name)
    if keeps_repeated:
        # Not below the last heading of the main text.
        for part in boilerplate_parts(tree, hashes):
            chunks += chunks_of((line for line in part if line not in lines), name)
    return {"chunks": list(dict.fromkeys(chunks))}


def _reader_of_file(body: bytes) -> Callable[[bytes], FileText] | None:
    if is_pdf(body):
        return read_pdf
    return read_docx if is_word(body) else None
