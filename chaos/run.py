"""One run: deploy the bundle, let it work undisturbed, disturb it, let it recover, and collect the facts."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path

from sqlalchemy import NullPool, create_engine, text

from chaos import facts, model
from chaos.breakage import Breakage
from chaos.checks import Found, Wanted
from chaos.load import (
    DISTURBED,
    NIGHT_HOUR,
    NOON,
    UNDISTURBED,
    Load,
    Sites,
    documents_of,
    insert_user,
    sites,
    update_of,
    website_of,
)
from chaos.plan import Plan
from chaos.proxies import Proxies, proxies
from chaos.queues import Queues
from local.runtime import stack as local_stack
from local.runtime.stack import PREFIXES, Stack
from mojodex.clock import next_working_day
from tests.fake_model import fake_model

# With two cores, more cold starts at a time would only slow each other down.
CONCURRENCY = {"ExtractTodos": "3"}
# The template's minimum, in seconds.
LLM_TIMEOUT = "5"


@dataclass(frozen=True)
class Times:
    """Seconds: a function's timeout, a job's lease, a message's visibility timeout."""

    timeout: int
    lease: int
    visibility: int


# As in the template, but as short as the time that each record needs allows. Messages of reschedule_todo
# become visible while slow invocations still handle them. A crawl needs two seconds here but 210 seconds of
# remaining time to begin, so its lease is much shorter than its timeout, and two crawlers may meet at a
# website.
TIMES = {
    "ExtractTodos": Times(40, 45, 50),
    "RescheduleTodo": Times(40, 45, 25),
    "Events": Times(50, 55, 60),
    "CreateFromWebsite": Times(240, 40, 45),
    "IngestPage": Times(65, 70, 75),
    "UpdateDocument": Times(85, 90, 95),
    # It has no jobs and so no lease. Its messages are hidden as long as those of the other queues.
    "MailFeedback": Times(40, 45, 50),
}


@dataclass(frozen=True)
class Size:
    """The size of a run.

    Attributes:
        jobs: approximate number of jobs.
        kills, restarts, cuts: of processes (at least), of Postgres, of all its connections.
        sites: number of new websites, and of websites to update.
        longest: upper bound of leases and visibility timeouts (seconds); 0 for those in TIMES.
        patience: seconds after the faults within which all work must end.
    """

    jobs: int
    kills: int
    restarts: int
    cuts: int
    sites: int
    longest: int
    patience: int


FULL = Size(jobs=2200, kills=200, restarts=3, cuts=10, sites=12, longest=0, patience=1200)
SHORT = Size(jobs=100, kills=10, restarts=1, cuts=2, sites=1, longest=20, patience=240)
# The pause between two kills, chosen at random: a cold start takes two seconds of CPU.
PAUSE_SECONDS = (2.0, 4.0)
# The share of the kills after which everything is published, so that the last work is disturbed too.
PUBLISHED = 0.75
# Kills continue until at most this share of the jobs waits, or until this multiple of the kills is reached.
UNDISTURBED_REST, MOST_KILLS = 0.1, 2
# An undisturbed website takes some seconds.
UNDISTURBED_PATIENCE = 240
SAY_SECONDS = 30
DUE = text("UPDATE md_background_website SET refresh_at = now() WHERE user_id = :user_id")
SCHEDULES = ("ExtractTodos", "RescheduleTodo", "Events", "Documents")


class RunError(Exception):
    """The run could not start: even undisturbed work does not end."""


@dataclass(frozen=True)
class Outcome:
    """The result of a run. `log` holds the workers' log lines."""

    plan: Plan
    wanted: Wanted
    found: Found
    breakage: Breakage
    proxies: Proxies
    queues: Queues
    log: list[str]
    seconds: dict[str, float]


@dataclass(frozen=True)
class Running:
    """The parts of a running stack."""

    stack: Stack
    plan: Plan
    sites: Sites
    proxies: Proxies
    breakage: Breakage
    queues: Queues
    now: datetime


