"""`python -m bench.schedule_plans`: measure the schedules of reschedule_todo and events with many users.

It fills two databases of an embedded Postgres with users in all time zones, at a fixed moment of a working
day. For one twenty-fourth of the users the hour of the daily e-mail has just come. For another one, the night
has come in which overdue to-dos are moved. Users whose hour came before have been served, and are in the
ledger. Then it runs the real handlers, each time in a fresh process, with SQS and Secrets Manager over HTTP
from MiniStack: with all of that due, again with nothing due, and once more as if the tables had never been
analyzed.

Six of ten users are dormant: their last activity was months ago, and they were told that their e-mail pauses.
The bench counts the model calls for all users, and those that remain without the dormant ones.
"""

import argparse
import os
import sys
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Connection, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from bench import database
from bench.database import BenchError, Cloud, Figure, Filled, Plan, Run, Verdict
from local.runtime import postgres
from mojodex import jobs
from mojodex.database import STATEMENT_TIMEOUT_SECONDS
from mojodex.queries import sign_of_life
from mojodex.schedule import DueWork

COMMAND = "python -m bench.schedule_plans --write"
MEMORY_BAR = 1.05
# A slow statement is cancelled. None may take more than a fifth of that time.
LONGEST_BAR = STATEMENT_TIMEOUT_SECONDS / 5
# A worker's statement reads the rows of one user.
WORKER_BAR = 0.1

# A Wednesday; it is 1 o'clock at UTC-11 and 8 o'clock at UTC-4.
NOW = datetime(2026, 6, 10, 12, 0, 30, tzinfo=UTC)
TODAY = NOW.date()
NIGHT_FROM_HOUR, NIGHT_UNTIL_HOUR = 1, 6
EMAIL_HOUR = 8
# The offset of users without one; it lies in the zone of the e-mail.
DEFAULT_OFFSET = 240

