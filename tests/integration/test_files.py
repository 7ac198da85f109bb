"""PDFs and Word documents of a website: stored like pages, or left out with a reason."""

import io
import zipfile
from collections.abc import Callable

import docx
import pytest
from fpdf import FPDF
from fpdf.enums import AccessPermission, EncryptionMethod

from documents.web.media import DOCX, PDF
from tests.fake_model import FakeModel
from tests.integration.conftest import Documents
from tests.website import WORDS, Page

BYTES = "application/octet-stream"
HEADINGS = ("For bakers", "For shops", "At our door", "By mail")


def file(body: bytes, media_type: str = PDF, **headers: str) -> Page:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Page(body, headers=({"Content-Type": media_type} if media_type else {}) | named)


def pdf(*pages: str, title: str = "", password: str = "", scanned: bool = False) -> bytes:
    """Make a PDF with a heading and a paragraph on each page, and a table on the last one."""
    paper = FPDF(unit="pt")
    if title:
        paper.set_title(title)
    if password:
        paper.set_encryption("owner", password, EncryptionMethod.AES_256, AccessPermission.none())
    for number, page in enumerate(pages, 1):
        paper.add_page()
        if scanned:
            paper.rect(100, 100, 300, 300)
            continue
        paper.set_font("Helvetica", "B", 18)
        paper.cell(0, 30, HEADINGS[number - 1], new_x="LMARGIN", new_y="NEXT")
        paper.set_font("Helvetica", size=11)
        paper.multi_cell(0, 14, page, new_x="LMARGIN", new_y="NEXT")
        if number == len(pages):
            for row, cells in enumerate((("Flour", "12 euros"), ("Bread", "3 euros"), ("Rolls", "1 euro"))):
                for column, cell in enumerate(cells):
                    paper.text(60 + 300 * column, 400 + 14 * row, cell)
    return bytes(paper.output())


def word(*paragraphs: str) -> bytes:
    document = docx.Document()
    document.add_heading("Terms of delivery", 1)
    for paragraph in paragraphs:
        document.add_paragraph(paragraph)
    written = io.BytesIO()
    document.save(written)
    return written.getvalue()


def archive() -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as files:
        files.writestr("photo.txt", "no Word document")
    return written.getvalue()


PRICES = (
    "A sack holds 25 kilograms, and a pallet holds forty of them, so that a bakery of usual size has"
    " enough for about a week. Larger bakeries get their flour by tanker, every second Tuesday. All of"
    " it is ground by hand between stones that were cut in 1921, from wheat, rye and spelt of eleven"
    " farms along the river. Whoever orders before noon has it on the next working day, and whoever"
    " takes ten pallets pays for nine. For doughs that rest overnight we grind more coarsely, and for"
    " cakes we sift twice.",
    "Shelves come with the first delivery, and what has not been sold by the evening is taken back"
    " for half of its price. Names of shops are printed on the bags from 500 bags on. Loaves are baked"
    " at night and are in the van at five, so that the last shop of the round has them at seven, still"
    " warm. In summer there are no cream cakes, because our vans have no cold room. Larger orders for"
    " festivals need to be known a week before, and are paid for in advance; a third of them is given"
    " back if the festival is called off.",
    "Our door is open from six in the morning until noon, on Saturdays until three. Ring the bell if"
    " nobody is there: somebody always is, but the mill is louder than the bell at times. Children may"
    " see the wheel turn and grind a handful of wheat themselves, and take home what they have ground."
    " Groups of more than twelve should call first.",
)
PRICE_LIST = pdf(*PRICES, title="Prices of the old mill")
TERMS = word(WORDS.format(thing="delivery"))


@pytest.fixture
def prices(documents: Documents) -> Page:
    """Crawl a site and return its price list."""
    documents.site.simple("/", "/prices.pdf")
    page = documents.site.pages["/prices.pdf"] = file(PRICE_LIST, ETag='"1"')
    documents.read()
    documents.site.asked()
    return page


