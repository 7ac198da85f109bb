"""The results of a run as JSON under evals/results: figures with intervals, and the scores of each case."""

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
# The counts of a case with to-dos. The shares below are computed from their sums.
COUNTS = ("right", "false", "missing", "right_dates", "judged_dates", "all_right", "cases")


def _column(sums: Numbers, name: str) -> Numbers:
    column: Numbers = sums[:, COUNTS.index(name)]
    return column


def precision(sums: Numbers) -> Numbers:
    """Compute the share of saved to-dos that are right."""
    return ratio(_column(sums, "right"), _column(sums, "right") + _column(sums, "false"))


def recall(sums: Numbers) -> Numbers:
    """Compute the share of labelled to-dos that were saved."""
    return ratio(_column(sums, "right"), _column(sums, "right") + _column(sums, "missing"))


def f1(sums: Numbers) -> Numbers:
    """Compute the harmonic mean of precision and recall, over all to-dos."""
    right = 2 * _column(sums, "right")
    return ratio(right, right + _column(sums, "false") + _column(sums, "missing"))


def exact_dates(sums: Numbers) -> Numbers:
    """Compute the share of right dates among the right to-dos whose words name a day."""
    return ratio(_column(sums, "right_dates"), _column(sums, "judged_dates"))


def all_right(sums: Numbers) -> Numbers:
    """Compute the share of cases without any fault."""
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
    """The results of one run. The field names are keys of the result files.

    Attributes:
        model: its name.
        counts: the `COUNTS` of each case with to-dos.
        rules: for each move and mail, whether it keeps each rule.
        failures: for each case without a result, the reason.
        false_by_trap: for each kind of trap, the number of false to-dos and of cases.
        left_out: number of steps that the check left out, by reason.
        agreed: of the labels that the user only agreed to, how many were taken and how many there are.
        cost: tokens, seconds, dollars.
        deeds: of the scripted wrong model, for each way: attempts, how many would be saved, whether a
            check can catch it.
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
        """Return the to-dos' shares, of one language or of all."""
        rows = [row for name, row in self.counts.items() if name.startswith(language)]
        return {name: interval(rows, share) for name, share in SHARES.items()}

    @property
    def languages(self) -> list[str]:
        """Return the languages of the cases with to-dos."""
        there = {name.partition("-")[0] for name in self.counts}
        return [code for code in LANGUAGES if code in there]

    def rule_shares(self, kind: str) -> dict[str, tuple[int, int]]:
        """Return by rule how many cases keep it, of how many. `kind` is m (moves) or e (mails)."""
        rows = [held for name, held in self.rules.items() if name.partition("-")[2].startswith(kind)]
        names = list(rows[0]) if rows else []
        shares = {name.replace("_", " "): (sum(row[name] for row in rows), len(rows)) for name in names}
        return shares | ({"all right": (sum(all(row.values()) for row in rows), len(rows))} if rows else {})


def results_of(model: str, cases: Sequence[Case], made: Sequence[Made]) -> Results:
    """Score the results of all cases."""
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
    """Return the `COUNTS` of one case."""
    right_dates = score.judged_dates - len(score.wrong_dates)
    faults = (len(score.matched), len(score.false), len(score.missing))
    return [*faults, right_dates, score.judged_dates, int(score.is_right), 1]


def cost_of(
    exchanges: Sequence[Exchange], prompt_price: float | None, completion_price: float | None
) -> dict[str, float | None]:
    """Add up the cost of all answers, cached ones included.

    Args:
        exchanges: all exchanges of the run.
        prompt_price, completion_price: dollars per million tokens; None if unknown.
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
    """Return the path of a model's results."""
    return folder / f"{re.sub(r'[^\w.-]+', '-', model)}.{ending}"


def write(found: Results, folder: Path = RESULTS) -> Path:
    """Write results and return their path. Each figure is a value with its interval."""
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
    # One line for each case keeps a diff readable.
    text = json.dumps(data, indent=1, ensure_ascii=False)
    text = re.sub(r"([\[{])\s+([^\[\]{}]*?)\s+([\]}])", lambda m: m[1] + " ".join(m[2].split()) + m[3], text)
    path.write_text(text + "\n", encoding="utf-8")
    return path


def read(name: str) -> Results:
    """Read a model's results, or a file of results.

    Raises:
        FileNotFoundError: there are no results.
    """
    path = Path(name) if name.endswith(".json") else path_of(name)
    data = json.loads(path.read_text(encoding="utf-8"))
    return Results(**{key: data[key] for key in Results.__dataclass_fields__})