# A user's number decides their zone: 0 is UTC-11, 23 is UTC+12. One in fifty is half an hour further east.
#   0      It is 1 o'clock. The overdue to-do is due for rescheduling.
#   1-4    It is 2 to 5 o'clock. The to-do was moved tonight, or one in a hundred moves failed permanently.
#   7      It is 8 o'clock. The e-mail is due. One in a hundred of these users has no offset.
#   8-9    It is 9 or 10 o'clock. The e-mail was sent, except to one in ten who do not want it, and to one in
#          ten without a to-do.
#   23     Thursday has begun, but not its night. Wednesday's to-do is overdue but not due.
# In all other zones the to-do is today's or was moved to a later day. One in a hundred is overdue, because
# its move failed.
ZONE = "mod(u, 24)"
OFFSET = (
    f"CASE WHEN {ZONE} = 7 AND mod(u / 24, 100) = 3 THEN NULL"
    f" ELSE 660 - 60 * {ZONE} - CASE mod(u / 24, 50) WHEN 7 THEN 30 ELSE 0 END END"
)
HAS_FAILED = f"({ZONE} NOT IN (0, 7, 8, 9, 23) AND mod(u / 24, 100) = 5)"
WANTS_NONE = f"({ZONE} IN (8, 9) AND mod(u / 24, 10) = 0)"
NOTHING_TO_TELL = f"({ZONE} IN (8, 9) AND mod(u / 24, 10) = 1)"
IS_DORMANT = "mod(u / 24, 10) < 6"
SHARE_DORMANT = 0.6
DORMANT_AFTER_DAYS = 30
# Four to-dos for each user, one in each quarter of the keys, where users come in no particular order:
#   0-1    completed, with one date
#   2      with a first date, one of the week before, and one as described above
#   3      for a later day, not moved yet
TODOS = (
    "(SELECT k, u, mod((k - 1) / :n + u / 24, 4) AS kind"
    " FROM (SELECT k, CAST(mod(CAST(k AS bigint) * 7919, :n) AS integer) AS u"
    " FROM generate_series(1, 4 * :n) k) numbered) todos"
)
DAY = "CAST(:today AS date)"
MOMENT = "CAST(:now AS timestamptz)"
# Two for each user, spread evenly over ninety days.
EXECUTIONS = "(SELECT i, mod(i, :n) AS u FROM generate_series(0, 2 * :n - 1) i) numbers"
EXECUTED = (
    f"({MOMENT} - interval '90 days' * (1 - i / CAST(2 * :n AS float))"
    f" - CASE WHEN {IS_DORMANT} THEN interval '100 days' ELSE interval '0 days' END)"
)
SCHEDULING = (
    "INSERT INTO md_todo_scheduling (todo_fk, scheduled_date, creation_date, reschedule_justification)"
)
LOAD = (
    "INSERT INTO md_task (task_pk, name_for_system, definition_for_system)"
    " SELECT i, 'task_' || i, 'Write the minutes of a meeting' FROM generate_series(1, 20) i",
    "INSERT INTO md_user (user_id, email, name, language_code, timezone_offset, goal, company_description,"
    " todo_email_reception, creation_date)"
    f" SELECT 'user-' || u, u || '@example.com', 'Ann Archer', 'en', {OFFSET}, 'Sell more',"
    f" repeat(md5(CAST(u AS text)), 3), NOT {WANTS_NONE}, {MOMENT} - interval '1 year'"
    " FROM generate_series(0, :n - 1) u",
    "INSERT INTO md_user_task (user_task_pk, user_id, task_fk)"
    " SELECT u + 1, 'user-' || u, 1 + mod(u, 20) FROM generate_series(0, :n - 1) u",
    # The users' first executions, then their second ones. One in eleven has no title.
    "INSERT INTO md_user_task_execution (user_task_execution_pk, user_task_fk, session_id, json_input_values,"
    " start_date, title, summary, todos_extracted)"
    " SELECT i + 1, 1 + mod(i, :n), 'session-' || i, '{}', at,"
    " CASE WHEN mod(i, 11) > 0 THEN 'Minutes ' || i END, repeat(md5(CAST(i AS text)), 3),"
    " at + interval '20 minutes' FROM (SELECT i,"
    f" CAST({EXECUTED} AS timestamp) AS at FROM {EXECUTIONS}) executions",
    "INSERT INTO md_session (session_id, user_id, creation_date)"
    f" SELECT 'session-' || i, 'user-' || u, {EXECUTED} FROM {EXECUTIONS}",
    "INSERT INTO md_message (session_id, sender, message, creation_date, message_date)"
    " SELECT 'session-' || i, CAST(CASE m WHEN 1 THEN 'user' ELSE 'mojo' END AS md_sender_),"
    f" '{{\"text\": \"I will call them.\"}}', {EXECUTED}, {EXECUTED} + m * interval '1 minute'"
    f" FROM {EXECUTIONS}, generate_series(1, 2) m",
    "INSERT INTO md_produced_text (produced_text_pk, user_id, user_task_execution_fk, session_id)"
    " SELECT i + 1, 'user-' || mod(i, :n), i + 1, 'session-' || i FROM generate_series(0, 2 * :n - 1) i",
    "INSERT INTO md_produced_text_version (produced_text_fk, creation_date, production, title)"
    f" SELECT i + 1, CAST({EXECUTED} AS timestamp), repeat(md5(CAST(i AS text)), 8), 'Minutes'"
    f" FROM {EXECUTIONS}",
    "INSERT INTO md_todo (todo_pk, user_task_execution_fk, description, creation_date, completed)"
    f" SELECT k, 1 + u + mod(kind, 2) * :n, 'Call them ' || k, {MOMENT} - interval '30 days',"
    f" CASE WHEN kind < 2 THEN {MOMENT} - CASE WHEN {IS_DORMANT} THEN interval '100 days'"
    f" ELSE interval '10 days' END END FROM {TODOS}",
    f"{SCHEDULING} SELECT k, {DAY} + CASE kind WHEN 3 THEN 1 + mod(u / 24, 14) ELSE -20 END,"
    f" {MOMENT} - interval '30 days', NULL FROM {TODOS}",
    f"{SCHEDULING} SELECT k, {DAY} - 8, {MOMENT} - interval '19 days', 'There were three others that day.'"
    f" FROM {TODOS} WHERE kind = 2",
    f"{SCHEDULING} SELECT k, {DAY} + CASE"
    f" WHEN {ZONE} = 0 THEN -1"
    f" WHEN {HAS_FAILED} THEN -2"
    f" WHEN {ZONE} BETWEEN 1 AND 4 THEN mod(u / 24, 7)"
    f" WHEN {ZONE} = 23 THEN 0"
    f" WHEN {NOTHING_TO_TELL} OR mod(u / 24, 2) = 0 THEN 1 + mod(u / 24, 7)"
    f" ELSE 0 END, {MOMENT} - CASE"
    f" WHEN {ZONE} = 0 OR {HAS_FAILED} OR {NOTHING_TO_TELL} THEN interval '5 days'"
    f" WHEN {ZONE} BETWEEN 1 AND 4 THEN interval '1 hour' * {ZONE}"
    f" ELSE interval '6 hours' END, 'There were three others that day.' FROM {TODOS} WHERE kind = 2",
)
JOB = (
    "INSERT INTO md_background_job"
    " (process, subject, occasion, state, attempts, started_at, finished_at, outcome)"
)
MAILED = """'{"todos": 1, "moved": 1, "worded_by": "model"}'"""
LEDGER = (
    f"{JOB} SELECT 'extract_todos', CAST(i AS text), '', 'done', 1, {MOMENT}, {MOMENT}, '{{\"todos\": []}}'"
    " FROM generate_series(1, 2 * :n) i",
    # Each move of the last days, and each failed move: half of these last night, half tonight.
    f"{JOB} SELECT 'reschedule_todo', CAST(k AS text), CAST({DAY} - CASE"
    f" WHEN {HAS_FAILED} THEN mod(u / 2400, 2) WHEN {ZONE} BETWEEN 1 AND 4 THEN 0 ELSE 5 END AS text),"
    f" CASE WHEN {HAS_FAILED} THEN 'failed' ELSE 'done' END, 1, {MOMENT}, {MOMENT},"
    f' \'{{"chosen_by": "model"}}\' FROM {TODOS} WHERE kind = 2',
    # The e-mails of the last week for every other user, and those of today.
    f"{JOB} SELECT 'events', 'todo_daily_emails:user-' || u, CAST(CAST(at AS date) AS text), 'done', 1, at,"
    f" at, {MAILED} FROM generate_series({MOMENT} - interval '7 days', {MOMENT} - interval '1 day', '1 day')"
    " at, generate_series(0, :n - 1) u WHERE extract(isodow FROM at) < 6 AND mod(u / 24, 2) = 0",
    f"{JOB} SELECT 'events', 'todo_daily_emails:user-' || u, CAST({DAY} AS text), 'done', 1, {MOMENT},"
    f" {MOMENT}, {MAILED} FROM generate_series(0, :n - 1) u"
    f" WHERE {ZONE} BETWEEN 8 AND 18 AND NOT {WANTS_NONE} AND NOT {NOTHING_TO_TELL}",
    f"INSERT INTO md_background_pause SELECT 'user-' || u, {MOMENT} - interval '50 days'"
    f" FROM generate_series(0, :n - 1) u WHERE {IS_DORMANT}",
    # One in a hundred had soft bounces some weeks ago; the block has ended.
    "INSERT INTO md_background_mail_block (user_id, address, kind, reason, since, until)"
    f" SELECT 'user-' || u, u || '@example.com', 'soft bounces', 'MailboxFull',"
    f" {MOMENT} - interval '30 days', {MOMENT} - interval '23 days'"
    " FROM generate_series(0, :n - 1) u WHERE mod(u / 24, 100) = 7",
    # The expected result, computed from the numbers alone.
    "CREATE TABLE bench_due (process text, subject text, occasion text, PRIMARY KEY (process, subject))",
    f"INSERT INTO bench_due SELECT 'reschedule_todo', CAST(k AS text), CAST({DAY} AS text)"
    f" FROM {TODOS} WHERE kind = 2 AND {ZONE} = 0"
    f" UNION ALL SELECT 'events', 'todo_daily_emails:user-' || u, CAST({DAY} AS text)"
    f" FROM generate_series(0, :n - 1) u WHERE {ZONE} = 7 AND NOT {IS_DORMANT}",
)
HAD_EMAIL = f"SELECT count(*) FROM generate_series(0, :n - 1) u WHERE {ZONE} = 7"
QUEUED = (
    "(SELECT process, subject, occasion FROM md_background_job WHERE process = :process AND state = 'queued')"
)
EXPECTED = "(SELECT process, subject, occasion FROM bench_due WHERE process = :process)"
# As after an upgrade or a restore: PostgreSQL has no statistics.
FORGET = (
    "DELETE FROM pg_statistic WHERE starelid IN (SELECT oid FROM pg_class WHERE relnamespace ="
    " CAST('public' AS regnamespace))",
    "UPDATE pg_class SET reltuples = -1, relpages = 0, relallvisible = 0, relallfrozen = 0"
    " WHERE relnamespace = CAST('public' AS regnamespace) AND relkind IN ('r', 'i')",
)


