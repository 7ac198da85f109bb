"""PDFs and Word documents that are made to cost a reader much time or memory; built in memory."""

import io
import zipfile
import zlib
from collections.abc import Callable, Iterable

GIGABYTE = 1 << 30
PIECE = 1 << 20
CATALOG = b"<</Type/Catalog/Pages 2 0 R>>"
PAGES = b"<</Type/Pages/Kids[3 0 R]/Count 1>>"
RESOURCES = b"<</Font<</F 5 0 R>>/XObject<</X 6 0 R>>>>"
PAGE = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents 4 0 R/Resources%s>>" % RESOURCES
FONT = b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"
W = b'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
CONTENT_TYPES = (
    b'<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    b'<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    b'<Override PartName="/word/document.xml" ContentType='
    b'"application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>'
)
RELATIONS = (
    b'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    b'<Relationship Id="r" Target="word/document.xml" Type='
    b'"http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"/></Relationships>'
)
PARAGRAPH = b"<w:p><w:r><w:t>We bake bread every day but Sunday.</w:t></w:r></w:p>"


def stream(content: bytes, filters: bytes = b"") -> bytes:
    """Return a PDF stream object."""
    return b"<</Length %d%s>>stream\n%s\nendstream" % (len(content), filters, content)


def pdf(*objects: bytes, trailer: bytes = b"<</Root 1 0 R/Size %d>>") -> bytes:
    """Return a PDF of these objects, numbered from 1."""
    parts, offsets, length = [b"%PDF-1.7\n"], [], 9
    for number, content in enumerate(objects, 1):
        offsets.append(length)
        parts.append(b"%d 0 obj\n%s\nendobj\n" % (number, content))
        length += len(parts[-1])
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    size = len(objects) + 1
    trailer = trailer % size if b"%d" in trailer else trailer
    end = b"trailer%s\nstartxref\n%d\n%%%%EOF" % (trailer, length)
    return b"".join((*parts, b"xref\n0 %d\n0000000000 65535 f \n" % size, table, end))


def docx(document: Iterable[bytes], others: Iterable[tuple[str, bytes]] = ()) -> bytes:
    """Return a Word document with these pieces of its main part, and other parts."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("word/document.xml", "w") as part:
            part.writelines(document)
        for name, content in (("[Content_Types].xml", CONTENT_TYPES), ("_rels/.rels", RELATIONS), *others):
            archive.writestr(name, content)
    return written.getvalue()


def body(content: bytes, doctype: bytes = b"") -> list[bytes]:
    """Return the main part of a Word document."""
    return [doctype, b"<w:document %s><w:body>" % W, content, b"</w:body></w:document>"]


def _deflated(size: int) -> bytes:
    """Return compressed zeros, a thousandth of their size."""
    compressor = zlib.compressobj()
    pieces = [compressor.compress(bytes(PIECE)) for _ in range(size // PIECE)]
    return b"".join((*pieces, compressor.flush()))


def pdf_zeros() -> bytes:
    """Return a page with a gigabyte of zeros, in one megabyte."""
    return pdf(CATALOG, PAGES, PAGE, stream(_deflated(GIGABYTE), b"/Filter/FlateDecode"), FONT)


def pdf_nested_flate() -> bytes:
    """Return a page with a gigabyte of zeros that are compressed three times, in a few kilobytes."""
    content = zlib.compress(zlib.compress(_deflated(GIGABYTE)))
    return pdf(CATALOG, PAGES, PAGE, stream(content, b"/Filter[/FlateDecode/FlateDecode/FlateDecode]"), FONT)


def pdf_page_tree_loop() -> bytes:
    """Return a page tree that contains itself."""
    return pdf(
        CATALOG,
        b"<</Type/Pages/Kids[2 0 R 3 0 R 2 0 R]/Count 100000>>",
        b"<</Type/Pages/Kids[2 0 R]/Count 9>>",
    )


def pdf_many_pages() -> bytes:
    """Return a tree that names one page a hundred thousand times."""
    pages = b"<</Type/Pages/Kids[%s]/Count 100000>>" % (b"3 0 R " * 100_000)
    return pdf(CATALOG, pages, PAGE, stream(b"BT /F 12 Tf 50 700 Td (We bake bread every day.) Tj ET"), FONT)


def pdf_huge_xref() -> bytes:
    """Return a cross-reference stream that claims two billion objects."""
    entries = stream(
        zlib.compress(bytes(PIECE)), b"/Filter/FlateDecode/Type/XRef/Size 2147483647/Root 1 0 R/W[1 4 2]"
    )
    head = b"%%PDF-1.7\n1 0 obj\n%s\nendobj\n" % CATALOG
    return b"%s2 0 obj\n%s\nendobj\nstartxref\n%d\n%%%%EOF" % (head, entries, len(head))


def pdf_deep_arrays() -> bytes:
    """Return an array nested a million times, in the place of the page's fonts."""
    return pdf(CATALOG, PAGES, PAGE, stream(b""), b"[" * 1_000_000 + b"]" * 1_000_000)


