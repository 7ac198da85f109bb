"""Features that tell main content from the rest: numbers about each line and its surroundings."""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from lxml import etree

from documents.text.ancestors import OUTSIDE, ancestry
from documents.text.lines import Line, Placed, squashed
from documents.text.page import begins_with_link

# The escapes are full-width ! , ?.
SENTENCE_ENDS = tuple('.!?…。\uff01\uff1f:;»”"')
MARKS = re.compile("[.,!?;:。、\uff01\uff0c\uff1f]")
# A line below SHORT must be one of trafilatura's; from LONG on, each END of it is looked for.
SHORT, LONG, END = 20, 50, 25
# A line of this many characters, with few links, is a paragraph.
PARAGRAPH, FEW_LINKS = 80, 0.3
# Levels of ancestors that count a line.
ANCESTORS = 4
# A line with this share of links is a link. The longest length that counts to find the main content.
MOST_LINKED, LONGEST_WEIGHED = 0.7, 600
FAR = 10**6

NAMES = (
    *("kept", "length", "links", "heading", "item", "sentence", "marks", "row", "caption", "repeated"),
    *("in_nav", "in_edge", "in_aside", "in_form", "in_main", "in_paragraph"),
    *("content_names", "frame_names", "comment_name", "teaser_name", "detail_name"),
    *("before", "after", "distance", "previous_kept", "next_kept"),
    *("kept_around", "kept_around_that", "links_around", "paragraphs_around"),
    *("kept_of_page", "kept_of_paragraphs", "paragraphs_of_page"),
    *("outside_kept", "outside_long", "led", "led_around", "led_around_that"),
)


@dataclass(slots=True, eq=False)
class _Block:
    """An element, the features of its place, and totals of its lines.

    Attributes:
        depth: the number of its ancestors.
        chars, kept, linked, paragraphs: characters: all, kept by trafilatura, in links, in paragraphs.
        lines, led: lines: all, those that announce another page.
    """

    parent: "_Block | None"
    ancestry: tuple[float, ...]
    depth: int
    chars: int = 0
    kept: int = 0
    linked: float = 0
    paragraphs: int = 0
    lines: int = 0
    led: int = 0


def features(lines: Sequence[Placed], extracted: Sequence[Line]) -> list[tuple[float, ...]]:
    """Return the features of each line, in the order of `NAMES`; nearly all are between 0 and 1.

    Args:
        lines: of a page.
        extracted: the main content by trafilatura.
    """
    kept = _kept(lines, extracted)
    is_kept = [share >= 0.5 for share in kept]
    lengths = [len(placed.line.text) for placed in lines]
    paragraph = [
        length >= PARAGRAPH and placed.links < FEW_LINKS
        for length, placed in zip(lengths, lines, strict=True)
    ]
    led = _led(lines)
    blocks, innermost_first = _blocks(lines, lengths, is_kept, paragraph, led)
    own_words = [length * (1 - placed.links) for length, placed in zip(lengths, lines, strict=True)]
    kept_words = [own * keep for own, keep in zip(own_words, is_kept, strict=True)]
    outside_kept = _outside(blocks, innermost_first, kept_words)
    outside_long = _outside(blocks, innermost_first, [own * min(own, LONGEST_WEIGHED) for own in own_words])
    total = sum(lengths)
    kept_chars = sum(length for length, keep in zip(lengths, is_kept, strict=True) if keep)
    in_paragraphs = sum(length for length, long in zip(lengths, paragraph, strict=True) if long)
    kept_paragraphs = sum(
        length for length, long, keep in zip(lengths, paragraph, is_kept, strict=True) if long and keep
    )
    of_page = (
        _share(kept_chars, total),
        _share(kept_paragraphs, in_paragraphs),
        _share(in_paragraphs, total),
    )
    long_kept = [n for n, keep in enumerate(is_kept) if keep and lengths[n] > 2 * SHORT]
    anchors = long_kept or [n for n, keep in enumerate(is_kept) if keep] or [0, -1]
    first, last = anchors[0], anchors[-1]
    to_previous, to_next = _distances(lengths, is_kept), _distances(lengths[::-1], is_kept[::-1])[::-1]
    times = Counter(placed.line.text for placed in lines)
    found = []
    for n, (placed, block) in enumerate(zip(lines, blocks, strict=True)):
        text, tag, length = placed.line.text, placed.element.tag, lengths[n]
        around = block
        for _ in range(ANCESTORS - 1):
            if around.chars > length or around.parent is None:
                break
            around = around.parent
        own = length if is_kept[n] else 0
        rest = around.chars - length
        wider = around.parent
        found.append(
            (
                *(kept[n], math.log(1 + length) / 5, placed.links, float(placed.line.level > 0)),
                *(float(tag in ("li", "dd", "dt")), float(_ends_sentence(text))),
                *(min(1.0, 20 * len(MARKS.findall(text)) / (1 + length)), float(placed.is_row)),
                *(float(tag in ("figcaption", "caption")), float(times[text] > 1)),
                *block.ancestry,
                *(float(n < first), float(n > last)),
                math.log(1 + min(to_previous[n], to_next[n])) / 8,
                *(float(to_previous[n] == 0), float(to_next[n] == 0)),
                _share(around.kept - own, rest),
                _share(wider.kept - own, wider.chars - length) if wider else 0.0,
                _share(around.linked - length * placed.links, rest),
                _share(around.paragraphs - (length if paragraph[n] else 0), rest),
                *of_page,
                *(outside_kept[n], outside_long[n], float(led[n])),
                _share(around.led - led[n], around.lines - 1),
                _share(wider.led - led[n], wider.lines - 1) if wider else 0.0,
            )
        )
    return found