@dataclass(frozen=True)
class Schedule:
    """One of the two schedules.

    Attributes:
        process: its package.
        timeout: seconds, as in the template.
        settings: its own environment variables.
        subject: returns the job's subject for a message.
    """

    process: str
    timeout: int
    settings: dict[str, str]
    subject: Callable[[dict[str, Any]], str]


SCHEDULES = (
    Schedule(
        "reschedule_todo",
        900,
        {
            "NIGHT_FROM_HOUR": str(NIGHT_FROM_HOUR),
            "NIGHT_UNTIL_HOUR": str(NIGHT_UNTIL_HOUR),
            "DEFAULT_TIMEZONE_OFFSET": str(DEFAULT_OFFSET),
        },
        lambda body: str(body["todo_pk"]),
    ),
    Schedule(
        "events",
        300,
        {
            "DAILY_TODO_EMAIL_TIME": str(EMAIL_HOUR),
            "SEND_EMPTY_TODO_EMAILS": "false",
            "DORMANT_AFTER_DAYS": str(DORMANT_AFTER_DAYS),
            "DEFAULT_TIMEZONE_OFFSET": str(DEFAULT_OFFSET),
        },
        lambda body: f"{body['event_type']}:{body['user_id']}",
    ),
)


class Users(Filled):
    """A database with `size` users."""

    def due(self, process: str) -> int:
        """Return how many jobs a schedule should find."""
        return int(self.value(f"SELECT count(*) FROM {EXPECTED} expected", process=process))

    def claimed_rightly(self, process: str) -> bool:
        """Return whether exactly the expected jobs are claimed."""
        differ = f"({QUEUED} EXCEPT {EXPECTED}) UNION ALL ({EXPECTED} EXCEPT {QUEUED})"
        return bool(self.value(f"SELECT count(*) = 0 FROM ({differ}) differ", process=process))

    def reset(self, process: str) -> None:
        """Delete the claims."""
        self.run(
            "DELETE FROM md_background_job WHERE process = :process AND state = 'queued'", process=process
        )


