"""Ten thousand failed jobs are retried by one request: accepted at once, published and run once each."""

import json
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest

from mojodex import jobs, queues, republishing
from mojodex.clock import utc_now
from mojodex.database import Database
from mojodex.errors import TransientError
from operate import environment
from operate.jobs import retry
from operate.jobs.listing import Filter
from tests.integration.operate.conftest import Operated

JOBS = 10_000
REASON = "the model refuses this content"
NOW = utc_now()
FAILED = """
INSERT INTO md_background_job
    (process, subject, occasion, state, attempts, queued_at, started_at, finished_at, outcome, user_id)
SELECT 'extract_todos', CAST(i AS text), '', 'failed', 1, :now, :now, :now,
    jsonb_build_object('reason', CAST(:reason AS text)), 'ann'
FROM generate_series(1, :jobs) AS i
"""
# Ends the open transaction of a process that died.
KILL = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE application_name = 'mojodex-background' AND state = 'idle in transaction'
"""
# A request that takes longer is not "at once"; API Gateway's limit is 30 s.
SECONDS = 10


class ApiDiedError(BaseException):
    """The process of the API died, so nothing after this line has run."""


class FakeQueue:
    """A queue that takes messages instead of SQS.

    Attributes:
        sent: number of messages by the key of their execution.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sent: Counter[str] = Counter()
        monkeypatch.setattr(republishing.queues, "publish", self.publish)

    def publish(self, _url: str, messages: list[queues.Outgoing]) -> None:
        """Take messages."""
        self.sent.update(str(json.loads(message.body)["user_task_execution_pk"]) for message in messages)


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> FakeQueue:
    return FakeQueue(monkeypatch)


def fail(operated: Operated, number: int = JOBS) -> None:
    """Add a number of jobs that failed for one reason, and others for another one."""
    operated.mojodex.run(FAILED, now=NOW, reason=REASON, jobs=number)
    operated.add_job("events", "todo_daily_emails:bob", "2026-11-27")


def states(operated: Operated) -> dict[str, int]:
    """Count the jobs of extract_todos by state."""
    rows = operated.mojodex.rows(
        "SELECT state, count(*) AS jobs FROM md_background_job WHERE process = 'extract_todos' GROUP BY state"
    )
    return {row.state: row.jobs for row in rows}


def ask(operated: Operated, confirm: int | None = None) -> Any:
    """Ask to retry all jobs that failed for the reason."""
    body = {"process": "extract_todos", "reason": REASON, "since": (NOW - timedelta(hours=1)).isoformat()}
    return operated.client.post("/jobs/retry", body | ({} if confirm is None else {"confirm": confirm}))


def run(subject: str) -> str:
    """Receive a job's message as its worker does, and return the result."""
    delivery = jobs.Delivery("message", NOW + queues.RETENTION)
    with environment.database.session() as session:
        job = jobs.begin(
            session,
            delivery,
            process="extract_todos",
            subject=subject,
            occasion="",
            now=utc_now(),
            lease_seconds=150,
        )
        if not isinstance(job, jobs.Job):
            return f"not run: it is {job}"
        jobs.finish(session, job, "done", {"todos": []}, now=utc_now())
        session.commit()
        return "run"


def test_ten_thousand_jobs_are_accepted_at_once_and_published_once_each(
    operated: Operated, queue: FakeQueue
) -> None:
    fail(operated)
    counted = ask(operated).json()

    began = time.perf_counter()
    answer = ask(operated, counted["matching"])
    seconds = time.perf_counter() - began
    published = operated.republish()

    assert counted == {"matching": JOBS, "retried": 0}
    assert (answer.status, answer.json()) == (202, {"matching": JOBS, "retried": JOBS})
    assert seconds < SECONDS
    assert states(operated) == {"queued": JOBS}
    assert published == len(queue.sent) == queue.sent.total() == JOBS
    assert operated.republish() == 0
    assert [call[0] for call in operated.calls] == ["invoke"]


def test_a_publisher_that_dies_before_its_commit_publishes_one_page_twice_and_no_job_runs_twice(
    operated: Operated, queue: FakeQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail(operated)
    ask(operated, JOBS)
    pages = 0

    def publish_and_die(url: str, messages: list[queues.Outgoing]) -> None:
        nonlocal pages
        queue.publish(url, messages)
        pages += 1
        if pages == 7:
            # The messages are sent, but the commit does not follow.
            assert operated.mojodex.run(KILL) == 1

    monkeypatch.setattr(republishing.queues, "publish", publish_and_die)
    with pytest.raises(TransientError):
        operated.republish()

    left = operated.republish()

    assert left == JOBS - 6 * republishing.MESSAGES_AT_ONCE
    twice = [subject for subject, times in queue.sent.items() if times == 2]
    assert (len(queue.sent), len(twice)) == (JOBS, republishing.MESSAGES_AT_ONCE)
    assert queue.sent.total() == JOBS + len(twice)
    assert {run(subject) for subject in twice} == {"run"}
    assert {run(subject) for subject in twice} == {"not run: it is done"}
    assert states(operated) == {"queued": JOBS - len(twice), "done": len(twice)}


def test_the_redrive_publishes_retries_of_an_api_that_died_before_calling_it(
    operated: Operated, queue: FakeQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail(operated)

    def die(_function_name: str) -> None:
        raise ApiDiedError

    monkeypatch.setattr(retry, "start", die)
    with pytest.raises(ApiDiedError):
        ask(operated, JOBS)
    sent_by_api = queue.sent.total()

    # A second request finds nothing to retry.
    again = ask(operated).json()
    published = operated.republish()

    assert sent_by_api == 0
    assert again == {"matching": 0, "retried": 0}
    assert published == len(queue.sent) == queue.sent.total() == JOBS


def test_an_api_that_dies_before_its_commit_retries_nothing(
    operated: Operated, queue: FakeQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail(operated)

    def die(*_: Any) -> None:
        raise ApiDiedError

    with monkeypatch.context() as patched:
        patched.setattr(retry.audit, "record", die)
        with pytest.raises(ApiDiedError):
            ask(operated, JOBS)

    assert states(operated) == {"failed": JOBS}
    assert operated.republish() == 0
    assert ask(operated, JOBS).json() == {"matching": JOBS, "retried": JOBS}


def test_two_confirmations_at_once_retry_each_job_once(
    operated: Operated, queue: FakeQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail(operated, 2_000)
    both_have_counted = Barrier(2)
    matching = retry.matching

    def match_and_wait(*given: Any) -> Any:
        found = matching(*given)
        both_have_counted.wait(timeout=30)
        return found

    monkeypatch.setattr(retry, "matching", match_and_wait)
    wanted = Filter("extract_todos", "failed", reason=REASON)

    def confirm(database: Database) -> int:
        return database.with_db_session(retry.retry_all, wanted, 2_000, "operator", utc_now())

    # Two connections, as of two execution environments.
    other = Database(environment.settings)
    try:
        with ThreadPoolExecutor(2) as pool:
            retried = list(pool.map(confirm, (environment.database, other)))
    finally:
        other.close()
    published = operated.republish()

    assert sorted(retried) == [0, 2_000]
    assert published == len(queue.sent) == queue.sent.total() == 2_000
    assert states(operated) == {"queued": 2_000}


def test_the_second_of_two_confirmations_is_refused_because_the_number_changed(operated: Operated) -> None:
    fail(operated, 20)

    first, second = ask(operated, 20), ask(operated, 20)

    assert (first.status, second.status) == (202, 409)
    assert second.json()["matching"] == 0
