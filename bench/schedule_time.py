"""`python -m bench.schedule_time`: measure the schedule of extract_todos in a small and a big database.

It fills two databases of an embedded Postgres with executions, spread evenly over the last year. So the big
one also has ten times the activity within the look-back. Nearly all executions are extracted already, and the
same number is due in both. Then it runs the real handler, each time in a fresh process, with SQS and Secrets
Manager over HTTP from MiniStack, and explains the statements of the schedule and of the worker.
"""

import argparse
import os
import sys
import textwrap
from collections.abc import Sequence
from functools import partial
from typing import Any

from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from bench import database
from bench.database import BenchError, Cloud, Figure, Filled, Plan, Run, Verdict
from local.runtime import postgres
from mojodex import jobs
from mojodex.clock import utc_now

COMMAND = "python -m bench.schedule_time --write"
# Bars: the big database against the small one (time, memory), and much due work against little (memory). The
# last one allows for the noise between two equal runs.
SCALE_BAR = 1.5
MEMORY_BAR = 1.05
LOOK_BACK_DAYS = 7
MINIMUM_AGE_MINUTES = 10
# The function's timeout in the template.
TIMEOUT_SECONDS = 120

# An execution's number decides its date (1 is a year old, the last one is now) and, by its last two digits,
# its state. Every fifth has a second version, five minutes after the first.
#   00-09 never finished, without a produced text
#   10-11 deleted by the user
#   12    its text is deleted
#   13    not extracted, but in the ledger: failed, queued or running
#   14    deleted, skipped in the ledger
#   15    edited again a moment ago, if it is within the look-back
#   16-99 extracted, nine of ten by us (done in the ledger); beyond the look-back, the first :never of them
#         were never extracted and are in no ledger
DATES = "CAST(:now AS timestamptz) - interval '365 days' * (1 - i / CAST(:n AS float))"
IS_OLD = f"{DATES} < CAST(:now AS timestamptz) - interval '{LOOK_BACK_DAYS} days'"
NEVER_EXTRACTED = f"(mod(i, 100) < 16 OR (mod(i, 100) < 16 + :never AND {IS_OLD}))"
LOAD = (
    "INSERT INTO md_task (task_pk, name_for_system, definition_for_system)"
    " SELECT i, 'task_' || i, 'Write the minutes of a meeting' FROM generate_series(1, 20) i",
    "INSERT INTO md_user (user_id, email, name, language_code, timezone_offset, creation_date)"
    " SELECT 'user-' || i, i || '@example.com', 'Ann Archer', 'en', -120, now()"
    " FROM generate_series(0, :n / 100 - 1) i",
    # Twenty tasks per user, with five executions each.
    "INSERT INTO md_user_task (user_task_pk, user_id, task_fk)"
    " SELECT i + 1, 'user-' || mod(i, :n / 100), 1 + i / (:n / 100) FROM generate_series(0, :n / 5 - 1) i",
    "INSERT INTO md_session (session_id, user_id, creation_date)"
    f" SELECT 'session-' || i, 'user-' || mod(i, :n / 100), {DATES} FROM generate_series(1, :n) i",
    "INSERT INTO md_message (session_id, sender, message, creation_date, message_date)"
    " SELECT 'session-' || i, CAST(CASE m WHEN 1 THEN 'user' ELSE 'mojo' END AS md_sender_),"
    " json_build_object('text', 'I will call them tomorrow. ' || repeat(md5(CAST(i AS text)), 3)), d, d"
    f" FROM (SELECT i, m, {DATES} - interval '1 hour' + m * interval '1 minute' AS d"
    " FROM generate_series(1, :n) i, generate_series(1, 2) m) messages",
    "INSERT INTO md_user_task_execution (user_task_execution_pk, user_task_fk, session_id, json_input_values,"
    " start_date, title, summary, predefined_action_from_user_task_execution_fk, todos_extracted,"
    " deleted_by_user)"
    " SELECT i, 1 + mod(i, :n / 5), 'session-' || i, '{}',"
    f" CAST({DATES} AS timestamp), 'Minutes ' || i, repeat(md5(CAST(i AS text)), 3),"
    # A quarter continues the user's previous execution, in chains of up to four.
    " CASE WHEN mod(i, 4) = 0 AND mod(i / (:n / 100), 4) <> 0 AND i > :n / 100 THEN i - :n / 100 END,"
    f" CASE WHEN NOT {NEVER_EXTRACTED} THEN {DATES} + interval '20 minutes' END,"
    f" CASE WHEN mod(i, 100) IN (10, 11, 14) THEN {DATES} END"
    " FROM generate_series(1, :n) i",
    "INSERT INTO md_produced_text (produced_text_pk, user_id, user_task_execution_fk, session_id,"
    " deleted_by_user)"
    " SELECT i, 'user-' || mod(i, :n / 100), i, 'session-' || i,"
    f" CASE WHEN mod(i, 100) = 12 THEN {DATES} END FROM generate_series(1, :n) i WHERE mod(i, 100) >= 10",
    "INSERT INTO md_produced_text_version (produced_text_fk, creation_date, production, title)"
    f" SELECT i, CAST({DATES} AS timestamp) - (1 - v) * interval '5 minutes',"
    " repeat(md5(CAST(i AS text)), 8), 'Minutes' FROM generate_series(1, :n) i, generate_series(0, 1) v"
    " WHERE mod(i, 100) >= 10 AND (v = 1 OR mod(i, 5) = 0)",
    # Edited again: a second version of a result that seemed finished, see `reset`.
    "INSERT INTO md_produced_text_version (produced_text_fk, creation_date, production, title)"
    f" SELECT i, CAST(:now AS timestamptz), 'Edited', 'Edited' FROM generate_series(1, :n) i"
    f" WHERE mod(i, 100) = 15 AND NOT {IS_OLD}",
    "INSERT INTO md_todo (user_task_execution_fk, description, creation_date, completed)"
    f" SELECT i, 'Call them ' || i, {DATES}, CASE WHEN mod(i, 8) <> 1 THEN {DATES} END"
    " FROM generate_series(1, :n, 2) i",
)
LEDGER = (
    "INSERT INTO md_background_job (process, subject, state, attempts, queued_at, started_at, finished_at,"
    " outcome, message_expires_at)"
    " SELECT 'extract_todos', CAST(i AS text), CASE mod(i, 100)"
    " WHEN 13 THEN (ARRAY['failed', 'queued', 'running'])[1 + mod(i / 100, 3)] WHEN 14 THEN 'skipped'"
    # A queued job was never begun: its message waits.
    f" ELSE 'done' END, CASE WHEN mod(i, 100) = 13 AND mod(i / 100, 3) = 1 THEN 0 ELSE 1 END, {DATES},"
    # A running job has just begun. One that has been running for long would be due.
    " CASE WHEN mod(i, 100) = 13 AND mod(i / 100, 3) = 2 THEN CAST(:now AS timestamptz)"
    f" ELSE {DATES} END, {DATES},"
    """ '{"todos": [{"todo_pk": 1, "evidence": "I will call them tomorrow"}], "left_out": []}',"""
    # The messages of queued and running jobs can still be delivered.
    " CAST(:now AS timestamptz) + interval '4 days'"
    " FROM generate_series(1, :n) i"
    f" WHERE mod(i, 100) IN (13, 14) OR NOT ({NEVER_EXTRACTED} OR mod(i / 100, 10) = 0)"
)
# Executions that can be made due: extracted, with a result, and within the look-back while this program runs.
CANDIDATES = (
    "SELECT user_task_execution_pk AS pk FROM md_user_task_execution"
    " WHERE mod(user_task_execution_pk, 100) >= 16"
    " AND start_date BETWEEN CAST(:now AS timestamptz) - interval '{days} days'"
    " AND CAST(:now AS timestamptz) - interval '1 hour'"
)


