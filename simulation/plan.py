"""The plan of a seed: what there is to do, and what goes wrong. Times are seconds since its beginning."""

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
# Minutes, with JavaScript's sign: Samoa, Auckland, Adelaide, Calcutta, Paris, London, St. John's, New York,
# Vancouver, Honolulu; and a user without.
OFFSETS = (-780, -720, -570, -330, -60, 0, 210, 300, 480, 600, None)
# Work of a day, on average. A request is a message for a move or a mail that names no day.
EXECUTIONS, OVERDUE, REQUESTS, SITES, UPDATES, BAD = 30, 14, 16, 0.7, 3, 2
# Executions that end together, so that a service that is away has a backlog; one burst in each block of days.
BURST, BURST_SECONDS = 25, 20.0
USERS = 30
# In each block of so many days every service has an outage, one of them a long one.
BLOCK_DAYS = 3.0
SHORT_HOURS = (0.02, 0.1, 0.4, 1)
SHORT_WEIGHTS = (30, 25, 25, 20)
LONG_HOURS = (3, 8, 24, 72)
LONG_WEIGHTS = (60, 28, 9, 3)
# Of long outages, the share in which nothing else goes wrong until the backlog must be gone: the promise is
# about one dependency. So long before and after it.
QUIET, QUIET_BEFORE, QUIET_AFTER = 0.5, HOUR, 2.5 * HOUR
# The model's outage begins so many seconds after the burst at most: before the schedule finds the burst. It
# lasts long enough for the ten receives of a message (`queues.back_off_seconds`).
AFTER_BURST, LEAST_OF_MODEL = 300.0, 4500.0
# A short outage of Postgres begins so many seconds before a request at most.
BEFORE_REQUEST = 10.0
# Faults of a day besides outages, on average.
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
# Faults that are there for some seconds.
BLIPS = ("model", "embeddings", "postgres", "ses", "secrets", "sqs")
SLOW = ("model", "embeddings", "postgres", "sqs", "websites")
# After the plan's last day nothing goes wrong any more, and nothing new is asked for. It is a whole day and a
# night, so every zone has a whole night in it.
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
    """One thing that is asked for.

    Attributes:
        at: when.
        kind: which.
        number: names it; different for each of its kind.
        user: number of its user.
        published: how often the backend sends a message, besides what the schedules find.
        steps: to-dos of an execution.
    """

    at: float
    kind: Kind
    number: int
    user: int
    published: int = 1
    steps: int = 0


@dataclass(frozen=True)
class User:
    """A user: the id, the offset in minutes or None, and whether they want the daily mail."""

    user_id: str
    offset: int | None
    wants_mail: bool


@dataclass(frozen=True)
class Plan:
    """What a seed decides; `days` of work and faults, then `CALM_DAYS`."""

    seed: int
    days: float
    users: tuple[User, ...]
    work: tuple[Work, ...]
    faults: tuple[Fault, ...] = field(default=())

    @property
    def seconds(self) -> float:
        """Return how long it takes, with the calm at the end."""
        return (self.days + CALM_DAYS) * DAY


def make_plan(seed: int, days: float, deployment: Deployment, *, with_faults: bool = True) -> Plan:
    """Make the plan of a seed."""
    dice = random.Random(f"plan {seed}")
    users = tuple(
        User(f"user-{number}", dice.choice(OFFSETS), dice.random() < 0.8) for number in range(USERS)
    )
    bursts = [(block + dice.uniform(0.1, 0.8) * length) * DAY for block, length in _blocks(days)]
    work = tuple(sorted(_work(dice, days, bursts), key=lambda each: (each.at, each.kind, each.number)))
    requests = [each.at for each in work if each.kind == "request"]
    faults = sorted(_faults(random.Random(f"faults {seed}"), days, bursts, requests, deployment))
    return Plan(seed, days, users, work, tuple(faults) if with_faults else ())


def _blocks(days: float) -> list[tuple[float, float]]:
    """Return where each block of days begins, and how long it is."""
    count = max(1, round(days / BLOCK_DAYS))
    return [(number * days / count, days / count) for number in range(count)]


def _work(dice: random.Random, days: float, bursts: list[float]) -> list[Work]:
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
        moments = [dice.uniform(0, days * DAY) for _ in range(max(1, round(rate * days)))]
        usual = len(moments)
        if kind == "execution":
            moments += [at + dice.uniform(0, BURST_SECONDS) for at in bursts for _ in range(BURST)]
        for number, at in enumerate(moments):
            published, steps = 1, 0
            if kind == "execution":
                # Half are published by the backend, too, and some twice; of a burst none.
                published = dice.choices((0, 1, 2), (4, 4, 2))[0] if number < usual else 0
                steps = dice.randrange(4)
            found.append(Work(at, kind, number, dice.randrange(USERS), published, steps))
    return found


