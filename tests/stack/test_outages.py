"""Long outages of a dependency, from which the deployed functions recover without help.

Times are scaled down: messages are dead letters after two receives instead of ten, and the redrive runs every
few seconds instead of every five minutes. So half a minute here corresponds to some hours on AWS.
"""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local.runtime import postgres
from tests.fake_model import Reply, todos
from tests.stack.conftest import Deployed, eventually

TOMORROW = (datetime.now(UTC).date() + timedelta(days=1)).isoformat()
SAID = "I'll send the offer to Bob tomorrow."
GOOD = todos(("Send the offer to Bob", TOMORROW, SAID))
ONE_TODO = [("Send the offer to Bob", TOMORROW)]
JOBS = 30
OUTAGE_SECONDS = 30
# Calls before the circuit opens: two workers with ten jobs each call two models.
FIRST_CALLS = 2 * 10 * 2


@pytest.fixture
def quick(deployed: Deployed) -> Iterator[Deployed]:
    with deployed.few_receives():
        yield deployed


def redrive(deployed: Deployed) -> int:
    """Run the redrive once and return the number of redriven messages."""
    answer, succeeded = deployed.stack.invoke("RedriveScheduleFunction")
    assert succeeded, answer
    return int(answer["extract_todos"])


def states(deployed: Deployed) -> dict[str, int]:
    rows = deployed.mojodex.rows("SELECT state, count(*) AS n FROM md_background_job GROUP BY state")
    return {row.state: row.n for row in rows}


def heals(deployed: Deployed) -> None:
    """Wait until all jobs are done, with only the redrive's help."""

    def done() -> bool:
        redrive(deployed)
        return states(deployed) == {"done": JOBS}

    eventually("all jobs are done", done, lambda: f"{states(deployed)}\n{deployed.worker_logs()}")
    deployed.wait_until_drained()
    assert redrive(deployed) == 0
    assert deployed.dead_letters() == []


def test_a_long_outage_of_the_model_fails_no_job_and_causes_few_calls(quick: Deployed) -> None:
    pks = [quick.mojodex.execution(SAID) for _ in range(JOBS)]
    quick.model.answers(Reply(status=503))
    assert quick.schedule() == JOBS
    end, returned = time.monotonic() + OUTAGE_SECONDS, 0
    while time.monotonic() < end:
        time.sleep(2)
        returned += redrive(quick)
        # No job is published twice while its message exists.
        assert quick.schedule() == 0
    failed_calls = len(quick.model.calls)
    assert returned >= JOBS
    assert states(quick).keys() <= {"queued", "running"}
    assert failed_calls <= FIRST_CALLS + OUTAGE_SECONDS

    good = []

    def answer(request: dict[str, Any]) -> Reply:
        good.append(request)
        return GOOD

    quick.model.script = answer
    heals(quick)

    assert all(quick.mojodex.todos_of(pk) == ONE_TODO for pk in pks)
    assert {quick.mojodex.job(pk).attempts for pk in pks} == {1}
    assert len(good) == JOBS
    # The second model's circuit can still be open, because no job has called it since.
    assert quick.mojodex.run("SELECT count(*) FROM md_background_circuit WHERE provider = 'gpt-5-mini'") == 0


def test_a_long_outage_of_the_database_fails_no_job(quick: Deployed) -> None:
    pks = [quick.mojodex.execution(SAID) for _ in range(JOBS)]
    quick.model.answers(GOOD)
    with postgres.away(quick.directory):
        quick.send(*(f'{{"user_task_execution_pk": {pk}}}' for pk in pks[:10]))
        quick.send(*(f'{{"user_task_execution_pk": {pk}}}' for pk in pks[10:20]))
        quick.send(*(f'{{"user_task_execution_pk": {pk}}}' for pk in pks[20:]))
        time.sleep(OUTAGE_SECONDS)
        # All messages are dead letters without a job.
        assert not quick.stack.invoke("RedriveScheduleFunction")[1]

    heals(quick)

    assert all(quick.mojodex.todos_of(pk) == ONE_TODO for pk in pks)
    assert {quick.mojodex.job(pk).attempts for pk in pks} == {1}
    assert len(quick.model.calls) == JOBS