class Executions(Filled):
    """A database with `size` executions."""

    def make_due(self, count: int, *, days: float = LOOK_BACK_DAYS - 0.5) -> None:
        """Make exactly `count` executions due, spread evenly over the last `days`."""
        self.run(
            "CREATE TABLE IF NOT EXISTS bench_due (pk integer PRIMARY KEY)",
            "UPDATE md_user_task_execution SET todos_extracted = now()"
            " WHERE user_task_execution_pk IN (SELECT pk FROM bench_due)",
            "INSERT INTO md_background_job (process, subject, state)"
            " SELECT 'extract_todos', CAST(pk AS text), 'done' FROM bench_due ON CONFLICT DO NOTHING",
            "TRUNCATE bench_due",
            "INSERT INTO bench_due SELECT pk FROM (SELECT pk, row_number() OVER (ORDER BY pk) AS r,"
            f" count(*) OVER () AS c FROM ({CANDIDATES.format(days=days)}) candidates) numbered"
            " WHERE r * :count / c <> (r - 1) * :count / c",
            "UPDATE md_user_task_execution SET todos_extracted = NULL"
            " WHERE user_task_execution_pk IN (SELECT pk FROM bench_due)",
            now=utc_now(),
            count=count,
        )
        self.reset()
        self.run("VACUUM (ANALYZE)")
        made = self.value("SELECT count(*) FROM bench_due")
        if made != count:
            raise BenchError(f"{self.name}: only {made} executions can be due, not {count}")

    def reset(self) -> None:
        """Delete the claims, and renew the edits that count as recent."""
        self.run(
            "DELETE FROM md_background_job WHERE process = 'extract_todos'"
            " AND subject IN (SELECT CAST(pk AS text) FROM bench_due)",
            "UPDATE md_produced_text_version SET creation_date = CAST(now() AS timestamp)"
            " WHERE production = 'Edited' AND creation_date > CAST(now() AS timestamp) - interval '2 hours'",
        )


