"""`python -m bench.scan`: what the schedule of extract_todos costs in a small and in a big database.

It fills two databases of an embedded Postgres with executions that are spread evenly over the year up to now,
so the big one also has ten times the activity within the look-back; nearly all of that is extracted already,
and the same number is due in both. Then it runs the real handler, each time in a fresh process, with SQS and
Secrets Manager over HTTP from MiniStack, and explains the statements of the schedule and of the worker.
"""

import argparse
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.orm import Session

from bench import ROOT
from local import emulator, postgres
from local.stack import CREDENTIALS
from migrate.migration import migrate
from mojodex import jobs
from mojodex.clock import utc_now

PAGE = ROOT / "docs" / "explain.md"
COMMAND = "python -m bench.scan --write"
BIG_TABLES = (
    *("md_user_task_execution", "md_produced_text", "md_produced_text_version", "md_user_task"),
    *("md_message", "md_todo", "md_session", "md_background_job"),
)
# Bars: the big database against the small one (time, memory), and much due against little (memory). For the
# last one the allowance is the noise between two runs of the same.
SCALE_BAR = 1.5
MEMORY_BAR = 1.05
LOOK_BACK_DAYS = 7
MINIMUM_AGE_MINUTES = 10
# Seconds that the template gives to the function.
TIMEOUT_SECONDS = 120

# An execution's number tells its date (1 is a year old, the last one is now) and, by its last two digits,
# what became of it. Every fifth has a second version, five minutes after the first.
#   00-09 never finished, without a produced text
#   10-11 deleted by the user
#   12    its text is deleted
#   13    not extracted, but in the ledger: failed, queued or running
#   14    deleted, skipped in the ledger
#   15    edited again a moment ago, if it is within the look-back
#   16-99 extracted, nine of ten by us (done in the ledger); but of those beyond the look-back, the first
#         :never were never extracted and are in no ledger
DATES = "CAST(:now AS timestamptz) - interval '365 days' * (1 - i / CAST(:n AS float))"
IS_OLD = f"{DATES} < CAST(:now AS timestamptz) - interval '{LOOK_BACK_DAYS} days'"
NEVER_EXTRACTED = f"(mod(i, 100) < 16 OR (mod(i, 100) < 16 + :never AND {IS_OLD}))"
LOAD = (
    # No check of foreign keys, which are right.
    "SET session_replication_role = replica",
    "INSERT INTO md_task (task_pk, name_for_system, definition_for_system)"
    " SELECT i, 'task_' || i, 'Write the minutes of a meeting' FROM generate_series(1, 20) i",
    "INSERT INTO md_user (user_id, email, name, language_code, timezone_offset, creation_date)"
    " SELECT 'user-' || i, i || '@example.com', 'Ann Archer', 'en', -120, now()"
    " FROM generate_series(0, :n / 100 - 1) i",
    # Twenty tasks a user, five executions of each.
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
    # A quarter continues the user's execution before, in chains of up to four.
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
    # Edited again: a second version of what seemed to be finished, see `_reset`.
    "INSERT INTO md_produced_text_version (produced_text_fk, creation_date, production, title)"
    f" SELECT i, CAST(:now AS timestamptz), 'Edited', 'Edited' FROM generate_series(1, :n) i"
    f" WHERE mod(i, 100) = 15 AND NOT {IS_OLD}",
    "INSERT INTO md_todo (user_task_execution_fk, description, creation_date, completed)"
    f" SELECT i, 'Call them ' || i, {DATES}, CASE WHEN mod(i, 8) <> 1 THEN {DATES} END"
    " FROM generate_series(1, :n, 2) i",
)
LEDGER = (
    "INSERT INTO md_background_job (process, subject, state, attempts, queued_at, started_at, finished_at,"
    " outcome)"
    " SELECT 'extract_todos', CAST(i AS text), CASE mod(i, 100)"
    " WHEN 13 THEN (ARRAY['failed', 'queued', 'running'])[1 + mod(i / 100, 3)] WHEN 14 THEN 'skipped'"
    f" ELSE 'done' END, 1, {DATES}, {DATES}, {DATES},"
    """ '{"todos": [{"todo_pk": 1, "evidence": "I will call them tomorrow"}], "left_out": []}'"""
    " FROM generate_series(1, :n) i"
    f" WHERE mod(i, 100) IN (13, 14) OR NOT ({NEVER_EXTRACTED} OR mod(i / 100, 10) = 0)"
)
# What can be made due: extracted, with a result, and within the look-back while this program runs.
CANDIDATES = (
    "SELECT user_task_execution_pk AS pk FROM md_user_task_execution"
    " WHERE mod(user_task_execution_pk, 100) >= 16"
    " AND start_date BETWEEN CAST(:now AS timestamptz) - interval '{days} days'"
    " AND CAST(:now AS timestamptz) - interval '1 hour'"
)

