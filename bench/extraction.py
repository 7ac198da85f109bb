"""`python -m bench.extraction`: measure how well the main text is found, on our pages or on those of others.

Without options it reads the pages of `bench/pages`. `--corpus DIR …` reads pages that others have labelled
(see `bench.corpora`), and compares with trafilatura.

A page of ours is HTML. data-label="chrome" marks menus, notices, comments and so on; the rest of the body is
main text. data-relevant="yes" or "no" marks relevant text; without the mark main text is relevant and chrome
is not. Both marks apply to all nested elements, and no extractor sees them. A folder is one site: its
`layout.html` surrounds each of its pages.
"""

import argparse
import logging
import re
import resource
import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from statistics import mean
from time import perf_counter

from lxml import etree

from bench import ROOT
from bench.corpora import WORD, CorpusError, LabelledPage, read_corpus, score_of
from documents.create_from_website.publishing import repeated
from documents.relevance import CHUNKS_PER_CALL, PROMPT
from documents.text.chunks import chunks_of
from documents.text.lines import Line, lines_of
from documents.text.main_text import extracted_lines, main_element_lines, main_lines
from documents.text.page import line_hashes, parse
from local.standin.answers import ANSWERS

PAGES = ROOT / "bench" / "pages"
LAYOUT = "layout.html"
CONTENT = b"<!-- content -->"
LABEL = re.compile(rb"""\s+data-(?:label|relevant)=["']?[a-z]+["']?""")
# How many of the worst pages are listed.
WORST = 6
Words = Counter[str]


@dataclass(frozen=True)
class Page:
    """The HTML that an extractor sees, and the page's words of each kind."""

    name: str
    html: bytes
    main_text: str
    main: Words
    chrome: Words
    relevant: Words
    irrelevant: Words


@dataclass(frozen=True)
class Score:
    """Means over pages, as shares of 1."""

    precision: float
    recall: float
    f1: float
    chrome_left: float

    def __str__(self) -> str:
        return f"{self.precision:>10.1%}{self.recall:>8.1%}{self.f1:>8.1%}{self.chrome_left:>13.1%}"


def words(text: str) -> Words:
    """Count the words of a text."""
    return Counter(WORD.findall(text.casefold()))


def load(path: Path) -> Page:
    """Load a labelled page."""
    html = path.read_bytes()
    layout = path.with_name(LAYOUT)
    if layout.exists():
        html = layout.read_bytes().replace(CONTENT, html)
    main, chrome, relevant, irrelevant = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    main_text = []
    tree = parse(html, None)
    assert tree is not None
    for element in tree.iter():
        around = [element, *element.iterancestors()]
        for text, inside in ((element.text, around), (element.tail, around[1:])):
            if not text or all(each.tag != "body" for each in inside):
                continue
            label = next((each.get("data-label") for each in inside if each.get("data-label")), "main")
            matters = next(
                (each.get("data-relevant") == "yes" for each in inside if each.get("data-relevant")),
                label == "main",
            )
            found = words(text)
            (main if label == "main" else chrome).update(found)
            main_text += [text] if label == "main" else []
            (relevant if matters else irrelevant).update(found)
    name = str(path.relative_to(PAGES).with_suffix(""))
    return Page(name, LABEL.sub(b"", html), "".join(main_text), main, chrome, relevant, irrelevant)


def load_all() -> list[Page]:
    """Load all labelled pages, the pages of one site together."""
    return [load(path) for path in sorted(PAGES.rglob("*.html")) if path.name != LAYOUT]


def repeated_lines(pages: list[Page]) -> dict[str, frozenset[int]]:
    """Return, by page, the lines that repeat on most pages of its site. A page without a site has none."""
    sites: dict[str, list[set[int]]] = {}
    for page in pages:
        if "/" in page.name and (tree := parse(page.html, None)) is not None:
            sites.setdefault(page.name.split("/")[0], []).append(line_hashes(tree))
    found = {site: frozenset(repeated(hashes)) for site, hashes in sites.items()}
    return {page.name: found.get(page.name.split("/")[0], frozenset()) for page in pages}


