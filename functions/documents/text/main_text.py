"""The main text of a page: what trafilatura takes for it, corrected line by line by what was learned.

trafilatura decides for whole parts of a page, and now and then for the wrong one. So each line is looked at
again, with what trafilatura says of it and its neighbours as the strongest of some thirty features. How much
each counts was learned from pages that others labelled; `main_text.json` is made by `tools.learn_main_text`,
and `python -m bench.extraction` measures it.
"""

import json
import logging
from collections.abc import Sequence
from copy import copy, deepcopy
from pathlib import Path
from typing import Any

from lxml import etree

from documents.text.features import NAMES, features
from documents.text.lines import Line, Placed, lines_of, placed_lines
from documents.text.page import block_hash, line_hash, smallest_blocks, tree_of
from documents.text.visibility import remove, reveal, write_out_addresses

NOT_MAIN = ("nav", "header", "footer", "aside", "form", "dialog")
# More titles than these are none.
TITLES = 8
# trafilatura needs far more time and memory for a page of more elements: some seconds for so many.
MOST_ELEMENTS = 20_000
# If less of a page than this share is chosen, its main element is read instead.
LEAST_CHOSEN = 0.05
MODEL = json.loads(Path(__file__).with_name("main_text.json").read_text())
Tree = float | tuple[int, float, Any, Any]


def _tree(node: Any) -> Tree:
    """Read a decision: [feature, threshold, if not above it, if above it], or a number."""
    if not isinstance(node, list):
        return float(node)
    name, threshold, below, above = node
    return NAMES.index(name), float(threshold), _tree(below), _tree(above)


TREES = tuple(map(_tree, MODEL["trees"]))
START: float = MODEL["start"]


def main_lines(tree: etree._Element, repeated: frozenset[int]) -> list[Line]:
    """Return the main text of a page, without what is hidden and what repeats on most pages of its site.

    Args:
        tree: the page; it is left as it is.
        repeated: hashes of `page.line_hashes`.
    """
    tree = cleaned(tree, repeated)
    if tree.xpath("count(//*)") > MOST_ELEMENTS:
        etree.strip_elements(tree, *NOT_MAIN, with_tail=False)
        lines = lines_of(tree)
    else:
        placed = placed_lines(tree)
        extracted = extracted_lines(tree)
        lines = chosen_lines(placed, extracted) if extracted else []
        if _size(lines) < LEAST_CHOSEN * _size([each.line for each in placed]):
            lines = main_element_lines(tree)
    return [line for line in lines if line_hash(line.text) not in repeated]


def cleaned(tree: etree._Element, repeated: frozenset[int]) -> etree._Element:
    """Return a copy of a page without what is hidden and what repeats; as of `main_lines`."""
    tree = copy(tree)
    unwanted = reveal(tree)
    if repeated:
        unwanted += [
            block
            for block, text in smallest_blocks(tree)
            if not repeated.isdisjoint((line_hash(text), block_hash(block, text)))
        ]
    remove(tree, unwanted)
    write_out_addresses(tree)
    return tree


def chosen_lines(placed: Sequence[Placed], extracted: Sequence[Line]) -> list[Line]:
    """Choose the lines of the main text.

    Args:
        placed: all lines of a page.
        extracted: what trafilatura takes for the main text.
    """
    said = [each for each in placed if not each.is_picture]
    chosen = [score(row) > 0 for row in features(said, extracted)]
    found: list[Line] = []
    at = 0
    for each in placed:
        # What a picture shows belongs to the text if what stands before and behind it does.
        if all(chosen[max(at - 1, 0) : at + 1]) if each.is_picture else chosen[at]:
            found += each.pieces
        at += not each.is_picture
    return found


def score(row: Sequence[float]) -> float:
    """Return how surely a line with these features belongs to the main text: above 0, it does."""
    total = START
    for tree in TREES:
        node: Tree = tree
        while isinstance(node, tuple):
            index, threshold, below, above = node
            node = below if row[index] <= threshold else above
        total += node
    return total


def extracted_lines(tree: etree._Element) -> list[Line]:
    """Return what trafilatura takes for the main text; nothing if it fails."""
    from trafilatura import bare_extraction
    from trafilatura.settings import Document

    # Its warnings say nothing that matters, and may quote the page.
    logging.getLogger("trafilatura").setLevel(logging.CRITICAL)
    try:
        # The format is never written: with the default one, it would write the text, too.
        document = bare_extraction(_html_tree(tree), include_comments=False, fast=True, output_format="xml")
    except MemoryError:
        raise
    # A page that it fails on, be it by recursion, is read without it.
    except Exception:
        return []
    return lines_of(document.body) if isinstance(document, Document) else []


def _html_tree(tree: etree._Element) -> Any:
    """Return a copy of a tree whose elements have the methods of `lxml.html`, which make ours slow."""
    from lxml.html import HtmlElement

    parser = etree.HTMLParser()
    # One class for all: lxml's own parser asks Python for the class of each element.
    parser.set_element_class_lookup(etree.ElementDefaultClassLookup(element=HtmlElement))
    root = parser.makeelement(tree.tag, dict(tree.attrib))
    root.text = tree.text
    root.extend(deepcopy(tree))
    return root


def main_element_lines(tree: etree._Element) -> list[Line]:
    """Return the text of the main element, or else of the page, without menus, headers, footers, forms."""
    from bs4 import BeautifulSoup

    soup = BeautifulSoup(etree.tostring(tree, encoding="unicode", method="html"), "lxml")
    articles = soup.find_all("article", limit=2)
    candidates = [soup.find("main"), soup.find(role="main"), *(articles if len(articles) == 1 else ())]
    # One that held only what repeats is empty by now.
    filled = (each for each in candidates if each and each.get_text(strip=True))
    root = next(filled, soup.body or soup)
    # One around a title is that of the text, or one around the whole page.
    kept = {id(parent) for title in root.find_all("h1", limit=TITLES) for parent in title.parents}
    for element in root.find_all(NOT_MAIN):
        if not element.decomposed and id(element) not in kept:
            element.decompose()
    main, _ = tree_of(str(root))
    return [] if main is None else lines_of(main)


def _size(lines: Sequence[Line]) -> int:
    return sum(len(line.text) for line in lines)
