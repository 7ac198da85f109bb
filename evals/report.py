"""Print results as tables for a terminal."""

from evals.intervals import Interval, paired
from evals.results import SHARES, Results

# Printed for a figure without a denominator.
NOTHING = "-"
COMPARED = ("F1", "exact dates")


def show(found: Results, calls: int) -> None:
    """Print all figures of a run. `calls` is the number of questions that went to the server."""
    print(f"\n{found.model}: {calls} calls, the rest from .local/evals")
    if found.counts:
        _show_todos(found)
    for kind, title in (("m", "moves"), ("e", "mails")):
        if shares := found.rule_shares(kind):
            print(f"\n{title:24}{'held':>6}{'of':>6}")
            for name, (held, cases) in shares.items():
                print(f"{name.removeprefix('is ').removeprefix('has '):24}{held:>6}{cases:>6}")
    if found.deeds:
        _show_deeds(found)
    if found.failures:
        print(f"\n{len(found.failures)} cases failed")
        for name, reason in list(found.failures.items())[:20]:
            print(f"{name:8}{reason}")
    print()
    for name, value in found.cost.items():
        print(f"{name:30}{NOTHING if value is None else f'{value:,}':>14}")


def _show_todos(found: Results) -> None:
    print(f"\n{'':8}{'cases':>6}" + "".join(f"{name:>24}" for name in SHARES))
    for code in ("", *found.languages):
        rows = sum(name.startswith(code) for name in found.counts)
        figures = found.figures(code)
        print(f"{code or 'all':8}{rows:>6}" + "".join(f"{as_text(each):>24}" for each in figures.values()))
    print(f"\n{'false to-dos':24}{'number':>8}{'cases':>8}")
    for trap, (false, cases) in sorted(found.false_by_trap.items()):
        print(f"{trap:24}{false:>8}{cases:>8}")
    taken, labelled = found.agreed
    print(f"\nagreed to only (never a fault): {taken} of {labelled} taken")
    print(f"\n{'left out by the check':76}{'steps':>6}")
    for reason, steps in found.left_out.items():
        print(f"{reason:76}{steps:>6}")


def _show_deeds(found: Results) -> None:
    print(f"\n{'wrong on purpose':40}{'tried':>6}{'saved':>6}")
    for way, (tried, saved, can_be_caught) in found.deeds.items():
        verdict = "" if not can_be_caught else "  ok" if not saved else "  FAIL"
        print(f"{way:40}{tried:>6}{saved:>6}{verdict or '  no check can catch it'}")


def as_text(each: Interval) -> str:
    """Format an interval, as in 71 % [60, 80]."""
    if each.value is None or each.low is None or each.high is None:
        return NOTHING
    return f"{each.value:.1%} [{each.low:.0%}, {each.high:.0%}]"


def compare(first: Results, second: Results) -> None:
    """Print how far the first run is ahead of the second, over the cases that both ran."""
    both = [name for name in first.counts if name in second.counts]
    print(f"\n{first.model} ahead of {second.model}, over {len(both)} cases (paired bootstrap, 95 %)")
    for name in COMPARED:
        ours, theirs = [first.counts[each] for each in both], [second.counts[each] for each in both]
        found = paired(ours, theirs, SHARES[name])
        if found.value is None or found.low is None or found.high is None:
            print(f"{name:14}cannot be compared: one of them has no figure")
            continue
        chance = "may be chance" if found.low <= 0 <= found.high else "more than chance"
        print(f"{name:14}{found.value:+.1%} [{found.low:+.1%}, {found.high:+.1%}]  {chance}")
