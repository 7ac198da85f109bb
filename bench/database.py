"""Tools for the benches of schedules.

They run an embedded Postgres and MiniStack, fill databases, run a handler in its own process, and collect
query plans for the page that shows them.
"""

import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import boto3
from botocore.config import Config
from sqlalchemy import Connection, Engine, create_engine, event, text

from bench import ROOT
from local.runtime import emulator, postgres
from local.runtime.emulator import CREDENTIALS
from maintenance.migrate.migration import migrate

PAGE = ROOT / "bench" / "results" / "plans.md"
HEAD = (
    "# How PostgreSQL answers our queries\n\n"
    "Generated; do not edit. The command named in each part writes it. It runs the statements as the"
    " functions do, with `EXPLAIN (ANALYZE, BUFFERS)`, PostgreSQL's default costs and current statistics."
    " The indexes `mojodex_background_…` are defined in `shared/mojodex/schema.py`; the others are primary"
    " keys."
)
BIG_TABLES = (
    *("md_user_task_execution", "md_produced_text", "md_produced_text_version", "md_user_task", "md_user"),
    *("md_message", "md_todo", "md_todo_scheduling", "md_session", "md_background_job"),
)

# A statement, and whether it is true.
type Verdict = tuple[str, bool]


class BenchError(Exception):
    """A measured part did not behave as it must."""


@dataclass(frozen=True)
class Run:
    """One invocation of a handler.

    Attributes:
        seconds: its duration.
        peak: the process's peak memory in MiB.
        published: number of messages.
        database: seconds in statements; `longest` is the longest statement's.
        publishing: seconds in SendMessageBatch.
    """

    seconds: float
    peak: float
    published: int
    database: float
    longest: float
    publishing: float


@dataclass(frozen=True)
class Plan:
    """A statement's query plan. `explanation` is the text of PostgreSQL's EXPLAIN."""

    title: str
    purpose: str
    explanation: str

    @property
    def indexes(self) -> list[str]:
        """Return the indexes that the plan uses, each once and in order."""
        found = re.findall(r"Index (?:Only )?Scan (?:Backward )?using (\w+)", self.explanation)
        return list(dict.fromkeys([*found, *re.findall(r"Bitmap Index Scan on (\w+)", self.explanation)]))

    @property
    def sequential_scans(self) -> list[str]:
        """Return the big tables with a sequential scan."""
        found = re.findall(r"Seq Scan on (?:\w+\.)?(\w+)", self.explanation)
        return [table for table in dict.fromkeys(found) if table in BIG_TABLES]

    @property
    def milliseconds(self) -> float:
        """Return the execution time."""
        found = re.search(r"Execution Time: ([\d.]+) ms", self.explanation)
        assert found, "the plan comes from an EXPLAIN without ANALYZE"
        return float(found[1])

    @property
    def verdict(self) -> Verdict:
        """Return whether the plan scans no big table sequentially."""
        scans = self.sequential_scans
        return f"{self.title}: {', '.join(scans) or 'no big table'} scanned sequentially", not scans


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
        """Store the connection to a database as a secret, and return its ARN."""
        secret = json.dumps(database.secret())
        return self.secrets.create_secret(Name=name, SecretString=secret)["ARN"]

    @contextmanager
    def queue(self) -> Iterator[str]:
        """Create an empty queue and yield its URL."""
        url = self.sqs.create_queue(QueueName=f"queue-{time.monotonic_ns()}")["QueueUrl"]
        try:
            yield url
        finally:
            self.sqs.delete_queue(QueueUrl=url)

    def waiting(self, url: str) -> int:
        """Return the number of messages in a queue."""
        answer = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])
        return int(answer["Attributes"]["ApproximateNumberOfMessages"])

    def receive(self, url: str) -> list[dict[str, Any]]:
        """Empty a queue, and return the bodies of its messages."""
        bodies = []
        while got := self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            bodies += [json.loads(message["Body"]) for message in got]
            handles = [{"Id": m["MessageId"], "ReceiptHandle": m["ReceiptHandle"]} for m in got]
            self.sqs.delete_message_batch(QueueUrl=url, Entries=handles)  # type: ignore[arg-type]
        return bodies


