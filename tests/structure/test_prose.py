"""The pages are short and plain, and nothing uses a word that the glossary replaces."""

import re
from pathlib import Path

import pytest

from tests import ROOT, prose
from tests.pages import DOCS, PAGES

MOST_DOCS_BYTES, MOST_README_LINES, MOST_ARCHITECTURE_BYTES = 90 * 1024, 200, 12 * 1024
FOLDERS = ("functions", "shared", "local", "bench", "chaos", "evals", "simulation", "tools", "tests", "docs")
KINDS = {".py", ".sql", ".md", ".html", ".js", ".mpt", ".toml", ".mako"}
TEXTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "Makefile", "template.yaml")),
    *(path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*")) if path.suffix in KINDS),
]
# The glossary names them, and these are pages and labels of others.
MAY_USE_THEM = tuple(ROOT / path for path in ("docs/glossary.md", "bench/sites", "bench/pages", "evals/data"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_has_short_sentences_paragraphs_and_cells(page: Path) -> None:
    assert not list(prose.faults(page.read_text()))


@pytest.mark.parametrize(
    "page", [page for page in prose.BY_HAND if page.parent == DOCS], ids=lambda page: page.stem
)
def test_a_page_names_its_reader_and_question_in_its_first_line(page: Path) -> None:
    assert re.match(r"# .+\n\nFor .+?: (?s:.+?)\?", page.read_text())


def test_the_docs_are_an_evenings_reading() -> None:
    docs = [page for page in prose.BY_HAND if page.is_relative_to(DOCS)]

    assert sum(len(page.read_bytes()) for page in docs) <= MOST_DOCS_BYTES
    assert len((ROOT / "README.md").read_text().splitlines()) <= MOST_README_LINES
    assert len((DOCS / "architecture.md").read_bytes()) <= MOST_ARCHITECTURE_BYTES


@pytest.mark.parametrize("phrase", prose.unused_words())
def test_nothing_uses_a_word_that_the_glossary_replaces(phrase: str) -> None:
    words = r"[\s#_]+".join(map(re.escape, phrase.split()))
    found = re.compile(rf"(?<![a-z]){words}(?![a-z])", re.IGNORECASE)

    where = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in TEXTS
        if not any(map(path.is_relative_to, MAY_USE_THEM))
        for match in found.finditer(path.read_text())
    ]
    assert not where, "\n".join(where)


def test_the_checker_sees_what_is_out_of_bounds() -> None:
    long = "word " * 31

    assert not list(
        prose.faults(
            "# Title\n\nA short page. With `code`, a [link](there.md) and e.g. a list:\n\n- one\n- two"
        )
    )
    for wrong in (long, f"- {long}", f"| {long} | x |", f"| {'x' * 121} |", "x\n" * 6, "x" * 121):
        assert list(prose.faults(wrong)), wrong
