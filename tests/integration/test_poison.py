"""A poison message must not take the rest of its batch with it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.orm import Session

from mojodex import jobs
from mojodex.errors import TransientError
from tests.fake_model import FakeModel, Reply, prompt_of, todos
from tests.integration.conftest import Bundle
from tests.lambda_events import failed_ids, sqs_record
from tests.mojodex import Mojodex

NOW = datetime.now(UTC)
ERROR = TransientError("the model is away")


def execution(mojodex: Mojodex, name: str, killed: int = 0) -> int:
    """Add an execution whose prompt has this name, and whose job has killed this many workers."""
    pk = mojodex.execution(f"This is {name}.")
    if killed:
        mojodex.run(
            "INSERT INTO md_background_job (process, subject, occasion, state, attempts, queued_at,"
            " started_at) VALUES ('extract_todos', :s, '', 'running', :n, now(), :then)",
            s=str(pk),
            n=killed,
            then=NOW - timedelta(minutes=12),
        )
    return pk


def name_in(request: dict[str, Any]) -> str:
    return prompt_of(request).split("This is ")[1].split(".")[0]


def record(pk: int, *, receives: int = 1, receipt: str = "receipt") -> dict[str, Any]:
    return sqs_record(f'{{"user_task_execution_pk": {pk}}}', receive_count=receives, receipt=receipt)


@contextmanager
def statements(bundle: Bundle) -> Iterator[list[str]]:
    """Record the statements of the worker."""
    said: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        said.append(" ".join(statement.split()))

    engine = bundle.database.engine()
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield said
    finally:
        event.remove(engine, "before_cursor_execute", note)


def test_suspects_run_last_one_at_a_time_with_the_fewest_attempts_first(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel
) -> None:
    pks = [
        execution(mojodex, "killed three times", 3),
        execution(mojodex, "new"),
        execution(mojodex, "killed once", 1),
        execution(mojodex, "late"),
        execution(mojodex, "killed twice", 2),
    ]
    order: list[str] = []
    held: list[int] = []
    together = threading.Barrier(2, timeout=20)

    def script(request: dict[str, Any]) -> Reply:
        name = name_in(request)
        if name.startswith("killed"):
            recent = "SELECT count(*) FROM md_background_job WHERE state = 'running' AND started_at > :now"
            held.append(mojodex.run(recent, now=NOW))
        else:
            together.wait()
        order.append(name)
        return todos()

    model.script = script
    receives = [4, 1, 2, 2, 3]
    event = {"Records": [record(pk, receives=n) for pk, n in zip(pks, receives, strict=True)]}
    response = bundle.work_on(event)

    assert response == {"batchItemFailures": []}
    assert set(order[:2]) == {"new", "late"}
    assert order[2:] == ["killed once", "killed twice", "killed three times"]
    assert held == [1, 1, 1]
    assert [mojodex.job(pk).attempts for pk in pks] == [4, 1, 2, 1, 3]


def test_finished_messages_are_deleted_before_a_suspect_runs(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel
) -> None:
    names = {"poison": 2, "killed along": 1, "new": 0, "failing": 0}
    pks = {name: execution(mojodex, name, killed) for name, killed in names.items()}
    receipts = {}
    for name, pk in pks.items():
        bundle.sqs.send_message(QueueUrl=bundle.queue_url, MessageBody=f'{{"user_task_execution_pk": {pk}}}')
        (got,) = bundle.sqs.receive_message(QueueUrl=bundle.queue_url)["Messages"]
        receipts[name] = got["ReceiptHandle"]
    left: dict[str, int] = {}

    def script(request: dict[str, Any]) -> Reply:
        name = name_in(request)
        answer = bundle.sqs.get_queue_attributes(QueueUrl=bundle.queue_url, AttributeNames=["All"])
        left[name] = int(answer["Attributes"]["ApproximateNumberOfMessagesNotVisible"]) + int(
            answer["Attributes"]["ApproximateNumberOfMessages"]
        )
        return Reply(status=503) if name == "failing" else todos()

    model.script = script
    records = [record(pk, receives=2, receipt=receipts[name]) for name, pk in pks.items()]
    response = bundle.work_on({"Records": records})

    # Left are the message that failed and the suspects that are not done.
    assert (left["new"], left["killed along"], left["poison"]) == (4, 3, 2)
    assert failed_ids(response) == {records[3]["messageId"]}
    assert mojodex.job(pks["poison"]).state == "done"


def test_a_message_that_cannot_be_deleted_early_is_still_reported_as_done(
    bundle: Bundle, mojodex: Mojodex
) -> None:
    new, suspect = execution(mojodex, "new"), execution(mojodex, "killed", 1)
    bundle.sqs.delete_queue(QueueUrl=bundle.queue_url)

    response = bundle.work_on({"Records": [record(new), record(suspect, receives=2)]})

    assert response == {"batchItemFailures": []}
    assert [mojodex.job(pk).state for pk in (new, suspect)] == ["done", "done"]


def test_messages_retried_after_an_outage_of_the_model_run_concurrently(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel
) -> None:
    pks = [execution(mojodex, f"number {n}") for n in range(5)]
    model.script = lambda _request: Reply(status=503)
    assert len(failed_ids(bundle.work_on({"Records": [record(pk) for pk in pks]}))) == 5
    together = threading.Barrier(5, timeout=20)

    def script(_request: dict[str, Any]) -> Reply:
        together.wait()
        return todos()

    model.script = script
    mojodex.close_circuits()
    response = bundle.work_on({"Records": [record(pk, receives=2) for pk in pks]})

    assert response == {"batchItemFailures": []}
    assert all(mojodex.job(pk).state == "done" for pk in pks)


def test_only_redelivered_messages_are_looked_up_in_one_statement(bundle: Bundle, mojodex: Mojodex) -> None:
    new = [execution(mojodex, f"number {n}") for n in range(3)]
    killed = [execution(mojodex, f"killed {n}", 1) for n in range(3)]
    look_up = "SELECT md_background_job.subject, md_background_job.occasion, md_background_job.attempts"

    with statements(bundle) as for_new:
        bundle.work_on({"Records": [record(pk) for pk in new]})
    with statements(bundle) as for_killed:
        bundle.work_on({"Records": [record(pk, receives=2) for pk in killed]})

    assert [s for s in for_new if s.startswith(look_up)] == []
    assert len([s for s in for_killed if s.startswith(look_up)]) == 1


def test_a_bad_message_redelivered_with_a_suspect_is_a_dead_letter(bundle: Bundle, mojodex: Mojodex) -> None:
    suspect = execution(mojodex, "killed", 1)

    response = bundle.work_on(
        {"Records": [record(suspect, receives=2), sqs_record("{oops", receive_count=2)]}
    )

    assert response == {"batchItemFailures": []}
    assert mojodex.job(suspect).state == "done"
    assert [body for body, _reason in bundle.dead_letters()] == ["{oops"]


def test_each_message_is_retried_when_the_suspects_cannot_be_looked_up(
    bundle: Bundle, mojodex: Mojodex
) -> None:
    records = [record(execution(mojodex, f"killed {n}", 1), receives=2) for n in range(2)]
    mojodex.run("ALTER TABLE md_background_job RENAME TO away")

    try:
        response = bundle.work_on({"Records": records})
    finally:
        mojodex.run("ALTER TABLE away RENAME TO md_background_job")

    assert failed_ids(response) == {each["messageId"] for each in records}


@pytest.mark.parametrize(("before", "taken_over"), [("killed", True), ("released", False)])
def test_the_ledger_shows_whether_a_job_is_taken_over(
    mojodex: Mojodex, before: str, *, taken_over: bool
) -> None:
    key: dict[str, Any] = {"process": "p", "subject": "s", "occasion": "", "lease_seconds": 150}
    delivery = jobs.Delivery("m", NOW + jobs.RETENTION)
    with Session(mojodex.engine) as session:
        first = jobs.begin(session, delivery, **key, now=NOW)
        assert isinstance(first, jobs.Job)
        assert not first.taken_over
        if before == "released":
            jobs.release(session, first, ERROR, counts=True, now=NOW)

        second = jobs.begin(session, delivery, **key, now=NOW + timedelta(seconds=151))

        assert isinstance(second, jobs.Job)
        assert (second.attempts, second.taken_over) == (2, taken_over)
