"""What is read of a page: its outline, or its chunks; in a process that can be ended (see `reader`)."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from documents.text.boilerplate import Boilerplate, boilerplate_lines
from documents.text.chunks import chunks_of
from documents.text.main_text import main_lines
from documents.text.page import canonical, line_hashes, links, parse, title
from documents.text.reader import Reader
from mojodex.clock import Deadline

_reader = Reader()


@dataclass(frozen=True)
class Outline:
    """Where a page says that it is and leads to, and which lines it has.

    Attributes:
        canonical: as of `page.canonical`.
        links: as of `page.links`.
        lines: as of `page.line_hashes`.
    """

    canonical: str | None
    links: list[str]
    lines: frozenset[int] = field(repr=False)


def outline(html: bytes, charset: str | None, url: str, deadline: Deadline) -> Outline | None:
    """Read a page's outline; None if it cannot be parsed.

    Args:
        html, charset: as of `page.parse`.
        url: of the page.
        deadline: when the invocation ends.

    Raises:
        UnreadableError, TransientError: as `Reader.read`.
    """
    found = _reader.read("read_outline", html, deadline, charset=charset, url=url)
    return Outline(found["canonical"], found["links"], frozenset(found["lines"])) if found else None


def chunks_of_page(
    html: bytes, charset: str | None, boilerplate: Boilerplate, deadline: Deadline
) -> list[str]:
    """Read the chunks of a page's main text, without the lines that most pages of its site have, unless it is
    the page that keeps them.

    Args:
        html, charset: as of `page.parse`.
        boilerplate: of its site.
        deadline: when the invocation ends.

    Raises:
        UnreadableError, TransientError: as `Reader.read`.
    """
    found: list[str] = _reader.read(
        "read_chunks",
        html,
        deadline,
        charset=charset,
        repeated=sorted(boilerplate.hashes),
        keeps_repeated=boilerplate.is_kept,
    )
    return found


# What the process does.


def read_outline(html: bytes, charset: str | None, url: str) -> dict[str, Any] | None:
    """Read what `outline` returns, as JSON can hold it."""
    tree = parse(html, charset)
    if tree is None:
        return None
    return {
        "canonical": canonical(tree, url),
        "links": links(tree, url),
        "lines": sorted(line_hashes(tree)),
    }


def read_chunks(
    html: bytes, charset: str | None, repeated: Collection[int], keeps_repeated: bool
) -> list[str]:
    """Read what `chunks_of_page` returns."""
    tree = parse(html, charset)
    if tree is None:
        return []
    name, hashes = title(tree), frozenset(repeated)
    lines = main_lines(tree, hashes)
    chunks = chunks_of(lines, name)
    if keeps_repeated:
        # Not below the last heading of the main text.
        more = (line for line in boilerplate_lines(tree, hashes) if line not in lines)
        chunks += chunks_of(more, name)
    return list(dict.fromkeys(chunks))
