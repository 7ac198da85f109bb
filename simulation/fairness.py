"""Fair queues: a hundred users with a mail and a page each, beside one user's thousand pages.

The same moment runs three times: the hundred users alone, beside the thousand pages, and beside them without
MessageGroupId. Mails have their own queue. The pages share one queue, so they show the effect of fair queues
(`sqs.Queue`).
"""

import gzip
import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from math import ceil

from sqlalchemy import Connection, text

from chaos.checks import mail_job
from chaos.load import FIRST_KEY, insert_execution, insert_todo
from mojodex.queues import message_group
from simulation import checks
from simulation.plan import DAY, HOUR, Plan, User
from simulation.sites import html
from simulation.world import Run, World

PAGES, USERS = 1000, 100
# On a Tuesday at noon no schedule finds work. The hundred users come while the pages are being handled.
NOON, LATER = DAY + 12 * HOUR, 30.0
MOST_RATIO = 1.5
PROCESSES = ("events", "ingest_page")
INSERT_PAGE = text(
    "INSERT INTO md_background_page (subject, occasion, user_id, url, key, depth, state, html, html_hash,"
    " found_at) VALUES (:subject, '1', :user, :url, :url, 0, 'staged', :html, :url, now()) RETURNING page_pk"
)

# Seconds from each message to the end of its job, by process.
type Waits = Mapping[str, list[float]]


@dataclass
class _Load:
    """The messages of one run. `groups` tells whether they carry their user as MessageGroupId."""

    pages: int
    groups: bool
    subjects: dict[tuple[str, str], float]

    def begin(self, run: Run) -> None:
        """Publish the thousand pages of the first user."""
        user, *_ = run.plan.users
        with run.backend._transaction() as connection:
            keys = [_stage(connection, user, "big.example", number) for number in range(self.pages)]
        for pk in keys:
            self._publish(run, "ingest_page", user, {"page_pk": pk})

    def join(self, run: Run) -> None:
        """Publish a mail and a page for each of the hundred users."""
        _, *others = run.plan.users
        today = run.kernel.moment.date()
        for number, user in enumerate(others):
            with run.backend._transaction() as connection:
                insert_execution(connection, FIRST_KEY + number, user.user_id, 0, extracted=True)
                now = run.kernel.moment + timedelta(days=2)
                insert_todo(connection, FIRST_KEY + number, f"Thing {number}", today, now)
                pk = _stage(connection, user, f"site{number}.example", 0)
            self._publish(run, "ingest_page", user, {"page_pk": pk})
            mail = {"event_type": "todo_daily_emails", "user_id": user.user_id}
            self._publish(run, "events", user, mail)
            self.subjects["ingest_page", str(pk)] = run.kernel.now
            self.subjects["events", mail_job(user.user_id)] = run.kernel.now

    def _publish(self, run: Run, process: str, user: User, body: Mapping[str, object]) -> None:
        queue = run.backend.queues[process]
        group = message_group(user.user_id) if self.groups else ""
        run.services.sqs.publish(queue, json.dumps(body), group)
        assert not self.groups or {m.group for m in queue.messages.values()} <= _groups(run)


def _groups(run: Run) -> set[str]:
    return {message_group(user.user_id) for user in run.plan.users}


def _stage(connection: Connection, user: User, host: str, number: int) -> int:
    """Stage a fetched page for ingest_page, and return its key."""
    path = f"/{number}"
    values = {
        "subject": f"{user.user_id} https://{host}/",
        "user": user.user_id,
        "url": f"https://{host}{path}",
        "html": gzip.compress(html(host, path, 1).encode(), mtime=0),
    }
    return int(connection.execute(INSERT_PAGE, values).scalar_one())


def measure(world: World, seed: int) -> dict[str, Waits]:
    """Run all three, and return the waits of the hundred users."""
    return {
        "alone": _run(world, seed, 0, groups=True),
        "beside 1,000 pages": _run(world, seed, PAGES, groups=True),
        "the same without groups": _run(world, seed, PAGES, groups=False),
    }


def _run(world: World, seed: int, pages: int, *, groups: bool) -> Waits:
    users = tuple(User(f"user-{number}", 0, wants_mail=True) for number in range(USERS + 1))
    load = _Load(pages, groups, {})
    plan = Plan(seed, NOON / DAY, users, work=())
    watch = {NOON: load.begin, NOON + LATER: load.join}
    run = world.run(plan, watch, ends=NOON + HOUR)
    known = checks.facts_of(world, run)
    waits: dict[str, list[float]] = defaultdict(list)
    for moment, job in known.history:
        if job.state == "done" and (begun := load.subjects.get((job.process, job.subject))):
            waits[job.process].append(moment - begun)
    assert [len(waits[process]) for process in PROCESSES] == [USERS, USERS], "not every job was done once"
    return waits


def p95(seconds: list[float]) -> float:
    """Return the 95th percentile."""
    return sorted(seconds)[ceil(0.95 * len(seconds)) - 1]


def holds(waits: Mapping[str, Waits]) -> bool:
    """Tell whether the hundred users wait at most 1.5 times as long beside the thousand pages."""
    alone, beside, _ = waits.values()
    return all(p95(beside[process]) <= MOST_RATIO * p95(alone[process]) for process in PROCESSES)


def table(waits: Mapping[str, Waits]) -> str:
    """Return the waits as a table."""
    lines = [f"{'p95 of 100 users, in seconds':32}{'mails':>10}{'pages':>10}"]
    for name, each in waits.items():
        lines.append(f"{name:32}" + "".join(f"{p95(each[process]):10.1f}" for process in PROCESSES))
    return "\n".join(lines)
