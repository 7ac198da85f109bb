"""`make redrive`: dead letters of an operator's mistake are done once after it is corrected."""

import json
import os
from datetime import UTC, datetime, timedelta

import pytest

from local.runtime import redrive
from local.runtime.deploy import STACK_NAME, StackError
from tests.fake_model import todos
from tests.stack.conftest import Deployed, eventually

TOMORROW = (datetime.now(UTC).date() + timedelta(days=1)).isoformat()
SAID = "I'll send the offer to Bob tomorrow."
ONE_TODO = [("Send the offer to Bob", TOMORROW)]
# Nothing listens on port 9 of loopback.
NOWHERE = "http://127.0.0.1:9/v1"


@pytest.fixture
def dead(deployed: Deployed) -> list[int]:
    """Executions whose messages became dead letters because the model's address was wrong; now it is right.

    One invalid message is among them.
    """
    pks = [deployed.mojodex.execution(SAID) for _ in range(12)]
    bodies = [json.dumps({"user_task_execution_pk": pk}) for pk in pks]
    deployed.stack.set_environment(deployed.worker, LLM_BASE_URL=NOWHERE)
    try:
        with deployed.few_receives():
            deployed.send(*bodies[:6], "{oops")
            deployed.send(*bodies[6:])
            deployed.wait_until_drained()
    finally:
        deployed.stack.set_environment(deployed.worker, LLM_BASE_URL=deployed.model.url)
    assert all(deployed.mojodex.job(pk).state == "queued" for pk in pks)
    deployed.model.answers(todos(("Send the offer to Bob", TOMORROW, SAID)))
    return pks


def test_redriven_dead_letters_are_done_once(deployed: Deployed, dead: list[int]) -> None:
    redriven = redrive.redrive(deployed.process, *redrive.of_local(deployed.stack))
    for pk in dead:
        deployed.wait_for(pk, "done")
    deployed.wait_until_drained()

    assert redriven.moved == 13
    (reason,) = redriven.reasons.values()
    assert "Invalid JSON" in reason
    assert all(deployed.mojodex.todos_of(pk) == ONE_TODO for pk in dead)
    # Only the invalid message is a dead letter again.
    letters = eventually("the invalid message is back", deployed.dead_letters)
    assert [body for body, _reason in letters] == ["{oops"]


def test_a_stack_of_an_account_is_redriven_by_its_name(
    deployed: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in deployed.stack.environment().items():
        monkeypatch.setenv(name, value)
    # As in the runbook.
    monkeypatch.setenv("AWS_REGION", os.environ["AWS_DEFAULT_REGION"])
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    pk = deployed.mojodex.execution(SAID)
    deployed.stack.client("sqs").send_message(
        QueueUrl=deployed.dead_letter_queue_url, MessageBody=json.dumps({"user_task_execution_pk": pk})
    )

    redriven = redrive.redrive("extract_todos", *redrive.of_account(STACK_NAME))
    deployed.wait_for(pk, "done")

    assert redriven == (1, {}, 0)
    with pytest.raises(StackError, match="nothing-of-ours"):
        redrive.of_account("nothing-of-ours")


@pytest.mark.parametrize(
    ("process", "why"),
    [
        (
            "extract_todo",
            "no process 'extract_todo'; there are extract_todos, reschedule_todo, events,"
            " create_from_website, ingest_page, update_document, mail_feedback",
        ),
        ("ingest_page", "ingest_page has no dead letters"),
    ],
)
def test_a_redrive_that_cannot_work_reports_the_reason(deployed: Deployed, process: str, why: str) -> None:
    with pytest.raises(StackError) as error:
        redrive.redrive(process, *redrive.of_local(deployed.stack))

    assert str(error.value) == why


def test_dead_letters_that_somebody_is_reading_are_no_empty_queue(deployed: Deployed) -> None:
    sqs, url = deployed.stack.client("sqs"), deployed.dead_letter_queue_url
    sqs.send_message(QueueUrl=url, MessageBody="{}")
    (letter,) = sqs.receive_message(QueueUrl=url, VisibilityTimeout=60)["Messages"]

    with pytest.raises(StackError, match=r"its dead letters \(1\) are being read"):
        redrive.redrive("extract_todos", *redrive.of_local(deployed.stack))
    sqs.delete_message(QueueUrl=url, ReceiptHandle=letter["ReceiptHandle"])
