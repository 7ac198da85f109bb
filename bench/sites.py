"""The websites of `bench/sites`, which were written for the benches, and the questions about them.

A folder is one site. `template.html` (Jinja2) surrounds each of its pages. `pages.html` holds the pages: a
line `=== /path | title | teaser`, and below it HTML, in which end tags may be missing where HTML allows it.
`questions.toml` holds questions of visitors. For each page that answers a question, it names an exact run of
words; for an answer in the footer, a run of words of the footer. Some questions use the words of the page,
others those of people who have not read it.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

from jinja2 import Environment, StrictUndefined
from lxml import html
from markupsafe import Markup

from bench import ROOT

SITES = ROOT / "bench" / "sites"
PAGE = re.compile(r"^=== (?P<path>\S+) \| (?P<title>.+) \| (?P<teaser>.+)$", re.MULTILINE)
RELATED = 3
# Most systems' templates break lines here. Without the break, plain text would join cells.
BETWEEN_BLOCKS = re.compile(r"(<br>|</(?:td|th|tr|li|dt|dd|p|div|h\d|summary|section)>(?=<))")


@dataclass(frozen=True)
class Page:
    """A page as it was written.

    Attributes:
        path: its address on the site.
        title, teaser: plain text.
        body: HTML.
    """

    path: str
    title: str
    teaser: str
    body: Markup = field(repr=False)


@dataclass(frozen=True)
class Question:
    """A question about one site.

    Attributes:
        name: unique among all sites.
        language: en, fr, de or es.
        ask: the question.
        answers: the answering words of each page, by address; for the footer, every page has them.
        kind: "footer" if only the footer answers it, "plain" if it uses the page's words, else "reworded".
    """

    name: str
    language: str
    ask: str
    answers: Mapping[str, str]
    kind: str


@dataclass(frozen=True)
class Site:
    """A website.

    Attributes:
        name: the name of its folder.
        written: its pages as they were written.
        pages: the HTML that a browser gets, by address.
        questions: the questions about it.
    """

    name: str
    written: tuple[Page, ...] = field(repr=False)
    pages: Mapping[str, str] = field(repr=False)
    questions: tuple[Question, ...] = field(repr=False)


def load_sites() -> list[Site]:
    """Read all sites, in order of their names."""
    return [_load(path.parent) for path in sorted(SITES.glob("*/template.html"))]


def _load(folder: Path) -> Site:
    settings = tomllib.loads((folder / "questions.toml").read_text())
    written = _pages((folder / "pages.html").read_text())
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    template = environment.from_string((folder / "template.html").read_text())
    pages = {}
    for n, page in enumerate(written):
        related = [written[(n + step) % len(written)] for step in range(1, RELATED + 1)]
        shown = template.render(page=page, body=page.body, pages=written, related=related)
        pages[urljoin(settings["host"], page.path)] = _with_end_tags(shown)
    questions = tuple(_question(each, settings, list(pages)) for each in settings["question"])
    return Site(folder.name, written, pages, questions)


def _pages(text: str) -> tuple[Page, ...]:
    heads = list(PAGE.finditer(text))
    ends = [head.start() for head in heads[1:]] + [len(text)]
    return tuple(
        Page(head["path"], head["title"], head["teaser"], Markup(text[head.end() : end]))
        for head, end in zip(heads, ends, strict=True)
    )


def _with_end_tags(page: str) -> str:
    tree = html.document_fromstring(page)
    written = html.tostring(tree, encoding="unicode", doctype="<!DOCTYPE html>")
    return BETWEEN_BLOCKS.sub("\\1\n", written)


def _question(given: Mapping[str, Any], settings: Mapping[str, Any], addresses: list[str]) -> Question:
    footer = given.get("footer")
    answers = (
        dict.fromkeys(addresses, footer)
        if footer
        else {urljoin(settings["host"], path): words for path, words in given["answers"].items()}
    )
    language = given.get("language", settings["language"])
    kind = "footer" if footer else "plain" if given.get("plain") else "reworded"
    return Question(given["id"], language, given["ask"], answers, kind)