def _led(lines: Sequence[Placed]) -> list[bool]:
    """Return for each line whether it is a link, begins with one, or is right below such a line."""
    found = []
    is_link, above = False, None
    for placed in lines:
        element = placed.element
        below_link = (
            is_link and above is not None and (element is above or element.getparent() is above.getparent())
        )
        is_link = placed.links >= MOST_LINKED or (placed.links > 0 and begins_with_link(element))
        above = element
        found.append(is_link or below_link)
    return found


def _ends_sentence(text: str) -> bool:
    # A closing quote ends a sentence, too.
    return text.rstrip(" )").endswith(SENTENCE_ENDS)


def _outside(
    blocks: Sequence[_Block], innermost_first: Sequence[_Block], weights: Sequence[float]
) -> list[float]:
    """Return how far each line is outside the block with the main content: 0 (inside) to 1.

    Args:
        blocks: of each line.
        innermost_first: these blocks and their ancestors.
        weights: of each line. The innermost block of several lines with most of the weight has the content.
    """
    held = dict.fromkeys(innermost_first, 0.0)
    for each, weight in zip(blocks, weights, strict=True):
        held[each] += weight
    for each in innermost_first:
        if each.parent is not None:
            held[each.parent] += held[each]
    most = sum(weights) / 2
    centre = next((each for each in innermost_first if held[each] > most and each.lines > 1), None)
    if centre is None:
        return [0.0] * len(blocks)
    far: dict[_Block, float] = {}
    ancestor: _Block | None = centre
    while ancestor is not None:
        far[ancestor] = min(1.0, (centre.depth - ancestor.depth) / ANCESTORS)
        ancestor = ancestor.parent
    for each in reversed(innermost_first):
        # All blocks, like the centre, are in the outermost one.
        if each not in far and each.parent is not None:
            far[each] = far[each.parent]
    return [far[each] for each in blocks]


def _share(part: float, whole: float) -> float:
    return part / whole if whole > 0 else 0.0


def _kept(lines: Sequence[Placed], extracted: Sequence[Line]) -> list[float]:
    """Return how much of each line trafilatura kept: 0, 0.5 (one of its ends) or 1."""
    pieces = [squashed(line.text) for line in extracted]
    cells = (squashed(cell) for line in extracted if " | " in line.text for cell in line.text.split(" | "))
    whole, everything = {*pieces, *cells}, "".join(pieces)
    kept = []
    for placed in lines:
        text = squashed(placed.line.text)
        if text in whole:
            kept.append(1.0)
        elif len(text) >= LONG:
            kept.append(((text[:END] in everything) + (text[-END:] in everything)) / 2)
        else:
            kept.append(float(len(text) >= SHORT and text in everything))
    return kept


def _blocks(
    lines: Sequence[Placed],
    lengths: Sequence[int],
    kept: Sequence[bool],
    paragraph: Sequence[bool],
    led: Sequence[bool],
) -> tuple[list[_Block], list[_Block]]:
    """Return the block of each line, and all blocks with the innermost first.

    The totals of a block count the lines at most `ANCESTORS` levels down.
    """
    known: dict[etree._Element, _Block] = {}
    names: dict[str, tuple[bool, ...]] = {}
    blocks = []
    for placed, length, keep, long, leads in zip(lines, lengths, kept, paragraph, led, strict=True):
        block = _block(placed.element, known, names)
        blocks.append(block)
        kept_chars, linked, in_paragraph = length * keep, length * placed.links, length * long
        ancestor: _Block | None = block
        for _ in range(ANCESTORS):
            if ancestor is None:
                break
            ancestor.chars += length
            ancestor.kept += kept_chars
            ancestor.linked += linked
            ancestor.paragraphs += in_paragraph
            ancestor.lines += 1
            ancestor.led += leads
            ancestor = ancestor.parent
    return blocks, sorted(known.values(), key=lambda block: -block.depth)


def _block(
    element: etree._Element,
    known: dict[etree._Element, _Block],
    names: dict[str, tuple[bool, ...]],
) -> _Block:
    # No recursion: a page may be nested deeply.
    path = []
    current: etree._Element | None = element
    while current is not None and current not in known:
        path.append(current)
        current = current.getparent()
    block = None if current is None else known[current]
    for each in reversed(path):
        above = block.ancestry if block else OUTSIDE
        depth = block.depth + 1 if block else 0
        block = known[each] = _Block(block, ancestry(each, above, names), depth)
    assert block is not None
    return block


def _distances(lengths: Sequence[int], kept: Sequence[bool]) -> list[int]:
    """Return for each line the characters between it and the last kept line before it."""
    found, distance = [], FAR
    for length, keep in zip(lengths, kept, strict=True):
        found.append(distance)
        distance = 0 if keep else min(FAR, distance + length)
    return found