def _faults(
    dice: random.Random, days: float, bursts: list[float], requests: list[float], deployment: Deployment
) -> list[Fault]:
    outages, quiet = _outages(dice, days, bursts, requests, deployment)
    found: list[Fault] = []
    for _ in range(round(FAULTS_PER_DAY * days)):
        at = dice.uniform(0, days * DAY)
        kind = dice.choices(tuple(KINDS), tuple(KINDS.values()))[0]
        found += _fault(dice, at, kind, deployment)
    return outages + [fault for fault in found if not any(begin <= fault.at <= end for begin, end in quiet)]


def _fault(dice: random.Random, at: float, kind: str, deployment: Deployment) -> list[Fault]:
    """Draw one fault of a kind, or two that belong together."""
    functions = sorted(deployment.functions)
    workers = [name for name in functions if deployment.functions[name].source]
    match kind:
        case "kill":
            target = dice.choice(workers if dice.random() < 0.8 else functions)
            how = dice.choice(("before", "after"))
            return [Fault(at, kind, target, how=how, number=1 + int(dice.expovariate(1 / 12)))]
        case "abort":
            target = dice.choice(workers if dice.random() < 0.8 else functions)
            return [Fault(at, kind, target, number=dice.randint(1, 6))]
        case "blip":
            target = dice.choice(BLIPS)
            return [Fault(at, kind, target, how=dice.choice(HOW[target]), number=dice.randint(1, 4))]
        case "lost":
            answers = ("commit", "commit", "commit", "send", "delete", "change", "mail")
            return [Fault(at, kind, dice.choice(answers))]
        case "double":
            return [Fault(at, kind, dice.choice(sorted(deployment.sources())))]
        case "slowed double":
            # The copy comes while the first worker hangs.
            target = dice.choice(workers)
            source = deployment.functions[target].source
            assert source
            stall = Fault(at, "stall", target, seconds=dice.uniform(20, 115), number=dice.randint(1, 20))
            return [Fault(at, "double", source.queue), stall]
        case "restart":
            return [Fault(at, kind, "postgres", seconds=dice.uniform(2, 40), how="starting")]
        case "slow":
            seconds = dice.uniform(60, 3 * HOUR)
            target = dice.choice(SLOW)
            # A website that is too slow is not read: that is no outage of ours.
            times = 3 if target == "websites" else dice.choice((3, 10, 30))
            return [Fault(at, kind, target, seconds=seconds, number=times)]
        case "twice" | "late":
            schedules = [name for name in functions if deployment.functions[name].schedule]
            seconds = dice.uniform(60, 2 * HOUR) if kind == "late" else 0
            return [Fault(at, kind, dice.choice(schedules), seconds=seconds)]
    return [Fault(at, kind)]


def _outages(
    dice: random.Random, days: float, bursts: list[float], requests: list[float], deployment: Deployment
) -> tuple[list[Fault], list[tuple[float, float]]]:
    """Draw the outages: in each block one of every service and of one queue, and one of them a long one.

    Returns:
        The outages, and the stretches of time (seconds) in which nothing else goes wrong.
    """
    found: list[Fault] = []
    alone: list[Fault] = []
    for (block, length), burst in zip(_blocks(days), bursts, strict=True):
        begin, seconds = block * DAY, length * DAY
        services = [*HOW, f"queue {dice.choice(sorted(deployment.sources()))}"]
        long_one = dice.choice([service for service in services if service != "sqs"])
        for service in services:
            choices = (LONG_HOURS, LONG_WEIGHTS) if service == long_one else (SHORT_HOURS, SHORT_WEIGHTS)
            lasts = min(dice.choices(*choices)[0] * HOUR * dice.uniform(0.4, 1), seconds * 0.7)
            at = begin + dice.uniform(0, seconds - lasts)
            if service == "model":
                at = burst + dice.uniform(0, AFTER_BURST)
                lasts = min(max(lasts, LEAST_OF_MODEL), begin + seconds - at)
            if service == "postgres" and service != long_one:
                # Just before a request comes, whose day must be looked up.
                at = max(0.0, dice.choice(requests) - dice.uniform(0, BEFORE_REQUEST))
                lasts = min(lasts, days * DAY - at)
            how = dice.choice(HOW.get(service, ("paused",)))
            found.append(Fault(at, "outage", service, seconds=lasts, how=how))
            if service == long_one and dice.random() < QUIET:
                alone.append(found[-1])
    quiet = [(each.at - QUIET_BEFORE, each.at + each.seconds + QUIET_AFTER) for each in alone]
    kept = [
        fault
        for fault in found
        if fault in alone
        or not any(fault.at <= end and fault.at + fault.seconds >= begin for begin, end in quiet)
    ]
    return kept, quiet
