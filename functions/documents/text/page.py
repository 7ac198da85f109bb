"""What a page says and where it leads: HTML → links, canonical address, lines of its main text.

Nothing here raises on what a page holds: any bytes are a page, and a hostile one at worst has no text.
"""

import codecs
import hashlib
import logging
import re
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass
from itertools import islice
from urllib.parse import urldefrag, urljoin, urlsplit

from lxml import etree
from lxml.html import HtmlElement, HTMLParser
from w3lib.encoding import html_body_declared_encoding, read_bom, resolve_encoding

HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
BLOCKS = frozenset(
    (
        *HEADINGS,
        *(
            "address",
            "article",
            "aside",
            "blockquote",
            "body",
            "caption",
            "center",
            "dd",
            "details",
            "dialog",
        ),
        *("div", "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "header", "hgroup", "hr"),
        *("legend", "li", "main", "menu", "nav", "ol", "option", "p", "pre", "section", "summary", "table"),
        *("tbody", "td", "tfoot", "th", "thead", "tr", "ul"),
    )
)
# What stands above other text, be it HTML's or trafilatura's.
TITLING = frozenset((*HEADINGS, "head", "summary"))
CELLS = ("td", "th", "cell")
# A row that holds one of these, or more characters, is there for the layout; any other is one line.
NOT_IN_ROW = (*HEADINGS, "dl", "head", "item", "li", "list", "row", "table", "tr")
CHARS_OF_ROW = 300
# With what breaks a line but holds no text, and what trafilatura calls the blocks of its result.
BREAKING = BLOCKS | {"br", "cell", "head", "item", "lb", "list", "quote", "row"}
NOT_TEXT = ("script", "style", "template", "noscript", "svg", "iframe", "object", "select", "textarea")
UNWANTED = "unwanted"
NOT_MAIN = ("nav", "header", "footer", "aside", "form", "dialog")
# More titles than these are none.
TITLES = 8
# Of what bs4 finds in the main element, trafilatura must keep this share to be believed; both as measured by
# `python -m bench.extraction`.
BELIEVED_SHARE = 0.55
# Both need far more time and memory than that for a page of more elements: some seconds for so many.
MOST_ELEMENTS = 20_000
# Of 5 MB that are nothing but tags, the tree would take 900 MB.
MOST_TAGS = 300_000
MOST_LINKS = 10_000
# Shorter texts say nothing about where a page repeats another one.
LEAST_HASHED = 3
# Python's codecs that are no charsets of pages; some of them need quadratic time.
NOT_CHARSETS = {"idna", "punycode", "undefined", "unicode-escape", "raw-unicode-escape", "utf-7"}
NOT_XML = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")
NOT_ASCII = re.compile("[^\0-\x7f]")
# A soft hyphen and a mark of byte order stand within words.
UNSEEN = re.compile("[\xad\ufeff]|" + NOT_XML.pattern)
# Every tag but those of links and of what ends by itself.
CONTAINER = re.compile(
    r"</?(?!(?:a|area|base|link|meta|title|script|style|template|h[1-6])\b)[a-z][^<>]*>", re.IGNORECASE
)
INVISIBLE = re.compile(r"(?:display\s*:\s*none|visibility\s*:\s*hidden)", re.IGNORECASE)
# Two signs that no page holds, for NOT_XML is taken out of it: the end of a line, and that one is a heading.
BREAK, HEADING_SIGN = "\x1e", "\x1d"


@dataclass(frozen=True)
class Line:
    """A paragraph, heading, list item or table row."""

    text: str
    heading: bool = False


def parse(body: bytes, charset: str | None) -> HtmlElement | None:
    """The page as a tree without scripts, styles and comments; never raises.

    Args:
        body: any bytes.
        charset: as the Content-Type header says, if it does; one that is unknown or cannot be does not count.

    Returns:
        None when there is nothing that could be parsed, or far too much.
    """
    text = NOT_XML.sub("", _decoded(body, charset))
    if text.count("<") > MOST_TAGS:
        return None
    tree, too_deep = _tree(text)
    if too_deep:
        # What comes after the depth limit is lost: without the containers there is hardly any depth.
        tree, _ = _tree(CONTAINER.sub("<br>", text))
    if tree is not None:
        etree.strip_elements(tree, *NOT_TEXT, with_tail=False)
    return tree


def _tree(text: str) -> tuple[HtmlElement | None, bool]:
    """The parsed text, and whether it was nested too deeply for the parser."""
    # Bounded in depth and size, without network; entities other than HTML's own are not expanded.
    parser = HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True, default_doctype=False)
    try:
        # As bytes: of a string lxml refuses an XML declaration, and obeys a <meta charset>.
        tree = etree.fromstring(text.encode(), parser)
    except etree.LxmlError:
        tree = None
    return tree, any("depth" in error.message for error in parser.error_log)


