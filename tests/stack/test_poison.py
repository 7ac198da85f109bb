"""A poison message does not keep others from finishing, and its history can be read as a dead letter."""

import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import psutil
import pytest

from tests.fake_model import prompt_of, todos
from tests.stack.conftest import Deployed, eventually

TOMORROW = (datetime.now(UTC).date() + timedelta(days=1)).isoformat()
SAID = "I'll send the offer to Bob tomorrow."
ONE_TODO = [("Send the offer to Bob", TOMORROW)]
POISON = "This one is too much."
# The same as in template.yaml.
MAX_RECEIVE_COUNT = 10


@pytest.fixture
def quick(deployed: Deployed) -> Iterator[Deployed]:
    """A dead worker's messages become visible after 8 seconds, long enough for a cold start.

    Their leases have expired by then.
    """
    sqs, queue_url = deployed.stack.client("sqs"), deployed.queue_url
    try:
        with deployed.quick_redelivery():
            sqs.set_queue_attributes(QueueUrl=queue_url, Attributes={"VisibilityTimeout": "8"})
            deployed.stack.set_environment(deployed.worker, LEASE_SECONDS="1")
            yield deployed
    finally:
        deployed.model.asked_from = lambda _request, _port: None
        deployed.stack.set_environment(deployed.worker, LEASE_SECONDS="150")


def kill_worker_at_port(deployed: Deployed, port: int) -> None:
    """SIGKILL the worker that uses this port, as Lambda does when it is out of memory."""
    for worker in deployed.workers():
        with suppress(psutil.Error):
            if any(connection.laddr.port == port for connection in worker.net_connections("tcp")):
                worker.kill()
                return


def log_lines(deployed: Deployed, message: str, subject: int) -> list[Any]:
    lines = [json.loads(line) for line in deployed.stack.logs(deployed.worker) if line.startswith("{")]
    return [line for line in lines if (line.get("message"), line.get("subject")) == (message, str(subject))]


# Ten times eight seconds and the start of the stack, on a busy machine.
@pytest.mark.timeout(600)
def test_a_message_that_kills_its_worker_becomes_a_dead_letter_and_the_others_are_done(
    quick: Deployed,
) -> None:
    poison = quick.mojodex.execution(POISON)
    others = [quick.mojodex.execution(SAID) for _ in range(9)]
    quick.model.answers(todos(("Send the offer to Bob", TOMORROW, SAID)))

    def kill(request: dict[str, Any], port: int) -> None:
        if POISON in prompt_of(request):
            kill_worker_at_port(quick, port)

    quick.model.asked_from = kill
    quick.send(*[json.dumps({"user_task_execution_pk": pk}) for pk in (poison, *others)])
    jobs = [quick.wait_for(pk, "done") for pk in others]
    eventually("half of the attempts", lambda: quick.mojodex.job(poison).attempts >= MAX_RECEIVE_COUNT / 2)
    eventually("all attempts", lambda: quick.mojodex.job(poison).attempts == MAX_RECEIVE_COUNT)
    quick.wait_until_drained()

    assert [quick.mojodex.todos_of(pk) for pk in others] == [ONE_TODO] * 9
    assert max(job.attempts for job in jobs) <= 3
    sqs = quick.stack.client("sqs")
    (letter,) = sqs.receive_message(
        QueueUrl=quick.dead_letter_queue_url, AttributeNames=["All"], MaxNumberOfMessages=10
    )["Messages"]
    sqs.delete_message(QueueUrl=quick.dead_letter_queue_url, ReceiptHandle=letter["ReceiptHandle"])
    assert json.loads(letter["Body"]) == {"user_task_execution_pk": poison}
    # The history is one row, and one log line for each takeover.
    job = quick.mojodex.job(poison)
    assert (job.state, job.attempts) == ("running", MAX_RECEIVE_COUNT)
    taken_over = log_lines(quick, "lease expired, job is taken over", poison)
    assert [line["attempts"] for line in taken_over] == list(range(2, MAX_RECEIVE_COUNT + 1))
    assert {line["level"] for line in taken_over} == {"WARNING"}
    assert quick.mojodex.todos_of(poison) == []