def fill(server: postgres.Database, name: str, executions: int, never: int, cloud: Cloud) -> Executions:
    """Make a database with a year of executions, and migrate it.

    Args:
        server: any database of the server.
        name: the new database.
        executions: how many; a multiple of 500.
        never: percentage of the executions beyond the look-back that were never extracted.
        cloud: stores the secret.
    """
    filled = Executions.create(server, name, executions, cloud)
    filled.fill(LOAD, [LEDGER], "executions", now=utc_now(), never=never)
    return filled


def environment(filled: Executions, cloud: Cloud, queue_url: str) -> dict[str, str]:
    """Return the environment variables of the schedule function."""
    return database.schedule_environment(filled, cloud, "extract_todos", queue_url) | {
        "MINIMUM_AGE_MINUTES": str(MINIMUM_AGE_MINUTES),
        "LOOK_BACK_DAYS": str(LOOK_BACK_DAYS),
    }


def measure(filled: Executions, cloud: Cloud, due: int) -> Run:
    """Run the schedule's handler in a new process, and delete its claims.

    Raises:
        BenchError: it failed, or did not publish exactly the due jobs.
    """
    with cloud.queue() as url:
        run = database.run_schedule("extract_todos", environment(filled, cloud, url), TIMEOUT_SECONDS)
        if not run.published == cloud.waiting(url) == due:
            raise BenchError(f"{due} due, {run.published} published, {cloud.waiting(url)} in the queue")
    filled.reset()
    return run


def plans(filled: Executions, environment: dict[str, str]) -> list[Plan]:
    """Return the plans of the functions' statements, executed and rolled back."""
    os.environ |= environment
    from extract_todos import extraction, schedule

    engine = create_engine(filled.database.url)
    now = utc_now()
    with engine.connect() as connection, Session(connection) as session:
        explain = partial(database.explain, connection)
        work = schedule.due_work(schedule.settings, now)

        def claim(after: dict[str, Any]) -> tuple[tuple[str, Any], dict[str, Any]]:
            with database.statements(connection) as seen:
                page = jobs.claim(session, work.process, work.query, work.parameters | after, now=now)
            assert page.after is not None, "too few are due for a later page"
            return seen[0], page.after

        first, after = claim({})
        session.rollback()
        connection.rollback()
        made = [
            explain(
                "Schedule: claim the first page of due executions",
                "`extract_todos/due.sql` within `mojodex.jobs.claim`.",
                first,
            )
        ]
        connection.rollback()
        later, _ = claim(after)
        session.rollback()
        connection.rollback()
        made.append(
            explain(
                "Schedule: claim a later page",
                "The same query, continued after the last version of the page before.",
                later,
            )
        )
        connection.rollback()
        # A late execution of a user with many, which continues another one.
        pk = filled.size - 4
        with database.statements(connection) as seen:
            session.execute(
                text(
                    "UPDATE md_user_task_execution SET todos_extracted = NULL"
                    " WHERE user_task_execution_pk = :pk"
                ),
                {"pk": pk},
            )
            extraction.collect(session, pk, now, 0)
        session.rollback()
        connection.rollback()
        names = (
            ("Worker: the execution, its task and its user", "`extract_todos.extraction.collect`."),
            ("Worker: the newest version of the result", "`extract_todos.extraction.collect`."),
            ("Worker: the conversation", "`extract_todos.extraction.collect`."),
            ("Worker: open to-dos of the chain and of the user", "`extract_todos.extraction.collect`."),
        )
        made += [explain(*name, one) for name, one in zip(names, seen[1:], strict=True)]
    engine.dispose()
    return made


