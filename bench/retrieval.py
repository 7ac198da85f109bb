"""`python -m bench.retrieval`: measure how often a search finds the right passage among all chunks of a site.

The sites and questions are those of `bench/sites`. The index is built in three ways (`bench.indexing`),
embedded by the demo's model and searched by cosine. A chunk is a hit if its page answers the question and it
holds the answering words, or half of them in a run, so that a passage that was cut still counts. `--write`
saves the figures.

No way asks a language model which chunks are relevant: all chunks are kept, in every way.
"""

import argparse
import hashlib
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import mean
from typing import Any

import numpy as np

from bench import ROOT
from bench.corpora import WORD
from bench.indexing import WAYS, Chunk
from bench.results import write_json
from bench.sites import Question, Site, load_sites
from local.standin import embeddings
from mojodex.tokens import count_tokens

CACHE = ROOT / ".local" / "retrieval.npz"
# How many texts are embedded between two writes of the cache.
TEXTS_AT_ONCE = 64
KINDS = ("plain", "reworded", "footer")
LANGUAGES = ("en", "fr", "de", "es")
LOWEST_RANK = 10
RESAMPLES, SEED = 10_000, 20_261_126
WORST = 10
SHOWN_CHARS = 90
OURS = next(iter(WAYS))
HIT_3_BAR = 0.9
FAULTS = ("lost", "split", "ranked low")
Vectors = np.ndarray[Any, np.dtype[np.float32]]
Numbers = np.ndarray[Any, np.dtype[np.float64]]


class Embedder:
    """The demo's embedding model. Known texts come from a cache in `.local/`."""

    def __init__(self) -> None:
        self.known: dict[str, Vectors] = {}
        if CACHE.exists():
            with np.load(CACHE) as stored:
                self.known = dict(zip(stored["keys"].tolist(), stored["vectors"], strict=True))

    def passages(self, texts: Sequence[str]) -> Vectors:
        """Return a vector for each text that may answer a question."""
        return self._all("passage", texts, embeddings.passages)

    def questions(self, texts: Sequence[str]) -> Vectors:
        """Return a vector for each question."""
        return self._all("query", texts, lambda some: list(map(embeddings.question, some)))

    def _all(
        self, kind: str, texts: Sequence[str], embed: Callable[[Sequence[str]], list[list[float]]]
    ) -> Vectors:
        keys = [hashlib.sha256(f"{embeddings.MODEL} {kind} {text}".encode()).hexdigest() for text in texts]
        new = {key: text for key, text in zip(keys, texts, strict=True) if key not in self.known}
        for start in range(0, len(new), TEXTS_AT_ONCE):
            some = dict(list(new.items())[start : start + TEXTS_AT_ONCE])
            vectors = np.array(embed(list(some.values())), dtype=np.float32)
            self.known |= zip(some, vectors, strict=True)
            self._save()
        return np.stack([self.known[key] for key in keys])

    def _save(self) -> None:
        CACHE.parent.mkdir(exist_ok=True)
        np.savez_compressed(CACHE, keys=list(self.known), vectors=np.stack(list(self.known.values())))


@dataclass(frozen=True)
class Answer:
    """The result of the search for one question.

    Attributes:
        question: the question.
        rank: rank of the first hit, from 1; None if no chunk is a hit.
        before: the chunks ranked above it; without a hit, the nearest few.
        whole: whether some hit holds the whole passage.
    """

    question: Question
    rank: int | None
    before: tuple[Chunk, ...] = field(repr=False)
    whole: bool

    @property
    def reciprocal(self) -> float:
        """Return 1 / rank for the first ten ranks, else 0."""
        return 1 / self.rank if self.rank and self.rank <= LOWEST_RANK else 0.0

    def within(self, most: int) -> float:
        """Return 1 if a hit has at most this rank, else 0."""
        return float(self.rank is not None and self.rank <= most)


@dataclass(frozen=True)
class Figures:
    """Figures over some questions, as shares of 1."""

    questions: int
    hit_1: float
    hit_3: float
    mrr: float

    @classmethod
    def of(cls, answers: Sequence[Answer]) -> "Figures":
        """Compute the figures of at least one answer."""
        return cls(
            len(answers),
            mean(answer.within(1) for answer in answers),
            mean(answer.within(3) for answer in answers),
            mean(answer.reciprocal for answer in answers),
        )

    def __str__(self) -> str:
        return f"{self.hit_1:>8.3f}{self.hit_3:>8.3f}{self.mrr:>8.3f}"