def test_a_pdf_and_a_word_document_become_documents(documents: Documents, model: FakeModel) -> None:
    documents.site.simple("/", "/prices.pdf", "/terms.docx", "/a")
    documents.site.pages |= {"/prices.pdf": file(PRICE_LIST), "/terms.docx": file(TERMS, DOCX)}

    job = documents.read()

    pks = documents.documents()
    assert (job.state, sorted(pks)) == ("done", ["/", "/a", "/prices.pdf", "/terms.docx"])
    first, second, third = documents.text(pks["/prices.pdf"])
    for number, (chunk, said) in enumerate(
        zip((first, second, third), ("sack", "Shelves", "bell"), strict=True)
    ):
        path, text = chunk.split("\n", 1)
        assert path == f"Prices of the old mill > {HEADINGS[number]} > page {number + 1}"
        assert said in text
    assert "Flour | 12 euros\nBread | 3 euros\nRolls | 1 euro" in third
    (chunk,) = documents.text(pks["/terms.docx"])
    assert chunk.startswith("Terms of delivery\n")
    assert "delivery is made by hand" in chunk


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        (file(pdf("", scanned=True)), "it has hardly any text: it may be scanned"),
        (file(pdf(*PRICES, password="secret")), "it is encrypted"),
        (file(PRICE_LIST[:200]), "it is not a PDF, or a broken one"),
        (file(archive(), DOCX), "it is not a Word document, or a broken one"),
        (file(b"<h1>Please log in</h1>"), f"its content does not match its type ({PDF})"),
        (file(b"Please log in", DOCX), f"its content does not match its type ({DOCX})"),
        (file(TERMS, "application/msword"), "type application/msword"),
        (file(archive(), "application/zip"), "type application/zip"),
        (file(PRICE_LIST, BYTES), f"type {BYTES}"),
        (file(PRICE_LIST, ""), "type unknown"),
        (file(PRICE_LIST + bytes(5_000_000)), "larger than 5000000 bytes"),
        (file(PRICE_LIST, X_Robots_Tag="noindex"), "it asks not to be indexed (noindex)"),
    ],
    ids=[
        *("scan", "encrypted", "cut off", "a zip", "a page as PDF", "text as Word", "Word 97", "zip"),
        *("bytes", "no type", "too large", "noindex"),
    ],
)
def test_a_file_that_is_left_out_is_skipped_with_its_reason(
    documents: Documents, page: Page, reason: str
) -> None:
    documents.site.simple("/", "/file")
    documents.site.pages["/file"] = page

    job = documents.read()

    assert (job.state, documents.reasons()) == ("done", {"/file": reason})
    assert job.outcome["not_stored"][0]["state"] == "skipped"
    assert list(documents.documents()) == ["/"]


@pytest.mark.parametrize(
    ("path", "page"),
    [
        ("/prices.pdf", file(PRICE_LIST, BYTES)),
        ("/PRICES.PDF", file(PRICE_LIST, "")),
        ("/terms.docx", file(TERMS, "binary/octet-stream")),
        ("/prices", file(PRICE_LIST, "application/x-pdf")),
        # The first bytes decide for a PDF that is served as HTML.
        ("/download", file(PRICE_LIST, "text/html")),
    ],
)
def test_the_type_of_a_file_may_be_missing_or_wrong(documents: Documents, path: str, page: Page) -> None:
    documents.site.simple("/", path)
    documents.site.pages[path] = page

    documents.read()

    assert "by hand" in documents.text(documents.documents()[path])[0]


def test_a_file_that_robots_txt_forbids_is_not_fetched(documents: Documents) -> None:
    documents.site.simple("/", "/prices.pdf")
    robots = "User-agent: *\nDisallow: /*.pdf$"
    documents.site.pages["/robots.txt"] = Page(robots, headers={"Content-Type": "text/plain"})

    documents.read()

    assert documents.reasons() == {"/prices.pdf": "robots.txt forbids it"}
    assert documents.site.asked() == ["/"]


def test_thousands_of_files_leave_room_for_pages(make_documents: Callable[..., Documents]) -> None:
    documents = make_documents(crawl_page_limit=4)
    files = [f"/{number}.pdf" for number in range(5000)]
    documents.site.simple("/", "/a", "/list", "/b")
    menu = "".join(f'<a href="{path}">{path}</a> ' for path in [*files, "/c"])
    documents.site.html("/list", WORDS.format(thing="list"), menu)
    documents.site.html("/c", WORDS.format(thing="last"))
    documents.site.pages |= dict.fromkeys(files, file(b"no PDF"))

    job = documents.read()

    assert sorted(documents.documents()) == ["/", "/a", "/b", "/list"]
    assert job.outcome["limits"] == ["4 pages"]
    # The page listed after all those files was found.
    assert set(documents.reasons()) == {*files[:4], "/c"}


