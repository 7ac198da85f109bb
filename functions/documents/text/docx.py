"""The text of a Word document (.docx): paragraphs, headings, table rows and notes.

Its XML elements become HTML's, so that `lines_of` reads them. Only parts with text are unpacked, each up to a
limit. So pictures cost nothing, and a zip bomb is refused.
"""

import re
import zipfile
from dataclasses import dataclass
from io import BytesIO
from posixpath import dirname, join, normpath, split

from lxml import etree

from documents.file_signatures import OLE
from documents.text.errors import UnreadableError
from documents.text.file_text import FileText, title_of
from documents.text.lines import HEADINGS, lines_of
from documents.text.visibility import write_out_addresses

# Of one unpacked part: a novel takes 5 MB, and the tree of a million tags some 150 MB.
PART_BYTES = 20_000_000
MOST_TAGS = 1_500_000
ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
BROKEN = "it is not a Word document, or a broken one"
TOO_LARGE = "it is too large once it is unpacked"
# Word's style names: English in every language, unlike the ids.
HEADING = re.compile(r"heading ?([1-6])|title", re.IGNORECASE)
# Of HTML. Word's outline levels count from 0, and 9 means body text.
HEADING_LEVELS = 6
# Of styles that are based on each other.
LONGEST_CHAIN = 20
# Tracked deletions, field codes, and copies of drawings for older programs.
UNREAD = ("del", "delInstrText", "delText", "Fallback", "instrText", "moveFrom")
# Formats and marks. The properties of paragraphs are read before they are dropped.
PROPERTIES = (
    *("bookmarkEnd", "bookmarkStart", "pPr", "proofErr", "rPr", "sdtEndPr", "sdtPr", "sectPr"),
    *("tblGrid", "tblPr", "tblPrEx", "tcPr", "trPr"),
)
TAGS = {
    **{"br": "br", "cr": "br", "hyperlink": "a", "tbl": "table", "tc": "td", "tr": "tr"},
    **{"endnote": "div", "footnote": "div", "txbxContent": "div"},
}
PARAGRAPHS = ("p", *HEADINGS)
TEXTS = {"noBreakHyphen": "-", "ptab": " ", "tab": " "}
NOTES = ("footnote", "endnote")


def read_docx(body: bytes) -> FileText:
    """Read the text of a Word document.

    Raises:
        UnreadableError: it is broken, encrypted, too large, empty, or of Word 2003 or older.
    """
    if body.startswith(OLE):
        raise UnreadableError("it is encrypted" if ENCRYPTED in body else "it is of Word 2003 or older")
    try:
        with zipfile.ZipFile(BytesIO(body)) as archive:
            return _text(archive)
    except (UnreadableError, MemoryError):
        raise
    # A hostile file may cause any exception.
    except Exception:
        raise UnreadableError(BROKEN) from None


@dataclass(frozen=True, slots=True)
class _Relation:
    """A link from a part of the document to another part or an address.

    Attributes:
        kind: the end of its type, such as "styles" or "hyperlink".
        target: the name of another part, or an address.
    """

    kind: str
    target: str


def _text(archive: zipfile.ZipFile) -> FileText:
    package = _relations(archive, "")
    root = _parsed(archive, package["officeDocument"].target)
    relations = _relations(archive, package["officeDocument"].target)
    body = root.find("{*}body")
    if body is None:
        raise UnreadableError(BROKEN)
    for kind in NOTES:
        if f"{kind}s" in relations:
            _insert_notes(body, kind, _parsed(archive, relations[f"{kind}s"].target))
    styles = _heading_styles(_parsed(archive, relations["styles"].target)) if "styles" in relations else {}
    _rewrite(body, styles, {id_: relation.target for id_, relation in relations.items()})
    lines = lines_of(body)
    if not lines:
        raise UnreadableError("it has no text")
    title = None
    if "core-properties" in package:
        title = _parsed(archive, package["core-properties"].target).findtext("{*}title")
    return FileText(title_of(title or "", lines), lines)


def _part(archive: zipfile.ZipFile, name: str) -> bytes:
    part = archive.getinfo(name)
    # Word uses no other methods, and some of them may need gigabytes of memory.
    if part.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise UnreadableError(BROKEN)
    with archive.open(part) as file:
        content = file.read(PART_BYTES + 1)
    if len(content) > PART_BYTES or content.count(b"<") > MOST_TAGS:
        raise UnreadableError(TOO_LARGE)
    return content