# The handler in its own process: its result is the last line of what it prints. On Linux VmHWM and not
# getrusage, whose figure includes what the process was before exec: a copy of its parent.
CHILD = """
import json, resource, sys, time
from pathlib import Path
from extract_todos.schedule import handler

class Context:
    function_name, memory_limit_in_mb, aws_request_id = "schedule", 512, "request"
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:schedule"
    def get_remaining_time_in_millis(self):
        return int((ends - time.perf_counter()) * 1000)

began = time.perf_counter()
ends = began + float(sys.argv[1])
published = handler({}, Context())["published"]
seconds = time.perf_counter() - began
status = Path("/proc/self/status")
if status.exists():
    peak = next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM"))
else:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
print(json.dumps({"seconds": seconds, "peak": peak / 1024, "published": published}))
"""


class BenchError(Exception):
    """What is measured did not do what it should."""


@dataclass(frozen=True)
class Run:
    """One invocation: its handler's duration in seconds, its process's peak memory in MiB."""

    seconds: float
    peak: float
    published: int


@dataclass(frozen=True)
class Plan:
    """A statement's plan: `explanation` is PostgreSQL's."""

    title: str
    purpose: str
    explanation: str

    @property
    def indexes(self) -> list[str]:
        """The indexes that it uses, each once, in the order of the plan."""
        found = re.findall(r"Index (?:Only )?Scan (?:Backward )?using (\w+)", self.explanation)
        return list(dict.fromkeys([*found, *re.findall(r"Bitmap Index Scan on (\w+)", self.explanation)]))

    @property
    def sequential_scans(self) -> list[str]:
        """The big tables that it reads from one end to the other."""
        found = re.findall(r"Seq Scan on (?:\w+\.)?(\w+)", self.explanation)
        return [table for table in dict.fromkeys(found) if table in BIG_TABLES]


@dataclass(frozen=True)
class Filled:
    """A database with so many executions."""

    name: str
    executions: int
    database: postgres.Database
    secret_arn: str
    engine: Engine

    def run(self, *statements: str, **values: Any) -> None:
        """Run statements, each in its own transaction, with those of `values` that it names."""
        with self.engine.connect() as connection:
            for statement in statements:
                used = {name: values[name] for name in values if f":{name}" in statement}
                connection.execute(text(statement), used)

    def make_due(self, count: int, *, days: float = LOOK_BACK_DAYS - 0.5) -> None:
        """Let exactly `count` executions be due, evenly over the last `days`; all others are not."""
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
        with self.engine.connect() as connection:
            made = connection.execute(text("SELECT count(*) FROM bench_due")).scalar()
        if made != count:
            raise BenchError(f"{self.name}: only {made} executions can be due, not {count}")

    def reset(self) -> None:
        """Take the claims back, and edit again what is being edited."""
        self.run(
            "DELETE FROM md_background_job WHERE process = 'extract_todos'"
            " AND subject IN (SELECT CAST(pk AS text) FROM bench_due)",
            "UPDATE md_produced_text_version SET creation_date = CAST(now() AS timestamp)"
            " WHERE production = 'Edited' AND creation_date > CAST(now() AS timestamp) - interval '2 hours'",
        )