def _decoded(body: bytes, charset: str | None) -> str:
    bom, mark = read_bom(body)
    # What a <meta> in ASCII calls UTF-16 is not.
    meta = re.sub("^utf-(?:16|32).*", "utf-8", html_body_declared_encoding(body) or "")
    for name in (bom, charset, meta):
        try:
            codec = codecs.lookup(resolve_encoding(name or "") or "").name
            if codec in NOT_CHARSETS:
                continue
            text = body[len(mark or b"") if name == bom else 0 :].decode(codec)
        except (LookupError, ValueError):
            continue
        # Any even number of bytes is valid UTF-16.
        if "<" in text or b"<" not in body:
            return text
    text = body.decode("utf-8", "replace")
    wrong = text.count("\ufffd")
    # A few wrong bytes do not make a Japanese page Western.
    if wrong * 10 <= len(NOT_ASCII.findall(text)) - wrong:
        return text
    return body.decode("cp1252", "replace")


def links(tree: HtmlElement, url: str) -> list[str]:
    """The http(s) addresses that a page links to: absolute, in its order, each once, without fragments; of
    the first 10,000 links.

    Args:
        url: of the page.
    """
    base = _base(tree, url)
    elements = islice(tree.iter("a", "area"), MOST_LINKS)
    found = (_absolute(base, element.get("href")) for element in elements)
    return list(dict.fromkeys(filter(None, found)))


def canonical(tree: HtmlElement, url: str) -> str | None:
    """The address that a page gives as its canonical one, absolute; None without one.

    Args:
        url: of the page.
    """
    for element in tree.iter("link"):
        if "canonical" in element.get("rel", "").lower().split():
            return _absolute(_base(tree, url), element.get("href"))
    return None


def _base(tree: HtmlElement, url: str) -> str:
    """What the addresses in a page are relative to: its first <base href> that is an address, or its own."""
    found = (_absolute(url, element.get("href")) for element in tree.iter("base"))
    return next(filter(None, found), url)


def _absolute(base: str, href: str | None) -> str | None:
    """An http(s) address without its fragment; None if it is another one, or none at all."""
    try:
        # As browsers do: spaces around it and line ends in it are no part of it.
        url = urldefrag(urljoin(base, re.sub(r"[\t\r\n]", "", href or "").strip())).url
        parts = urlsplit(url)
        # Reading the port raises when it is none.
        fetchable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        return None
    return parts.geturl() if fetchable and href is not None else None


def line_hashes(tree: HtmlElement) -> set[int]:
    """Signed 64-bit hashes of the texts of a page's smallest blocks, to find out what repeats on a site."""
    return {_hash(text) for _, text in _smallest_blocks(tree) if len(text) >= LEAST_HASHED}


