"""The main content of a page: trafilatura's choice, corrected line by line by small decision trees.

trafilatura chooses whole parts of a page, and sometimes the wrong one. So the trees judge each line by some
thirty features. The strongest ones are trafilatura's choices of the line and its neighbours.
`tools.learn_main_text` learned the trees (`main_text.json`) from pages that others labelled.
`python -m bench.extraction` measures them.
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
# Further <h1> are no titles.
TITLES = 8
# trafilatura takes some seconds for this many elements, and far more time and memory for more.
MOST_ELEMENTS = 20_000
# If a smaller share of a page is chosen, its main element is read instead.
LEAST_CHOSEN = 0.05
MODEL = json.loads(Path(__file__).with_name("main_text.json").read_text())
Tree = float | tuple[int, float, Any, Any]


def _tree(node: Any) -> Tree:
    """Parse a node: a number, or [feature, threshold, node if not above it, node if above it]."""
    if not isinstance(node, list):
        return float(node)
    name, threshold, below, above = node
    return NAMES.index(name), float(threshold), _tree(below), _tree(above)


TREES = tuple(map(_tree, MODEL["trees"]))
START: float = MODEL["start"]


def main_lines(tree: etree._Element, repeated: frozenset[int]) -> list[Line]:
    """Return the main content of a page, without hidden text and boilerplate.

    Args:
        tree: the page; not modified.
        repeated: the boilerplate, as hashes from `page.line_hashes`.
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
    """Return a copy of a page without hidden text and boilerplate; arguments as in `main_lines`."""
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
    """Choose the lines of the main content.

    Args:
        placed: all lines of a page.
        extracted: the main content by trafilatura.
    """
    texts = [each for each in placed if not each.is_picture]
    chosen = [score(row) > 0 for row in features(texts, extracted)]
    found: list[Line] = []
    at = 0
    for each in placed:
        # A picture's description belongs to the content if the lines before and after it do.
        if all(chosen[max(at - 1, 0) : at + 1]) if each.is_picture else chosen[at]:
            found += each.pieces
        at += not each.is_picture
    return found


def score(row: Sequence[float]) -> float:
    """Score the features of a line: above 0, it belongs to the main content."""
    total = START
    for tree in TREES:
        node: Tree = tree
        while isinstance(node, tuple):
            index, threshold, below, above = node
            node = below if row[index] <= threshold else above
        total += node
    return total


def extracted_lines(tree: etree._Element) -> list[Line]:
    """Return the main content by trafilatura; nothing if it fails."""
    from trafilatura import bare_extraction
    from trafilatura.settings import Document

    # Its warnings do not matter, and may quote the page.
    logging.getLogger("trafilatura").setLevel(logging.CRITICAL)
    try:
        # With the default format, it would also write the text.
        document = bare_extraction(_html_tree(tree), include_comments=False, fast=True, output_format="xml")
    except MemoryError:
        raise
    # If it fails, for example by recursion, the page is read without it.
    except Exception:
        return []
    return lines_of(document.body) if isinstance(document, Document) else []


def _html_tree(tree: etree._Element) -> Any:
    """Return a copy of a tree with the elements of `lxml.html`, which trafilatura needs; ours are faster."""
    from lxml.html import HtmlElement

    parser = etree.HTMLParser()
    # One class for all: lxml's own parser would call Python for each element.
    parser.set_element_class_lookup(etree.ElementDefaultClassLookup(element=HtmlElement))
    root = parser.makeelement(tree.tag, dict(tree.attrib))
    root.text = tree.text
    root.extend(deepcopy(tree))
    return root


def main_element_lines(tree: etree._Element) -> list[Line]:
    """Return the lines of the main element or else the page, without menus, headers, footers, forms."""
    from bs4 import BeautifulSoup

    soup = BeautifulSoup(etree.tostring(tree, encoding="unicode", method="html"), "lxml")
    articles = soup.find_all("article", limit=2)
    candidates = [soup.find("main"), soup.find(role="main"), *(articles if len(articles) == 1 else ())]
    # One with nothing but boilerplate is empty by now.
    filled = (each for each in candidates if each and each.get_text(strip=True))
    root = next(filled, soup.body or soup)
    # One around a title belongs to the content, or is around the whole page.
    kept = {id(parent) for title in root.find_all("h1", limit=TITLES) for parent in title.parents}
    for element in root.find_all(NOT_MAIN):
        if not element.decomposed and id(element) not in kept:
            element.decompose()
    main, _ = tree_of(str(root))
    return [] if main is None else lines_of(main)


def _size(lines: Sequence[Line]) -> int:
    return sum(len(line.text) for line in lines)