def main() -> int:
    """Measure, print and judge. Return the exit code."""
    return database.run_bench("schedule_time", partial(_run, _parser().parse_args()))


def _run(arguments: argparse.Namespace, server: postgres.Database, cloud: Cloud) -> list[Verdict]:
    make = partial(fill, server, never=arguments.never_extracted, cloud=cloud)
    small = make("small", arguments.small)
    big = make("big", arguments.big)

    for filled in (small, big):
        filled.make_due(arguments.due)
        measure(filled, cloud, arguments.due)
    runs: dict[str, list[Run]] = {"small": [], "big": []}
    for round_number in range(arguments.rounds):
        order = (small, big) if round_number % 2 else (big, small)
        for filled in order:
            runs[filled.name].append(measure(filled, cloud, arguments.due))
    heads = [f"{filled.size:,} executions" for filled in (small, big)]
    verdicts = _table(f"{arguments.due:,} due", heads, list(runs.values()), SCALE_BAR, SCALE_BAR)

    made = plans(big, environment(big, cloud, "none"))

    counts = (arguments.little, arguments.much)
    by_due: list[list[Run]] = []
    for count in counts:
        big.make_due(count)
        by_due.append([measure(big, cloud, count) for _ in range(3)])
    verdicts += _table(
        f"{big.size:,} executions", [f"{count:,} due" for count in counts], by_due, None, MEMORY_BAR
    )

    for plan in made:
        print(f"\n{plan.title}\n{textwrap.indent(plan.explanation, '    ')}")
    if arguments.write:
        database.write_part(
            "extract_todos",
            f"{big.size:,} executions, spread evenly over a year; nearly all are extracted.",
            COMMAND,
            made,
        )
    for filled in (small, big):
        filled.engine.dispose()
    return verdicts + [plan.verdict for plan in made]


def _table(
    title: str, heads: Sequence[str], runs: Sequence[Sequence[Run]], time_bar: float | None, memory_bar: float
) -> list[Verdict]:
    figures = (
        Figure("handler, seconds", lambda run: run.seconds, ".3f", time_bar),
        Figure("peak memory, MiB", lambda run: run.peak, ".1f", memory_bar),
        Figure("published", lambda run: run.published, ",.0f"),
    )
    return database.print_table(f"{title}, median of {len(runs[0])} runs", heads, runs, figures)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.schedule_time", description=__doc__)
    add = parser.add_argument
    numbers = {
        "small": (100_000, "executions in the small database, a multiple of 500"),
        "big": (1_000_000, "executions in the big database, a multiple of 500"),
        "due": (1_000, "due in both databases, at least two pages"),
        "little": (100, "due jobs for the comparison of memory"),
        "much": (10_000, "due jobs to compare with"),
        "rounds": (5, "runs in each database"),
    }
    for name, (default, meaning) in numbers.items():
        add(f"--{name}", type=int, default=default, metavar="N", help=f"{meaning} (%(default)s)")
    add(
        "--never-extracted",
        type=int,
        default=30,
        metavar="PERCENT",
        help="executions beyond the look-back that were never extracted (%(default)s)",
    )
    add("--write", action="store_true", help="write the plans to bench/results/plans.md")
    return parser


if __name__ == "__main__":
    sys.exit(main())
