"""Learn to find the main text of a page, from pages that others have labelled.

`uv run --with scikit-learn python -m tools.learn_main_text CORPUS …` reads corpora (see `bench.corpora`),
prints the scores of a cross-validation, and writes functions/documents/text/main_text.json. A corpus after
`--held-out` is only scored.

The model is gradient boosting of small decision trees: one tree in each round, with at most eight leaves. All
corpora have the same weight, and so have all pages of a corpus. bench/pages has a quarter of that weight.
"""

import argparse
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bench import ROOT
from bench.corpora import LabelledPage, Segments, WholeText, read_corpus, score_of
from bench.extraction import load_all
from documents.text.features import NAMES, features
from documents.text.lines import Placed, placed_lines, squashed
from documents.text.main_text import cleaned, extracted_lines
from documents.text.page import parse

TARGET = ROOT / "functions" / "documents" / "text" / "main_text.json"
ROUNDS, LEAVES, RATE, LEAST_LINES_OF_LEAF = 60, 8, 0.12, 30
# A line with a higher score is main text. Below 0, because a missing line costs more than a superfluous one.
LEAST = -0.4
# Our own pages are few, and made up.
WEIGHT_OF_OURS = 0.25
FOLDS = 5
# Shorter lines are not searched for in a segment, or in a text.
SHORT_SEGMENT, SHORT_LINE = 15, 3
Model = Callable[[Any], Any]


@dataclass(frozen=True)
class Example:
    """A labelled page, with its lines and their features."""

    page: LabelledPage
    lines: Sequence[Placed] = field(repr=False)
    features: Any = field(repr=False)


def example(page: LabelledPage) -> Example:
    """Read a page as the function does."""
    tree = parse(page.html, None)
    lines: Sequence[Placed] = []
    found: Sequence[Any] = []
    if tree is not None:
        tree = cleaned(tree, frozenset())
        lines = [each for each in placed_lines(tree) if not each.is_picture]
        found = features(lines, extracted_lines(tree))
    return Example(page, lines, np.array(found, dtype=float).reshape(-1, len(NAMES)))


def ours() -> list[LabelledPage]:
    """Read the pages of bench/pages, of companies and clubs. Other corpora mostly have newspapers."""
    return [LabelledPage(page.name, page.html, WholeText(page.main_text)) for page in load_all()]


def labels(example: Example) -> tuple[Any, Any]:
    """Return the label of each line (1 for main text, 0, or -1 if unknown), and its weight."""
    label = example.page.label
    texts = [squashed(placed.line.text) for placed in example.lines]
    if isinstance(label, Segments):
        wanted, unwanted = map(squashed, label.wanted), map(squashed, label.unwanted)
        sides = [_touches(texts, [*side]) for side in (wanted, unwanted)]
        said = [int(good) if good != bad else -1 for good, bad in zip(*sides, strict=True)]
        return np.array(said), np.ones(len(said))
    whole = squashed(label.text)
    said = [int(len(text) >= SHORT_LINE and text in whole) for text in texts]
    return np.array(said), np.array([0.2 + min(len(each.line.text), 400) / 100 for each in example.lines])


def _touches(texts: Sequence[str], segments: Sequence[str]) -> list[bool]:
    return [
        any(each in text or (len(text) > SHORT_SEGMENT and text in each) for each in segments)
        for text in texts
    ]


def learn(corpora: Sequence[Sequence[Example]]) -> Any:
    """Fit the trees to all labelled lines. The last corpus is ours."""
    from sklearn.ensemble import (  # type: ignore[import-not-found]
        HistGradientBoostingClassifier,
    )

    columns: tuple[list[Any], ...] = ([], [], [])
    for corpus in corpora:
        share = WEIGHT_OF_OURS if corpus is corpora[-1] else 1
        weights = []
        for each in corpus:
            said, weight = labels(each)
            known = said >= 0
            columns[0].append(each.features[known])
            columns[1].append(said[known])
            weights.append(weight[known] / (weight[known].sum() or 1))
        total = sum(weight.sum() for weight in weights)
        columns[2].extend(weight / total * 20_000 * share for weight in weights)
    model = HistGradientBoostingClassifier(
        max_iter=ROUNDS,
        max_leaf_nodes=LEAVES,
        learning_rate=RATE,
        l2_regularization=1,
        min_samples_leaf=LEAST_LINES_OF_LEAF,
        early_stopping=False,
        random_state=0,
    )
    return model.fit(*(np.concatenate(column) for column in columns[:2]), np.concatenate(columns[2]))


def trees_of(model: Any) -> list[Any]:
    """Convert the trees of a model to nested lists, as in `main_text.json`."""

    def written(nodes: Any, index: int) -> Any:
        node = nodes[index]
        if node["is_leaf"]:
            return round(float(node["value"]), 4)
        below, above = written(nodes, int(node["left"])), written(nodes, int(node["right"]))
        return [NAMES[node["feature_idx"]], round(float(node["num_threshold"]), 4), below, above]

    return [written(predictor.nodes, 0) for (predictor,) in model._predictors]


def texts(examples: Sequence[Example], model: Any) -> list[str]:
    """Return the main text of each page."""
    found = []
    for each in examples:
        scores = model.decision_function(each.features) if len(each.lines) else ()
        chosen = (placed for placed, score in zip(each.lines, scores, strict=True) if score > LEAST)
        found.append("\n".join(placed.line.text for placed in chosen))
    return found


def cross_validated(corpora: Sequence[Sequence[Example]], number: int) -> list[str]:
    """Return the texts of a corpus, each from a model that was not trained on its page."""
    order = list(range(len(corpora[number])))
    random.Random(1).shuffle(order)
    found: dict[int, str] = {}
    for fold in range(FOLDS):
        unseen = [index for place, index in enumerate(order) if place % FOLDS == fold]
        seen = [corpora[number][index] for place, index in enumerate(order) if place % FOLDS != fold]
        model = learn([seen if at == number else corpus for at, corpus in enumerate(corpora)])
        found |= zip(unseen, texts([corpora[number][index] for index in unseen], model), strict=True)
    return [found[index] for index in range(len(order))]


def main() -> None:
    """Learn, print the scores, and write the model."""
    parser = argparse.ArgumentParser(prog="python -m tools.learn_main_text")
    parser.add_argument("corpus", nargs="+", type=Path)
    parser.add_argument("--held-out", nargs="*", type=Path, default=[])
    asked = parser.parse_args()
    names = [*map(str, asked.corpus), "bench/pages"]
    corpora = [[example(page) for page in pages] for pages in (*map(read_corpus, asked.corpus), ours())]
    for number, folder in enumerate(names):
        score = score_of([each.page for each in corpora[number]], cross_validated(corpora, number))
        print(f"{folder}, cross-validated: F1 {score.f1:.4f} P {score.precision:.4f} R {score.recall:.4f}")
    model = learn(corpora)
    for folder in asked.held_out:
        examples = [example(page) for page in read_corpus(folder)]
        score = score_of([each.page for each in examples], texts(examples, model))
        print(f"{folder}, held out: F1 {score.f1:.4f} P {score.precision:.4f} R {score.recall:.4f}")
    start = round(float(model._baseline_prediction.ravel()[0]) - LEAST, 4)
    lines = ",\n".join(f"  {json.dumps(tree)}" for tree in trees_of(model))
    TARGET.write_text(f'{{"start": {start}, "trees": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()