@dataclass
class Way:
    """The result of one way on all sites.

    Attributes:
        answers, chunks, tokens: the answers, and the size of the index.
        footer_copies: for each footer line that a question asks for, the number of chunks that hold it.
    """

    answers: list[Answer] = field(default_factory=list)
    chunks: int = 0
    tokens: int = 0
    footer_copies: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Difference:
    """The mean of paired differences, with its 95 % interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:+.3f} [{self.low:+.3f}, {self.high:+.3f}]"


def words(text: str) -> str:
    """Return the words of a text in lower case, with a space around each."""
    return f" {' '.join(WORD.findall(text.casefold()))} "


def holds(text: str, passage: str) -> bool:
    """Return whether a text holds all words of a passage in a run."""
    return words(passage) in words(text)


def holds_half(text: str, passage: str) -> bool:
    """Return whether a text holds at least half of a passage's words in a run."""
    wanted, there = words(passage).split(), words(text)
    least = (len(wanted) + 1) // 2
    runs = (wanted[start : start + least] for start in range(len(wanted) - least + 1))
    return any(f" {' '.join(run)} " in there for run in runs)


def answer_of(question: Question, nearest: Sequence[Chunk]) -> Answer:
    """Find the first hit.

    Args:
        question: the question about the site.
        nearest: all chunks of the site, the nearest first.
    """

    def is_hit(chunk: Chunk, held: Callable[[str, str], bool]) -> bool:
        return chunk.url in question.answers and held(chunk.text, question.answers[chunk.url])

    hits = (n for n, chunk in enumerate(nearest) if is_hit(chunk, holds_half))
    first = next(hits, None)
    whole = any(is_hit(chunk, holds) for chunk in nearest)
    before = nearest[:LOWEST_RANK] if first is None else nearest[:first]
    return Answer(question, None if first is None else first + 1, tuple(before), whole)


def search(site: Site, chunks: Sequence[Chunk], embedder: Embedder) -> list[Answer]:
    """Search the answers to all questions about a site."""
    passages = embedder.passages([chunk.text for chunk in chunks])
    asked = embedder.questions([question.ask for question in site.questions])
    # The vectors have length 1, so their product is the cosine.
    order = np.argsort(-(asked @ passages.T), axis=1, kind="stable")
    return [
        answer_of(question, [chunks[n] for n in nearest])
        for question, nearest in zip(site.questions, order, strict=True)
    ]


def footer_copies(site: Site, chunks: Sequence[Chunk]) -> list[int]:
    """Count the chunks that hold each footer line that a question asks for."""
    lines = [
        next(iter(question.answers.values())) for question in site.questions if question.kind == "footer"
    ]
    return [sum(holds(chunk.text, line) for chunk in chunks) for line in lines]


def bootstrap(ours: Sequence[float], theirs: Sequence[float]) -> Difference:
    """Return how far ours are above theirs, with the interval of 10,000 paired resamples.

    Args:
        ours, theirs: one number for each question, in the same order.
    """
    differences: Numbers = np.array(ours) - np.array(theirs)
    chosen = np.random.default_rng(SEED).integers(0, len(differences), (RESAMPLES, len(differences)))
    low, high = np.percentile(differences[chosen].mean(axis=1), [2.5, 97.5])
    return Difference(float(differences.mean()), float(low), float(high))


def fault(answer: Answer) -> str:
    """Return why a passage was not found or ranked low: one of `FAULTS`."""
    if answer.rank is None:
        return "lost"
    return "ranked low" if answer.whole else "split"


def reason(answer: Answer) -> str:
    """Return why the first chunk did not answer a question."""
    if answer.rank is None:
        return "lost: the passage is in no chunk of the index"
    same = sum(chunk.url in answer.question.answers for chunk in answer.before)
    others = len(answer.before) - same
    return f"{fault(answer)}: nearer are {same} of a right page and {others} of other pages"


def groups(answers: Sequence[Answer]) -> dict[str, list[Answer]]:
    """Group answers: all, without the footer, and by kind and language."""
    found = {
        "all": list(answers),
        "text": [answer for answer in answers if answer.question.kind != "footer"],
    }
    for kind in KINDS:
        found[kind] = [answer for answer in answers if answer.question.kind == kind]
    for language in LANGUAGES:
        found[language] = [answer for answer in answers if answer.question.language == language]
    return found


def differences(ours: Sequence[Answer], theirs: Sequence[Answer]) -> dict[str, Difference]:
    """Compare two ways, question by question."""
    return {
        "hit@3": bootstrap([each.within(3) for each in ours], [each.within(3) for each in theirs]),
        "MRR": bootstrap([each.reciprocal for each in ours], [each.reciprocal for each in theirs]),
    }