def whole_page(html: bytes) -> str:
    """Return the text of BeautifulSoup's `get_text`, as Mojodex's own Background uses it."""
    from bs4 import BeautifulSoup

    return BeautifulSoup(html, "lxml").get_text(" ")


def as_text(lines: list[Line]) -> str:
    """Join lines to a text."""
    return "\n".join(line.text for line in lines)


def extractors(pages: list[Page]) -> dict[str, Callable[[Page], str]]:
    """Return the extractors to compare, by name."""
    lines_of_site = repeated_lines(pages)

    def of(lines: Callable[[etree._Element, Page], list[Line]]) -> Callable[[Page], str]:
        def extract(page: Page) -> str:
            tree = parse(page.html, None)
            return "" if tree is None else as_text(lines(tree, page))

        return extract

    return {
        "plain get_text": lambda page: whole_page(page.html),
        "bs4, main element first": of(lambda tree, _: main_element_lines(tree)),
        "trafilatura": of(lambda tree, _: extracted_lines(tree)),
        "ours": of(lambda tree, _: main_lines(tree, frozenset())),
        "ours, repeated lines known": of(lambda tree, page: main_lines(tree, lines_of_site[page.name])),
    }


def score_page(page: Page, text: str) -> Score:
    """Score a text against a page's main text. For a page without main text, the best text is empty."""
    found = words(text)
    right = (found & page.main).total()
    precision = right / found.total() if found else float(not page.main)
    recall = right / page.main.total() if page.main else 1.0
    f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    # A word of both main text and chrome does not count as chrome.
    left = ((found - page.main) & page.chrome).total()
    return Score(precision, recall, f1, left / page.chrome.total() if page.chrome else 0.0)


def mean_score(scores: list[Score]) -> Score:
    """Return the mean over pages, with equal weight."""
    return Score(
        mean(score.precision for score in scores),
        mean(score.recall for score in scores),
        mean(score.f1 for score in scores),
        mean(score.chrome_left for score in scores),
    )


def judge(chunks: list[str], url: str) -> list[bool]:
    """Return the verdicts of the offline stand-in on the prompt that a model would get."""
    verdicts: list[bool] = []
    for start in range(0, len(chunks), CHUNKS_PER_CALL):
        some = chunks[start : start + CHUNKS_PER_CALL]
        answer = ANSWERS["Relevance"](PROMPT.render(url=url, chunks=some))
        said = {verdict["chunk"]: verdict["relevant"] for verdict in answer["verdicts"]}
        verdicts += [said.get(number, True) for number in range(1, len(some) + 1)]
    return verdicts


def confusion(pages: list[Page]) -> Counter[tuple[bool, bool]]:
    """Count the chunks of the whole text of each page, by (is relevant, is judged relevant)."""
    counts: Counter[tuple[bool, bool]] = Counter()
    for page in pages:
        tree = parse(page.html, None)
        chunks = chunks_of([] if tree is None else lines_of(tree))
        for chunk, judged in zip(chunks, judge(chunks, f"https://example.com/{page.name}"), strict=True):
            found = words(chunk)
            # Words of both kinds decide nothing.
            relevant = (found & (page.relevant - page.irrelevant)).total()
            irrelevant = (found & (page.irrelevant - page.relevant)).total()
            counts[relevant >= irrelevant, judged] += 1
    return counts


@dataclass(frozen=True)
class Run:
    """The texts that an extractor found in a corpus, the seconds, and the peak memory in MB."""

    texts: list[str]
    seconds: float
    peak_mb: float


def _ours(html: bytes) -> str:
    tree = parse(html, None)
    return "" if tree is None else as_text(main_lines(tree, frozenset()))


def _trafilatura(html: bytes, *, favor_recall: bool = False) -> str:
    from trafilatura import extract

    # As in trafilatura's own evaluation.
    return extract(html, include_comments=False, favor_recall=favor_recall) or ""


ON_CORPORA: dict[str, Callable[[bytes], str]] = {
    "trafilatura": _trafilatura,
    "trafilatura, favor_recall": partial(_trafilatura, favor_recall=True),
    "ours": _ours,
}