@dataclass(frozen=True)
class Measured:
    """A run with all due, a run with nothing due, and the big tables that were scanned sequentially."""

    due: Run
    again: Run
    scanned: list[str]


def fill(server: postgres.Database, name: str, users: int, cloud: Cloud) -> Users:
    """Make a database with `users` users, and migrate it."""
    filled = Users.create(server, name, users, cloud)
    filled.fill(LOAD, LEDGER, "users", now=NOW, today=TODAY)
    return filled


def environment(filled: Users, cloud: Cloud, schedule: Schedule, queue_url: str) -> dict[str, str]:
    """Return the environment variables of the schedule function."""
    given = database.schedule_environment(filled, cloud, schedule.process, queue_url)
    offset = (NOW - datetime.now(UTC)).total_seconds()
    return given | schedule.settings | {"CLOCK_OFFSET_SECONDS": str(offset)}


def measure(filled: Users, cloud: Cloud, schedule: Schedule, *, read_messages: bool = False) -> Measured:
    """Run the schedule's handler twice, each time in a new process, and delete its claims.

    Args:
        filled, cloud, schedule: the database, the emulator and the schedule.
        read_messages: whether to compare each message and not only their number; MiniStack is slow with many.

    Raises:
        BenchError: it failed, or did not publish exactly the due jobs, once.
    """
    process, due = schedule.process, filled.due(schedule.process)
    before = filled.sequential_scans()
    with cloud.queue() as url:
        first, again = (
            database.run_schedule(process, environment(filled, cloud, schedule, url), schedule.timeout)
            for _ in range(2)
        )
        waiting = cloud.waiting(url)
        if not first.published + again.published == first.published == waiting == due:
            raise BenchError(
                f"{process}: {due} due, {first.published} and {again.published} published,"
                f" {waiting} in the queue"
            )
        after = filled.sequential_scans()
        if read_messages:
            subjects = Counter(schedule.subject(body) for body in cloud.receive(url))
            with filled.engine.connect() as connection:
                rows = connection.exec_driver_sql(
                    f"SELECT subject FROM bench_due WHERE process = '{process}'"
                )
                if subjects != Counter(rows.scalars()):
                    raise BenchError(f"{process}: the messages are not exactly those of the due jobs")
    if not filled.claimed_rightly(process):
        raise BenchError(f"{process}: the claimed jobs are not the due ones")
    filled.reset(process)
    return Measured(first, again, [table for table in after if after[table] != before[table]])


