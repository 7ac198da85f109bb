from collections.abc import Callable

import pytest
from fpdf import FPDF
from fpdf.enums import AccessPermission, EncryptionMethod
from hypothesis import given, settings
from hypothesis import strategies as st

from bench import hostile_files
from documents.text import pdf
from documents.text.errors import UnreadableError
from documents.text.lines import Line
from documents.text.pdf import read_pdf
from documents.text.pdf_paragraphs import Row, lines_of_pages

SENTENCE = "We bake bread every day but Sunday, and our rolls are warm at seven in the morning."
# Files that need a process with limits: PDFium unpacks a gigabyte or runs for minutes.
UNBOUNDED = {"pdf_zeros", "pdf_nested_flate", "pdf_many_letters", "pdf_forms_of_forms"}
BOUNDED = {name for name in hostile_files.HOSTILE_FILES if name.startswith("pdf")} - UNBOUNDED


def paper(*pages: Callable[[FPDF], object], title: str = "") -> FPDF:
    """A PDF; each page is drawn by a function."""
    document = FPDF(unit="pt")
    document.set_auto_page_break(False)
    if title:
        document.set_title(title)
    for draw in pages:
        document.add_page()
        document.set_font("Helvetica", size=11)
        draw(document)
    return document


def written(
    *rows: str, x: float = 50, y: float = 100, size: float = 11, style: str = ""
) -> Callable[[FPDF], None]:
    """Rows below each other."""

    def draw(document: FPDF) -> None:
        document.set_font("Helvetica", style, size)
        for number, row in enumerate(rows):
            document.text(x, y + number * size * 1.2, row)

    return draw


def rows(*texts: str, y: float = 700, bold: bool = False, hyphen: bool = False) -> list[Row]:
    """Rows below each other, all of the same width."""
    return [
        Row(text, text.count(" | ") + 1, hyphen, 10, bold, 50, 300, y - 12 * number)
        for number, text in enumerate(texts)
    ]


def drawn(content: str, unicode: dict[str, str] | None = None) -> list[str]:
    """Texts of a page with this content. Its font can map letters to others."""
    codes = "\n".join(
        f"<{ord(letter):02x}> <{text.encode('utf-16-be').hex()}>" for letter, text in (unicode or {}).items()
    )
    ranges = "1 begincodespacerange <00> <ff> endcodespacerange"
    cmap = f"{ranges} {len(unicode or {})} beginbfchar {codes} endbfchar"
    objects = (hostile_files.CATALOG, hostile_files.PAGES, hostile_files.PAGE)
    font = hostile_files.FONT[:-2] + (b"/ToUnicode 6 0 R>>" if unicode else b">>")
    streams = (
        hostile_files.stream(f"BT /F 11 Tf {content} ET".encode()),
        font,
        hostile_files.stream(cmap.encode()),
    )
    return [line.text for line in read_pdf(hostile_files.pdf(*objects, *streams)).lines]


def both(*draws: Callable[[FPDF], None]) -> Callable[[FPDF], None]:
    def draw(document: FPDF) -> None:
        for each in draws:
            each(document)

    return draw


def lines(document: FPDF) -> list[Line]:
    return read_pdf(bytes(document.output())).lines


def texts(document: FPDF) -> list[str]:
    return [line.text for line in lines(document)]


def test_rows_become_a_paragraph_and_a_hyphen_at_the_end_of_a_row_is_removed() -> None:
    page = written(
        "Dynamic languages are more difficult to compile than stati-",
        "cally typed ones, since their well-known dialects, and the well-",
        "known ones of others, give no types to a compiler. Some say that they",
        "are slow.",
    )

    assert texts(paper(page)) == [
        "Dynamic languages are more difficult to compile than statically typed ones, since their well-known "
        "dialects, and the well-known ones of others, give no types to a compiler. Some say that they "
        "are slow."
    ]


