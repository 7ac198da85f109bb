"""One run: the bundle is deployed, works undisturbed, is disturbed, calms down, and is looked at."""

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

# Two cores: more cold starts at once are only slower.
CONCURRENCY = {"ExtractTodos": "3"}
# The least that the template takes.
LLM_TIMEOUT = "5"


@dataclass(frozen=True)
class Times:
    """Seconds: a function's timeout, how long a job is held, how long a message is hidden."""

    timeout: int
    lease: int
    visibility: int


# As the template has them, as short as the seconds that each record needs allow. Of reschedule_todo, messages
# come back while slow invocations still have them. A crawler is not begun with less than 210 seconds, and
# here needs two: what it holds is free much earlier, so that two may be at one website.
TIMES = {
    "ExtractTodos": Times(40, 45, 50),
    "RescheduleTodo": Times(40, 45, 25),
    "Events": Times(50, 55, 60),
    "CreateFromWebsite": Times(240, 40, 45),
    "IngestPage": Times(65, 70, 75),
    "UpdateDocument": Times(85, 90, 95),
    # It has no jobs, so no lease; its messages wait as long as those of the others.
    "MailFeedback": Times(40, 45, 50),
}


@dataclass(frozen=True)
class Size:
    """How much of it.

    Attributes:
        jobs: about so many.
        kills, restarts, cuts: of processes (at least), of Postgres, of all its connections.
        sites: that are read, and as many that are updated.
        longest: seconds that a job is held, or a message is hidden, at most; 0 for as long as TIMES says.
        patience: seconds after the faults within which all has to end.
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
# Between two kills, by chance from the one to the other: a cold start takes two seconds of a processor.
PAUSE_SECONDS = (2.0, 4.0)
# The share of the kills after which all is published, so that the last of it is disturbed, too.
PUBLISHED = 0.75
# Killing goes on until no more than this share of the jobs waits, or so many times the kills are done.
UNDISTURBED_REST, MOST_KILLS = 0.1, 2
# The undisturbed run of a site takes some seconds.
UNDISTURBED_PATIENCE = 240
SAY_SECONDS = 30
DUE = text("UPDATE md_background_website SET refresh_at = now() WHERE user_id = :user_id")
SCHEDULES = ("ExtractTodos", "RescheduleTodo", "Events", "Documents")


class RunError(Exception):
    """It could not even begin: what nobody disturbs does not end."""


@dataclass(frozen=True)
class Outcome:
    """What was done and what came of it; `log` is what the workers have logged."""

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
    """All that runs."""

    stack: Stack
    plan: Plan
    sites: Sites
    proxies: Proxies
    breakage: Breakage
    queues: Queues
    now: datetime


def run(seed: int, size: Size, directory: Path, say: Callable[[str], None]) -> Outcome:
    """Do all of it.

    Args:
        seed: of the plan.
        size: see there.
        directory: for the stack; it is removed afterwards.
        say: told what is being done.

    Raises:
        RunError, StackError, StartError: it could not begin.
    """
    seconds, began = {}, time.monotonic()

    def lap(phase: str) -> None:
        nonlocal began
        seconds[phase] = round(time.monotonic() - began, 1)
        began = time.monotonic()

    with _running(seed, size, directory, say) as all_:
        lap("deployed")
        engine = all_.breakage.engine
        load = Load(all_.plan, engine, all_.now, size.jobs, all_.sites)
        say("undisturbed: the websites as they have to become")
        _undisturbed(all_)
        lap("undisturbed")
        say(f"{size.kills} kills, {size.restarts} restarts, {size.cuts} cuts under the load")
        _disturbed(all_, load, size, say)
        lap("disturbed")
        say("nothing is killed or cut any more")
        _calm(all_, size, say)
        lap("calm")
        log = [line for prefix in PREFIXES.values() for line in all_.stack.logs(f"{prefix}WorkerFunction")]
        return Outcome(
            all_.plan,
            load.wanted(all_.proxies.sent),
            _found(all_),
            all_.breakage,
            all_.proxies,
            all_.queues,
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
            with proxies(plan, stack.endpoint) as between:
                day = next_working_day(datetime.now(UTC).date())
                now = _prepare(stack, between, size, day)
                engine = create_engine(stack.database.url, poolclass=NullPool)
                breakage = Breakage(stack, directory, engine, random.Random(seed))
                queues = Queues(stack, between.sqs_url)
                yield Running(stack, plan, running_sites, between, breakage, queues, now)
        finally:
            local_stack.down(directory)


def _prepare(stack: Stack, between: Proxies, size: Size, day: date) -> datetime:
    """Set times, clock and proxies; the functions' moment, at night of a working day."""
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
    stack.set_environment("EventsWorkerFunction", AWS_ENDPOINT_URL_SESV2=between.ses_url)
    for name in (*(f"{prefix}ScheduleFunction" for prefix in SCHEDULES), "CreateFromWebsiteWorkerFunction"):
        stack.set_environment(name, AWS_ENDPOINT_URL_SQS=between.sqs_url)
    now = datetime(day.year, day.month, day.day, NIGHT_HOUR, tzinfo=UTC)
    stack.set_clock(now)
    return now


