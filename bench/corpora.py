"""Corpora of pages whose main text others have labelled. The data is not in this repository; pass a folder.

The files in the folder decide which of three layouts it has:

- `evaldata.json`, `eval/`, `cache/`: repository adbar/trafilatura, folder tests. A few segments of each page
  are labelled as main text or not. Scored as its `evaluate.py` does, over all segments.
- `html/`, `reference/`: repository rundimeco/waddle, folders of corpora/. The whole main text of each page.
- `ground-truth.json`, `html/*.html.gz`: repository scrapinghub/article-extraction-benchmark. The same.

Whole texts are scored as scrapinghub's `evaluate.py` does: by runs of four words, with equal weight for each
page. In scripts without spaces, each character counts as a word.
"""

import gzip
import html
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean

# A word, or a character of a script without spaces.
WORD = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff]|[^\W\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff]+")
WORDS_IN_A_RUN = 4


class CorpusError(Exception):
    """The folder has no known layout."""


@dataclass(frozen=True)
class Segments:
    """Segments that the main text of a page must contain, and segments that it must not."""

    wanted: tuple[str, ...]
    unwanted: tuple[str, ...]

    def count(self, text: str) -> tuple[float, float, float]:
        """Count the segments: (wanted and found, unwanted and found, wanted and missing)."""
        text = _normalised(text)
        there = sum(_normalised(each) in text for each in self.wanted)
        return there, sum(_normalised(each) in text for each in self.unwanted), len(self.wanted) - there


@dataclass(frozen=True)
class WholeText:
    """The main text of a page."""

    text: str = field(repr=False)

    def count(self, text: str) -> tuple[float, float, float]:
        """Count runs of words as shares of 1: (in both texts, only in `text`, only in the label)."""
        right, found = _runs(self.text), _runs(text)
        counts = (right & found).total(), (found - right).total(), (right - found).total()
        total = sum(counts) or 1
        return counts[0] / total, counts[1] / total, counts[2] / total


Label = Segments | WholeText


@dataclass(frozen=True)
class LabelledPage:
    """A page with the main text that others have labelled."""

    name: str
    html: bytes = field(repr=False)
    label: Label


@dataclass(frozen=True)
class CorpusScore:
    """Precision and recall, as shares of 1."""

    precision: float
    recall: float

    @property
    def f1(self) -> float:
        """Return the harmonic mean of precision and recall."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0


def read_corpus(folder: Path) -> list[LabelledPage]:
    """Read all pages of a corpus.

    Raises:
        CorpusError: the folder has no known layout.
    """
    if (folder / "evaldata.json").exists():
        return list(_with_segments(folder))
    if (folder / "ground-truth.json").exists():
        return list(_with_bodies(folder))
    if (folder / "reference").is_dir() and (folder / "html").is_dir():
        return list(_with_references(folder))
    raise CorpusError(f"{folder} is no known corpus (see bench/corpora.py)")


def _with_segments(folder: Path) -> Iterator[LabelledPage]:
    for url, page in sorted(json.loads((folder / "evaldata.json").read_text()).items()):
        path = next(path for place in ("cache", "eval") if (path := folder / place / page["file"]).exists())
        yield LabelledPage(url, path.read_bytes(), Segments(tuple(page["with"]), tuple(page["without"])))


def _with_bodies(folder: Path) -> Iterator[LabelledPage]:
    for name, page in sorted(json.loads((folder / "ground-truth.json").read_text()).items()):
        body = gzip.decompress((folder / "html" / f"{name}.html.gz").read_bytes())
        yield LabelledPage(name, body, WholeText(page["articleBody"]))


def _with_references(folder: Path) -> Iterator[LabelledPage]:
    for path in sorted((folder / "html").iterdir()):
        marked = (folder / "reference" / path.name).read_text("utf-8", "replace")
        text = html.unescape(re.sub(r"<[^>]+>", "\n", marked))
        yield LabelledPage(path.name, path.read_bytes(), WholeText(text))


def score_of(pages: Sequence[LabelledPage], texts: Sequence[str]) -> CorpusScore:
    """Score the texts that an extractor found on the pages of a corpus."""
    counts = [page.label.count(text) for page, text in zip(pages, texts, strict=True)]
    if isinstance(pages[0].label, Segments):
        right, wrong, missing = (sum(column) for column in zip(*counts, strict=True))
        return CorpusScore(right / ((right + wrong) or 1), right / ((right + missing) or 1))
    return CorpusScore(
        mean(right / (right + wrong) for right, wrong, _ in counts if right + wrong),
        mean(right / (right + missing) for right, _, missing in counts if right + missing),
    )


def _normalised(text: str) -> str:
    return " ".join(text.split())


def _runs(text: str) -> Counter[tuple[str, ...]]:
    words = WORD.findall(text)
    starts = range(max(1, len(words) - WORDS_IN_A_RUN + 1)) if words else ()
    return Counter(tuple(words[start : start + WORDS_IN_A_RUN]) for start in starts)