def test_a_wide_gap_a_short_row_and_an_indent_begin_a_paragraph() -> None:
    full = "One two three four five six seven eight nine ten eleven twelve."
    page = both(
        written(full, "And this one ends early.", full),
        written(full, y=140, x=70),
        written(full, y=200, x=50),
    )

    assert texts(paper(page)) == [f"{full} And this one ends early.", full, full, full]


def test_larger_and_bold_rows_are_headings_and_the_first_is_the_title() -> None:
    page = both(
        written("Our bakery", size=20, y=60),
        written("Opening hours", style="B", y=100),
        written(SENTENCE, SENTENCE, y=120),
    )

    read = read_pdf(bytes(paper(page, title="Microsoft Word - final2.docx").output()))

    assert [line.text for line in read.lines if line.level] == ["Our bakery", "Opening hours"]
    assert read.title == "Our bakery"


@pytest.mark.parametrize(
    ("given", "title"),
    [("Prices of 2026", "Prices of 2026"), ("untitled", ""), ("prices.PDF", ""), ("12-1", "")],
)
def test_the_title_is_the_properties_unless_a_program_wrote_it(given: str, title: str) -> None:
    assert read_pdf(bytes(paper(written(SENTENCE), title=given).output())).title == title


def test_a_line_that_the_outline_names_is_a_heading_however_it_looks() -> None:
    document = paper(both(written("Rolls", y=80), written(SENTENCE, y=120)))
    document.start_section("Rolls")

    assert [line.text for line in lines(document) if line.level] == ["Rolls"]


def test_columns_are_read_one_after_the_other() -> None:
    left = ("The left column is read", "before the right one, as it", "goes on over there and is")
    right = ("finished here, in the next", "column of the page.")

    assert texts(paper(both(written(*left), written(*right, x=300)))) == [" ".join(left + right)]


def test_running_headers_and_page_numbers_are_dropped_and_lines_keep_their_page() -> None:
    words = ("Rye", "Wheat", "Spelt", "Oats")
    pages = [
        both(
            written("Bakery Ltd - Annual report", y=30),
            written(f"{word} bread is what this page is about, and about nothing else.", y=100 + number * 20),
            written(f"Page {number} of 4", y=800),
        )
        for number, word in enumerate(words, 1)
    ]

    found = lines(paper(*pages))

    assert [(line.page, line.text.split()[0]) for line in found] == list(enumerate(words, 1))


def test_a_running_header_of_a_chapter_stays_on_its_first_page() -> None:
    chapters = ["Rye", "Rye", "Wheat", "Wheat", "Spelt", "Spelt", "Oats", "Oats"]
    pages = [
        both(written(chapter, y=30), written(f"What {number} says.", y=100 + number))
        for number, chapter in enumerate(chapters)
    ]

    found = [line.text for line in lines(paper(*pages))]

    assert [text for text in found if text in chapters] == ["Rye", "Wheat", "Spelt", "Oats"]


def test_a_paragraph_continues_on_the_next_page_and_has_the_page_where_it_begins() -> None:
    first = written("The bread that we bake early in the morning is sold, and what", y=760)
    second = written("is left is given away.", y=60)

    assert lines(paper(first, second)) == [
        Line(
            "The bread that we bake early in the morning is sold, and what is left is given away.",
            page=1,
        )
    ]


def test_rows_of_a_table_are_lines_with_bars() -> None:
    cells = (("Bread", "Weight", "Price"), ("Rye", "1 kg", "4.20 EUR"), ("Rolls", "60 g", "0.45 EUR"))

    def table(document: FPDF) -> None:
        with document.table() as rows:
            for row in cells:
                rows.row(row)

    assert texts(paper(table)) == [" | ".join(row) for row in cells]