def run(name: str, pages: list[bytes]) -> Run:
    """Let an extractor read all pages. Call it in a process of its own."""
    logging.getLogger("trafilatura").setLevel(logging.CRITICAL)
    extract = ON_CORPORA[name]
    extract(pages[0])
    began = perf_counter()
    texts = []
    for page in pages:
        try:
            texts.append(extract(page))
        except Exception as error:
            print(f"{name}: {type(error).__name__}")
            texts.append("")
    return Run(texts, perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def compare(folder: Path) -> bool:
    """Measure how well each extractor reads a corpus, and print it. Return whether ours is best."""
    pages: list[LabelledPage] = read_corpus(folder)
    print(f"{folder}: {len(pages)} pages\n")
    print(f"{'':28}{'precision':>10}{'recall':>8}{'F1':>8}{'seconds':>10}{'peak MB':>10}")
    f1 = {}
    for name in ON_CORPORA:
        # A process of its own, for its peak memory.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as processes:
            found = processes.submit(run, name, [page.html for page in pages]).result()
        score = score_of(pages, found.texts)
        f1[name] = score.f1
        figures = f"{score.precision:>10.4f}{score.recall:>8.4f}{score.f1:>8.4f}"
        print(f"{name:28}{figures}{found.seconds:>10.1f}{found.peak_mb:>10.0f}", flush=True)
    print()
    return f1["ours"] >= max(f1.values())


def main() -> int:
    """Measure and print. Return 1 if another extractor beats ours."""
    parser = argparse.ArgumentParser(prog="python -m bench.extraction")
    parser.add_argument("--corpus", nargs="+", type=Path, metavar="DIR", help="folders of labelled pages")
    folders: list[Path] = parser.parse_args().corpus
    if not folders:
        return own_pages()
    try:
        best = [compare(folder) for folder in folders]
        return 0 if all(best) else 1
    except CorpusError as error:
        parser.error(str(error))


def own_pages() -> int:
    """Measure and print. Return 1 if ours is not better than plain text."""
    pages = load_all()
    total = sum(page.main.total() for page in pages)
    print(f"Main text of {len(pages)} labelled pages, {total} words of it; means over pages\n")
    print(f"{'':28}{'precision':>10}{'recall':>8}{'F1':>8}{'chrome left':>13}{'ms a page':>11}")
    figures: dict[str, Score] = {}
    for name, extract in extractors(pages).items():
        # Leave imports and caches out of the time.
        extract(pages[0])
        began = perf_counter()
        texts = [extract(page) for page in pages]
        took = (perf_counter() - began) * 1000 / len(pages)
        scores = [score_page(page, text) for page, text in zip(pages, texts, strict=True)]
        figures[name] = mean_score(scores)
        print(f"{name:28}{figures[name]}{took:>11.1f}")
    print("\nOur worst pages")
    for score, page in sorted(zip(scores, pages, strict=True), key=lambda pair: pair[0].f1)[:WORST]:
        print(f"  {page.name:26}{score}")

    counts = confusion(pages)
    kept, lost = counts[True, True], counts[True, False]
    let_in, left_out = counts[False, True], counts[False, False]
    print("\nRelevance of the chunks of the pages' whole text, judged by the rule-based offline stand-in.")
    print("It is not a language model, so this tells nothing about one.\n")
    print(f"{'':20}{'judged relevant':>18}{'judged irrelevant':>20}")
    print(f"{'relevant':20}{kept:>18}{lost:>20}")
    print(f"{'irrelevant':20}{let_in:>18}{left_out:>20}")
    print(f"\nprecision {kept / (kept + let_in):.1%}, recall {kept / (kept + lost):.1%}\n")

    plain, ours = figures["plain get_text"], figures["ours"]
    f1, chrome = ours.f1 > plain.f1, ours.chrome_left < plain.chrome_left
    print(f"{'ok  ' if f1 else 'FAIL'}  F1 {ours.f1:.1%}, bar: over {plain.f1:.1%} of plain text")
    print(
        f"{'ok  ' if chrome else 'FAIL'}  chrome left {ours.chrome_left:.1%},"
        f" bar: under {plain.chrome_left:.1%} of plain text"
    )
    return 0 if f1 and chrome else 1


if __name__ == "__main__":
    sys.exit(main())
