import io
import re
import zipfile
from collections.abc import Callable

import docx as python_docx
import pytest
from docx.document import Document
from docx.enum.style import WD_STYLE_TYPE
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from hypothesis import given, settings
from hypothesis import strategies as st

from bench import hostile_files
from documents.text import docx
from documents.text.docx import read_docx
from documents.text.errors import UnreadableError
from documents.text.lines import Line

SENTENCE = "We bake bread every day but Sunday."
LINK = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/hyperlink"
RELATION = (
    '<Relationship Id="n" Target="footnotes.xml" Type='
    '"http://schemas.openxmlformats.org/officeDocument/2006/relationships/footnotes"/>'
)


DOCTYPE = hostile_files.docx(
    hostile_files.body(b"<w:p><w:r><w:t>Bread</w:t></w:r></w:p>", b"<!DOCTYPE w:document>")
)


def written(*draws: Callable[[Document], object]) -> bytes:
    """A document as python-docx saves it."""
    document = python_docx.Document()
    for draw in draws:
        draw(document)
    file = io.BytesIO()
    document.save(file)
    return file.getvalue()


def raw(content: str, others: dict[str, str] | None = None) -> bytes:
    """A document of this body."""
    parts = [(name, part.encode()) for name, part in (others or {}).items()]
    return hostile_files.docx(hostile_files.body(content.encode()), parts)