def pdf_tiny_objects() -> bytes:
    """Return half a million objects of one digit."""
    return pdf(CATALOG, PAGES, PAGE, stream(b""), FONT, *[b"0"] * 500_000)


def pdf_many_letters() -> bytes:
    """Return a page with eight million letters, each shown on its own, in 100 kilobytes."""
    content = b"BT /F 12 Tf " + b"(a)Tj " * 8_000_000 + b"ET"
    return pdf(CATALOG, PAGES, PAGE, stream(zlib.compress(content), b"/Filter/FlateDecode"), FONT)


def pdf_forms_of_forms() -> bytes:
    """Return a form that shows another form ten times, and so on, ten levels deep: ten billion words."""
    form = b"/Type/XObject/Subtype/Form/BBox[0 0 600 800]/Resources<</Font<</F 5 0 R>>/XObject<</X %d 0 R>>>>"
    forms = [stream(b"/X Do " * 10, form % number) for number in range(7, 16)]
    words = stream(b"BT /F 12 Tf 50 700 Td (Bread) Tj ET", form % 5)
    return pdf(CATALOG, PAGES, PAGE, stream(b"/X Do"), FONT, *forms, words)


def pdf_outline_loop() -> bytes:
    """Return an outline of entries in a circle, each with the first entry as its child."""
    entry = b"<</Title(Bread)/Parent 6 0 R/First 7 0 R/Last 8 0 R/Next %d 0 R/Count 9>>"
    catalog = b"<</Type/Catalog/Pages 2 0 R/Outlines 6 0 R>>"
    text = stream(b"BT /F 12 Tf 50 700 Td (We bake bread every day.) Tj ET")
    outline = b"<</Type/Outlines/First 7 0 R/Last 8 0 R/Count 9>>"
    return pdf(catalog, PAGES, PAGE, text, FONT, outline, entry % 8, entry % 7)


def docx_zip_bomb() -> bytes:
    """Return a document with a gigabyte of spaces, in one megabyte."""
    return docx(bytes(PIECE).replace(b"\0", b" ") for _ in range(GIGABYTE // PIECE))


def docx_many_entries() -> bytes:
    """Return an archive with 200,000 empty files."""
    return docx(body(PARAGRAPH), ((f"word/{number}", b"") for number in range(200_000)))


def docx_billion_laughs() -> bytes:
    """Return entities that each stand for ten of the one before, ten levels deep."""
    entities = b"".join(b'<!ENTITY a%d "%s">' % (n, b"&a%d;" % (n - 1) * 10) for n in range(1, 11))
    doctype = b'<!DOCTYPE w:document [<!ENTITY a0 "bread">%s]>' % entities
    return docx(body(b"<w:p><w:r><w:t>&a10;</w:t></w:r></w:p>", doctype))


def docx_many_paragraphs() -> bytes:
    """Return two hundred thousand paragraphs."""
    return docx(body(PARAGRAPH * 200_000))


def docx_deep_tables() -> bytes:
    """Return nested tables, ten thousand deep."""
    start, end = b"<w:tbl><w:tr><w:tc>", b"</w:tc></w:tr></w:tbl>"
    return docx(body(start * 10_000 + PARAGRAPH + end * 10_000))


def docx_wide_tables() -> bytes:
    """Return two thousand stacks of fifty nested tables."""
    start, end = b"<w:tbl><w:tr><w:tc>", b"</w:tc></w:tr></w:tbl>"
    return docx(body((start * 50 + PARAGRAPH + end * 50) * 2_000))


def docx_many_attributes() -> bytes:
    """Return a paragraph with 500,000 attributes."""
    attributes = b" ".join(b'a%d=""' % number for number in range(500_000))
    return docx(body(b"<w:p %s>%s</w:p>" % (attributes, PARAGRAPH)))


def docx_empty_elements() -> bytes:
    """Return four million of the smallest elements."""
    return docx(body(b"<a/>" * 4_000_000))


HOSTILE_FILES: dict[str, Callable[[], bytes]] = {
    build.__name__: build
    for build in (
        pdf_zeros,
        pdf_nested_flate,
        pdf_page_tree_loop,
        pdf_many_pages,
        pdf_huge_xref,
        pdf_deep_arrays,
        pdf_tiny_objects,
        pdf_many_letters,
        pdf_forms_of_forms,
        pdf_outline_loop,
        docx_zip_bomb,
        docx_many_entries,
        docx_billion_laughs,
        docx_many_paragraphs,
        docx_deep_tables,
        docx_wide_tables,
        docx_many_attributes,
        docx_empty_elements,
    )
}
