"""The plan of a seed: its work and its faults. Times are seconds since the beginning of the plan."""

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from simulation.deployment import Deployment
from simulation.faults import Fault

# A Monday.
START = datetime(2026, 11, 23, tzinfo=UTC)
DAY = 86_400.0
HOUR = 3_600.0
# UTC offsets in minutes, with JavaScript's sign: Samoa, Auckland, Adelaide, Calcutta, Paris, London, St.
# John's, New York, Vancouver, Honolulu; None for a user without an offset.
OFFSETS = (-780, -720, -570, -330, -60, 0, 210, 300, 480, 600, None)
# Average work per day. A request is a message for a move or a mail that names no day.
EXECUTIONS, OVERDUE, REQUESTS, SITES, UPDATES, BAD = 30, 14, 16, 0.7, 3, 2
# Executions that end together, so that an outage causes a backlog: one burst in each block of days.
BURST, BURST_SECONDS = 25, 20.0
USERS = 30
# In each block of days every service has an outage. One of these outages is long.
BLOCK_DAYS = 3.0
SHORT_HOURS = (0.02, 0.1, 0.4, 1)
SHORT_WEIGHTS = (30, 25, 25, 20)
LONG_HOURS = (3, 8, 24, 72)
LONG_WEIGHTS = (60, 28, 9, 3)
# In this share of the long outages nothing else goes wrong from QUIET_BEFORE seconds before the outage until
# QUIET_AFTER seconds after it: the promise is about the outage of one dependency.
QUIET, QUIET_BEFORE, QUIET_AFTER = 0.5, HOUR, 2.5 * HOUR
# The model's outage begins at most this many seconds after the burst, before the schedule finds the burst. It
# lasts at least as long as the ten receives of a message take (`queues.back_off_seconds`).
AFTER_BURST, LEAST_OF_MODEL = 300.0, 4500.0
# A short outage of Postgres begins at most this many seconds before a request.
BEFORE_REQUEST = 10.0
# Average faults per day, outages excluded.
FAULTS_PER_DAY = 24
KINDS = {
    "kill": 26,
    "blip": 14,
    "lost": 12,
    "abort": 12,
    "double": 8,
    "slowed double": 6,
    "cut": 4,
    "restart": 3,
    "deploy": 3,
    "slow": 6,
    "twice": 4,
    "late": 4,
}
# The services that these kinds of faults can hit.
BLIPS = ("model", "embeddings", "postgres", "ses", "secrets", "sqs")
SLOW = ("model", "embeddings", "postgres", "sqs", "websites")
# After the plan's last day there is no fault and no new work. The calm is longer than a day, so every time
# zone has a whole night in it.
CALM_DAYS = 1.25

HOW = {
    "model": ("refused", "500", "503", "429", "401", "403", "timeout"),
    "embeddings": ("refused", "500", "503", "429", "timeout"),
    "postgres": ("refused", "timeout", "starting"),
    "ses": (
        "unreachable",
        "TooManyRequestsException",
        "ServiceUnavailableException",
        "SendingPausedException",
    ),
    "secrets": ("unreachable", "ThrottlingException", "AccessDeniedException"),
    "sqs": ("unreachable", "ServiceUnavailable"),
    "schedules": ("off",),
}

type Kind = Literal["execution", "overdue", "request", "site", "update", "bad"]


@dataclass(frozen=True)
class Work:
    """One piece of work that users or the backend ask for.

    Attributes:
        at: when.
        kind: the kind of work.
        number: identifies it within its kind.
        user: index of its user.
        published: how many messages the backend sends, besides those of the schedules.
        steps: how many to-dos an execution holds.
    """

    at: float
    kind: Kind
    number: int
    user: int
    published: int = 1
    steps: int = 0


@dataclass(frozen=True)
class User:
    """A user: id, UTC offset in minutes or None, and whether they want the daily mail."""

    user_id: str
    offset: int | None
    wants_mail: bool


@dataclass(frozen=True)
class Plan:
    """The decisions of a seed: `days` of work and faults, then `CALM_DAYS` without."""

    seed: int
    days: float
    users: tuple[User, ...]
    work: tuple[Work, ...]
    faults: tuple[Fault, ...] = field(default=())

    @property
    def seconds(self) -> float:
        """Return the length of the plan, with the calm at the end."""
        return (self.days + CALM_DAYS) * DAY


def make_plan(seed: int, days: float, deployment: Deployment, *, with_faults: bool = True) -> Plan:
    """Make the plan of a seed."""
    rng = random.Random(f"plan {seed}")
    users = tuple(User(f"user-{number}", rng.choice(OFFSETS), rng.random() < 0.8) for number in range(USERS))
    bursts = [(block + rng.uniform(0.1, 0.8) * length) * DAY for block, length in _blocks(days)]
    work = tuple(sorted(_work(rng, days, bursts), key=lambda each: (each.at, each.kind, each.number)))
    requests = [each.at for each in work if each.kind == "request"]
    faults = sorted(_faults(random.Random(f"faults {seed}"), days, bursts, requests, deployment))
    return Plan(seed, days, users, work, tuple(faults) if with_faults else ())


def _blocks(days: float) -> list[tuple[float, float]]:
    """Return the beginning and the length of each block of days."""
    count = max(1, round(days / BLOCK_DAYS))
    return [(number * days / count, days / count) for number in range(count)]