def run(sites: Sequence[Site]) -> dict[str, Way]:
    """Index all sites in each way, and ask all questions."""
    embedder = Embedder()
    ways = {name: Way() for name in WAYS}
    for site in sites:
        for name, index in WAYS.items():
            chunks = index(site.pages)
            way = ways[name]
            way.answers += search(site, chunks, embedder)
            way.chunks += len(chunks)
            way.tokens += sum(count_tokens(chunk.text) for chunk in chunks)
            way.footer_copies += footer_copies(site, chunks)
        print(f"{site.name:12}{len(site.pages):>4} pages{len(site.questions):>4} questions", flush=True)
    return ways


def worst(answers: Sequence[Answer]) -> list[Answer]:
    """Return the ten answers with the lowest ranks, the worst first."""
    return sorted(answers, key=lambda answer: -(answer.rank or sys.maxsize))[:WORST]


def show(ways: dict[str, Way]) -> None:
    """Print all figures."""
    print(f"\n{'':26}{'chunks':>8}{'tokens':>8}{'copies of a footer line':>26}")
    for name, way in ways.items():
        copies = f"{min(way.footer_copies)} to {max(way.footer_copies)}"
        print(f"{name:26}{way.chunks:>8}{way.tokens:>8}{copies:>26}")
    for group in groups(ways[OURS].answers):
        size = len(groups(ways[OURS].answers)[group])
        print(f"\n{f'{group} ({size} questions)':26}{'hit@1':>8}{'hit@3':>8}{'MRR':>8}")
        for name, way in ways.items():
            print(f"{name:26}{Figures.of(groups(way.answers)[group])}")
    print(f"\n{'not among the first three':26}{''.join(f'{name:>12}' for name in FAULTS)}")
    for name, way in ways.items():
        faults = Counter(fault(answer) for answer in way.answers if not answer.within(3))
        print(f"{name:26}{''.join(f'{faults[each]:>12}' for each in FAULTS)}")
    print("\nOurs ahead by (95 % interval, paired bootstrap)")
    for group in ("all", "text"):
        for name, compared in _compared(ways, group).items():
            figures = ", ".join(f"{measure} {found}" for measure, found in compared.items())
            print(f"{group:6}{name:26}{figures}")
    print(f"\nOur {WORST} worst questions")
    for answer in worst(ways[OURS].answers):
        rank = f"rank {answer.rank}" if answer.rank else "not found"
        print(f"\n{answer.question.name}: {answer.question.ask}\n  {rank}: {reason(answer)}")
        if answer.before:
            first = answer.before[0]
            print(f"  first: {first.url} “{' '.join(first.text.split())[:SHOWN_CHARS]}…”")


def _compared(ways: dict[str, Way], group: str) -> dict[str, dict[str, Difference]]:
    ours = groups(ways[OURS].answers)[group]
    return {name: differences(ours, groups(way.answers)[group]) for name, way in ways.items() if name != OURS}


def as_json(ways: dict[str, Way]) -> dict[str, Any]:
    """Return the figures for bench/results."""

    def rounded(figures: Figures | Difference) -> dict[str, float]:
        return {name: round(value, 4) for name, value in vars(figures).items()}

    return {
        "model": embeddings.MODEL,
        "ways": {
            name: {
                "chunks": way.chunks,
                "tokens": way.tokens,
                "footer_copies": way.footer_copies,
                **{group: rounded(Figures.of(some)) for group, some in groups(way.answers).items()},
            }
            for name, way in ways.items()
        },
        "ours_ahead": {
            group: {
                name: {measure: rounded(found) for measure, found in compared.items()}
                for name, compared in _compared(ways, group).items()
            }
            for group in ("all", "text")
        },
        "worst": [
            {"question": answer.question.name, "rank": answer.rank, "why": reason(answer)}
            for answer in worst(ways[OURS].answers)
        ],
    }


def judge(ways: dict[str, Way]) -> bool:
    """Print the verdicts, and return whether all bars are kept."""
    hit_3 = Figures.of(ways[OURS].answers).hit_3
    verdicts = [(f"our hit@3 is {hit_3:.3f}, bar {HIT_3_BAR}", hit_3 >= HIT_3_BAR)]
    for name, compared in _compared(ways, "all").items():
        ahead = f"our hit@3 is ahead of {name} by {compared['hit@3']}"
        verdicts.append((ahead, compared["hit@3"].low > 0))
    copies = ways[OURS].footer_copies
    verdicts.append(
        (f"footer lines are kept once: {min(copies)} to {max(copies)} copies", set(copies) == {1})
    )
    print()
    for line, held in verdicts:
        print(f"{'ok  ' if held else 'FAIL'} {line}")
    return all(held for _, held in verdicts)


def main() -> int:
    """Measure, print and judge. Return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.retrieval", description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the figures to bench/results")
    write = parser.parse_args().write
    ways = run(load_sites())
    show(ways)
    if write:
        write_json("retrieval", as_json(ways))
    return 0 if judge(ways) else 1


if __name__ == "__main__":
    sys.exit(main())