def changed(body: bytes, name: str, change: Callable[[bytes], bytes]) -> bytes:
    """The same document with one part changed."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(body)) as old, zipfile.ZipFile(file, "w") as new:
        for each in old.namelist():
            new.writestr(each, change(old.read(each)) if each == name else old.read(each))
    return file.getvalue()


def texts(body: bytes) -> list[str]:
    return [line.text for line in read_docx(body).lines]


def run(text: str, tag: str = "t") -> str:
    return f"<w:r><w:{tag}>{text}</w:{tag}></w:r>"


def paragraph(content: str) -> str:
    return f"<w:p>{content}</w:p>"


def headings(body: bytes) -> list[str]:
    return [line.text for line in read_docx(body).lines if line.level]


def test_headings_paragraphs_and_items_are_lines_in_their_order() -> None:
    body = written(
        lambda document: document.add_heading("Our bakery", 0),
        lambda document: document.add_heading("Opening hours", 2),
        lambda document: document.add_paragraph(SENTENCE),
        lambda document: document.add_paragraph("Rolls", style="List Bullet"),
    )

    assert read_docx(body).lines == [
        Line("Our bakery", 1),
        Line("Opening hours", 2),
        Line(SENTENCE),
        Line("Rolls"),
    ]


def test_a_heading_is_known_by_the_english_name_of_its_style_or_its_base_style() -> None:
    def add(document: Document) -> None:
        document.styles["Heading 1"].element.set(qn("w:styleId"), "berschrift1")
        own = document.styles.add_style("Kapitel", WD_STYLE_TYPE.PARAGRAPH)
        own.base_style = document.styles["Heading 1"]
        document.add_paragraph("Öffnungszeiten", style="Heading 1")
        document.add_paragraph("Preise", style="Kapitel")
        document.add_paragraph(SENTENCE)

    body = changed(written(add), "word/styles.xml", lambda part: re.sub(b"<w:outlineLvl [^>]*>", b"", part))

    assert headings(body) == ["Öffnungszeiten", "Preise"]


def test_a_heading_is_known_by_the_outline_level_of_its_paragraph() -> None:
    level = '<w:pPr><w:outlineLvl w:val="%d"/></w:pPr>'
    paragraphs = "".join(paragraph(level % number + run(str(number))) for number in (0, 5, 6, 9))

    assert headings(raw(paragraphs)) == ["0", "5"]


def test_a_heading_is_known_by_the_outline_level_of_its_style() -> None:
    def add(document: Document) -> None:
        style = document.styles.add_style("Kapitel", WD_STYLE_TYPE.PARAGRAPH)
        level = OxmlElement("w:outlineLvl")
        level.set(qn("w:val"), "1")
        style.element.get_or_add_pPr().append(level)
        document.add_paragraph("Preise", style="Kapitel")
        document.add_paragraph(SENTENCE)

    assert headings(written(add)) == ["Preise"]


def test_styles_that_are_based_on_each_other_are_not_headings() -> None:
    def add(document: Document) -> None:
        first, second = (
            document.styles.add_style(name, WD_STYLE_TYPE.PARAGRAPH) for name in ("First", "Second")
        )
        first.base_style, second.base_style = second, first
        document.add_paragraph(SENTENCE, style="First")

    assert read_docx(written(add)).lines == [Line(SENTENCE)]


def test_rows_of_a_table_are_lines_with_bars() -> None:
    def add(document: Document) -> None:
        table = document.add_table(0, 3)
        for row in (("Bread", "Weight", "Price"), ("Rye", "1 kg", "4.20 EUR")):
            for cell, value in zip(table.add_row().cells, row, strict=True):
                cell.text = value

    assert texts(written(add)) == ["Bread | Weight | Price", "Rye | 1 kg | 4.20 EUR"]


def test_words_split_into_runs_are_joined_and_breaks_and_tabs_are_kept() -> None:
    content = run("Ba") + "\n  " + run("kery") + "<w:r><w:tab/><w:t>open</w:t><w:br/><w:t>daily</w:t></w:r>"
    tabs = '<w:pPr><w:tabs><w:tab w:val="left" w:pos="1"/></w:tabs></w:pPr>'

    assert texts(raw(paragraph(tabs + content))) == ["Bakery open", "daily"]


def test_deleted_text_and_field_codes_are_left_out_and_inserted_text_is_read() -> None:
    content = (
        run("We bake ")
        + f"<w:del>{run('cakes')}{run('pies', 'delText')}</w:del><w:moveFrom>{run('rolls')}</w:moveFrom>"
        + f"<w:ins>{run('bread')}</w:ins>"
        + run(" PAGE ", "instrText")
    )

    assert texts(raw(paragraph(content))) == ["We bake bread"]


def test_content_controls_and_text_boxes_are_read_once() -> None:
    box = f"<w:txbxContent>{paragraph(run('In a box'))}</w:txbxContent>"
    both = f"<mc:AlternateContent xmlns:mc='m'><mc:Choice>{box}</mc:Choice><mc:Fallback>{box}</mc:Fallback>"
    control = f"<w:sdt><w:sdtPr/><w:sdtContent>{paragraph(run('In a control'))}</w:sdtContent></w:sdt>"

    found = texts(raw(control + paragraph(f"<w:r>{both}</mc:AlternateContent></w:r>" + run("Beside it"))))

    assert found == ["In a control", "In a box", "Beside it"]


def test_a_footnote_follows_the_paragraph_that_refers_to_it() -> None:
    reference = '<w:r><w:footnoteReference w:id="%d"/></w:r>'
    note = f"<w:footnote w:id='%d'>{paragraph(run('%s'))}</w:footnote>"
    both = note % (2, "Of rye.") + note % (3, "Or of wheat.")
    notes = f"<w:footnotes {hostile_files.W.decode()}>{both}</w:footnotes>"
    start = hostile_files.RELATIONS.decode().partition("<Relationship ")[0]
    relations = f"{start}{RELATION}</Relationships>"

    body = raw(
        paragraph(run("Bread") + reference % 2 + reference % 3) + paragraph(run("Rolls")),
        {"word/footnotes.xml": notes, "word/_rels/document.xml.rels": relations},
    )

    assert texts(body) == ["Bread", "Of rye.", "Or of wheat.", "Rolls"]


def test_the_address_behind_a_link_to_a_mail_is_written_out() -> None:
    def add(document: Document) -> None:
        link = OxmlElement("w:hyperlink")
        target = document.part.relate_to("mailto:hello@bakery.test?subject=x", LINK, is_external=True)
        link.set(qn("r:id"), target)
        paragraph = document.add_paragraph("Write to ")
        link.append(paragraph.add_run("us")._r)
        paragraph._p.append(link)
        paragraph.add_run(" today.")

    assert texts(written(add)) == ["Write to us (hello@bakery.test) today."]


@pytest.mark.parametrize(
    ("given", "title"),
    [("Prices of 2026", "Prices of 2026"), ("Document1", "Bread"), ("bread.docx", "Bread"), ("", "Bread")],
)
def test_the_title_is_that_of_the_properties_or_the_first_heading(given: str, title: str) -> None:
    def add(document: Document) -> None:
        document.core_properties.title = given
        document.add_heading("Bread")

    assert read_docx(written(add)).title == title


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not a Word document"),
        (b"%PDF-1.7", "not a Word document"),
        (docx.OLE + bytes(600) + docx.ENCRYPTED, "encrypted"),
        (docx.OLE + bytes(600), "Word 2003"),
        (raw(paragraph("")), "no text"),
        (raw("").replace(b"word/document.xml", b"xl/workbookkk.xml"), "not a Word document"),
        (DOCTYPE, "not a Word document"),
        (hostile_files.docx_billion_laughs(), "not a Word document"),
        (hostile_files.docx_deep_tables(), "not a Word document"),
    ],
)
def test_an_unreadable_file_is_refused_with_its_reason(body: bytes, reason: str) -> None:
    with pytest.raises(UnreadableError, match=reason):
        read_docx(body)


LARGE = docx.PART_BYTES + hostile_files.PIECE
ZEROS = hostile_files.docx([bytes(LARGE)])


@pytest.mark.parametrize("body", [ZEROS, hostile_files.docx_empty_elements()])
def test_a_part_that_is_too_large_is_refused_before_it_is_parsed(
    body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed: list[int] = []
    parse = docx.etree.fromstring

    def counting(content: bytes, parser: object) -> object:
        parsed.append(len(content))
        return parse(content, parser)

    monkeypatch.setattr(docx.etree, "fromstring", counting)

    with pytest.raises(UnreadableError, match="too large"):
        read_docx(body)
    assert max(parsed) < 1_000


def test_a_false_size_in_the_archive_does_not_bypass_the_limit() -> None:
    size = LARGE.to_bytes(4, "little")

    assert size in ZEROS
    with pytest.raises(UnreadableError):
        read_docx(ZEROS.replace(size, (100).to_bytes(4, "little")))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_methods_of_compression_are_refused(method: int) -> None:
    file = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(raw(paragraph(run(SENTENCE))))) as old,
        zipfile.ZipFile(file, "w", method) as new,
    ):
        for each in old.namelist():
            new.writestr(each, old.read(each))

    with pytest.raises(UnreadableError):
        read_docx(file.getvalue())


def test_half_a_million_attributes_are_read() -> None:
    assert texts(hostile_files.docx_many_attributes()) == [SENTENCE]


WHOLE = written(
    lambda document: document.add_heading("Bread"), lambda document: document.add_paragraph(SENTENCE)
)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_broken_file_raises_nothing_but_an_unreadable_error(data: st.DataObject) -> None:
    def break_(part: bytes) -> bytes:
        broken = bytearray(part)
        for _ in range(data.draw(st.integers(1, 4))):
            start = data.draw(st.integers(0, len(broken) - 1))
            broken[start : start + data.draw(st.integers(0, 40))] = data.draw(st.binary(max_size=8))
        return bytes(broken)

    name = data.draw(st.sampled_from(["word/document.xml", "word/styles.xml", "_rels/.rels", None]))
    body = changed(WHOLE, name, break_) if name else break_(WHOLE)

    try:
        read = read_docx(body)
    except UnreadableError as error:
        assert error.reason
    else:
        assert read.lines


def test_too_little_memory_is_not_taken_for_a_broken_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(docx, "lines_of", exhausted)

    with pytest.raises(MemoryError):
        read_docx(WHOLE)
