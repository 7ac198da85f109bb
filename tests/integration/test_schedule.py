"""Due executions. Claiming and publishing them loses and duplicates nothing."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.orm import Session

import extract_todos.schedule
from bench.database import explain, statements
from mojodex import jobs, queues
from mojodex.errors import TransientError
from tests.integration.conftest import Bundle
from tests.mojodex import Mojodex


def published(bundle: Bundle) -> set[int]:
    bundle.schedule()
    return {body["user_task_execution_pk"] for body in bundle.queued()}


def test_an_execution_that_is_no_longer_edited_is_due_once(bundle: Bundle, mojodex: Mojodex) -> None:
    pk = mojodex.execution("x")

    assert published(bundle) == {pk}
    assert published(bundle) == set()
    assert mojodex.job(pk).state == "queued"


def test_executions_that_are_edited_old_deleted_or_extracted_are_not_due(
    bundle: Bundle, mojodex: Mojodex
) -> None:
    mojodex.execution("still being edited", age=timedelta(minutes=9))
    mojodex.execution("too old", age=timedelta(days=8))
    mojodex.execution("deleted", deleted=True)
    mojodex.execution("extracted", extracted=True)
    hidden = mojodex.execution("its text is deleted")
    mojodex.run(
        "UPDATE md_produced_text SET deleted_by_user = now() WHERE user_task_execution_fk = :e", e=hidden
    )

    assert published(bundle) == set()


@pytest.mark.parametrize("state", ["queued", "running", "done", "failed"])
def test_an_execution_with_a_job_is_not_due(bundle: Bundle, mojodex: Mojodex, state: str) -> None:
    pk = mojodex.execution("x")
    mojodex.run(
        "INSERT INTO md_background_job (process, subject, state) VALUES ('extract_todos', :s, :state)",
        s=str(pk),
        state=state,
    )

    assert published(bundle) == set()


def test_a_skipped_execution_is_due_again_when_its_reason_no_longer_holds(
    bundle: Bundle, mojodex: Mojodex
) -> None:
    pk = mojodex.execution("x", deleted=True)
    bundle.work({"user_task_execution_pk": pk})
    assert mojodex.job(pk).state == "skipped"

    mojodex.run("UPDATE md_user_task_execution SET deleted_by_user = NULL")

    assert published(bundle) == {pk}


def test_only_the_newest_version_counts(bundle: Bundle, mojodex: Mojodex) -> None:
    edited = mojodex.execution("x", age=timedelta(hours=5))
    mojodex.run(
        "INSERT INTO md_produced_text_version (produced_text_fk, creation_date, production)"
        " SELECT produced_text_fk, :now, 'edited' FROM md_produced_text_version",
        now=datetime.now(UTC).replace(tzinfo=None) - timedelta(minutes=2),
    )
    assert published(bundle) == set()

    mojodex.run("UPDATE md_produced_text_version SET creation_date = creation_date - interval '1 hour'")

    assert published(bundle) == {edited}


def test_an_execution_with_many_texts_and_versions_is_one_message(bundle: Bundle, mojodex: Mojodex) -> None:
    pk = mojodex.execution("x")
    mojodex.run(
        "INSERT INTO md_produced_text (user_id, user_task_execution_fk)"
        " SELECT user_id, user_task_execution_fk FROM md_produced_text"
    )
    mojodex.run(
        "INSERT INTO md_produced_text_version (produced_text_fk, creation_date, production)"
        " SELECT produced_text_pk, v.creation_date, 'same moment' FROM md_produced_text,"
        " md_produced_text_version v, generate_series(1, 3)"
    )

    assert bundle.schedule() == 1
    assert bundle.queued() == [{"user_task_execution_pk": pk}]


@pytest.mark.parametrize("due", [1, 9, 10, 11, 199, 200, 201, 450])
def test_all_due_executions_are_published_whatever_their_number(
    bundle: Bundle, mojodex: Mojodex, due: int
) -> None:
    first = mojodex.execution("x")
    mojodex.run(
        "WITH e AS (INSERT INTO md_user_task_execution (user_task_fk, session_id, json_input_values)"
        "  SELECT user_task_fk, session_id, '{}' FROM md_user_task_execution, generate_series(2, :n)"
        "  RETURNING user_task_execution_pk),"
        " p AS (INSERT INTO md_produced_text (user_id, user_task_execution_fk)"
        "  SELECT user_id, user_task_execution_pk FROM e, md_user RETURNING produced_text_pk)"
        " INSERT INTO md_produced_text_version (produced_text_fk, creation_date, production)"
        " SELECT produced_text_pk, v.creation_date, 'x' FROM p, md_produced_text_version v",
        n=due,
    )

    assert bundle.schedule() == due
    bodies = bundle.queued()
    assert len(bodies) == due
    assert len({body["user_task_execution_pk"] for body in bodies}) == due
    assert {"user_task_execution_pk": first} in bodies


def test_a_schedule_that_dies_while_publishing_loses_nothing(
    bundle: Bundle, mojodex: Mojodex, monkeypatch: pytest.MonkeyPatch
) -> None:
    pk = mojodex.execution("x")

    def die(*_args: Any) -> None:
        raise TransientError("queue: gone")

    with monkeypatch.context() as broken:
        broken.setattr(queues, "publish", die)
        with pytest.raises(TransientError):
            bundle.schedule()

    assert mojodex.job(pk) is None
    assert published(bundle) == {pk}


def test_a_queue_that_accepts_only_some_messages_is_an_error(bundle: Bundle) -> None:
    too_long = "x" * (2 * 1024 * 1024)

    with pytest.raises(TransientError):
        queues.publish(bundle.queue_url, [queues.Outgoing("fine", "user"), queues.Outgoing(too_long, "user")])


def test_a_schedule_without_time_leaves_the_rest_due(bundle: Bundle, mojodex: Mojodex) -> None:
    pk = mojodex.execution("x")

    assert bundle.schedule(seconds=5) == 0
    assert published(bundle) == {pk}


def the_run(mojodex: Mojodex) -> Any:
    (run,) = mojodex.rows("SELECT * FROM md_background_schedule_run")
    return run


def test_a_schedule_records_its_last_run(bundle: Bundle, mojodex: Mojodex) -> None:
    mojodex.execution("x")
    mojodex.execution("y")
    before = datetime.now(UTC)

    bundle.schedule()
    first = the_run(mojodex)
    bundle.schedule()

    # All functions have the same service name in the tests.
    assert (first.schedule, first.published, first.complete) == ("extract_todos", 2, True)
    assert (the_run(mojodex).published, the_run(mojodex).complete) == (0, True)
    assert before <= first.ended_at < the_run(mojodex).ended_at <= datetime.now(UTC)


def test_a_run_that_runs_out_of_time_is_not_complete(bundle: Bundle, mojodex: Mojodex) -> None:
    mojodex.execution("x")

    bundle.schedule(seconds=5)
    cut = the_run(mojodex)
    bundle.schedule()

    assert (cut.published, cut.complete) == (0, False)
    assert (the_run(mojodex).published, the_run(mojodex).complete) == (1, True)


def test_a_run_that_fails_leaves_the_last_one_in_place(
    bundle: Bundle, mojodex: Mojodex, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle.schedule()
    last = the_run(mojodex)
    mojodex.execution("x")

    def die(*_args: Any) -> None:
        raise TransientError("queue: gone")

    monkeypatch.setattr(queues, "publish", die)
    with pytest.raises(TransientError):
        bundle.schedule()

    assert the_run(mojodex) == last


def test_a_missed_schedule_loses_nothing(bundle: Bundle, mojodex: Mojodex) -> None:
    pk = mojodex.execution("x", age=timedelta(days=6, hours=23))

    assert published(bundle) == {pk}


def test_the_claim_looks_jobs_up_one_by_one_even_without_statistics(bundle: Bundle, mojodex: Mojodex) -> None:
    """With joins, PostgreSQL read a whole ledger of a million jobs for each batch."""
    mojodex.execution("x")
    # A vacuum after earlier tests may have recorded an empty table, which no real ledger is.
    mojodex.run("TRUNCATE md_background_job")
    mojodex.run(
        "INSERT INTO md_background_job (process, subject, state)"
        " SELECT 'extract_todos', CAST(-i AS text), 'done' FROM generate_series(1, 20000) AS i"
    )
    mojodex.run("DELETE FROM pg_statistic WHERE starelid = CAST('md_background_job' AS regclass)")
    now = datetime.now(UTC)
    work = extract_todos.schedule.due_work(bundle.schedule_settings, now)

    with mojodex.engine.connect() as connection, Session(connection) as session:
        with statements(connection) as seen:
            jobs.claim(session, work.process, work.query, work.parameters, now=now)
        plan = explain(connection, "", "", *seen).explanation

    # An index scan or a bitmap scan.
    assert re.search(r"md_background_job_pkey.*\n +Index Cond: .*subject =", plan), plan