def run(seed: int, size: Size, directory: Path, say: Callable[[str], None]) -> Outcome:
    """Run chaos once.

    Args:
        seed: decides the plan.
        size: the size of the run.
        directory: for the stack; removed afterwards.
        say: called with each progress line.

    Raises:
        RunError, StackError, StartError: the run could not start.
    """
    seconds, began = {}, time.monotonic()

    def lap(phase: str) -> None:
        nonlocal began
        seconds[phase] = round(time.monotonic() - began, 1)
        began = time.monotonic()

    with _running(seed, size, directory, say) as running:
        lap("deployed")
        engine = running.breakage.engine
        load = Load(running.plan, engine, running.now, size.jobs, running.sites)
        say("undisturbed: the websites and documents to compare with")
        _undisturbed(running)
        lap("undisturbed")
        say(f"{size.kills} kills, {size.restarts} restarts, {size.cuts} cuts under the load")
        _disturbed(running, load, size, say)
        lap("disturbed")
        say("no more kills or cuts")
        _calm(running, size, say)
        lap("calm")
        log = [line for prefix in PREFIXES.values() for line in running.stack.logs(f"{prefix}WorkerFunction")]
        return Outcome(
            running.plan,
            load.wanted(running.proxies.sent),
            _found(running),
            running.breakage,
            running.proxies,
            running.queues,
            log=log,
            seconds=seconds,
        )


@contextmanager
def _running(seed: int, size: Size, directory: Path, say: Callable[[str], None]) -> Iterator[Running]:
    plan = Plan(seed)
    with fake_model() as server, sites(size.sites) as running_sites:
        server.script, server.embed = partial(model.answer, plan), partial(model.embed, plan)
        parameters = {
            "LlmBaseUrl": server.url,
            "LlmTimeoutSeconds": LLM_TIMEOUT,
            **{f"{prefix}Concurrency": "2" for prefix in TIMES},
            **{f"{prefix}Concurrency": workers for prefix, workers in CONCURRENCY.items()},
        }
        stack = local_stack.up(directory, parameters=parameters, say=say)
        try:
            with proxies(plan, stack.endpoint) as running_proxies:
                day = next_working_day(datetime.now(UTC).date())
                now = _prepare(stack, running_proxies, size, day)
                engine = create_engine(stack.database.url, poolclass=NullPool)
                breakage = Breakage(stack, directory, engine, random.Random(seed))
                queues = Queues(stack, running_proxies.sqs_url)
                yield Running(stack, plan, running_sites, running_proxies, breakage, queues, now)
        finally:
            local_stack.down(directory)


def _prepare(stack: Stack, running_proxies: Proxies, size: Size, day: date) -> datetime:
    """Set times, clock and proxies. Return the functions' moment: the night of a working day."""
    stack.stop_schedules()
    stack.open_loopback()
    functions, sqs = stack.client("lambda"), stack.client("sqs")
    for prefix, times in TIMES.items():
        name = f"{prefix}WorkerFunction"
        longest = size.longest or times.visibility
        functions.update_function_configuration(FunctionName=stack.function_name(name), Timeout=times.timeout)
        stack.set_environment(name, LEASE_SECONDS=str(min(times.lease, longest)))
        sqs.set_queue_attributes(
            QueueUrl=stack.outputs[f"{prefix}QueueUrl"],
            Attributes={"VisibilityTimeout": str(min(times.visibility, longest))},
        )
    stack.set_environment("EventsWorkerFunction", AWS_ENDPOINT_URL_SESV2=running_proxies.ses_url)
    for name in (*(f"{prefix}ScheduleFunction" for prefix in SCHEDULES), "CreateFromWebsiteWorkerFunction"):
        stack.set_environment(name, AWS_ENDPOINT_URL_SQS=running_proxies.sqs_url)
    now = datetime(day.year, day.month, day.day, NIGHT_HOUR, tzinfo=UTC)
    stack.set_clock(now)
    return now


def _undisturbed(running: Running) -> None:
    """Crawl all websites undisturbed and the changing ones for both users, then change these."""
    engine, found = running.breakage.engine, running.sites
    with engine.begin() as connection:
        for user in (UNDISTURBED, DISTURBED):
            insert_user(connection, user, NOON)
    changing = [website_of(user, site) for user in (UNDISTURBED, DISTURBED) for site in found.changing]
    running.queues.publish(changing + [website_of(UNDISTURBED, site) for site in found.new])
    _wait_for_end(running)
    found.change()
    running.queues.publish([update_of(UNDISTURBED, pk) for pk in documents_of(engine, UNDISTURBED)])
    _wait_for_end(running)
    running.proxies.sent.clear()