def _parsed(archive: zipfile.ZipFile, name: str) -> etree._Element:
    # lxml limits the depth and the length of a text.
    parser = etree.XMLParser(resolve_entities=False, no_network=True, remove_comments=True, remove_pis=True)
    root = etree.fromstring(_part(archive, name), parser)
    # It could define entities or load files. No part of a Word document needs one.
    if root.getroottree().docinfo.doctype:
        raise UnreadableError(BROKEN)
    return root


def _relations(archive: zipfile.ZipFile, part: str) -> dict[str, _Relation]:
    """Return the relations of a part by id and by kind; "" is the whole package."""
    folder, name = split(part)
    path = join(folder, "_rels", f"{name}.rels")
    if path not in archive.NameToInfo:
        return {}
    relations: dict[str, _Relation] = {}
    for element in _parsed(archive, path).iter("{*}Relationship"):
        kind, target = element.get("Type", "").rpartition("/")[2], element.get("Target", "")
        if element.get("TargetMode") != "External":
            target = normpath(join("/", dirname(part), target)).lstrip("/")
        relations |= dict.fromkeys((element.get("Id", ""), kind), _Relation(kind, target))
    return relations


def _insert_notes(body: etree._Element, kind: str, notes: etree._Element) -> None:
    """Put each footnote or endnote after the paragraph that refers to it."""
    by_id = {_attribute(note, "id"): note for note in notes.iter(f"{{*}}{kind}")}
    for reference in reversed(list(body.iter(f"{{*}}{kind}Reference"))):
        note = by_id.pop(_attribute(reference, "id"), None)
        paragraph = next(reference.iterancestors("{*}p"), None)
        if note is not None and paragraph is not None:
            paragraph.addnext(note)


def _heading_styles(root: etree._Element) -> dict[str, int]:
    """Return the levels of heading styles, by the ids of the styles."""
    styles = {_attribute(style, "styleId"): style for style in root.iter("{*}style")}
    levels = {}
    for id_ in styles:
        ancestor: str | None = id_
        for _ in range(LONGEST_CHAIN):
            style = styles.get(ancestor or "")
            if style is None:
                break
            if level := _outline_level(style) or _named_level(_value(style, "{*}name") or ""):
                levels[id_] = level
                break
            ancestor = _value(style, "{*}basedOn")
    return levels


def _outline_level(element: etree._Element) -> int:
    """Return the outline level of a paragraph or style, from 1; 0 if it has none."""
    level = _value(element, "{*}pPr/{*}outlineLvl") or ""
    return int(level) + 1 if level.isdecimal() and int(level) < HEADING_LEVELS else 0


def _named_level(name: str) -> int:
    found = HEADING.fullmatch(name)
    return int(found[1] or 1) if found else 0


def _rewrite(body: etree._Element, styles: dict[str, int], targets: dict[str, str]) -> None:
    """Turn the elements of a body into HTML's.

    Args:
        styles: levels of heading styles, by id.
        targets: targets of links, by id.
    """
    etree.strip_elements(body, *(f"{{*}}{name}" for name in UNREAD), with_tail=False)
    for paragraph in body.iter("{*}p"):
        style = _value(paragraph, "{*}pPr/{*}pStyle") or ""
        level = _outline_level(paragraph) or styles.get(style, 0)
        paragraph.tag = f"h{level}" if level else "p"
    etree.strip_elements(body, *(f"{{*}}{name}" for name in PROPERTIES), with_tail=False)
    for element in body.iter():
        name = etree.QName(element).localname
        if name == "hyperlink":
            element.set("href", targets.get(_attribute(element, "id"), ""))
        element.tag = TAGS.get(name) or (name if name in PARAGRAPHS else "span")
        # Elsewhere, text only indents the XML.
        element.text = element.text if name == "t" else TEXTS.get(name)
        element.tail = None
    write_out_addresses(body)


def _value(element: etree._Element, path: str) -> str | None:
    found = element.find(path)
    return None if found is None else _attribute(found, "val")


def _attribute(element: etree._Element, name: str) -> str:
    """Return an attribute in any namespace; Word has two editions of each."""
    return next((value for key, value in element.items() if etree.QName(key).localname == name), "")
