"""What is read of a page, in a process that can be ended (see `reader`): its outline, or its chunks."""

from dataclasses import dataclass, field

from documents.text.child_process import ChildProcess
from mojodex.clock import Deadline

_child = ChildProcess()


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
class Boilerplate:
    """What repeats on the pages of a site.

    Attributes:
        hashes: of its lines, see `page.line_hashes`.
        is_kept: whether the page at hand is the one that keeps it.
    """

    hashes: frozenset[int] = field(default=frozenset(), repr=False)
    is_kept: bool = False


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
        UnreadableError, TransientError: as `ChildProcess.read`.
    """
    arguments = {"charset": charset, "url": url, "agent": agent, "asked": sorted(asked)}
    found = _child.read("read_outline", body, deadline, **arguments)
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
        UnreadableError, TransientError: as `ChildProcess.read`.
    """
    repeated = sorted(boilerplate.hashes)
    arguments = {"charset": charset, "repeated": repeated, "keeps_repeated": boilerplate.is_kept}
    return PageText(**_child.read("read_text", body, deadline, **arguments))