def _wait_for_end(running: Running) -> None:
    deadline = time.monotonic() + UNDISTURBED_PATIENCE
    while not _ended(running):
        if time.monotonic() > deadline:
            raise RunError(f"undisturbed work does not end: {running.queues.waiting()}")
        time.sleep(0.2)


def _ended(running: Running) -> bool:
    """Tell whether no message waits and no job is open."""
    if any(running.queues.waiting().values()):
        return False
    return not facts.rows(running.breakage.engine, facts.OPEN_JOBS)[0][0]


def _disturbed(running: Running, load: Load, size: Size, say: Callable[[str], None]) -> None:
    """Publish wave after wave with a kill after each, and sometimes break the database.

    Kills continue until most of the work is done.
    """
    with running.breakage.engine.begin() as connection:
        # A refresh may bring the same changes as an update, at the same time.
        connection.execute(DUE, {"user_id": DISTURBED})
    running.plan.on = True
    breakage, waves = running.breakage, load.waves(round(size.kills * PUBLISHED))
    restarts = {size.kills * (n + 1) // (size.restarts + 1) for n in range(size.restarts)}
    cuts = {size.kills * (2 * n + 1) // (2 * size.cuts) for n in range(size.cuts)}
    for number in range(MOST_KILLS * size.kills):
        enough = number >= size.kills
        if enough and sum(running.queues.waiting().values()) < UNDISTURBED_REST * size.jobs:
            break
        running.queues.publish(next(waves, []))
        breakage.fire()
        # More slowly then, so that work is done running_proxies the kills.
        time.sleep(breakage.rng.uniform(*PAUSE_SECONDS) * (2 if enough else 1))
        while not breakage.kill():
            time.sleep(0.1)
        if number in restarts:
            breakage.restart()
        if number in cuts:
            breakage.cut()
        if number % 20 == 19:
            say(f"  {number + 1} kills, waiting: {sum(running.queues.waiting().values())}")


def _calm(running: Running, size: Size, say: Callable[[str], None]) -> None:
    """Wait until no message is left while servers fail and schedules fire. Then redrive without failures.

    An operator redrives dead letters in the same way.
    """
    deadline = time.monotonic() + size.patience
    # Find the work that a killed schedule left behind, before the queues look empty.
    for _ in range(2 * len(SCHEDULES)):
        running.breakage.fire()
        time.sleep(1)
    _drain(running, deadline, say)
    running.plan.on = False
    while time.monotonic() < deadline and (
        running.queues.redrive() or any(running.queues.waiting(dead=True).values())
    ):
        _drain(running, deadline, say)
        time.sleep(1)
    _drain(running, deadline, say)


def _drain(running: Running, deadline: float, say: Callable[[str], None]) -> None:
    """Fire schedules until no message is left, or until `deadline` (`time.monotonic`)."""
    said = time.monotonic()
    while time.monotonic() < deadline and any((waiting := running.queues.waiting()).values()):
        running.breakage.fire()
        time.sleep(2)
        if time.monotonic() - said > SAY_SECONDS:
            said = time.monotonic()
            say(f"  waiting: {waiting}")


def _found(running: Running) -> Found:
    engine = running.breakage.engine

    return Found(
        jobs=facts.jobs(engine),
        todos=facts.todos(engine),
        extracted=frozenset(row[0] for row in facts.rows(engine, facts.EXTRACTED)),
        moves=[(row[0], row[1]) for row in facts.rows(engine, facts.MOVES)],
        mails=[(address.partition("@")[0], tag[:10]) for address, tag in running.proxies.mails],
        events=[(row.user_id, row.day) for row in facts.rows(engine, facts.EVENTS)],
        documents=facts.documents(engine, DISTURBED),
        undisturbed=facts.documents(engine, UNDISTURBED),
        errors=[row[0] for row in facts.rows(engine, "SELECT message FROM md_error")],
        waiting=running.queues.waiting(),
        dead=running.queues.dead,
        said=running.plan.said,
        mailers_killed=running.breakage.kills["EventsWorkerFunction"],
    )