def _work(rng: random.Random, days: float, bursts: list[float]) -> list[Work]:
    found: list[Work] = []
    rates: dict[Kind, float] = {
        "execution": EXECUTIONS,
        "overdue": OVERDUE,
        "request": REQUESTS,
        "site": SITES,
        "update": UPDATES,
        "bad": BAD,
    }
    for kind, rate in rates.items():
        moments = [rng.uniform(0, days * DAY) for _ in range(max(1, round(rate * days)))]
        ordinary = len(moments)
        if kind == "execution":
            moments += [at + rng.uniform(0, BURST_SECONDS) for at in bursts for _ in range(BURST)]
        for number, at in enumerate(moments):
            published, steps = 1, 0
            if kind == "execution":
                # The backend publishes 60 % too, some of them twice, but none of a burst.
                published = rng.choices((0, 1, 2), (4, 4, 2))[0] if number < ordinary else 0
                steps = rng.randrange(4)
            found.append(Work(at, kind, number, rng.randrange(USERS), published, steps))
    return found


def _faults(
    rng: random.Random, days: float, bursts: list[float], requests: list[float], deployment: Deployment
) -> list[Fault]:
    outages, quiet = _outages(rng, days, bursts, requests, deployment)
    found: list[Fault] = []
    for _ in range(round(FAULTS_PER_DAY * days)):
        at = rng.uniform(0, days * DAY)
        kind = rng.choices(tuple(KINDS), tuple(KINDS.values()))[0]
        found += _fault(rng, at, kind, deployment)
    return outages + [fault for fault in found if not any(begin <= fault.at <= end for begin, end in quiet)]


def _fault(rng: random.Random, at: float, kind: str, deployment: Deployment) -> list[Fault]:
    """Draw one fault of a kind, or two faults that belong together."""
    functions = sorted(deployment.functions)
    workers = [name for name in functions if deployment.functions[name].source]
    match kind:
        case "kill":
            target = rng.choice(workers if rng.random() < 0.8 else functions)
            how = rng.choice(("before", "after"))
            return [Fault(at, kind, target, how=how, number=1 + int(rng.expovariate(1 / 12)))]
        case "abort":
            target = rng.choice(workers if rng.random() < 0.8 else functions)
            return [Fault(at, kind, target, number=rng.randint(1, 6))]
        case "blip":
            target = rng.choice(BLIPS)
            return [Fault(at, kind, target, how=rng.choice(HOW[target]), number=rng.randint(1, 4))]
        case "lost":
            answers = ("commit", "commit", "commit", "send", "delete", "change", "mail")
            return [Fault(at, kind, rng.choice(answers))]
        case "double":
            return [Fault(at, kind, rng.choice(sorted(deployment.sources())))]
        case "slowed double":
            # The copy is delivered while the first worker hangs.
            target = rng.choice(workers)
            source = deployment.functions[target].source
            assert source
            stall = Fault(at, "stall", target, seconds=rng.uniform(20, 115), number=rng.randint(1, 20))
            return [Fault(at, "double", source.queue), stall]
        case "restart":
            return [Fault(at, kind, "postgres", seconds=rng.uniform(2, 40), how="starting")]
        case "slow":
            seconds = rng.uniform(60, 3 * HOUR)
            target = rng.choice(SLOW)
            # A slower website would not be fetched at all, which is not our outage.
            times = 3 if target == "websites" else rng.choice((3, 10, 30))
            return [Fault(at, kind, target, seconds=seconds, number=times)]
        case "twice" | "late":
            schedules = [name for name in functions if deployment.functions[name].schedule]
            seconds = rng.uniform(60, 2 * HOUR) if kind == "late" else 0
            return [Fault(at, kind, rng.choice(schedules), seconds=seconds)]
    return [Fault(at, kind)]


def _outages(
    rng: random.Random, days: float, bursts: list[float], requests: list[float], deployment: Deployment
) -> tuple[list[Fault], list[tuple[float, float]]]:
    """Draw the outages: in each block one of every service and one of a queue. One of them is long.

    Returns:
        The outages, and the stretches of time (seconds) in which nothing else may go wrong.
    """
    found: list[Fault] = []
    alone: list[Fault] = []
    for (block, length), burst in zip(_blocks(days), bursts, strict=True):
        begin, seconds = block * DAY, length * DAY
        services = [*HOW, f"queue {rng.choice(sorted(deployment.sources()))}"]
        long_one = rng.choice([service for service in services if service != "sqs"])
        for service in services:
            choices = (LONG_HOURS, LONG_WEIGHTS) if service == long_one else (SHORT_HOURS, SHORT_WEIGHTS)
            lasts = min(rng.choices(*choices)[0] * HOUR * rng.uniform(0.4, 1), seconds * 0.7)
            at = begin + rng.uniform(0, seconds - lasts)
            if service == "model":
                at = burst + rng.uniform(0, AFTER_BURST)
                lasts = min(max(lasts, LEAST_OF_MODEL), begin + seconds - at)
            if service == "postgres" and service != long_one:
                # Just before a request, whose day must be looked up in the database.
                at = max(0.0, rng.choice(requests) - rng.uniform(0, BEFORE_REQUEST))
                lasts = min(lasts, days * DAY - at)
            how = rng.choice(HOW.get(service, ("paused",)))
            found.append(Fault(at, "outage", service, seconds=lasts, how=how))
            if service == long_one and rng.random() < QUIET:
                alone.append(found[-1])
    quiet = [(each.at - QUIET_BEFORE, each.at + each.seconds + QUIET_AFTER) for each in alone]
    kept = [
        fault
        for fault in found
        if fault in alone
        or not any(fault.at <= end and fault.at + fault.seconds >= begin for begin, end in quiet)
    ]
    return kept, quiet