def count_calls(filled: Users) -> Verdict:
    """Print how many jobs ask the model in the measured hour, and how many would without dormant users.

    Before, each overdue to-do and each daily e-mail asked once. Now a dormant user's to-do is moved once a
    week, without the model.
    """
    settings = {"n": filled.size, "now": NOW, "today": TODAY, "days": DORMANT_AFTER_DAYS}
    since = f"{MOMENT} - :days * interval '1 day'"
    moves = "FROM bench_due AS due JOIN md_todo AS todo ON due.process = 'reschedule_todo'"
    moves += (
        " AND todo.todo_pk = CAST(due.subject AS integer)"
        " JOIN md_user_task_execution ON user_task_execution_pk = todo.user_task_execution_fk"
        " JOIN md_user_task AS its_task ON user_task_pk = user_task_fk"
    )
    alive = sign_of_life("its_task.user_id", since)
    before, after = (
        [filled.value(f"SELECT count(*) {moves}", **settings), filled.value(HAD_EMAIL, **settings)],
        [filled.value(f"SELECT count(*) {moves} WHERE {alive}", **settings), filled.due("events")],
    )
    print(f"\nModel calls in this hour, with {SHARE_DORMANT:.0%} of the users dormant")
    for name, was, now in (
        *zip(("moves", "e-mails"), before, after, strict=True),
        ("all", sum(before), sum(after)),
    ):
        print(f"  {name:10}{was:>10,} before{now:>10,} now{now / was:>8.0%}")
    share = sum(after) / sum(before)
    return (
        f"dormant users cost no call: {share:.2f} of the calls, bar {1 - SHARE_DORMANT:.2f}",
        share < 0.41,
    )


def plans(filled: Users, cloud: Cloud) -> list[Plan]:
    """Return the plans of the functions' statements, executed and rolled back.

    Raises:
        BenchError: a statement exceeded the functions' timeout.
    """
    for schedule in SCHEDULES:
        os.environ |= environment(filled, cloud, schedule, "none")
    engine = create_engine(filled.database.url)
    made = []
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql(f"SET statement_timeout = '{STATEMENT_TIMEOUT_SECONDS}s'")
            connection.commit()
            for explained in (_plans_of_reschedule_todo, _plans_of_events):
                made += explained(filled, connection)
    except DBAPIError as error:
        raise BenchError(f"{error.orig}\n{error.statement}") from error
    finally:
        engine.dispose()
    return made


