"""The promise: after an outage of any one dependency, the bundle recovers without help (docs/reliability.md).

Each outage is compared with an undisturbed run of the same work.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

from simulation import checks, recovery
from simulation.checks import Facts
from simulation.faults import Fault
from simulation.plan import DAY, HOUR, HOW, START, Plan, Work, make_plan
from simulation.world import Run, World
from tests import ROOT

# All queues at once, as when an operator pauses their consumption.
CONSUMPTION = "consumption"
DEPENDENCIES = ("model", "embeddings", "postgres", "ses", "secrets", CONSUMPTION, "schedules")
HOURS = (2.0, 24.0, 72.0)
# An outage begins on a Tuesday, when Europe gets its mails and America sleeps. There is work for another day
# after its end.
BEGINS = DAY + 6.5 * HOUR
DAYS_AFTER = 1.0
SITE_SECONDS, FIRST_NUMBER = 2.0, 900
MOST_PAID = 1.05
RESULTS = ROOT / "bench" / "results" / "promise.json"


@dataclass(frozen=True)
class Row:
    """The result of one outage.

    Attributes:
        service, how, hours: the outage.
        done, failed, skipped: how many jobs. A failure that the model's refusal explains does not count.
        dead: valid messages in dead-letter queues.
        asked: requests to the model and for embeddings during the outage.
        paid: paid answers, divided by those of the undisturbed run.
        drained: minutes from the outage's end until all work due by then had ended; None if it never did.
        late: jobs that had not ended two schedule periods after the outage.
        broken: the broken promises of `checks.broken`.
    """

    service: str
    how: str
    hours: float
    done: int
    failed: int
    skipped: int
    dead: int
    asked: int
    paid: float
    drained: float | None
    late: int
    broken: list[str]

    @property
    def holds(self) -> bool:
        """Tell whether the promise holds."""
        return not self.broken and not self.late and self.drained is not None and self.paid <= MOST_PAID


def outage_plan(world: World, seed: int, service: str, hours: float, how: str = "") -> Plan:
    """Make a plan with one outage, or with none if `service` is ''."""
    days = BEGINS / DAY + hours / 24 + DAYS_AFTER
    plan = make_plan(seed, days, world.settings, with_faults=False)
    targets = [service] if service else []
    if service == CONSUMPTION:
        targets = [f"queue {queue}" for queue in sorted(world.settings.sources())]
    # The crawl of this website has just begun when the outage begins.
    site = Work(BEGINS - SITE_SECONDS, "site", FIRST_NUMBER, user=0)
    how = how or HOW.get(service, ("paused",))[0]
    faults = tuple(Fault(BEGINS, "outage", target, seconds=hours * HOUR, how=how) for target in targets)
    return replace(plan, work=(*plan.work, site), faults=faults)


def measure(world: World, seed: int, service: str, hours: float, undisturbed: int, how: str = "") -> Row:
    """Run one outage.

    Args:
        world, seed: run the plan.
        service, hours, how: the outage (see `faults`).
        undisturbed: the number of paid answers of the undisturbed run.
    """
    plan = outage_plan(world, seed, service, hours, how)
    asked: dict[str, int] = {}

    def note(name: str) -> Callable[[Run], None]:
        return lambda run: asked.update({name: run.provider.asked.total()})

    run = world.run(plan, {BEGINS: note("before"), BEGINS + hours * HOUR: note("after")})
    known = checks.facts_of(world, run)
    states = [job.state for job in known.jobs]
    broken = checks.broken(known)
    drained, late = _drained(run, known, START.timestamp() + BEGINS + hours * HOUR)
    return Row(
        service,
        plan.faults[0].how,
        hours,
        states.count("done"),
        sum(what.startswith("failures_explained") for what in broken),
        states.count("skipped"),
        sum(what.startswith("dead_letters_exact") for what in broken),
        asked["after"] - asked["before"],
        run.provider.paid.total() / undisturbed,
        drained,
        late,
        broken,
    )


def paid_undisturbed(world: World, seed: int, hours: float) -> int:
    """Return the number of paid answers of a run without an outage.

    Raises:
        ValueError: the run broke a promise.
    """
    run = world.run(outage_plan(world, seed, "", hours))
    if broken := checks.broken(checks.facts_of(world, run)):
        raise ValueError(f"broken promises without any fault: {broken[:3]}")
    return run.provider.paid.total()


def table(rows: Iterable[Row]) -> str:
    """Return the rows as a table for a terminal."""
    heads = ("dependency", "hours", "done", "failed", "dead", "asked", "paid", "drained", "late", "holds")
    form = "{:<24}{:>6}{:>7}{:>8}{:>6}{:>8}{:>7}{:>9}{:>6}{:>7}"
    lines = [form.format(*heads)]
    for row in rows:
        drained = "never" if row.drained is None else f"{row.drained:.0f} min"
        values: tuple[Any, ...] = (
            f"{row.service} ({row.how})",
            f"{row.hours:g}",
            row.done,
            row.failed,
            row.dead,
        )
        values += (row.asked, f"{row.paid:.2f}", drained, row.late, "yes" if row.holds else "NO")
        lines.append(form.format(*values))
    return "\n".join(lines)


def markdown(rows: Iterable[Row]) -> str:
    """Return the rows as a table in Markdown."""
    lines = [
        "| dependency | hours | done | failed | dead letters | asked meanwhile | paid | drained after |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        drained = "never" if row.drained is None else f"{row.drained:.0f} min"
        lines.append(
            f"| {row.service} ({row.how}) | {row.hours:g} | {row.done:,} | {row.failed} | {row.dead}"
            f" | {row.asked:,} | {row.paid:.2f} | {drained} |"
        )
    return "\n".join(lines)


def save(row: Row) -> list[Row]:
    """Save a row to bench/results/promise.json, replacing its outage's earlier row. Return all rows."""
    known = [Row(**each) for each in json.loads(RESULTS.read_text())] if RESULTS.exists() else []
    found = {(each.service, each.hours): each for each in [*known, row]}
    kept = sorted(found.values(), key=lambda each: (DEPENDENCIES.index(each.service), each.hours))
    RESULTS.write_text(json.dumps([asdict(each) for each in kept], indent=1, ensure_ascii=False) + "\n")
    return kept


def _drained(run: Run, known: Facts, end: float) -> tuple[float | None, int]:
    """Return the minutes after `end` until the work due by then had ended, and the number of late jobs."""
    due = recovery.due_by(run, known.history, end)
    late = sum(ended is None or ended > end + recovery.TWO_PERIODS[key[0]] for key, ended in due.items())
    if None in due.values():
        return None, late
    return max([(ended or end) - end for ended in due.values()] or [0]) / 60, late