def _undisturbed(all_: Running) -> None:
    """Learn every site for who is left alone, and those that change for both; then let them change."""
    engine, found = all_.breakage.engine, all_.sites
    with engine.begin() as connection:
        for user in (UNDISTURBED, DISTURBED):
            insert_user(connection, user, NOON)
    changing = [website_of(user, site) for user in (UNDISTURBED, DISTURBED) for site in found.changing]
    all_.queues.publish(changing + [website_of(UNDISTURBED, site) for site in found.new])
    _end(all_)
    found.change()
    all_.queues.publish([update_of(UNDISTURBED, pk) for pk in documents_of(engine, UNDISTURBED)])
    _end(all_)
    all_.proxies.sent.clear()


def _end(all_: Running) -> None:
    deadline = time.monotonic() + UNDISTURBED_PATIENCE
    while not _ended(all_):
        if time.monotonic() > deadline:
            raise RunError(f"undisturbed work does not end: {all_.queues.waiting()}")
        time.sleep(0.2)


def _ended(all_: Running) -> bool:
    """Whether no message is left, and no job is open."""
    if any(all_.queues.waiting().values()):
        return False
    return not facts.rows(all_.breakage.engine, facts.OPEN_JOBS)[0][0]


def _disturbed(all_: Running, load: Load, size: Size, say: Callable[[str], None]) -> None:
    """Publish wave after wave, and kill after each; now and then break the database. It goes on until most of
    the work is done.
    """
    with all_.breakage.engine.begin() as connection:
        # What an update brings to a page, a refresh may bring at the same time.
        connection.execute(DUE, {"user_id": DISTURBED})
    all_.plan.on = True
    breakage, waves = all_.breakage, load.waves(round(size.kills * PUBLISHED))
    restarts = {size.kills * (n + 1) // (size.restarts + 1) for n in range(size.restarts)}
    cuts = {size.kills * (2 * n + 1) // (2 * size.cuts) for n in range(size.cuts)}
    for number in range(MOST_KILLS * size.kills):
        enough = number >= size.kills
        if enough and sum(all_.queues.waiting().values()) < UNDISTURBED_REST * size.jobs:
            break
        all_.queues.publish(next(waves, []))
        breakage.fire()
        # More slowly then, so that work is done between the kills.
        time.sleep(breakage.dice.uniform(*PAUSE_SECONDS) * (2 if enough else 1))
        while not breakage.kill():
            time.sleep(0.1)
        if number in restarts:
            breakage.restart()
        if number in cuts:
            breakage.cut()
        if number % 20 == 19:
            say(f"  {number + 1} kills, waiting: {sum(all_.queues.waiting().values())}")


def _calm(all_: Running, size: Size, say: Callable[[str], None]) -> None:
    """Wait until no message is left, as long as servers fail and schedules fire; then let nothing fail, and
    bring dead letters back, as an operator does.
    """
    deadline = time.monotonic() + size.patience
    # What a killed schedule has left is found before it looks as if all were done.
    for _ in range(2 * len(SCHEDULES)):
        all_.breakage.fire()
        time.sleep(1)
    _drain(all_, deadline, say)
    all_.plan.on = False
    while time.monotonic() < deadline and (
        all_.queues.redrive() or any(all_.queues.waiting(dead=True).values())
    ):
        _drain(all_, deadline, say)
        time.sleep(1)
    _drain(all_, deadline, say)


def _drain(all_: Running, deadline: float, say: Callable[[str], None]) -> None:
    """Wait until no message is left, with the schedules firing; gives up at a moment of `time.monotonic`."""
    said = time.monotonic()
    while time.monotonic() < deadline and any((waiting := all_.queues.waiting()).values()):
        all_.breakage.fire()
        time.sleep(2)
        if time.monotonic() - said > SAY_SECONDS:
            said = time.monotonic()
            say(f"  waiting: {waiting}")


def _found(all_: Running) -> Found:
    engine = all_.breakage.engine

    return Found(
        jobs=facts.jobs(engine),
        todos=facts.todos(engine),
        extracted=frozenset(row[0] for row in facts.rows(engine, facts.EXTRACTED)),
        moves=[(row[0], row[1]) for row in facts.rows(engine, facts.MOVES)],
        mails=[(address.partition("@")[0], tag[:10]) for address, tag in all_.proxies.mails],
        events=[(row.user_id, row.day) for row in facts.rows(engine, facts.EVENTS)],
        documents=facts.documents(engine, DISTURBED),
        undisturbed=facts.documents(engine, UNDISTURBED),
        errors=[row[0] for row in facts.rows(engine, "SELECT message FROM md_error")],
        waiting=all_.queues.waiting(),
        dead=all_.queues.dead,
        said=all_.plan.said,
        mailers_killed=all_.breakage.kills["EventsWorkerFunction"],
    )