@dataclass(frozen=True)
class Filled:
    """A filled database for a measurement. `size` counts the rows of the bench's main kind."""

    name: str
    size: int
    database: postgres.Database
    secret_arn: str
    engine: Engine

    @classmethod
    def create(cls, server: postgres.Database, name: str, size: int, cloud: Cloud) -> Self:
        """Make a database with Mojodex's tables, all of them empty.

        Args:
            server: any database of the server.
            name: the new database.
            size: the number of rows to fill in later.
            cloud: stores the secret.
        """
        database = postgres.create_database(server, name)
        postgres.run_sql_file(database, postgres.MOJODEX_SCHEMA)
        engine = create_engine(database.url, isolation_level="AUTOCOMMIT")
        return cls(name, size, database, cloud.keep(name, database), engine)

    def fill(self, load: Sequence[str], ledger: Sequence[str], what: str, **values: Any) -> None:
        """Fill Mojodex's tables, migrate, and then fill the ledger.

        Args:
            load, ledger: the statements that fill.
            what: the kind of rows, for the progress line.
            values: parameters of the statements, besides `n`, which is the size.
        """
        began = time.perf_counter()
        # Skip the checks of foreign keys, which are valid.
        replica = "SET session_replication_role = replica"
        self.run(replica, *load, n=self.size, **values)
        migrate(self.database.secret())
        self.run(*ledger, "VACUUM (ANALYZE)", n=self.size, **values)
        print(f"  {self.size:>9,} {what} in {time.perf_counter() - began:.0f} s", flush=True)

    def run(self, *statements: str, **values: Any) -> None:
        """Run statements, each in its own transaction, with the `values` that it names."""
        with self.engine.connect() as connection:
            for statement in statements:
                used = {name: values[name] for name in values if re.search(rf":{name}\b", statement)}
                connection.execute(text(statement), used)

    def value(self, query: str, **values: Any) -> Any:
        """Return the only value of a query."""
        with self.engine.connect() as connection:
            return connection.execute(text(query), values).scalar()

    def sequential_scans(self) -> dict[str, int]:
        """Return how often each big table was scanned sequentially, by all closed connections."""
        # PostgreSQL publishes a session's counts when it ends, and this session's on request.
        others = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'mojodex-background'"
        while self.value(others):
            time.sleep(0.1)
        self.run("SELECT pg_stat_force_next_flush()")
        query = text("SELECT relname, seq_scan FROM pg_stat_user_tables WHERE relname = ANY(:tables)")
        with self.engine.connect() as connection:
            rows = connection.execute(query, {"tables": [*BIG_TABLES]})
            return {row.relname: row.seq_scan for row in rows}


def schedule_environment(filled: Filled, cloud: Cloud, process: str, queue_url: str) -> dict[str, str]:
    """Return the variables that the template gives every schedule function, with the emulator's endpoint."""
    return {
        "AWS_ENDPOINT_URL": cloud.endpoint,
        **CREDENTIALS,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "POWERTOOLS_SERVICE_NAME": process,
        "POWERTOOLS_LOG_LEVEL": "INFO",
        "POWERTOOLS_METRICS_NAMESPACE": "MojodexBackground",
        "DATABASE_SECRET_ARN": filled.secret_arn,
        "QUEUE_URL": queue_url,
    }