def test_items_bold_rows_and_table_rows_begin_a_paragraph_of_their_own() -> None:
    page = [
        *rows("Opening hours", y=700, bold=True),
        *rows("We are open from seven on,", "and close at:", y=688),
        *rows("• noon on Saturdays,", "• six on other days.", y=664),
        *rows("Rye | 4.20", "Rolls | 0.45", y=640),
    ]

    assert lines_of_pages([page], frozenset()) == [
        Line("Opening hours", level=1, page=1),
        Line("We are open from seven on, and close at:", page=1),
        Line("• noon on Saturdays,", page=1),
        Line("• six on other days.", page=1),
        Line("Rye | 4.20", page=1),
        Line("Rolls | 0.45", page=1),
    ]


def test_bold_letters_mark_no_heading_where_all_are_bold() -> None:
    page = rows("Opening hours", "We are open from seven on.", bold=True)

    assert [line.level for line in lines_of_pages([page], frozenset())] == [0]


def test_japanese_is_joined_without_spaces() -> None:
    assert [line.text for line in lines_of_pages([rows("毎日パンを", "焼いています")], frozenset())] == [
        "毎日パンを焼いています"
    ]


def test_a_hyphen_is_removed_if_the_text_has_the_word_without_it() -> None:
    page = [*rows("We call it Trace", hyphen=True), *rows("Monkey, and TraceMonkey it is.", y=688)]

    assert [line.text for line in lines_of_pages([page], frozenset())] == [
        "We call it TraceMonkey, and TraceMonkey it is."
    ]


def test_a_row_that_begins_a_column_with_a_capital_begins_a_paragraph() -> None:
    page = [*rows("The left column ends here", y=100), *rows("Here begins the right one.", y=700)]

    assert len(lines_of_pages([page], frozenset())) == 2


def test_figures_at_the_edge_of_pages_are_not_page_numbers() -> None:
    pages = [rows(f"{number} {number * 7} {number * 9}", "Bread.") for number in range(5)]

    figures = [line.text for line in lines_of_pages(pages, frozenset()) if line.text[0].isdigit()]

    assert figures == [f"{number} {number * 7} {number * 9}" for number in range(5)]


def test_text_is_kept_if_all_of_it_looks_like_a_running_header() -> None:
    assert len(lines_of_pages([rows("Bread", "Rolls")] * 4, frozenset())) == 4


def test_the_size_of_letters_is_the_visible_one() -> None:
    small = "".join(f"1 0 0 1 50 {600 - 12 * number} Tm ({SENTENCE}) Tj " for number in range(3))
    large = "3 0 0 3 50 640 Tm (Bread) Tj "
    body = hostile_files.stream(f"BT /F 11 Tf {large}{small} ET".encode())
    objects = (hostile_files.CATALOG, hostile_files.PAGES, hostile_files.PAGE, body, hostile_files.FONT)

    found = read_pdf(hostile_files.pdf(*objects)).lines

    assert [line.text for line in found if line.level] == ["Bread"]


def test_an_exponent_stays_in_its_row() -> None:
    below = "50 700 Td (Of 12 m) Tj ET BT /F 6 Tf 105 706 Td (2) Tj ET BT /F 11 Tf 111 700 Td (we bake.) Tj"

    assert drawn(below) == ["Of 12 m | 2 we bake."]


def test_the_number_of_an_item_is_not_a_cell_and_its_indented_rows_belong_to_it() -> None:
    item = ("Rolls are baked from six in the", "morning and sold from seven on.")

    found = texts(
        paper(both(written("!"), written(*item, x=80), written("2", y=130), written("Bread", x=80, y=130)))
    )

    assert found == ["! " + " ".join(item), "2 Bread"]


def test_ligatures_and_letters_beyond_the_first_plane_are_whole() -> None:
    found = drawn("50 700 Td (We found xne ovens y) Tj", {"x": "\ufb01", "y": "\U0001f950"})

    assert found == ["We found fine ovens \U0001f950"]


def test_an_entry_of_a_table_of_contents_has_no_dots_and_is_not_a_heading() -> None:
    entries = written("Rolls " + ". " * 40 + "12", "Bread " + "." * 60 + " 14", size=16)

    assert lines(paper(both(entries, written(SENTENCE, SENTENCE, SENTENCE, y=300))))[:2] == [
        Line("Rolls … 12", page=1),
        Line("Bread … 14", page=1),
    ]


