"""Read the outline or the text of a page, in a child process (see `child_process`)."""

from dataclasses import dataclass, field

from documents.text.child_process import ChildProcess
from mojodex.clock import Deadline

_child = ChildProcess()


@dataclass(frozen=True)
class Outline:
    """A page's canonical address, links, directives and lines.

    Attributes:
        canonical: as in `links.canonical`.
        refresh: as in `links.refresh`.
        links: as in `links.links`; none if the page asks not to follow them.
        noindex: whether the page asks not to be indexed.
        lines: as in `page.line_hashes`.
    """

    canonical: str | None
    refresh: str | None
    links: list[str]
    noindex: bool
    lines: frozenset[int] = field(repr=False)


@dataclass(frozen=True)
class Boilerplate:
    """The boilerplate of a site.

    Attributes:
        hashes: of its lines, as in `page.line_hashes`.
        is_kept: whether the current page is the one that keeps it.
    """

    hashes: frozenset[int] = field(default=frozenset(), repr=False)
    is_kept: bool = False


@dataclass(frozen=True)
class PageText:
    """The text of a page.

    Attributes:
        chunks: as in `chunks_of`.
        unread_pages: as in `FileText`.
    """

    chunks: list[str] = field(repr=False)
    unread_pages: int = 0


def outline(
    body: bytes, charset: str | None, url: str, agent: str, robots_tag: frozenset[str], deadline: Deadline
) -> Outline | None:
    """Read a page's outline; None if it cannot be parsed. A PDF or Word document has no links.

    Args:
        body: the page.
        charset: as in `page.parse`.
        url: of the page.
        agent: as in `links.directives`.
        robots_tag: directives of its X-Robots-Tag; they count like the page's own.
        deadline: when the invocation ends.

    Raises:
        UnreadableError, TransientError: as `ChildProcess.read`.
    """
    arguments = {"charset": charset, "url": url, "agent": agent, "robots_tag": sorted(robots_tag)}
    found = _child.read("read_outline", body, deadline, **arguments)
    return found and Outline(**found | {"lines": frozenset(found["lines"])})


def text_of_page(body: bytes, charset: str | None, boilerplate: Boilerplate, deadline: Deadline) -> PageText:
    """Read a page's main content, and the boilerplate of its site if the page keeps that.

    Args:
        body: the page.
        charset: as in `page.parse`.
        boilerplate: of its site.
        deadline: when the invocation ends.

    Raises:
        UnreadableError, TransientError: as `ChildProcess.read`.
    """
    repeated = sorted(boilerplate.hashes)
    arguments = {"charset": charset, "repeated": repeated, "keeps_repeated": boilerplate.is_kept}
    return PageText(**_child.read("read_text", body, deadline, **arguments))
