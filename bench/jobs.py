"""`python -m bench.jobs`: measure the queries of the jobs API and the console on ten million jobs.

It fills an embedded Postgres (see `bench.ledger`) and queries it with the API's own functions, each kind of
query many times with other values. The first columns are PostgreSQL's own time for the first run of a query,
planning and output included. Its buffer pool holds a fourteenth of the ledger. "Client" is the same query
again, measured in Python, with the network and pg8000's reading of the rows. Then the bench opens the
console's first screen, retries ten thousand failed jobs by one request, and measures the cost of the indexes
for a worker.
"""

import argparse
import json
import logging
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from hashlib import md5
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.orm import Session

from bench import database, results
from bench.database import Cloud, Plan, Verdict
from bench.ledger import INCIDENT_REASON, NEW_INDEXES, NOW, Ledger
from bench.schedule_plans import FORGET
from local.runtime import emulator, postgres
from mojodex import clock, jobs
from mojodex.clock import Deadline, utc_now
from mojodex.database import STATEMENT_TIMEOUT_SECONDS

COMMAND = "python -m bench.jobs --write"
# Milliseconds in statements for 95 of 100 queries, and for the whole handler of the first screen.
LIST_BAR = 50
SCREEN_BAR = 100
SCREEN_QUERIES = 5
# A query that reads more rows than this reads too much, even of a very large ledger.
ROWS_BAR = 100_000
# Before the first ANALYZE, a query need only stay well below the statement timeout.
UNKNOWN_BAR = STATEMENT_TIMEOUT_SECONDS * 1000 / 5
# A retry: milliseconds of statements until it is counted, and seconds until it is accepted.
MATCHING_BAR = 2_000
ACCEPTED_BAR = 5
RETRIED = 10_000
SETTINGS = {
    "shared_buffers": "512MB",
    "max_wal_size": "8GB",
    "maintenance_work_mem": "1GB",
    # PostgreSQL must not vacuum during the measurement: see `bench.ledger`.
    "autovacuum": "off",
}
SECRET = {
    "session_keys": ["a-session-key-of-twenty-and-more"],
    "credentials": {"operator": {"secret": "operators-secret-0123456789", "rights": ["read", "operate"]}},
}
# Jobs in the databases that show the cost of indexes; jobs begun and finished there in each round; rounds.
SMALL, WRITTEN, ROUNDS = 300_000, 400, 8
REASON = "number {}:"
COMMON, RARE, ABSENT = REASON.format(0), REASON.format(29), "no such reason"


@dataclass(frozen=True)
class Asked:
    """One query.

    Attributes:
        server: milliseconds by PostgreSQL for the first run, planning and output included.
        client: milliseconds around its statements for a second run, with the network and pg8000.
        rows: rows of the ledger that it read.
        buffers, read: 8 KiB buffers that it used, and those of them that were not in the pool.
    """

    server: float
    client: float
    rows: int
    buffers: int
    read: int


@dataclass(frozen=True)
class Kind:
    """A kind of query.

    Attributes:
        name: its name, which also seeds its random values.
        ask: makes one query from random numbers.
        bar: milliseconds.
        purpose: what its plan is for; empty if the plan is not shown.
    """

    name: str
    ask: Callable[[random.Random], Callable[[Session], object]]
    bar: float = LIST_BAR
    purpose: str = ""


