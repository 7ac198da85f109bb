"""`python -m bench.schedule_rows`: count the rows that each schedule examines, at 10⁴, 10⁵ and 10⁶ users.

Fills databases as `bench.schedule_plans` and `bench.schedule_time` do (in the latter, users stand for
executions). Claims all due work with the schedules' own pages, without publishing it. Rows examined are
PostgreSQL's own counts of rows read by index scans and sequential scans. First the same number is due in all
databases, then a number that grows with the users. Prints a table, writes bench/results/schedule_rows.json,
and draws the curves.
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from matplotlib.figure import Figure
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from bench import database, schedule_plans, schedule_time
from bench.database import Cloud, Filled, Verdict
from bench.results import write_figure, write_json
from local.runtime import postgres
from mojodex import jobs
from mojodex.clock import utc_now
from mojodex.schedule import DueWork

# Bar for the growth of rows examined per due job, from the first to the last size, if due work grows with
# users.
BAR = 1.2
GROWING = "due grows with the users"
EXAMINED = (
    "SELECT CAST((SELECT sum(seq_tup_read) FROM pg_stat_user_tables)"
    " + (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes) AS bigint)"
)
# To limit due work, give all further to-dos a later day, and all further users a time zone with evening.
NOT_DUE = "(SELECT subject FROM bench_due WHERE process = :process ORDER BY subject OFFSET :due)"
LATER = (
    "UPDATE md_todo_scheduling SET scheduled_date = CAST(:now AS date) + 3 WHERE todo_fk IN"
    f" (SELECT CAST(subject AS integer) FROM {NOT_DUE} others)"
)
EVENING = (
    "UPDATE md_user SET timezone_offset = -540 WHERE user_id IN"
    f" (SELECT split_part(subject, ':', 2) FROM {NOT_DUE} others)"
)


@dataclass(frozen=True)
class Examined:
    """One run of a schedule: the number of due jobs, and of rows examined to find them."""

    schedule: str
    users: int
    due: int
    rows: int


def examine(filled: Filled, schedule: str, works: Iterable[DueWork], now: datetime) -> Examined:
    """Claim all due work, page by page, and roll back."""
    engine = create_engine(filled.database.url)
    due = 0
    before = filled.value(EXAMINED)
    with Session(engine) as session:
        for work in works:
            after: dict[str, Any] | None = {}
            while after is not None:
                page = jobs.claim(session, work.process, work.query, work.parameters | after, now=now)
                due += len(page.claimed)
                after = page.after
        session.rollback()
        # A session's counts are published on request.
        session.execute(text("SELECT pg_stat_force_next_flush()"))
    engine.dispose()
    while filled.value(EXAMINED) == before:
        pass
    return Examined(schedule, filled.size, due, filled.value(EXAMINED) - before)


def of_users(server: postgres.Database, cloud: Cloud, size: int, due: int | None) -> Iterator[Examined]:
    """Examine reschedule_todo and events. `due` is the number for each; None means one in 24 users."""
    with _database(partial(schedule_plans.fill, server, f"users_{size}_{due}", size, cloud)) as filled:
        if due is not None:
            filled.run(LATER, process="reschedule_todo", due=due, now=schedule_plans.NOW)
            filled.run(EVENING, process="events", due=due)
            filled.run("VACUUM (ANALYZE)")
        for schedule in schedule_plans.SCHEDULES:
            os.environ |= schedule_plans.environment(filled, cloud, schedule, "none")
        from events import schedule as mails
        from events.daily_email import audience
        from reschedule_todo import schedule as moves

        # At 10 o'clock UTC the schedule reads all open to-dos.
        for name, now in (
            ("reschedule_todo", schedule_plans.NOW),
            ("reschedule_todo, once a night", schedule_plans.NOW - timedelta(hours=2)),
        ):
            yield examine(filled, name, moves.due_work(moves.settings, now), now)
        yield examine(
            filled, "events", audience.due_work(mails.settings, schedule_plans.NOW), schedule_plans.NOW
        )


def of_executions(server: postgres.Database, cloud: Cloud, size: int, due: int | None) -> Iterator[Examined]:
    """Examine extract_todos; `due` None means one in two thousand."""
    fill = partial(schedule_time.fill, server, f"executions_{size}_{due}", size, 30, cloud)
    with _database(fill) as filled:
        filled.make_due(due or max(size // 2000, 1))
        os.environ |= schedule_time.environment(filled, cloud, "none")
        from extract_todos import schedule

        now = utc_now()
        yield examine(filled, "extract_todos", [schedule.due_work(schedule.settings, now)], now)


@contextmanager
def _database[F: Filled](fill: Callable[[], F]) -> Iterator[F]:
    filled = fill()
    try:
        yield filled
    finally:
        filled.engine.dispose()


def _run(arguments: argparse.Namespace, server: postgres.Database, cloud: Cloud) -> list[Verdict]:
    found = {
        title: [
            one
            for size in arguments.users
            for measure in (of_users, of_executions)
            for one in measure(server, cloud, size, due)
        ]
        for title, due in (("the same number due", arguments.due), (GROWING, None))
    }
    drawing = Figure(figsize=(9, 4), layout="constrained")
    axes = drawing.subplots(1, 2, sharey=True)
    verdicts = []
    for (title, all_found), axis in zip(found.items(), axes, strict=True):
        print(f"\nRows examined, {title}\n{'':32}{'users':>12}{'due':>10}{'examined':>14}{'per due':>10}")
        for schedule in dict.fromkeys(one.schedule for one in all_found):
            ones = [one for one in all_found if one.schedule == schedule]
            for one in ones:
                per_due = f"{one.rows / one.due:.1f}" if one.due else ""
                print(f"{schedule:32}{one.users:>12,}{one.due:>10,}{one.rows:>14,}{per_due:>10}")
            axis.loglog([one.users for one in ones], [one.rows for one in ones], marker="o", label=schedule)
            first, *_others, last = ones
            growth = last.rows / first.rows
            print(f"{'':32}{last.users / first.users:.0f} times the users: {growth:.1f} times the rows")
            if title == GROWING and first.due:
                ratio = growth / (last.due / first.due)
                verdicts.append(
                    (f"{schedule}: rows examined for each due, ratio {ratio:.2f}, bar {BAR}", ratio <= BAR)
                )
        axis.set(title=title, xlabel="users, or executions")
    axes[0].set_ylabel("rows examined by one run")
    axes[0].legend()
    write_figure("schedule_rows", drawing)
    write_json("schedule_rows", {title: [asdict(one) for one in ones] for title, ones in found.items()})
    return verdicts


def main() -> int:
    """Measure, print and judge. Return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.schedule_rows", description=__doc__)
    add = parser.add_argument
    add("--users", type=int, nargs="+", default=[10_000, 100_000, 1_000_000], metavar="N")
    add("--due", type=int, default=100, metavar="N", help="due jobs of each schedule, if fixed (%(default)s)")
    return database.run_bench("schedule_rows", partial(_run, parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
