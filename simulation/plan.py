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
# Work of a day, on average.
EXECUTIONS, OVERDUE, SITES, UPDATES, BAD = 40, 14, 0.7, 3, 2
USERS = 30
# How long an outage lasts, from a moment to three days.
OUTAGE_HOURS = (0.02, 0.1, 0.5, 2, 6, 24, 72)
OUTAGE_WEIGHTS = (30, 25, 20, 12, 6, 2, 1)
# Long outages are one at a time: the promise is about one dependency.
LONG_HOURS = 1.0
# Faults of a day besides outages, on average.
FAULTS_PER_DAY = 24
# After the plan's last day nothing goes wrong any more, and nothing new is asked for.
CALM_DAYS = 2

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

type Kind = Literal["execution", "overdue", "site", "update", "bad"]


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
    work = tuple(sorted(_work(dice, days), key=lambda each: (each.at, each.kind, each.number)))
    faults = sorted(_faults(random.Random(f"faults {seed}"), days, deployment)) if with_faults else ()
    return Plan(seed, days, users, work, tuple(faults))


def _work(dice: random.Random, days: float) -> list[Work]:
    found: list[Work] = []
    rates: dict[Kind, float] = {
        "execution": EXECUTIONS,
        "overdue": OVERDUE,
        "site": SITES,
        "update": UPDATES,
        "bad": BAD,
    }
    for kind, rate in rates.items():
        for number in range(max(1, round(rate * days))):
            found.append(
                Work(
                    dice.uniform(0, days * DAY),
                    kind,
                    number,
                    dice.randrange(USERS),
                    # Of extractions half are published by the backend, too, and some twice.
                    published=dice.choices((0, 1, 2), (4, 4, 2))[0] if kind == "execution" else 1,
                    steps=dice.randrange(4) if kind == "execution" else 0,
                )
            )
    return found


def _faults(dice: random.Random, days: float, deployment: Deployment) -> list[Fault]:
    found = _outages(dice, days, deployment)
    functions = sorted(deployment.functions)
    workers = [name for name in functions if deployment.functions[name].source]
    queues = sorted(deployment.sources())
    for _ in range(round(FAULTS_PER_DAY * days)):
        at = dice.uniform(0, days * DAY)
        kinds = ("kill", "blip", "lost", "double", "cut", "restart", "deploy", "slow", "twice", "late")
        kind = dice.choices(kinds, (28, 18, 12, 16, 5, 3, 3, 6, 5, 4))[0]
        match kind:
            case "kill":
                target = dice.choice(workers if dice.random() < 0.8 else functions)
                how = dice.choice(("before", "after"))
                found.append(Fault(at, kind, target, how=how, number=1 + int(dice.expovariate(1 / 12))))
            case "blip":
                target = dice.choice(("model", "embeddings", "postgres", "ses", "secrets", "sqs"))
                found.append(Fault(at, kind, target, how=dice.choice(HOW[target]), number=dice.randint(1, 4)))
            case "lost":
                found.append(
                    Fault(
                        at,
                        kind,
                        dice.choice(("commit", "commit", "commit", "send", "delete", "change", "mail")),
                    )
                )
            case "double":
                found.append(Fault(at, kind, dice.choice(queues)))
            case "restart":
                found.append(Fault(at, kind, "postgres", seconds=dice.uniform(2, 40), how="starting"))
            case "slow":
                target = dice.choice(("model", "embeddings", "postgres", "sqs", "websites"))
                seconds = dice.uniform(60, 3 * HOUR)
                found.append(Fault(at, kind, target, seconds=seconds, number=dice.choice((3, 10, 30))))
            case "twice" | "late":
                schedules = [name for name in functions if deployment.functions[name].schedule]
                seconds = dice.uniform(60, 2 * HOUR) if kind == "late" else 0
                found.append(Fault(at, kind, dice.choice(schedules), seconds=seconds))
            case _:
                found.append(Fault(at, kind))
    return found


def _outages(dice: random.Random, days: float, deployment: Deployment) -> list[Fault]:
    """Short outages of anything at any time; long ones one after the other."""
    found = []
    services = [*HOW, *(f"queue {queue}" for queue in sorted(deployment.sources()))]
    free_at = 0.0
    for _ in range(round(2 * days)):
        service = dice.choice(services)
        hours = dice.choices(OUTAGE_HOURS, OUTAGE_WEIGHTS)[0] * dice.uniform(0.5, 1)
        if service == "sqs":
            hours = min(hours, LONG_HOURS)
        at = dice.uniform(0, days * DAY)
        if hours > LONG_HOURS:
            if at < free_at or at + hours * HOUR > days * DAY:
                continue
            # The time to drain lies between two.
            free_at = at + hours * HOUR + 3 * HOUR
        how = dice.choice(HOW.get(service, ("paused",)))
        found.append(Fault(at, "outage", service, seconds=hours * HOUR, how=how))
    return found
