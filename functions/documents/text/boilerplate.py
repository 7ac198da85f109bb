"""The boilerplate that is kept once per site: address, telephone, opening hours, legal data."""

import re
from collections.abc import Iterable
from copy import copy

from lxml import etree

from documents.text.chunks import SHORTEST_CHUNK
from documents.text.lines import Line, placed_lines
from documents.text.page import line_hash, smallest_blocks
from documents.text.visibility import remove, reveal, write_out_addresses

# A line with a larger share of links belongs to a menu.
MOST_LINKED = 0.5
# Where a site whose boilerplate is not known says who and where it is.
ENDS = ("footer", "address")
CONTROLS = ("nav", "form", "button", "dialog")
NOTICE = re.compile("cookie|consent", re.IGNORECASE)


def boilerplate_parts(tree: etree._Element, hashes: frozenset[int]) -> list[list[Line]]:
    """Return the boilerplate of a page in parts, without menus, forms and notices.

    Each part becomes chunks of its own: one vector for address, opening hours and register number would match
    no question about any of them.

    Args:
        tree: the page; not modified.
        hashes: as in `reader.Boilerplate`; without any, the footer is the boilerplate.
    """
    tree = copy(tree)
    remove(tree, reveal(tree))
    blocks = [
        block
        for block, text in smallest_blocks(tree)
        if (line_hash(text) in hashes if hashes else next(block.iterancestors(*ENDS), block).tag in ENDS)
        and not _is_notice(block)
    ]
    write_out_addresses(tree)
    parts: list[list[Line]] = []
    last = None
    for block in blocks:
        lines = [
            piece for placed in placed_lines(block) if placed.links < MOST_LINKED for piece in placed.pieces
        ]
        # A block of several lines is a part, and so are adjacent blocks of one line. A part that is too short
        # for a chunk includes the next one.
        around = block if len(lines) > 1 else block.getparent()
        if lines and parts and (around is last or _size(parts[-1]) < SHORTEST_CHUNK):
            parts[-1] += lines
        elif lines:
            parts.append(lines)
        last = around
    return parts


def _size(lines: Iterable[Line]) -> int:
    return sum(len(line.text) for line in lines if not line.level)


def _is_notice(block: etree._Element) -> bool:
    return any(
        element.tag in CONTROLS or NOTICE.search(f"{element.get('class')} {element.get('id')}")
        for element in (block, *block.iterancestors())
        if element.tag not in ("html", "body")
    )
