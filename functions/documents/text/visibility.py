"""Remove the hidden parts of a page, and show those that a person can open."""

import re
from collections.abc import Iterable
from urllib.parse import unquote

from lxml import etree

from documents.text.lines import collapsed

UNWANTED = "unwanted"
# Besides aria-controls, attributes that name the element to open, in HTML and Bootstrap.
OPENING = "//@data-target | //@data-bs-target | //*[@role='tab' or @data-toggle or @data-bs-toggle]/@href"
HIDING = ("hidden", "style", "aria-hidden")
# Notices that cover a page.
DIALOGS = ("dialog", "alertdialog")
INVISIBLE = re.compile(r"(?:display\s*:\s*none|visibility\s*:\s*hidden)", re.IGNORECASE)
# Links to mail addresses and telephone numbers.
ADDRESSES = "//a[starts-with(@href, 'mailto:') or starts-with(@href, 'tel:')]"
# Of a mail address (RFC 5321, 4.5.3.1); longer than any telephone number.
LONGEST_ADDRESS = 254


def reveal(tree: etree._Element) -> list[etree._Element]:
    """Return the hidden elements of a page, and show those that a person can open, such as tabs and answers.

    Args:
        tree: modified: elements that can be opened become visible.
    """
    openable = _openable(tree)
    hidden = []
    for element in tree.xpath("//*[@hidden or @style]"):
        if not _is_hidden(element):
            continue
        may_open = element.get("role") == "tabpanel" or element.get("id") in openable
        if not may_open or element.tag in DIALOGS or element.get("role") in DIALOGS:
            hidden.append(element)
            continue
        for name in HIDING:
            element.attrib.pop(name, None)
    return hidden


def _openable(tree: etree._Element) -> set[str]:
    """Return the ids of the elements that something on the page opens."""
    targets = tree.xpath(OPENING)
    named = {id_ for ids in tree.xpath("//@aria-controls") for id_ in ids.split()}
    return named | {target[1:] for target in targets if target.startswith("#")} - {""}


def _is_hidden(element: etree._Element) -> bool:
    # Some pages are hidden as a whole until their scripts have run.
    if element.tag in ("html", "body"):
        return False
    # A browser's search shows elements that are hidden="until-found".
    hidden = element.get("hidden")
    return (hidden is not None and hidden != "until-found") or bool(
        INVISIBLE.search(element.get("style", ""))
    )


def remove(tree: etree._Element, elements: Iterable[etree._Element]) -> None:
    """Remove elements from a page; the text that follows them stays."""
    for element in elements:
        element.tag = UNWANTED
    etree.strip_elements(tree, UNWANTED, with_tail=False)


def write_out_addresses(tree: etree._Element) -> None:
    """Write the address or number of mail and telephone links after their text, and unlink them."""
    for link in tree.xpath(ADDRESSES):
        scheme, _, target = link.get("href").partition(":")
        address = collapsed(unquote(target.partition("?")[0]))
        text = "".join(link.itertext())
        known = _digits(address) in _digits(text) if scheme.lower() == "tel" else address in text
        if address and not known:
            link.tail = f" ({address[:LONGEST_ADDRESS]}){link.tail or ''}"
        # As links, a list of people would count as a menu.
        link.tag = "span"


def _digits(text: str) -> str:
    return "".join(filter(str.isdigit, text))