def _plans_of_reschedule_todo(filled: Users, connection: Connection) -> list[Plan]:
    from reschedule_todo import rescheduling, schedule

    (lately,) = schedule.due_work(schedule.settings, NOW)
    # At 10 o'clock UTC the schedule reads all open to-dos.
    (everything,) = schedule.due_work(schedule.settings, NOW - timedelta(hours=2))
    yesterday = TODAY - timedelta(days=1)
    middle = filled.value(
        "SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY todo_scheduling_pk) FROM md_todo_scheduling"
        " WHERE scheduled_date = :day",
        day=yesterday,
    )
    active, dormant = (
        int(
            filled.value(
                f"SELECT max(k) FROM {TODOS} WHERE {which} AND {ZONE} = 0 AND kind = 2", n=filled.size
            )
        )
        for which in (f"NOT {IS_DORMANT}", IS_DORMANT)
    )
    settings: Any = SimpleNamespace(
        default_timezone_offset=DEFAULT_OFFSET,
        slipping_after_moves=5,
        dormant_after_days=DORMANT_AFTER_DAYS,
    )
    collected = "`reschedule_todo.rescheduling.collect`."
    named = partial(_named, connection)
    return [
        *named(
            partial(_claim, lately, {}),
            (
                "reschedule_todo, schedule: first page of recently planned to-dos",
                "`reschedule_todo/due.sql` within `mojodex.jobs.claim`.",
            ),
        ),
        *named(
            partial(_claim, lately, {"after_date": yesterday, "after_pk": middle}),
            (
                "reschedule_todo, schedule: a later page of these to-dos",
                "The same query, continued after the last row of the page before.",
            ),
        ),
        *named(
            partial(_claim, everything, {"after_pk": 2 * filled.size}),
            (
                "reschedule_todo, schedule: a page of all open to-dos",
                "`reschedule_todo/due_everything.sql` within `mojodex.jobs.claim`.",
            ),
        ),
        *named(
            lambda session: rescheduling.collect(session, active, NOW, settings),
            ("reschedule_todo, worker: the to-do, its task and its user", collected),
            ("reschedule_todo, worker: the dates of the to-do", collected),
            ("reschedule_todo, worker: the newest version of the result", collected),
            ("reschedule_todo, worker: the user's other open to-dos", collected),
        ),
        *named(
            lambda session: rescheduling.collect(session, dormant, NOW, settings),
            (
                "reschedule_todo, worker: the to-do of a dormant user",
                f"{collected} It checks all signs of life.",
            ),
            ("reschedule_todo, worker: the dates of that to-do", collected),
        ),
    ]


def _plans_of_events(filled: Users, connection: Connection) -> list[Plan]:
    from events import schedule
    from events.daily_email import audience, content
    from events.message import SendEvent

    with_offset, without_offset = audience.due_work(schedule.settings, NOW)
    settings: Any = SimpleNamespace(
        default_timezone_offset=DEFAULT_OFFSET,
        send_empty_todo_emails=False,
        dormant_after_days=DORMANT_AFTER_DAYS,
    )
    due_sql = "`events/daily_email/due.sql` within `mojodex.jobs.claim`."
    message = SendEvent(event_type="todo_daily_emails", user_id="user-55")
    collected = "`events.daily_email.content.collect`."
    named = partial(_named, connection)
    return [
        *named(
            partial(_claim, with_offset, {}),
            (
                "events, schedule: first page of due users",
                f"{due_sql} All have got their e-mail.",
            ),
        ),
        *named(
            # The page after those whose hour came before.
            partial(_claim, with_offset, {"after_offset": DEFAULT_OFFSET - 59}),
            (
                "events, schedule: a later page of due users",
                f"{due_sql} Four of ten are due; the others are dormant and were told.",
            ),
        ),
        *named(
            partial(_claim, without_offset, {}),
            ("events, schedule: due users without an offset", due_sql),
        ),
        *named(
            # A due user, whose open to-do's execution has no title.
            lambda session: content.collect(session, message, TODAY, NOW, settings),
            ("events, worker: the user", f"{collected} The user is dormant, so it checks all signs of life."),
            ("events, worker: the user's to-dos of today, and moved ones", collected),
            ("events, worker: the title of a result", collected),
            ("events, worker: when a silent user was told of the pause", collected),
            ("events, worker: signs of life since then", collected),
        ),
    ]


def _claim(work: DueWork, after: dict[str, Any], session: Session) -> None:
    jobs.claim(session, work.process, work.query, work.parameters | after, now=NOW)


def _named(
    connection: Connection, run: Callable[[Session], object], *names: tuple[str, str]
) -> Iterator[Plan]:
    """Yield the plans of the statements that `run` runs. Roll back before and after each part."""
    with database.statements(connection) as seen, Session(connection) as session:
        run(session)
    connection.rollback()
    for name, statement in zip(names, seen, strict=True):
        yield database.explain(connection, *name, statement)
    connection.rollback()


def main() -> int:
    """Measure, print and judge. Return the exit code."""
    return database.run_bench("schedule_plans", partial(_run, _parser().parse_args()))