def test_turned_text_is_read_as_if_it_were_upright() -> None:
    def turned(document: FPDF) -> None:
        with document.rotation(90, 300, 400):
            written("Bread and rolls are baked by", "Anna on every day but Sunday.")(document)

    assert texts(paper(turned)) == ["Bread and rolls are baked by Anna on every day but Sunday."]


@pytest.mark.parametrize(("password", "readable"), [("", True), ("secret", False)])
def test_an_encrypted_pdf_is_read_if_it_opens_without_a_password(password: str, readable: bool) -> None:
    document = paper(written(SENTENCE))
    document.set_encryption("owner", password, EncryptionMethod.AES_256, permissions=AccessPermission.none())
    body = bytes(document.output())

    if readable:
        assert read_pdf(body).lines == [Line(SENTENCE, page=1)]
    else:
        with pytest.raises(UnreadableError, match="encrypted"):
            read_pdf(body)


def test_a_pdf_without_text_is_reported_as_maybe_scanned() -> None:
    with pytest.raises(UnreadableError, match="scanned"):
        read_pdf(bytes(paper(lambda document: document.rect(10, 10, 400, 600), written("7")).output()))


def test_a_page_of_meaningless_characters_counts_as_unread() -> None:
    signs = written("!%& ()*+,-./:;<=>? " * 3)
    read = read_pdf(bytes(paper(written(SENTENCE), signs).output()))

    assert (read.lines, read.unread_pages) == ([Line(SENTENCE, page=1)], 1)


def test_pages_and_characters_over_the_limit_are_left_out_and_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    body = bytes(paper(*[written(f"{number}: {SENTENCE}", y=90 + number) for number in range(5)]).output())

    monkeypatch.setattr(pdf, "MOST_PAGES", 3)
    few_pages = read_pdf(body)
    monkeypatch.setattr(pdf, "MOST_CHARS", 2 * len(SENTENCE) + 10)
    few_characters = read_pdf(body)
    monkeypatch.setattr(pdf, "MOST_CHARS_OF_PAGE", len(SENTENCE))
    with pytest.raises(UnreadableError, match="no page"):
        read_pdf(body)

    assert ({line.page for line in few_pages.lines}, few_pages.unread_pages) == ({1, 2, 3}, 2)
    assert ({line.page for line in few_characters.lines}, few_characters.unread_pages) == ({1, 2}, 3)


@pytest.mark.parametrize("body", [b"", b"%PDF-1.7", b"<html>", b"PK\3\4", b"%PDF-1.7\n" + b"[" * 100_000])
def test_a_file_that_is_not_a_pdf_is_refused_as_such(body: bytes) -> None:
    with pytest.raises(UnreadableError, match="not a PDF"):
        read_pdf(body)


WHOLE = bytes(paper(written(SENTENCE), written("Bread", style="B")).output())


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_broken_pdf_raises_nothing_but_an_unreadable_error(data: st.DataObject) -> None:
    body = bytearray(WHOLE)
    for _ in range(data.draw(st.integers(1, 8))):
        start = data.draw(st.integers(0, len(body) - 1))
        body[start : start + data.draw(st.integers(0, 40))] = data.draw(st.binary(max_size=8))

    try:
        read = read_pdf(bytes(body))
    except UnreadableError as error:
        assert error.reason
    else:
        assert read.lines


def test_too_little_memory_is_not_taken_for_a_broken_pdf(monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(pdf, "lines_of_pages", exhausted)

    with pytest.raises(MemoryError):
        read_pdf(WHOLE)


@pytest.mark.parametrize(
    "name",
    sorted(BOUNDED),
)
def test_a_hostile_pdf_is_read_within_the_limits_or_refused(name: str) -> None:
    try:
        read = read_pdf(hostile_files.HOSTILE_FILES[name]())
    except UnreadableError:
        return
    assert len(read.lines) <= pdf.MOST_PAGES