def main_lines(tree: HtmlElement, repeated: frozenset[int]) -> list[Line]:
    """The main text of a page, without what is hidden and what repeats on most pages of its site.

    Args:
        repeated: hashes of `line_hashes`. The tree is left as it is.
    """
    tree = copy(tree)
    unwanted = [element for element in tree.iter() if _is_hidden(element)]
    unwanted += [block for block, text in _smallest_blocks(tree) if _hash(text) in repeated]
    for element in unwanted:
        element.tag = UNWANTED
    etree.strip_elements(tree, UNWANTED, with_tail=False)
    if sum(1 for _ in tree.iter()) > MOST_ELEMENTS:
        etree.strip_elements(tree, *NOT_MAIN, with_tail=False)
        lines = lines_of(tree)
    else:
        extracted, main = extracted_lines(tree), main_element_lines(tree)
        # Of a short page it makes one line, titles and all.
        believed = _size(extracted) >= BELIEVED_SHARE * _size(main) and len(extracted) > 1
        lines = _with_titles(extracted, main) if believed else main
    return [line for line in lines if _hash(line.text) not in repeated]


def extracted_lines(tree: HtmlElement) -> list[Line]:
    """What trafilatura takes for the main text; nothing if it fails."""
    from trafilatura import bare_extraction
    from trafilatura.settings import Document

    # Its warnings say nothing that matters, and may quote the page.
    logging.getLogger("trafilatura").setLevel(logging.CRITICAL)
    try:
        document = bare_extraction(tree, include_comments=False, favor_recall=True)
    # A page that it fails on, be it by recursion, is read without it.
    except Exception:
        return []
    return lines_of(document.body) if isinstance(document, Document) else []


def main_element_lines(tree: HtmlElement) -> list[Line]:
    """The text of the main element, or else of the page, without navigation, headers, footers, forms."""
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
    main, _ = _tree(str(root))
    return [] if main is None else lines_of(main)


def _with_titles(extracted: list[Line], main: list[Line]) -> list[Line]:
    """The extracted lines with the headings right above them, which trafilatura now and then leaves out."""
    start = main.index(extracted[0]) if extracted[0] in main else 0
    first = start
    while first and main[first - 1].heading:
        first -= 1
    return main[first:start] + extracted


def lines_of(root: etree._Element) -> list[Line]:
    """All that the body of a tree says, a line for each block; HTML's, or that of trafilatura."""
    body = root.find("body")
    root = root if body is None else body
    parts: list[str] = []
    row = False
    for event, element in etree.iterwalk(root, events=("start", "end")):
        tag = element.tag
        if tag in ("tr", "row"):
            row = event == "start" and _is_one_line(element)
            parts.append(BREAK)
        elif tag in BREAKING:
            next_cell = tag in CELLS and event == "start" and element.getprevious() is not None
            parts.append(BREAK if not row else " | " if next_cell else " ")
        if event == "start":
            parts += (HEADING_SIGN if tag in TITLING else "", element.text or "")
        elif element is not root:
            parts.append(element.tail or "")
    lines = (Line(_collapsed(part), HEADING_SIGN in part) for part in "".join(parts).split(BREAK))
    return [line for line in lines if line.text]


def _is_one_line(row: etree._Element) -> bool:
    if next(row.iterdescendants(*NOT_IN_ROW), None) is not None:
        return False
    return sum(map(len, row.itertext())) <= CHARS_OF_ROW


def _smallest_blocks(tree: HtmlElement) -> Iterator[tuple[HtmlElement, str]]:
    """The blocks that hold no other block, with their text."""
    last = None
    for event, element in etree.iterwalk(tree, events=("start", "end")):
        if element.tag not in BLOCKS:
            continue
        if event == "start":
            last = element
        elif element is last:
            yield element, _collapsed("".join(element.itertext()))


def _is_hidden(element: HtmlElement) -> bool:
    # Whole pages are hidden until their scripts have run.
    if element.tag in ("html", "body"):
        return False
    # What is hidden until it is found, a browser's search finds.
    hidden = element.get("hidden")
    return (hidden is not None and hidden != "until-found") or bool(
        INVISIBLE.search(element.get("style", ""))
    )


def _collapsed(text: str) -> str:
    return " ".join(UNSEEN.sub("", text).split())


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), signed=True)


def _size(lines: list[Line]) -> int:
    return sum(len(line.text) for line in lines)