def kinds(size: int) -> list[Kind]:
    """Return all kinds of queries to a ledger of `size` jobs."""
    from mojodex.schema import BackgroundJob
    from operate import overview
    from operate.jobs import detail, listing, retry
    from operate.jobs.job_id import PROCESSES, JobKey
    from operate.jobs.listing import STATES, Filter

    users = size // 50
    today = NOW.replace(hour=0)

    def user_id(number: object) -> str:
        return md5(f"user-{number}".encode()).hexdigest()

    def some_user(random: random.Random) -> str:
        """Return a user, in proportion to the users' numbers of jobs."""
        return user_id(int(22 * ((users / 22 + 1) ** random.random() - 1)))

    def any_user(random: random.Random) -> str:
        return user_id(random.randrange(users))

    def moment(random: random.Random) -> datetime:
        return NOW - timedelta(days=30) * random.random()

    def deep(random: random.Random) -> str:
        """Return the cursor of a page somewhere in the ledger."""
        at = SimpleNamespace(changed_at=moment(random), process="events", subject="5", occasion="")
        return listing._cursor(at)  # type: ignore[arg-type]

    def find(
        after: Callable[[random.Random], str] | None = None, **given: Any
    ) -> Callable[[random.Random], Callable[[Session], object]]:
        def ask(random: random.Random) -> Callable[[Session], object]:
            values = {name: value(random) if callable(value) else value for name, value in given.items()}
            cursor = after(random) if after else None
            return lambda session: listing.find(session, Filter(**values), limit=50, after=cursor)

        return ask

    def match(**given: Any) -> Callable[[random.Random], Callable[[Session], object]]:
        return lambda _random: lambda session: retry.matching(session, Filter(**given))

    def process(random: random.Random) -> str:
        return random.choice(PROCESSES)

    def state(random: random.Random) -> str:
        return random.choice(STATES)

    def job_detail(random: random.Random) -> Callable[[Session], object]:
        key = JobKey("extract_todos", str(random.randrange(size // 100) * 100 + random.randrange(30)), "")

        def ask(session: Session) -> None:
            session.get(BackgroundJob, tuple(key))
            detail.audit_of(session, key.job_id)

        return ask

    listed = "`operate.jobs.listing.find`."
    return [
        Kind("no filter", find(), purpose=listed),
        Kind("no filter, deep in the list", find(deep), purpose=listed),
        Kind("process", find(process=process)),
        Kind("state", find(state=state)),
        Kind("process, state", find(process=process, state=state)),
        Kind("process, state, deep", find(deep, process=process, state=state)),
        Kind("user: the heaviest", find(user_id=user_id(0)), purpose=listed),
        Kind("user: the heaviest, deep", find(deep, user_id=user_id(0))),
        Kind("user: one of a job", find(user_id=some_user)),
        Kind("user: any", find(user_id=any_user)),
        Kind("user: unknown", find(user_id=lambda random: user_id(random.random()))),
        Kind("user, state", find(user_id=some_user, state="failed")),
        Kind("user, process, since", find(user_id=some_user, process=process, since=moment)),
        Kind("subject: an execution", find(subject=lambda random: str(random.randrange(size)))),
        Kind(
            "subject: a user's mails",
            find(subject=lambda random: "todo_daily_emails:" + user_id(random.randrange(size // 150))),
            purpose=listed,
        ),
        Kind("subject: unknown", find(subject=lambda random: f"none {random.random()}")),
        Kind("since", find(since=moment)),
        Kind("since, state", find(since=moment, state="failed")),
        Kind("reason: common", find(reason=COMMON)),
        Kind("reason: rare", find(reason=RARE)),
        Kind("reason: absent", find(reason=ABSENT), purpose=f"{listed} A page reads the newest 200 jobs."),
        Kind("reason: absent, deep", find(deep, reason=ABSENT)),
        Kind("reason, process, state, deep", find(deep, reason=RARE, process=process, state="failed")),
        Kind("reason of websites, deep", find(deep, reason=ABSENT, process="create_from_website")),
        Kind("url", find(url=lambda random: f"site-{random.randrange(5003)}.example")),
        Kind("url, deep", find(deep, url=lambda random: f"site-{random.randrange(5003)}.example")),
        Kind("one job", job_detail),
        Kind(
            "the console's overview",
            lambda _random: lambda session: overview.read(session, NOW),
            SCREEN_BAR,
            "`operate.overview.read`.",
        ),
        Kind(
            "retry: the incident",
            match(process="extract_todos", since=today, reason=INCIDENT_REASON),
            MATCHING_BAR,
            "`operate.jobs.retry.matching`.",
        ),
        Kind("retry: all of today", match(since=today), MATCHING_BAR),
        Kind("retry: a reason", match(reason=COMMON), MATCHING_BAR),
        Kind("retry: an absent reason", match(reason=ABSENT), MATCHING_BAR),
        Kind("retry: all of a user", match(user_id=user_id(0)), MATCHING_BAR),
        Kind("retry: all there are", match(), MATCHING_BAR, "`operate.jobs.retry.matching`."),
    ]


class Watch:
    """Records the statements of an engine, with their parameters and the time they take."""

    def __init__(self, engine: Engine) -> None:
        self.seen: list[tuple[str, Any]] = []
        self.milliseconds = 0.0
        self._began = 0.0
        event.listen(engine, "before_cursor_execute", self._begin)
        event.listen(engine, "after_cursor_execute", self._end)

    def _begin(self, _connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        self.seen.append((statement, parameters))
        self._began = time.perf_counter()

    def _end(self, *_rest: Any) -> None:
        self.milliseconds += (time.perf_counter() - self._began) * 1000

    def run(self, session: Session, ask: Callable[[Session], object]) -> tuple[list[tuple[str, Any]], float]:
        """Run a query. Return its statements and the milliseconds in them."""
        self.seen, self.milliseconds = [], 0.0
        ask(session)
        session.expunge_all()
        return self.seen, self.milliseconds


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield all nodes of a plan."""
    yield plan
    for below in plan.get("Plans", []):
        yield from nodes(below)


@contextmanager
def explaining(engine: Engine) -> Iterator[list[tuple[float, int, int, int]]]:
    """Explain each statement before it runs. Yield milliseconds, rows and buffers as in `Asked`."""
    figures: list[tuple[float, int, int, int]] = []

    def explain(connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        other = connection.connection.cursor()
        other.execute(
            f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, SERIALIZE TEXT, FORMAT JSON) {statement}", parameters
        )
        (found,) = other.fetchone()
        explained = (json.loads(found) if isinstance(found, str) else found)[0]
        plan = explained["Plan"]
        rows = sum(
            (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
            for node in nodes(plan)
            if node.get("Relation Name") == "md_background_job"
        )
        hit, read = plan["Shared Hit Blocks"], plan["Shared Read Blocks"]
        took = explained["Planning Time"] + explained["Execution Time"]
        figures.append((took, round(rows), hit + read, read))

    event.listen(engine, "before_cursor_execute", explain)
    try:
        yield figures
    finally:
        event.remove(engine, "before_cursor_execute", explain)


def measure(ledger: Ledger, kind: Kind, times: int) -> tuple[list[Asked], list[Plan]]:
    """Run a kind of query `times` times. Return the measurements, and its plans if they are to be shown."""
    engine = create_engine(ledger.database.url)
    numbers = random.Random(kind.name)
    asked, plans = [], []
    with Session(engine) as session:
        watch = Watch(engine)
        for _ in range(times):
            ask = kind.ask(numbers)
            with explaining(engine) as figures:
                ask(session)
            session.expunge_all()
            server, rows, buffers, read = (sum(column) for column in zip(*figures, strict=True))
            seen, client = watch.run(session, ask)
            asked.append(Asked(server, client, int(rows), int(buffers), int(read)))
        if kind.purpose:
            one_statement = len(seen) == 1
            for number, statement in enumerate(list(seen)):
                title = kind.name if one_statement else f"{kind.name}, statement {number + 1}"
                plans.append(database.explain(session.connection(), title, kind.purpose, statement))
        session.rollback()
    engine.dispose()
    return asked, plans


def p95(values: Sequence[float]) -> float:
    """Return the 95th percentile."""
    return sorted(values)[min(int(len(values) * 0.95), len(values) - 1)]


HEADS = ("least", "median", "p95", "client", "p95", "rows", "buffers", "read", "bar")
WIDTHS = (9, 9, 9, 9, 9, 10, 10, 10, 8)


def summary(asked: Sequence[Asked]) -> dict[str, float]:
    """Summarise a kind of query: milliseconds, and the most rows and buffers of one query."""
    server, client = [one.server for one in asked], [one.client for one in asked]
    most = {name: max(getattr(one, name) for one in asked) for name in ("rows", "buffers", "read")}
    return {
        "least": min(server),
        "median": statistics.median(server),
        "p95": p95(server),
        "client": statistics.median(client),
        "client_p95": p95(client),
        **most,
    }


def show(name: str, asked: Sequence[Asked], bar: float, how: str) -> Verdict:
    """Print a line of the table, and return its verdict."""
    its = summary(asked)
    print(
        f"{name:30}{its['least']:9.1f}{its['median']:9.1f}{its['p95']:9.1f}{its['client']:9.1f}"
        f"{its['client_p95']:9.1f}{its['rows']:10,}{its['buffers']:10,}{its['read']:10,}{bar:8,.0f}",
        flush=True,
    )
    slowest, rows = its["p95"], its["rows"]
    # Without statistics, the planner may choose to read all failed jobs.
    return (
        f"{how}{name}: p95 {slowest:.1f} ms, bar {bar:,.0f} ms; at most {rows:,} rows, bar {ROWS_BAR:,}",
        slowest <= bar and (rows <= ROWS_BAR or bool(how)),
    )


def measure_all(
    ledger: Ledger, times: int, how: str
) -> tuple[dict[str, list[Asked]], list[Plan], list[Verdict]]:
    """Run all kinds of queries, print the table, and judge."""
    print(f"\nMilliseconds, {how}{times} queries of each kind; rows and buffers: the most of one query\n")
    print(f"{'':30}" + "".join(f"{head:>{width}}" for head, width in zip(HEADS, WIDTHS, strict=True)))
    found: dict[str, list[Asked]] = {}
    plans: list[Plan] = []
    verdicts = []
    for kind in kinds(ledger.size):
        found[kind.name], made = measure(
            ledger, kind, max(times // 10, 2) if kind.bar > SCREEN_BAR else times
        )
        plans += made
        verdicts.append(show(kind.name, found[kind.name], UNKNOWN_BAR if how else kind.bar, how))
    if not how:
        listed = [
            one.server for kind in kinds(ledger.size) if kind.bar == LIST_BAR for one in found[kind.name]
        ]
        verdicts.append(
            (
                f"all queries of the list: p95 {p95(listed):.1f} ms, bar {LIST_BAR} ms",
                p95(listed) <= LIST_BAR,
            )
        )
    return found, plans, verdicts


@contextmanager
def served(ledger: Ledger, cloud: Cloud) -> Iterator[Any]:
    """Run the API in this process on the ledger and the emulator's queues, and yield a client of it."""
    from operate.jobs.job_id import PROCESSES

    queues = {
        name: cloud.sqs.create_queue(QueueName=f"{name}-{time.monotonic_ns()}")["QueueUrl"]
        for name in PROCESSES
    }
    secret = cloud.secrets.create_secret(
        Name=f"operate-{time.monotonic_ns()}", SecretString=json.dumps(SECRET)
    )["ARN"]
    os.environ |= database.schedule_environment(ledger, cloud, "operate", "none") | {
        "AWS_DEFAULT_REGION": emulator.REGION,
        "POWERTOOLS_LOG_LEVEL": "CRITICAL",
        "OPERATE_SECRET_ARN": secret,
        "QUEUE_URLS": json.dumps(queues),
        "SCHEDULES": '{"redrive": "redrive"}',
        "EVENT_SOURCE_MAPPINGS": "{}",
        "AGE_ALARMS": "{}",
    }
    # The ledger's "today" lies in the past.
    offset, clock._OFFSET = clock._OFFSET, NOW - utc_now()
    from operate import environment
    from operate.jobs import retry
    from tests.api import Client

    # No function can be started here. The redrive's work is measured separately.
    vars(retry)["start"] = lambda _name: None
    try:
        yield Client({name: given["secret"] for name, given in SECRET["credentials"].items()})  # type: ignore[attr-defined]
    finally:
        clock._OFFSET = offset
        environment.database.close()


def measure_screen(client: Any, engine: Engine, times: int) -> tuple[dict[str, list[float]], list[Verdict]]:
    """Open the console's first screen. Measure its handler, its statements, and their number."""
    client.get("/console")
    watch = Watch(engine)
    figures: dict[str, list[float]] = {"handler": [], "statements": [], "queries": []}
    for _ in range(times):
        watch.seen, watch.milliseconds = [], 0.0
        began = time.perf_counter()
        answer = client.get("/console")
        figures["handler"].append((time.perf_counter() - began) * 1000)
        figures["statements"].append(watch.milliseconds)
        figures["queries"].append(len(watch.seen))
        assert answer.status == 200, answer
    print("\nThe console's first screen, ms\n")
    for name, values in figures.items():
        print(f"{name:30}{statistics.median(values):9.1f}{p95(values):9.1f}")
    queries, slowest = max(figures["queries"]), p95(figures["handler"])
    return figures, [
        (f"first screen: {queries:.0f} queries, bar {SCREEN_QUERIES}", queries <= SCREEN_QUERIES),
        (f"first screen: p95 {slowest:.1f} ms, bar {SCREEN_BAR} ms", slowest <= SCREEN_BAR),
    ]


def measure_retry(ledger: Ledger, client: Any, cloud: Cloud) -> tuple[dict[str, float], list[Verdict]]:
    """Retry ten thousand failed jobs by one request, and publish their messages."""
    from mojodex.republishing import republish_all
    from operate import environment

    wanted = {
        "process": "extract_todos",
        "reason": INCIDENT_REASON,
        "since": NOW.replace(hour=0).isoformat(),
    }
    seconds = {}

    def timed(name: str, work: Callable[[], Any]) -> Any:
        began = time.perf_counter()
        found = work()
        seconds[name] = time.perf_counter() - began
        return found

    counted = timed("counted", lambda: client.post("/jobs/retry", wanted).json())
    answer = timed("accepted", lambda: client.post("/jobs/retry", wanted | {"confirm": counted["matching"]}))
    urls = environment.settings.queue_urls
    deadline = Deadline(lambda: 900_000)
    published = timed("published", lambda: republish_all(environment.database, urls, deadline))
    waiting = cloud.waiting(urls["extract_todos"])
    print("\nRetry of ten thousand failed jobs, seconds\n")
    for name, value in seconds.items():
        print(f"{name:30}{value:9.2f}")
    retried = answer.json().get("retried")
    right = answer.status == 202 and retried == published == waiting == RETRIED
    return seconds, [
        (
            f"retry: {retried:,} accepted in {seconds['accepted']:.2f} s, bar {ACCEPTED_BAR} s",
            right and seconds["accepted"] <= ACCEPTED_BAR,
        ),
        (f"retry: {published:,} published, {waiting:,} in the queue, once each", right),
    ]


def measure_writes(server: postgres.Database, cloud: Cloud) -> dict[str, dict[str, float]]:
    """Measure the cost of a worker's job with the indexes of the list and without them, in turns."""
    engine = create_engine(server.url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        # An earlier run with --keep may have left them.
        for name in ("with_indexes", "without_indexes"):
            connection.exec_driver_sql(f"DROP DATABASE IF EXISTS {name}")
        with_indexes = Ledger.make(server, "with_indexes", SMALL, cloud)
        with_indexes.engine.dispose()
        connection.exec_driver_sql("CREATE DATABASE without_indexes TEMPLATE with_indexes")
    engine.dispose()
    without = Ledger(
        "without_indexes",
        SMALL,
        postgres.Database(**asdict(with_indexes.database) | {"dbname": "without_indexes"}),
        "",
        create_engine(with_indexes.engine.url.set(database="without_indexes"), isolation_level="AUTOCOMMIT"),
    )
    without.run(*(f"DROP INDEX {name}" for name in NEW_INDEXES))
    found: dict[str, list[tuple[float, float]]] = {"without": [], "with": []}
    # The first round only warms up.
    for number in range(ROUNDS + 1):
        for name, ledger in (("without", without), ("with", with_indexes))[:: 1 if number % 2 else -1]:
            figures = write(ledger, number)
            if number:
                found[name].append(figures)
    columns = {
        name: {
            "milliseconds": statistics.median(m for m, _ in ones),
            "wal": statistics.median(w for _, w in ones),
        }
        for name, ones in found.items()
    }
    ratios = {
        figure: statistics.median(
            one[at] / other[at] for one, other in zip(found["with"], found["without"], strict=True)
        )
        for at, figure in enumerate(("milliseconds", "wal"))
    }
    print(f"\nA job's begin and finish, without the list's indexes and with; {ROUNDS} rounds of {WRITTEN}\n")
    print(f"{'':30}{'without':>10}{'with':>10}{'ratio':>8}")
    for figure, form in (("milliseconds", ".3f"), ("wal", ",.0f")):
        title = {"milliseconds": "statements, ms", "wal": "WAL, bytes"}[figure]
        print(
            f"{title:30}{columns['without'][figure]:>10{form}}{columns['with'][figure]:>10{form}}{ratios[figure]:>8.2f}"
        )
    for ledger in (with_indexes, without):
        ledger.engine.dispose()
    return {**columns, "ratio": ratios}


def write(ledger: Ledger, number: int) -> tuple[float, float]:
    """Begin and finish jobs as workers do. Return the milliseconds and the bytes of WAL for each."""
    engine = create_engine(ledger.database.url)
    watch = Watch(engine)
    lsn = "SELECT pg_current_wal_insert_lsn() - '0/0'"
    before = ledger.value(lsn)
    with Session(engine, expire_on_commit=False) as session:
        for one in range(WRITTEN):
            now = NOW + timedelta(seconds=number * WRITTEN + one)
            job = jobs.begin(
                session,
                jobs.Delivery(f"message-{number}-{one}", now + timedelta(days=4)),
                process="extract_todos",
                subject=f"{number}-{one}",
                occasion="",
                now=now,
                lease_seconds=150,
                user_id=md5(str(one).encode()).hexdigest(),
            )
            assert isinstance(job, jobs.Job)
            jobs.finish(session, job, "done", {"todos": []}, now=now + timedelta(seconds=3))
            session.commit()
    wal = float(ledger.value(lsn) - before)
    engine.dispose()
    return watch.milliseconds / WRITTEN, wal / WRITTEN


def _run(
    arguments: argparse.Namespace, directory: Path, server: postgres.Database, cloud: Cloud
) -> list[Verdict]:
    ledger = Ledger.open(server, arguments.jobs, cloud)
    with served(ledger, cloud) as client:
        from operate import environment

        ledger.run(*FORGET)
        # A few queries of each kind show whether a plan goes wrong.
        unknown, _, verdicts = measure_all(ledger, max(arguments.times // 10, 2), "without statistics: ")
        ledger.run("ANALYZE")
        # The restart empties its buffer pool.
        postgres.restart(directory, mode="fast")
        ledger.engine.dispose()
        environment.database.close()
        asked, plans, more = measure_all(ledger, arguments.times, "")
        verdicts += more
        screen, more = measure_screen(client, environment.database.engine(), arguments.times)
        verdicts += more
        retried, more = measure_retry(ledger, client, cloud)
        verdicts += more
    ledger.restore_incident()
    ledger.engine.dispose()
    writes = measure_writes(server, cloud)
    verdicts += [plan.verdict for plan in plans]
    if arguments.write:
        database.write_part(
            "Jobs: the list, the console and a retry",
            f"{ledger.size:,} jobs of thirty days. Today's jobs passed through queued and running. The ledger"
            " was vacuumed as often as migration 0010 sets.",
            COMMAND,
            plans,
        )
    results.write_json(
        "jobs",
        {
            "jobs": ledger.size,
            "statements": {name: summary(ones) for name, ones in asked.items()},
            "without_statistics": {name: summary(ones) for name, ones in unknown.items()},
            "first_screen": screen,
            "retry_seconds": retried,
            "begin_and_finish": writes,
        },
    )
    return verdicts


def main() -> int:
    """Measure, print and judge. Return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.jobs", description=__doc__)
    add = parser.add_argument
    add("--jobs", type=int, default=10_000_000, metavar="N", help="in the ledger (%(default)s)")
    add("--times", type=int, default=40, metavar="N", help="queries of each kind (%(default)s)")
    add("--keep", type=Path, metavar="FOLDER", help="keep the filled ledger here, or use the one here")
    add("--write", action="store_true", help="write the plans to bench/results/plans.md")
    arguments = parser.parse_args()
    logging.disable()
    database.exit_on_signals()
    with tempfile.TemporaryDirectory(prefix="bench-jobs-") as made:
        directory: Path = arguments.keep or Path(made) / "postgres"
        ministack = Path(made) / "ministack"
        try:
            if (directory / "postgres.json").exists():
                postgres.restart(directory, mode="fast")
                server = postgres.Database(
                    **json.loads((directory / "postgres.json").read_text())["database"]
                )
            else:
                server = postgres.start(directory, settings=SETTINGS)
            verdicts = _run(arguments, directory, server, Cloud(emulator.start(ministack).endpoint))
        finally:
            emulator.stop(ministack)
            if not arguments.keep:
                postgres.stop(directory)
    return database.print_verdicts(verdicts)


if __name__ == "__main__":
    sys.exit(main())
