"""What a run leaves: figures with intervals, and what came of each case, as JSON under evals/results."""

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from evals import ROOT, mails, moves, todos
from evals.cases import LANGUAGES, Case, MailCase, MoveCase, TaskCase
from evals.intervals import Interval, Numbers, Share, interval, ratio
from evals.proxy import Exchange
from evals.work import Made

RESULTS = ROOT / "evals" / "results"
PLAIN = "plain"
# What is counted of a case with to-dos; the shares below are made of their sums.
COUNTS = ("right", "false", "missing", "right_dates", "judged_dates", "all_right", "cases")


def _column(sums: Numbers, name: str) -> Numbers:
    column: Numbers = sums[:, COUNTS.index(name)]
    return column


def precision(sums: Numbers) -> Numbers:
    """Of the to-dos that were saved, the share that is right."""
    return ratio(_column(sums, "right"), _column(sums, "right") + _column(sums, "false"))


def recall(sums: Numbers) -> Numbers:
    """Of the labelled to-dos, the share that was saved."""
    return ratio(_column(sums, "right"), _column(sums, "right") + _column(sums, "missing"))


def f1(sums: Numbers) -> Numbers:
    """The harmonic mean of precision and recall, over all to-dos."""
    right = 2 * _column(sums, "right")
    return ratio(right, right + _column(sums, "false") + _column(sums, "missing"))


def exact_dates(sums: Numbers) -> Numbers:
    """Of the right to-dos whose words name a day, the share on that day."""
    return ratio(_column(sums, "right_dates"), _column(sums, "judged_dates"))


def all_right(sums: Numbers) -> Numbers:
    """The share of cases without any fault."""
    return ratio(_column(sums, "all_right"), _column(sums, "cases"))


SHARES: dict[str, Share] = {
    "precision": precision,
    "recall": recall,
    "F1": f1,
    "exact dates": exact_dates,
    "cases all right": all_right,
}


@dataclass
class Results:
    """One run.

    Attributes:
        model: its name.
        counts: of each case with to-dos, in the order of `COUNTS`.
        rules: of each move and mail, which rules hold.
        failures: why nothing came of a case.
        false_by_trap: how many to-dos are false, by kind of trap; and how many cases there are of it.
        left_out: how many steps the check left out, by reason.
        agreed: labels that the user only agreed to: how many were taken, and how many there are.
        cost: tokens, seconds, dollars.
        deeds: of the scripted wrong model: by way, how many were tried, saved, and whether a check can know.
    """

    model: str
    counts: dict[str, list[int]] = field(default_factory=dict)
    rules: dict[str, dict[str, bool]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    false_by_trap: dict[str, tuple[int, int]] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)
    agreed: tuple[int, int] = (0, 0)
    cost: dict[str, float | None] = field(default_factory=dict)
    deeds: dict[str, tuple[int, int, bool]] = field(default_factory=dict)

    def figures(self, language: str = "") -> dict[str, Interval]:
        """Return the shares of the to-dos, of one language or of all."""
        rows = [row for name, row in self.counts.items() if name.startswith(language)]
        return {name: interval(rows, share) for name, share in SHARES.items()}

    @property
    def languages(self) -> list[str]:
        """Return the languages of the cases with to-dos."""
        there = {name.partition("-")[0] for name in self.counts}
        return [code for code in LANGUAGES if code in there]

    def rule_shares(self, kind: str) -> dict[str, tuple[int, int]]:
        """Return by rule how many cases hold it and how many there are; `kind` is m (moves) or e (mails)."""
        rows = [held for name, held in self.rules.items() if name.partition("-")[2].startswith(kind)]
        names = list(rows[0]) if rows else []
        shares = {name.replace("_", " "): (sum(row[name] for row in rows), len(rows)) for name in names}
        return shares | ({"all right": (sum(all(row.values()) for row in rows), len(rows))} if rows else {})


def results_of(model: str, cases: Sequence[Case], made: Sequence[Made]) -> Results:
    """Score what came of all cases."""
    found = Results(model)
    false: Counter[str] = Counter()
    traps: Counter[str] = Counter()
    left_out: Counter[str] = Counter()
    taken = agreed = 0
    for case, outcome in zip(cases, made, strict=True):
        if outcome.failure:
            found.failures[case.id] = outcome.failure
        match case:
            case TaskCase():
                score = todos.score(case, outcome.todos)
                found.counts[case.id] = counts_of(score)
                false[case.trap or PLAIN] += len(score.false)
                traps[case.trap or PLAIN] += 1
                left_out.update(step.reason for step in outcome.left_out)
                taken, agreed = taken + score.agreed, agreed + score.agreed_labels
            case MoveCase():
                found.rules[case.id] = vars(moves.score(case, outcome.move))
            case MailCase():
                found.rules[case.id] = vars(mails.score(case, outcome.mail))
    found.false_by_trap = {trap: (false[trap], number) for trap, number in traps.items()}
    found.left_out = dict(left_out.most_common())
    found.agreed = (taken, agreed)
    return found


def counts_of(score: todos.TodoScore) -> list[int]:
    """Return the counts of one case, as `COUNTS` names them."""
    right_dates = score.judged_dates - len(score.wrong_dates)
    faults = (len(score.matched), len(score.false), len(score.missing))
    return [*faults, right_dates, score.judged_dates, int(score.is_right), 1]


def cost_of(
    exchanges: Sequence[Exchange], prompt_price: float | None, completion_price: float | None
) -> dict[str, float | None]:
    """Add up what the answers took, also those from the cache.

    Args:
        exchanges: all of the run.
        prompt_price, completion_price: dollars for a million tokens; None if not known.
    """
    read = sum(each.prompt_tokens for each in exchanges)
    written = sum(each.completion_tokens for each in exchanges)
    dollars = None
    if prompt_price is not None and completion_price is not None:
        dollars = round((read * prompt_price + written * completion_price) / 1e6, 6)
    return {
        "answers": len(exchanges),
        "prompt tokens": read,
        "completion tokens": written,
        "dollars": dollars,
        "seconds": round(sum(each.seconds for each in exchanges), 1),
        "seconds an answer (median)": round(median(each.seconds for each in exchanges), 3)
        if exchanges
        else None,
    }


def path_of(model: str, folder: Path = RESULTS, ending: str = "json") -> Path:
    """Return where the results of a model are kept."""
    return folder / f"{re.sub(r'[^\w.-]+', '-', model)}.{ending}"


def write(found: Results, folder: Path = RESULTS) -> Path:
    """Write results and return where; each figure is a value with its interval."""
    folder.mkdir(parents=True, exist_ok=True)
    data: dict[str, Any] = {
        "figures": {
            code or "all": {
                name: [each.value, each.low, each.high] for name, each in found.figures(code).items()
            }
            for code in ("", *found.languages)
        },
        "moves": found.rule_shares("m"),
        "mails": found.rule_shares("e"),
        **asdict(found),
    }
    path = path_of(found.model, folder)
    # A line for each case keeps a diff readable.
    text = json.dumps(data, indent=1, ensure_ascii=False)
    text = re.sub(r"([\[{])\s+([^\[\]{}]*?)\s+([\]}])", lambda m: m[1] + " ".join(m[2].split()) + m[3], text)
    path.write_text(text + "\n", encoding="utf-8")
    return path


def read(name: str) -> Results:
    """Read the results of a model, or a file of results.

    Raises:
        FileNotFoundError: there are none.
    """
    path = Path(name) if name.endswith(".json") else path_of(name)
    data = json.loads(path.read_text(encoding="utf-8"))
    return Results(**{key: data[key] for key in Results.__dataclass_fields__})