def run_schedule(process: str, environment: dict[str, str], seconds: int) -> Run:
    """Run the handler of a process's schedule in a new Python process.

    Args:
        process: the name of its package.
        environment: the function's variables.
        seconds: its timeout.

    Raises:
        BenchError: the handler failed.
    """
    child = Path(__file__).with_name("cold_start_child.py")
    done = subprocess.run(
        # -P keeps the bench's folder out of the child's import path.
        [sys.executable, "-B", "-P", child, f"{process}.schedule", str(seconds)],
        env={
            "PATH": os.environ.get("PATH", os.defpath),
            "PYTHONPATH": os.pathsep.join(str(ROOT / folder) for folder in ("functions", "shared")),
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise BenchError(f"the handler failed\n{done.stdout}{done.stderr}")
    return Run(**json.loads(done.stdout.splitlines()[-1]))


@contextmanager
def statements(connection: Connection) -> Iterator[list[tuple[str, Any]]]:
    """Collect the statements that run on a connection, with their parameters."""
    seen: list[tuple[str, Any]] = []

    def see(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        seen.append((statement, parameters))

    event.listen(connection, "before_cursor_execute", see)
    try:
        yield seen
    finally:
        event.remove(connection, "before_cursor_execute", see)


def explain(connection: Connection, title: str, purpose: str, statement: tuple[str, Any]) -> Plan:
    """Execute a statement that `statements` collected, and return its plan."""
    rows = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, BUFFERS) {statement[0]}", statement[1])
    return Plan(title, purpose, "\n".join(row[0] for row in rows))


def write_part(title: str, introduction: str, command: str, made: Sequence[Plan]) -> None:
    """Replace or add one bench's part of bench/results/plans.md."""
    part = [f"## {title}", f"{introduction} Regenerate: `{command}`."]
    for plan in made:
        served = ", ".join(f"`{name}`" for name in plan.indexes)
        part.append(f"### {plan.title}")
        part.append(f"{plan.purpose} Served by {served}.")
        part.append(f"```\n{plan.explanation}\n```")
    written = PAGE.read_text() if PAGE.exists() else ""
    _, *others = re.split(r"^(?=## )", written, flags=re.MULTILINE)
    parts = {other.partition("\n")[0]: other.strip() for other in others}
    parts[part[0]] = "\n\n".join(part)
    PAGE.write_text("\n\n".join([HEAD, *parts.values()]) + "\n")


@dataclass(frozen=True)
class Figure:
    """A row of a table: its name, its value in a run, its format, and the bar of its ratio."""

    name: str
    value: Callable[[Run], float]
    form: str
    bar: float | None = None


def print_table(
    title: str, heads: Sequence[str], runs: Sequence[Sequence[Run]], figures: Sequence[Figure]
) -> list[Verdict]:
    """Print two columns and their ratio. Return a verdict for each bar."""
    print(f"\n{title}\n{'':28}{heads[0]:>24}{heads[1]:>24}{'ratio':>8}{'bar':>6}")
    verdicts = []
    for figure in figures:
        first, second = (statistics.median(map(figure.value, column)) for column in runs)
        ratio = f"{second / first:.2f}" if first else ""
        print(
            f"{figure.name:28}{first:>24{figure.form}}{second:>24{figure.form}}"
            f"{ratio:>8}{figure.bar or '':>6}",
            flush=True,
        )
        if figure.bar:
            verdicts.append(
                (f"{title}: {figure.name}, ratio {ratio}, bar {figure.bar}", second <= first * figure.bar)
            )
    return verdicts


def exit_on_signals() -> None:
    """Let SIGTERM and SIGHUP end a bench like an exception, so that everything it started is stopped."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _frame: sys.exit(128 + number))


def print_verdicts(verdicts: Sequence[Verdict]) -> int:
    """Print the verdicts. Return the exit code: 0 if all are true, else 1."""
    print()
    for verdict, passed in verdicts:
        print(f"{'ok  ' if passed else 'FAIL'}  {verdict}")
    return 0 if all(passed for _, passed in verdicts) else 1


def run_bench(name: str, body: Callable[[postgres.Database, Cloud], list[Verdict]]) -> int:
    """Start PostgreSQL and MiniStack, measure, print the verdicts, stop both, and return the exit code."""
    exit_on_signals()
    with tempfile.TemporaryDirectory(prefix=f"bench-{name}-") as path:
        directory = Path(path)
        try:
            print("PostgreSQL, MiniStack, and the databases:", flush=True)
            server = postgres.start(
                directory / "postgres",
                settings={"shared_buffers": "512MB", "max_wal_size": "8GB", "autovacuum": "off"},
            )
            verdicts = body(server, Cloud(emulator.start(directory / "ministack").endpoint))
        except BenchError as error:
            print(f"\n{error}", file=sys.stderr)
            return 1
        finally:
            emulator.stop(directory / "ministack")
            postgres.stop(directory / "postgres")
    return print_verdicts(verdicts)
