"""What the measurements of schedules share: an embedded Postgres and MiniStack, filled databases, the handler
in a process of its own, plans, and the page that they are shown on.
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
    "Generated; do not edit. Each part is written by the command that it names, which runs the statements"
    " as the functions do, with `EXPLAIN (ANALYZE, BUFFERS)`, PostgreSQL's default costs, and statistics that"
    " are up to date. The indexes `mojodex_background_…` are those of"
    " `shared/mojodex/schema.py`; the others are primary keys."
)
BIG_TABLES = (
    *("md_user_task_execution", "md_produced_text", "md_produced_text_version", "md_user_task", "md_user"),
    *("md_message", "md_todo", "md_todo_scheduling", "md_session", "md_background_job"),
)

# What is judged, and whether it keeps its bar.
type Verdict = tuple[str, bool]


class BenchError(Exception):
    """What is measured did not do what it should."""


@dataclass(frozen=True)
class Run:
    """One invocation of a handler.

    Attributes:
        seconds: its duration.
        peak: the process's peak memory in MiB.
        published: messages.
        database: seconds in statements; `longest` is that of one.
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

    @property
    def milliseconds(self) -> float:
        """How long it took."""
        found = re.search(r"Execution Time: ([\d.]+) ms", self.explanation)
        assert found, "EXPLAIN was not asked to execute it"
        return float(found[1])

    @property
    def verdict(self) -> Verdict:
        """Whether it reads no big table from one end to the other."""
        scans = self.sequential_scans
        return f"{self.title}: {', '.join(scans) or 'no big table'} read from end to end", not scans


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

    def receive(self, url: str) -> list[dict[str, Any]]:
        """The bodies of all messages in a queue, which is emptied."""
        bodies = []
        while got := self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            bodies += [json.loads(message["Body"]) for message in got]
            handles = [{"Id": m["MessageId"], "ReceiptHandle": m["ReceiptHandle"]} for m in got]
            self.sqs.delete_message_batch(QueueUrl=url, Entries=handles)  # type: ignore[arg-type]
        return bodies


@dataclass(frozen=True)
class Filled:
    """A database that is filled for a measurement; `size` is how many there are of what it is about."""

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
            name: of the new one.
            size: see the class.
            cloud: gets the secret.
        """
        database = postgres.create_database(server, name)
        postgres.run_sql_file(database, postgres.MOJODEX_SCHEMA)
        engine = create_engine(database.url, isolation_level="AUTOCOMMIT")
        return cls(name, size, database, cloud.keep(name, database), engine)

    def fill(self, load: Sequence[str], ledger: Sequence[str], what: str, **values: Any) -> None:
        """Run the statements that fill Mojodex's tables, migrate, and run those that fill the ledger.

        Args:
            load, ledger: the statements.
            what: there are `size` of.
            values: for the statements, besides `n`, which is the size.
        """
        began = time.perf_counter()
        # No check of foreign keys, which are right.
        replica = "SET session_replication_role = replica"
        self.run(replica, *load, n=self.size, **values)
        migrate(self.database.secret())
        self.run(*ledger, "VACUUM (ANALYZE)", n=self.size, **values)
        print(f"  {self.size:>9,} {what} in {time.perf_counter() - began:.0f} s", flush=True)

    def run(self, *statements: str, **values: Any) -> None:
        """Run statements, each in its own transaction, with those of `values` that it names."""
        with self.engine.connect() as connection:
            for statement in statements:
                used = {name: values[name] for name in values if re.search(rf":{name}\b", statement)}
                connection.execute(text(statement), used)

    def value(self, query: str, **values: Any) -> Any:
        """The only value of a query."""
        with self.engine.connect() as connection:
            return connection.execute(text(query), values).scalar()

    def sequential_scans(self) -> dict[str, int]:
        """How often each big table was read from one end to the other, by whoever has disconnected."""
        # Counts are passed on when a session ends, and of this one when it is told so.
        others = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'mojodex-background'"
        while self.value(others):
            time.sleep(0.1)
        self.run("SELECT pg_stat_force_next_flush()")
        query = text("SELECT relname, seq_scan FROM pg_stat_user_tables WHERE relname = ANY(:tables)")
        with self.engine.connect() as connection:
            rows = connection.execute(query, {"tables": [*BIG_TABLES]})
            return {row.relname: row.seq_scan for row in rows}


def schedule_environment(filled: Filled, cloud: Cloud, process: str, queue_url: str) -> dict[str, str]:
    """What the template gives to every schedule function, and what leads to the emulator."""
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
    """Run the handler of a process's schedule in a new Python.

    Args:
        process: name of its package.
        environment: of the function.
        seconds: its timeout.

    Raises:
        BenchError: it failed.
    """
    child = Path(__file__).with_name("child.py")
    done = subprocess.run(
        # -P: what lies beside the child is not for it.
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
    """Collects the statements that are run, with their parameters."""
    seen: list[tuple[str, Any]] = []

    def see(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        seen.append((statement, parameters))

    event.listen(connection, "before_cursor_execute", see)
    try:
        yield seen
    finally:
        event.remove(connection, "before_cursor_execute", see)


def explain(connection: Connection, title: str, purpose: str, statement: tuple[str, Any]) -> Plan:
    """The plan of a statement that was seen by `statements`; it is executed."""
    rows = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, BUFFERS) {statement[0]}", statement[1])
    return Plan(title, purpose, "\n".join(row[0] for row in rows))


def write_part(title: str, introduction: str, command: str, made: Sequence[Plan]) -> None:
    """Replace one bench's part of bench/results/plans.md, or add it."""
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
    """A row of a table: its name, how it is had from a run and shown, and the bar of the ratio."""

    name: str
    value: Callable[[Run], float]
    form: str
    bar: float | None = None


def print_table(
    title: str, heads: Sequence[str], runs: Sequence[Sequence[Run]], figures: Sequence[Figure]
) -> list[Verdict]:
    """Print two columns and their ratio; what to say of each bar, and whether it is kept."""
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


def run_bench(name: str, body: Callable[[postgres.Database, Cloud], list[Verdict]]) -> int:
    """Start PostgreSQL and MiniStack, measure, print the verdicts, and stop them; returns the exit code."""
    # A signal ends it as an exception does: with all that was started being stopped.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _frame: sys.exit(128 + number))
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
    print()
    for verdict, passed in verdicts:
        print(f"{'ok  ' if passed else 'FAIL'}  {verdict}")
    return 0 if all(passed for _, passed in verdicts) else 1
