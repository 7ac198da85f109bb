"""Outages of any length: no job fails, and nothing is published or paid twice."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from extract_todos import extraction
from mojodex import jobs
from mojodex.queues import MAX_RECEIVES, RETENTION
from reschedule_todo import rescheduling
from tests.fake_model import FakeModel, Reply, todos
from tests.integration.conftest import Bundle
from tests.integration.test_reschedule_todo import move, overdue
from tests.lambda_events import failed_ids, sqs_record
from tests.mojodex import Mojodex

SAID = "I'll send the offer to Bob."
TOMORROW = (datetime.now(UTC).date() + timedelta(days=1)).isoformat()
ONE = todos(("Send the offer", TOMORROW, SAID))


def record(pk: int, *, receives: int = 1) -> dict[str, Any]:
    return sqs_record(json.dumps({"user_task_execution_pk": pk}), receive_count=receives)


def away(*_: Any, **__: Any) -> Any:
    raise OSError


def test_an_error_of_a_dependency_never_counts_as_an_attempt(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel
) -> None:
    pk = mojodex.execution(SAID)
    model.answers(Reply(status=503, headers={"Retry-After": "60"}))
    for _ in range(jobs.MAX_ATTEMPTS + 5):
        mojodex.run("UPDATE md_background_circuit SET probe_at = now()")
        assert failed_ids(bundle.work_on({"Records": [record(pk)]}))
    job = mojodex.job(pk)
    assert (job.state, job.attempts) == ("queued", 0)

    model.answers(todos())
    mojodex.run("UPDATE md_background_circuit SET probe_at = now()")
    bundle.work_on({"Records": [record(pk)]})

    assert (mojodex.job(pk).state, mojodex.job(pk).attempts) == ("done", 1)


def test_a_timeout_of_a_model_that_works_for_other_jobs_counts(
    make_bundle: Callable[..., Bundle], mojodex: Mojodex, model: FakeModel
) -> None:
    """Each try is paid, so their number must be bounded."""
    bundle = make_bundle(llm_timeout_seconds=3)
    pk = mojodex.execution(SAID)
    model.answers(Reply(todos().content, delay=4))

    assert failed_ids(bundle.work_on({"Records": [record(pk)]}))

    assert (mojodex.job(pk).state, mojodex.job(pk).attempts) == ("queued", 1)


@pytest.mark.parametrize("second_probe", ["now()", "now() + interval '1 hour'"])
def test_a_timeout_of_a_model_that_hangs_for_all_jobs_does_not_count(
    make_bundle: Callable[..., Bundle], mojodex: Mojodex, model: FakeModel, second_probe: str
) -> None:
    bundle = make_bundle(llm_timeout_seconds=3)
    pk = mojodex.execution(SAID)
    mojodex.run(
        "INSERT INTO md_background_circuit VALUES ('gpt-5-mini', now(), now(), ''),"
        f" ('gpt-4.1', now(), {second_probe}, '')"
    )
    model.answers(Reply(todos().content, delay=4))

    assert failed_ids(bundle.work_on({"Records": [record(pk)]}))

    assert len(model.calls) == (2 if second_probe == "now()" else 1)
    assert mojodex.job(pk).attempts == 0


def test_unknown_errors_count_and_fail_the_job_at_last(
    bundle: Bundle, mojodex: Mojodex, monkeypatch: pytest.MonkeyPatch
) -> None:
    pk = mojodex.execution(SAID)

    def broken(*_: Any) -> Any:
        raise KeyError

    monkeypatch.setattr(extraction, "collect", broken)
    for attempt in range(1, jobs.MAX_ATTEMPTS + 1):
        assert failed_ids(bundle.work_on({"Records": [record(pk)]}))
        assert (mojodex.job(pk).state, mojodex.job(pk).attempts) == ("queued", attempt)

    assert bundle.work_on({"Records": [record(pk)]}) == {"batchItemFailures": []}
    assert mojodex.job(pk).outcome["reason"] == "gave up after 20 attempts"


def test_a_job_is_not_claimable_before_its_message_expires(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel
) -> None:
    claimed, released = mojodex.execution(SAID), mojodex.execution(SAID)
    assert bundle.schedule() == 2
    model.answers(Reply(status=503))
    # After its last receive it is a dead letter, which the redrive returns.
    bundle.work_on({"Records": [record(released, receives=MAX_RECEIVES)]})

    for age in (timedelta(0), timedelta(hours=1), timedelta(days=3), RETENTION - timedelta(minutes=1)):
        with time_machine.travel(datetime.now(UTC) + age):
            assert bundle.schedule() == 0
    with time_machine.travel(datetime.now(UTC) + RETENTION + timedelta(minutes=1)):
        assert bundle.schedule() == 2

    assert {body["user_task_execution_pk"] for body in bundle.queued()} == {claimed, released}


def test_a_row_of_an_earlier_release_is_claimable_after_97_hours(bundle: Bundle, mojodex: Mojodex) -> None:
    pk = mojodex.execution(SAID)
    assert bundle.schedule() == 1
    mojodex.run("UPDATE md_background_job SET message_expires_at = NULL, message_id = NULL")

    assert bundle.schedule() == 0
    mojodex.run("UPDATE md_background_job SET queued_at = queued_at - interval '97 hours'")

    assert bundle.schedule() == 1
    assert mojodex.job(pk).message_expires_at > datetime.now(UTC)


@pytest.mark.parametrize("error", ["transient", "unknown"])
def test_an_answer_that_cannot_be_saved_is_paid_once(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel, monkeypatch: pytest.MonkeyPatch, error: str
) -> None:
    pk = mojodex.execution(SAID)
    model.answers(ONE)

    def broken(*_: Any) -> Any:
        raise OSError if error == "transient" else KeyError

    with monkeypatch.context() as context:
        context.setattr(extraction, "save", broken)
        for _ in range(5):
            assert failed_ids(bundle.work_on({"Records": [record(pk)]}))

    assert bundle.work_on({"Records": [record(pk)]}) == {"batchItemFailures": []}
    assert mojodex.todos_of(pk) == [("Send the offer", TOMORROW)]
    assert len(model.calls) == 1


def test_an_answer_about_another_result_is_not_used(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    pk = mojodex.execution(SAID)
    model.answers(ONE)
    with monkeypatch.context() as context:
        context.setattr(extraction, "save", away)
        bundle.work_on({"Records": [record(pk)]})
    mojodex.run("UPDATE md_produced_text_version SET production = 'edited'")

    bundle.work_on({"Records": [record(pk)]})

    assert len(model.calls) == 2


def test_a_move_that_cannot_be_saved_is_paid_once(
    make_bundle: Callable[..., Bundle], mojodex: Mojodex, model: FakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = make_bundle("reschedule_todo")
    with time_machine.travel(datetime(2026, 12, 1, 2, 30, tzinfo=UTC)):
        pk = overdue(mojodex)
        model.answers(move())
        body = {"todo_pk": pk}
        with monkeypatch.context() as context:
            context.setattr(rescheduling, "save", away)
            for _ in range(3):
                assert failed_ids(bundle.work(body))

        assert bundle.work(body) == {"batchItemFailures": []}

    assert len(model.calls) == 1
    assert len(mojodex.schedulings(pk)) == 2


def test_an_answer_is_kept_through_a_short_outage_of_the_database(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database is unavailable for some seconds between the answer and the save."""
    pk = mojodex.execution(SAID)
    model.answers(ONE)
    tries = 0
    save_progress = jobs.save_progress

    def away_twice(*args: Any) -> None:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise OSError
        save_progress(*args)

    with monkeypatch.context() as context:
        context.setattr(extraction, "save", away)
        context.setattr(jobs, "save_progress", away_twice)
        bundle.work_on({"Records": [record(pk)]})

    bundle.work_on({"Records": [record(pk)]})

    assert tries == 3
    assert len(model.calls) == 1
    assert mojodex.job(pk).state == "done"


def test_a_refusal_is_saved_after_a_short_outage_of_the_database(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the model would be called and paid again."""
    pk = mojodex.execution(SAID)
    model.answers(Reply(refusal="No."))
    tries = 0
    finish = jobs.finish

    def away_at_first(*args: Any, **options: Any) -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise OSError
        finish(*args, **options)

    monkeypatch.setattr(jobs, "finish", away_at_first)

    assert bundle.work_on({"Records": [record(pk)]}) == {"batchItemFailures": []}

    assert mojodex.job(pk).state == "failed"
    assert mojodex.run("SELECT count(*) FROM md_error") == 1
    assert len(model.calls) == 1


def test_a_redelivered_record_does_not_fail_its_batch_while_the_database_is_unavailable(
    make_bundle: Callable[..., Bundle], mojodex: Mojodex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a day in the message, its occasion is read from the database."""
    bundle = make_bundle("reschedule_todo")
    records = [sqs_record(json.dumps({"todo_pk": overdue(mojodex)}), receive_count=n) for n in (1, 2)]
    with monkeypatch.context() as context:
        context.setattr(bundle.database, "engine", away)

        response = bundle.work_on({"Records": records})

    assert failed_ids(response) == {each["messageId"] for each in records}
