"""A page as a tree: from HTML to elements and the hashes of their lines.

Never raises on page content, except MemoryError. A malformed or hostile page yields no text.
"""

import codecs
import hashlib
import re
from collections.abc import Iterator

from lxml import etree
from w3lib.encoding import html_body_declared_encoding, read_bom, resolve_encoding

from documents.text.lines import BLOCKS, HEADINGS, NOT_XML, collapsed

NOT_TEXT = ("script", "style", "template", "noscript", "svg", "iframe", "object", "select", "textarea")
# The tree of 5 MB of nothing but tags would take 900 MB.
MOST_TAGS = 300_000
# The parser compares all attributes of a tag with each other. A tag beyond both limits loses them.
LONGEST_TAG, MOST_ATTRIBUTES = 1_000, 200
# Shorter texts repeat by chance.
LEAST_HASHED = 3
# Links that begin like this lead to no other page.
HERE = ("#", "mailto:", "tel:")
# Python's codecs that no page uses; some of them take quadratic time.
NOT_CHARSETS = {"idna", "punycode", "undefined", "unicode-escape", "raw-unicode-escape", "utf-7"}
NOT_ASCII = re.compile("[^\0-\x7f]")
# Every tag except links, headings and tags that hold no elements.
CONTAINER = re.compile(
    r"</?(?!(?:a|area|base|link|meta|title|script|style|template|h[1-6])\b)[a-z][^<>]*>", re.IGNORECASE
)
# Tags as the parser reads them: a quote begins a value only after an equals sign, and comments and scripts
# hold no tags. Nothing is tried twice, so the time is linear.
VALUE = r"""=\s*+(?:"[^"]*+"|'[^']*+'|[^\s>]*+)"""
# The name may begin with an equals sign.
ATTRIBUTE = rf"(?:=[^\s/>=]*+|[^\s/>=]++)(?:\s*+{VALUE})?+"
TAG = re.compile(
    r"<!--(?:-?>|[^-]*+(?:-(?!-!?>)[^-]*+)*+(?:--!?>|\Z))|<[!?][^>]*+"
    r"|<(?:((?i:script|style|textarea|title|xmp|iframe|noembed|noframes))(?=[\s/>])|[a-zA-Z][^\s/>]*+)"
    rf"((?:[\s/]++|{ATTRIBUTE})*+)(?:>|\Z)(?(1)[^<]*+(?:<(?!/(?i:\1))[^<]*+)*+)",
    re.ASCII,
)


def parse(body: bytes, charset: str | None) -> etree._Element | None:
    """Parse a page into a tree without scripts, styles and comments.

    Args:
        body: any bytes.
        charset: from the Content-Type header, if it has one; ignored if unknown or wrong.

    Returns:
        None if nothing can be parsed, or the page has too many tags.
    """
    text = NOT_XML.sub("", _decoded(body, charset))
    if text.count("<") > MOST_TAGS:
        return None
    text = TAG.sub(_sparse_tag, text)
    tree, too_deep = tree_of(text)
    if too_deep:
        # Text below the depth limit is lost. Without containers, there is hardly any depth.
        tree, _ = tree_of(CONTAINER.sub("<br>", text))
    if tree is not None:
        etree.strip_elements(tree, *NOT_TEXT, with_tail=False)
    return tree


def tree_of(text: str) -> tuple[etree._Element | None, bool]:
    """Return the parsed text, and whether it was nested too deeply for the parser."""
    # lxml limits depth and size, uses no network, and expands only HTML's own entities.
    parser = etree.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True, default_doctype=False)
    try:
        # As bytes: in a string, lxml refuses an XML declaration and obeys a <meta charset>.
        tree = etree.fromstring(text.encode(), parser)
    except etree.LxmlError:
        if any(error.type == etree.ErrorTypes.ERR_NO_MEMORY for error in parser.error_log):
            raise MemoryError from None
        tree = None
    return tree, any("depth" in error.message for error in parser.error_log)


def _sparse_tag(tag: re.Match[str]) -> str:
    """Remove the attributes of a tag if there are too many."""
    attributes = tag[2] or ""
    if len(attributes) <= LONGEST_TAG or len(re.findall(ATTRIBUTE, attributes)) <= MOST_ATTRIBUTES:
        return tag[0]
    start, end = tag.span(2)
    return tag.string[tag.start() : start] + tag.string[end : tag.end()]


def _decoded(body: bytes, charset: str | None) -> str:
    bom, mark = read_bom(body)
    # A page whose <meta> is readable as ASCII is not in UTF-16.
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
    # A few wrong bytes do not turn a Japanese page into a Western one.
    if wrong * 10 <= len(NOT_ASCII.findall(text)) - wrong:
        return text
    return body.decode("cp1252", "replace")


def title(tree: etree._Element) -> str:
    """Return the title of a page; '' without one."""
    found = next(tree.iter("title"), None)
    return "" if found is None else collapsed("".join(found.itertext()))


def line_hashes(tree: etree._Element) -> set[int]:
    """Return the `block_hash` of each of a page's smallest blocks."""
    return {block_hash(block, text) for block, text in smallest_blocks(tree) if len(text) >= LEAST_HASHED}


def smallest_blocks(tree: etree._Element) -> Iterator[tuple[etree._Element, str]]:
    """Yield the blocks that hold no other block, with their text."""
    last = None
    for event, element in etree.iterwalk(tree, events=("start", "end")):
        if element.tag not in BLOCKS:
            continue
        if event == "start":
            last = element
        elif element is last:
            yield element, collapsed("".join(element.itertext()))


def line_hash(text: str) -> int:
    """Return the hash of a line: signed, of 64 bits, even."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), signed=True) & ~1


def block_hash(block: etree._Element, text: str) -> int:
    """Return the hash of one of the smallest blocks; odd if it announces another page.

    A teaser repeats on a few pages only. Its odd hash lets us drop it, and keep the same title on the page
    that it announces.
    """
    return line_hash(text) | _is_teaser(block)


def _is_teaser(block: etree._Element) -> bool:
    """Return whether a block is in a link, begins with one, or is right below a link or linked heading."""
    above = block.getprevious()
    return (
        any(map(_leads_elsewhere, block.iterancestors("a")))
        or begins_with_link(block)
        or (above is not None and (above.tag == "a" or above.tag in HEADINGS) and begins_with_link(above))
    )


def begins_with_link(element: etree._Element) -> bool:
    """Return whether an element begins with a link to another page."""
    while element.tag != "a" and not (element.text or "").strip() and len(element):
        element = element[0]
    return element.tag == "a" and _leads_elsewhere(element)


def _leads_elsewhere(link: etree._Element) -> bool:
    return not link.get("href", "#").startswith(HERE)