def test_files_do_not_count_when_all_pages_name_the_first_one_as_canonical(documents: Documents) -> None:
    paths, files = ("/", "/a", "/b", "/c"), tuple(f"/{number}.pdf" for number in range(5))
    for path in paths:
        head = '<link rel="canonical" href="/">'
        documents.site.html(path, WORDS.format(thing=path), links=(*paths, *files), head=head)
    for number, path in enumerate(files):
        documents.site.pages[path] = file(pdf(PRICES[0].replace("25", f"{number}5")))

    documents.read()

    assert sorted(documents.documents()) == sorted((*paths, *files))


def test_an_update_of_a_file_keeps_unchanged_chunks(
    documents: Documents, prices: Page, model: FakeModel
) -> None:
    pk = documents.documents()["/prices.pdf"]
    before = documents.chunks(pk)
    model.embeddings.clear()
    prices.body = pdf(
        PRICES[0],
        PRICES[1].replace("a week before", "a month before"),
        PRICES[2],
        title="Prices of the old mill",
    )
    prices.headers["ETag"] = '"2"'

    job = documents.update(pk)

    assert (job.state, job.outcome) == (
        "done",
        {"document_pk": pk, "kept": 2, "new": 1, "gone": 1, "left_out": 0},
    )
    after = documents.chunks(pk)
    assert (after[0], after[2]) == (before[0], before[2])
    assert "a month before" in after[1].chunk_text
    assert [len(request["input"]) for request in model.embeddings] == [1]


def test_a_file_that_has_not_changed_costs_one_request(documents: Documents, prices: Page) -> None:
    pk = documents.documents()["/prices.pdf"]
    documents.site.headers.clear()

    job = documents.update(pk)

    assert (job.state, job.outcome) == ("skipped", {"reason": "it has not changed"})
    assert documents.site.headers[-1]["If-None-Match"] == '"1"'
    assert documents.site.asked() == ["/prices.pdf"]


@pytest.mark.parametrize(
    ("page", "state", "reason"),
    [
        (file(pdf(*PRICES, password="secret")), "failed", "the page cannot be read: it is encrypted"),
        (
            file(pdf("", scanned=True)),
            "failed",
            "the page cannot be read: it has hardly any text: it may be scanned",
        ),
        (
            file(b"<h1>Please log in</h1>"),
            "failed",
            f"the page cannot be fetched: its content does not match its type ({PDF})",
        ),
        (file(pdf("New"), X_Robots_Tag="noindex"), "skipped", "it asks not to be indexed (noindex)"),
    ],
    ids=["encrypted", "scan", "log in", "noindex"],
)
def test_a_file_that_cannot_be_read_keeps_its_document(
    documents: Documents, prices: Page, page: Page, state: str, reason: str
) -> None:
    pk = documents.documents()["/prices.pdf"]
    before = documents.chunks(pk)
    documents.site.pages["/prices.pdf"] = page

    job = documents.update(pk)

    assert (job.state, job.outcome) == (state, {"reason": reason})
    assert documents.chunks(pk) == before


def test_ingestion_and_update_report_unread_pages(documents: Documents, prices: Page) -> None:
    # A page with fewer letters than other signs may have a font without a mapping to letters.
    prices.body = pdf(*PRICES, "# " * 400)
    prices.headers.pop("ETag")
    pk = documents.documents()["/prices.pdf"]

    updated = documents.update(pk)
    documents.mojodex.run("UPDATE md_background_document SET html_hash = ''")
    documents.read(request="r2")
    (ingested,) = documents.mojodex.rows(
        "SELECT outcome FROM md_background_job WHERE process = 'ingest_page'"
        " AND CAST(outcome AS jsonb)->'unread_pages' IS NOT NULL"
    )

    assert updated.outcome["unread_pages"] == 1
    assert ingested.outcome["unread_pages"] == 1
    assert "sack" in documents.text(pk)[0]
