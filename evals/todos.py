"""Score to-dos: compare the predicted ones with the labels."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from unicodedata import normalize

from evals.cases import Label, TaskCase
from extract_todos.checking import Todo
from extract_todos.evidence import QUOTATION_MARKS, fold, words


@dataclass(frozen=True)
class TodoScore:
    """The score of one case.

    Attributes:
        matched: pairs of a predicted to-do and its label.
        false: predicted to-dos without a label.
        missing: labels without a prediction.
        wrong_dates: matched pairs whose label names another day.
        judged_dates: number of matched pairs whose label names a day.
        agreed, agreed_labels: labels that the user only agreed to: those taken, and all. Never a fault.
    """

    matched: tuple[tuple[Todo, Label], ...]
    false: tuple[Todo, ...]
    missing: tuple[Label, ...]
    wrong_dates: tuple[tuple[Todo, Label], ...]
    judged_dates: int
    agreed: int
    agreed_labels: int

    @property
    def is_right(self) -> bool:
        """Tell whether nothing is missing, false or on a wrong day."""
        return not (self.false or self.missing or self.wrong_dates)


def score(case: TaskCase, todos: Sequence[Todo]) -> TodoScore:
    """Score the to-dos that would be saved."""
    texts = [words(text) for text in case.task.said]
    own = [label for label in case.labels if not label.agreed_to]
    agreed = [label for label in case.labels if label.agreed_to]
    matched = _match(todos, own, texts)
    left = [todo for n, todo in enumerate(todos) if n not in matched]
    taken = _match(left, agreed, texts)
    pairs = tuple((todos[n], own[label]) for n, label in sorted(matched.items()))
    judged = [(todo, label) for todo, label in pairs if label.latest]
    return TodoScore(
        matched=pairs,
        false=tuple(todo for n, todo in enumerate(left) if n not in taken),
        missing=tuple(label for n, label in enumerate(own) if n not in matched.values()),
        wrong_dates=tuple((todo, label) for todo, label in judged if not is_right_day(todo, label)),
        judged_dates=len(judged),
        agreed=len(taken),
        agreed_labels=len(agreed),
    )


def is_right_day(todo: Todo, label: Label) -> bool:
    """Tell whether a to-do is due on a day that its label allows."""
    assert label.earliest and label.latest
    return label.earliest <= todo.due_date <= label.latest


def is_about(todo: Todo, label: Label, texts: Sequence[Sequence[str]]) -> bool:
    """Tell whether a to-do is the labelled one: overlapping evidence, and the right words in its description.

    Args:
        todo: the predicted to-do.
        label: the label.
        texts: the user's texts, each as a list of words.
    """
    description = fold(todo.description)
    if not all(re.search(_folded(pattern), description, re.IGNORECASE) for pattern in label.words):
        return False
    return any(
        _spans(text, todo.evidence) & set().union(*(_spans(text, place) for place in label.places))
        for text in texts
    )


def _folded(pattern: str) -> str:
    """Fold a regular expression as `fold` folds a text, but keep escape sequences."""
    parts = re.findall(r"\\.|[^\\]+", pattern)
    return "".join(
        part if part.startswith("\\") else normalize("NFKC", QUOTATION_MARKS.sub("", part)).casefold()
        for part in parts
    )


def _spans(text: Sequence[str], quotation: str) -> set[int]:
    """Return the positions of a quotation's words in a text."""
    wanted = words(quotation)
    size = len(wanted)
    starts = [n for n in range(len(text) - size + 1) if wanted and list(text[n : n + size]) == wanted]
    return {position for start in starts for position in range(start, start + size)}


def _match(todos: Sequence[Todo], labels: Sequence[Label], texts: Sequence[Sequence[str]]) -> dict[int, int]:
    """Match as many pairs as possible by augmenting paths. Return the label's index by the to-do's index."""
    candidates = {
        n: [label for label, each in enumerate(labels) if is_about(todo, each, texts)]
        for n, todo in enumerate(todos)
    }
    by_label: dict[int, int] = {}

    def place(n: int, tried: set[int]) -> bool:
        for label in candidates[n]:
            if label in tried:
                continue
            tried.add(label)
            if label not in by_label or place(by_label[label], tried):
                by_label[label] = n
                return True
        return False

    for n in candidates:
        place(n, set())
    return {n: label for label, n in by_label.items()}