def _run(arguments: argparse.Namespace, server: postgres.Database, cloud: Cloud) -> list[Verdict]:
    small = fill(server, "small", arguments.small, cloud)
    big = fill(server, "big", arguments.big, cloud)
    verdicts: list[Verdict] = []
    for schedule in SCHEDULES:
        runs = [measure(small, cloud, schedule, read_messages=True), measure(big, cloud, schedule)]
        verdicts += _tables(schedule, (small, big), runs, "")
    verdicts.append(count_calls(big))
    made = plans(big, cloud)

    for filled in (small, big):
        filled.run(*FORGET)
    for schedule in SCHEDULES:
        try:
            runs = [measure(filled, cloud, schedule) for filled in (small, big)]
            verdicts += _tables(schedule, (small, big), runs, ", without statistics")
        except BenchError as error:
            print(f"\n{schedule.process}, without statistics: {error}")
            verdicts.append((f"{schedule.process}, without statistics: it works", False))
    try:
        verdicts += _judge(plans(big, cloud), "without statistics: ")
    except BenchError as error:
        print(f"\nA statement without statistics: {error}")
        verdicts.append(("without statistics: each statement ends", False))

    for plan in made:
        print(f"\n{plan.title}\n{textwrap.indent(plan.explanation, '    ')}")
    if arguments.write:
        database.write_part(
            "reschedule_todo and events",
            f"{big.size:,} users in all time zones. Each has four to-dos, two of them open, with six dates in"
            " all. One in 24 users is due.",
            COMMAND,
            made,
        )
    for filled in (small, big):
        filled.engine.dispose()
    return verdicts + _judge(made, "")


def _judge(made: Sequence[Plan], how: str) -> list[Verdict]:
    """Return a verdict for each plan."""
    verdicts = []
    for plan in made:
        said, passed = plan.verdict
        bar = WORKER_BAR if ", worker: " in plan.title else LONGEST_BAR
        verdicts.append(
            (
                f"{how}{said}, {plan.milliseconds:.1f} ms, bar {bar * 1000:.0f} ms",
                passed and plan.milliseconds <= bar * 1000,
            )
        )
    return verdicts


def _tables(schedule: Schedule, filled: Sequence[Users], runs: Sequence[Measured], how: str) -> list[Verdict]:
    """Print two databases' figures, with all due and with nothing due. Return a verdict for each bar."""
    heads = [f"{one.size:,} users" for one in filled]
    figures = (
        Figure("published", lambda run: run.published, ",.0f"),
        Figure("handler, seconds", lambda run: run.seconds, ".2f"),
        Figure("  in the database", lambda run: run.database, ".2f"),
        Figure("  in SendMessageBatch", lambda run: run.publishing, ".2f"),
        Figure("longest statement, ms", lambda run: run.longest * 1000, ".0f"),
        Figure("peak memory, MiB", lambda run: run.peak, ".1f", MEMORY_BAR),
    )
    title = f"{schedule.process}, one twenty-fourth due{how}"
    verdicts = database.print_table(title, heads, [[run.due] for run in runs], figures)
    verdicts += database.print_table(
        f"{schedule.process}, again, nothing due any more{how}",
        heads,
        [[run.again] for run in runs],
        figures,
    )
    due = ", ".join(f"{run.due.published:,}" for run in runs)
    longest = max(run.longest for measured in runs for run in (measured.due, measured.again))
    scanned = sorted({table for run in runs for table in run.scanned})
    return [
        *verdicts,
        (f"{title}: {due} published once each, and no others", True),
        (
            f"{title}: longest statement {longest * 1000:.0f} ms, bar {LONGEST_BAR * 1000:.0f} ms,"
            f" cancelled at {STATEMENT_TIMEOUT_SECONDS * 1000} ms",
            longest <= LONGEST_BAR,
        ),
        (
            f"{title}: {', '.join(scanned) or 'no big table'} scanned sequentially by any statement",
            not scanned,
        ),
    ]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.schedule_plans", description=__doc__)
    for name, default in (("small", 100_000), ("big", 1_000_000)):
        parser.add_argument(
            f"--{name}",
            type=int,
            default=default,
            metavar="N",
            help=f"users in the {name} database, at least 2,400 (%(default)s)",
        )
    parser.add_argument("--write", action="store_true", help="write the plans to bench/results/plans.md")
    return parser


if __name__ == "__main__":
    sys.exit(main())