class Cloud:
    """Queues and secrets of the emulator."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        session = boto3.Session(
            CREDENTIALS["AWS_ACCESS_KEY_ID"],
            CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
            region_name=emulator.REGION,
        )
        config = Config(proxies={}, retries={"total_max_attempts": 1})
        self.sqs = session.client("sqs", endpoint_url=endpoint, config=config)
        self.secrets = session.client("secretsmanager", endpoint_url=endpoint, config=config)

    def keep(self, name: str, database: postgres.Database) -> str:
        """Store the connection to a database as a secret; its ARN."""
        secret = json.dumps(database.secret())
        return self.secrets.create_secret(Name=name, SecretString=secret)["ARN"]

    @contextmanager
    def queue(self) -> Iterator[str]:
        """An empty queue; its address."""
        url = self.sqs.create_queue(QueueName=f"queue-{time.monotonic_ns()}")["QueueUrl"]
        try:
            yield url
        finally:
            self.sqs.delete_queue(QueueUrl=url)

    def waiting(self, url: str) -> int:
        """Messages in a queue."""
        answer = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])
        return int(answer["Attributes"]["ApproximateNumberOfMessages"])


def fill(server: postgres.Database, name: str, executions: int, never: int, cloud: Cloud) -> Filled:
    """Make a database with a year of executions, and migrate it.

    Args:
        server: any database of the server.
        name: of the new one.
        executions: how many; a multiple of 500.
        never: percent of those beyond the look-back that were never extracted.
        cloud: gets the secret.
    """
    began = time.perf_counter()
    database = postgres.create_database(server, name)
    postgres.run_sql_file(database, ROOT / "local" / "mojodex_schema.sql")
    engine = create_engine(database.url, isolation_level="AUTOCOMMIT")
    filled = Filled(name, executions, database, cloud.keep(name, database), engine)
    values = {"n": executions, "now": utc_now(), "never": never}
    filled.run(*LOAD, **values)
    with engine.connect() as connection:
        migrate(connection)
    filled.run(LEDGER, "VACUUM (ANALYZE)", **values)
    print(f"  {executions:>9,} executions in {time.perf_counter() - began:.0f} s", flush=True)
    return filled


def environment(filled: Filled, cloud: Cloud, queue_url: str, look_back_days: int) -> dict[str, str]:
    """What the template gives to the schedule function, and what leads to the emulator."""
    return {
        "AWS_ENDPOINT_URL": cloud.endpoint,
        **CREDENTIALS,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "POWERTOOLS_SERVICE_NAME": "extract_todos",
        "POWERTOOLS_LOG_LEVEL": "INFO",
        "DATABASE_SECRET_ARN": filled.secret_arn,
        "QUEUE_URL": queue_url,
        "MINIMUM_AGE_MINUTES": str(MINIMUM_AGE_MINUTES),
        "LOOK_BACK_DAYS": str(look_back_days),
    }


def measure(
    filled: Filled,
    cloud: Cloud,
    due: int,
    *,
    look_back_days: int = LOOK_BACK_DAYS,
    seconds: int = TIMEOUT_SECONDS,
) -> Run:
    """Run the schedule's handler in a new process, and take its claims back.

    Raises:
        BenchError: it failed, or did not publish exactly what is due.
    """
    with cloud.queue() as url:
        done = subprocess.run(
            [sys.executable, "-B", "-c", CHILD, str(seconds)],
            env={
                "PATH": os.environ.get("PATH", os.defpath),
                "PYTHONPATH": os.pathsep.join(str(ROOT / folder) for folder in ("functions", "shared")),
                **environment(filled, cloud, url, look_back_days),
            },
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise BenchError(f"the handler failed\n{done.stdout}{done.stderr}")
        run = Run(**json.loads(done.stdout.splitlines()[-1]))
        if not run.published == cloud.waiting(url) == due:
            raise BenchError(f"{due} due, {run.published} published, {cloud.waiting(url)} in the queue")
    filled.reset()
    return run


@contextmanager
def statements(connection: Connection) -> Iterator[list[tuple[str, Any]]]:
    """Collects the statements that are run, with their parameters."""
    seen: list[tuple[str, Any]] = []

    def see(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        seen.append((statement, parameters))

    event.listen(connection, "before_cursor_execute", see)
    try:
        yield seen
    finally:
        event.remove(connection, "before_cursor_execute", see)


def plans(filled: Filled, environment: dict[str, str]) -> list[Plan]:
    """The plans of the statements as the functions run them, executed and rolled back."""
    os.environ |= environment
    from extract_todos import extraction, schedule
    from extract_todos.message import PROCESS

    engine = create_engine(filled.database.url)
    now = utc_now()
    with engine.connect() as connection, Session(connection) as session:

        def explain(title: str, purpose: str, statement: tuple[str, Any]) -> Plan:
            rows = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, BUFFERS) {statement[0]}", statement[1])
            return Plan(title, purpose, "\n".join(row[0] for row in rows))

        def claim(after: Any) -> tuple[tuple[str, Any], Any]:
            with statements(connection) as seen:
                due = schedule.due(schedule.settings, now, after)
                rows = jobs.claim(session, PROCESS, due, now=now)
            assert len(rows) == schedule.CLAIMS_PER_TRANSACTION, "too few are due for a later batch"
            return seen[0], (rows[-1].creation_date, rows[-1].produced_text_version_pk)

        first, after = claim(None)
        session.rollback()
        connection.rollback()
        made = [
            explain(
                "Schedule: the first batch of what is due is claimed",
                "`extract_todos.schedule.due` within `mojodex.jobs.claim`.",
                first,
            )
        ]
        connection.rollback()
        later, _ = claim(after)
        session.rollback()
        connection.rollback()
        made.append(
            explain(
                "Schedule: a later batch is claimed",
                "The same, going on behind the last version of the batch before.",
                later,
            )
        )
        connection.rollback()
        # A late execution of a user who has many, which continues another one.
        pk = filled.executions - 4
        with statements(connection) as seen:
            collect: Callable[..., Any] = extraction.collect.__wrapped__  # type: ignore[attr-defined]
            session.execute(
                text(
                    "UPDATE md_user_task_execution SET todos_extracted = NULL"
                    " WHERE user_task_execution_pk = :pk"
                ),
                {"pk": pk},
            )
            collect(session, pk, now, 0)
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


def page(made: Sequence[Plan], filled: Filled) -> str:
    """docs/explain.md."""
    parts = [
        "# How PostgreSQL answers our queries",
        f"Generated by `{COMMAND}`; do not edit. {filled.executions:,} executions spread over a year,"
        " statistics up to date, PostgreSQL's default costs. The indexes `mojodex_background_…` are those of"
        " `functions/migrate/migration.py`; the others are primary keys.",
    ]
    for plan in made:
        served = ", ".join(f"`{name}`" for name in plan.indexes)
        parts.append(f"## {plan.title}")
        parts.append(f"{plan.purpose} Served by {served}. Regenerate: `{COMMAND}`.")
        parts.append(f"```\n{plan.explanation}\n```")
    return "\n\n".join(parts) + "\n"


def main() -> int:
    """Measure, print and judge; returns the exit code."""
    arguments = _parser().parse_args()
    # A signal ends it as an exception does: with all that was started being stopped.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _frame: sys.exit(128 + number))
    with tempfile.TemporaryDirectory(prefix="bench-scan-") as name:
        directory = Path(name)
        try:
            print("PostgreSQL, MiniStack, and the databases:", flush=True)
            server = postgres.start(
                directory / "postgres",
                settings={"shared_buffers": "512MB", "max_wal_size": "8GB", "autovacuum": "off"},
            )
            cloud = Cloud(emulator.start(directory / "ministack").endpoint)
            return _run(arguments, server, cloud)
        except BenchError as error:
            print(f"\n{error}", file=sys.stderr)
            return 1
        finally:
            emulator.stop(directory / "ministack")
            postgres.stop(directory / "postgres")


def _run(arguments: argparse.Namespace, server: postgres.Database, cloud: Cloud) -> int:
    make = partial(fill, server, never=arguments.never_extracted, cloud=cloud)
    small = make("small", arguments.small)
    big = make("big", arguments.big)
    verdicts: list[tuple[str, bool]] = []

    for filled in (small, big):
        filled.make_due(arguments.due)
        measure(filled, cloud, arguments.due)
    runs: dict[str, list[Run]] = {"small": [], "big": []}
    for round_number in range(arguments.rounds):
        order = (small, big) if round_number % 2 else (big, small)
        for filled in order:
            runs[filled.name].append(measure(filled, cloud, arguments.due))
    heads = [f"{filled.executions:,} executions" for filled in (small, big)]
    verdicts += _table(f"{arguments.due:,} due", heads, list(runs.values()), SCALE_BAR, SCALE_BAR)

    made = plans(big, environment(big, cloud, "none", LOOK_BACK_DAYS))

    counts = (arguments.little, arguments.much)
    by_due: list[list[Run]] = []
    for count in counts:
        big.make_due(count)
        by_due.append([measure(big, cloud, count) for _ in range(3)])
    verdicts += _table(
        f"{big.executions:,} executions", [f"{count:,} due" for count in counts], by_due, None, MEMORY_BAR
    )

    for plan in made:
        scans = plan.sequential_scans
        print(f"\n{plan.title}\n{textwrap.indent(plan.explanation, '    ')}")
        verdicts.append(
            (f"{plan.title}: {', '.join(scans) or 'no big table'} read from end to end", not scans)
        )
    if arguments.write:
        PAGE.write_text(page(made, big))
    for filled in (small, big):
        filled.engine.dispose()

    print()
    for verdict, passed in verdicts:
        print(f"{'ok  ' if passed else 'FAIL'}  {verdict}")
    return 0 if all(passed for _, passed in verdicts) else 1


def _table(
    title: str, heads: Sequence[str], runs: Sequence[Sequence[Run]], time_bar: float | None, memory_bar: float
) -> list[tuple[str, bool]]:
    """Print two columns and their ratio; what to say of each bar, and whether it is kept."""
    print(
        f"\n{title}, median of {len(runs[0])} runs\n{'':24}{heads[0]:>24}{heads[1]:>24}{'ratio':>8}{'bar':>6}"
    )
    verdicts = []
    rows: tuple[tuple[str, Callable[[Run], float], str, float | None], ...] = (
        ("handler, seconds", lambda run: run.seconds, ".3f", time_bar),
        ("peak memory, MiB", lambda run: run.peak, ".1f", memory_bar),
        ("published", lambda run: run.published, ",.0f", None),
    )
    for name, value, form, bar in rows:
        first, second = (statistics.median(map(value, column)) for column in runs)
        ratio = second / first
        print(f"{name:24}{first:>24{form}}{second:>24{form}}{ratio:>8.2f}{bar or '':>6}")
        if bar:
            verdicts.append((f"{title}: {name}, ratio {ratio:.2f}, bar {bar}", ratio <= bar))
    return verdicts


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.scan", description=__doc__)
    add = parser.add_argument
    numbers = {
        "small": (100_000, "executions in the small database, a multiple of 500"),
        "big": (1_000_000, "executions in the big database, a multiple of 500"),
        "due": (1_000, "due in both, at least two batches"),
        "little": (100, "due, for the comparison of memory"),
        "much": (10_000, "due, against it"),
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
    add("--write", action="store_true", help=f"write the plans to {PAGE.relative_to(ROOT)}")
    return parser


if __name__ == "__main__":
    sys.exit(main())
