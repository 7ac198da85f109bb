"""The defects of Mojodex's Flask Background, by number: each test fails on the old behaviour.

26 and 27 are read from the template and the lock file: tests/structure/test_defects.py. The numbers of the
    others belong to
processes that do not exist yet.
"""

import json
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from local.postgres import Database
from mojodex import db
from mojodex.clock import next_working_day
from mojodex.observability import logger
from tests.fake_model import FakeModel, Reply, todos
from tests.integration.conftest import Bundle
from tests.mojodex import Mojodex

TODAY = datetime.now(UTC).date()
TOMORROW = (TODAY + timedelta(days=1)).isoformat()
SAID = "I'll send the offer to Bob tomorrow."
GOOD = todos(("Send the offer to Bob", TOMORROW, SAID))
ONE_TODO = [("Send the offer to Bob", TOMORROW)]


def message(pk: int) -> dict[str, int]:
    return {"user_task_execution_pk": pk}


def test_defect_1_what_a_stop_interrupted_or_a_tick_missed_is_done_later(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel
) -> None:
    """It lost its queue with the process, and whatever ended outside the window of one tick."""
    missed = mojodex.execution(SAID, age=timedelta(days=3))
    stopped = mojodex.execution(SAID, age=timedelta(days=2))
    model.answers(GOOD)
    assert bundle.schedule() == 2
    # A worker began this one and was stopped; its message comes back.
    mojodex.run(
        "UPDATE md_background_job SET state = 'running', attempts = 1,"
        " started_at = now() - interval '5 minutes' WHERE subject = :s",
        s=str(stopped),
    )

    bundle.work(*bundle.queued())

    assert mojodex.todos_of(missed) == mojodex.todos_of(stopped) == ONE_TODO


def test_defect_2_todos_and_the_mark_are_one_transaction(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel
) -> None:
    """It committed to-dos first and the mark later: whoever came in between made them again."""
    pk = mojodex.execution(SAID)
    model.answers(GOOD)
    mojodex.run("ALTER TABLE md_background_job ADD CONSTRAINT no_end CHECK (state <> 'done')")
    try:
        response = bundle.work(message(pk))

        # The last statement of the transaction failed: nothing of it is there.
        assert len(response["batchItemFailures"]) == 1
        assert mojodex.todos_of(pk) == []
        assert not mojodex.is_extracted(pk)
    finally:
        mojodex.run("ALTER TABLE md_background_job DROP CONSTRAINT no_end")

    bundle.work(message(pk))

    assert mojodex.todos_of(pk) == ONE_TODO


def test_defect_2_a_second_trigger_doubles_nothing(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel
) -> None:
    pks = [mojodex.execution(SAID) for _ in range(10)]
    model.script = lambda _request: Reply(GOOD.content, delay=0.3)
    first = [message(pk) for pk in pks]

    with ThreadPoolExecutor() as threads:
        list(threads.map(lambda batch: bundle.work(*batch), [first, first]))

    assert all(mojodex.todos_of(pk) == ONE_TODO for pk in pks)
    assert len(model.calls) == 10


STEP = {"description": "Send the offer to Bob", "due_date": TOMORROW, "evidence": SAID}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"todos": None}, []),
        ({"todos": []}, []),
        ({"todos": [STEP, {**STEP, "description": None}]}, ONE_TODO),
        ({"todos": [STEP, {**STEP, "evidence": None}]}, ONE_TODO),
        ({"todos": [STEP, {"due_date": TOMORROW, "evidence": SAID}]}, ONE_TODO),
        ({"todos": [STEP, {**STEP, "description": True}]}, ONE_TODO),
        ({"todos": [{**STEP, "certain": True}]}, ONE_TODO),
        (
            {"todos": [{**STEP, "due_date": None}]},
            [("Send the offer to Bob", next_working_day(TODAY).isoformat())],
        ),
    ],
)
def test_defect_3_what_is_null_or_missing_in_an_answer_costs_one_step_and_not_the_task(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel, answer: Any, expected: list[tuple[str, str]]
) -> None:
    pk = mojodex.execution(SAID)
    model.answers(Reply(answer))

    bundle.work(message(pk))

    assert mojodex.job(pk).state == "done"
    assert mojodex.todos_of(pk) == expected
    # Only a date is worth another question.
    assert len(model.calls) == (2 if '"due_date": null' in json.dumps(answer) else 1)


@pytest.mark.parametrize("odd", [{"todos": True}, {"todos": [True]}, "Yes.", True])
def test_defect_3_an_answer_of_another_form_is_asked_again(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel, odd: Any
) -> None:
    pk = mojodex.execution(SAID)
    model.answers(Reply(odd), GOOD)

    bundle.work(message(pk))

    assert mojodex.todos_of(pk) == ONE_TODO


@pytest.mark.parametrize("date", ["tomorrow", "2001-01-01"])
def test_defect_4_a_date_that_is_no_use_drops_no_todo_and_is_not_saved(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel, date: str
) -> None:
    pk = mojodex.execution(SAID)
    model.answers(todos(("Send the offer to Bob", date, SAID)))

    bundle.work(message(pk))

    assert mojodex.todos_of(pk) == [("Send the offer to Bob", next_working_day(TODAY).isoformat())]


def test_defect_4_a_todo_that_exists_is_not_saved_again(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel
) -> None:
    user = mojodex.user()
    mojodex.todo(mojodex.execution(SAID, user_id=user, extracted=True), "Send the offer to Bob")
    pk = mojodex.execution(SAID, user_id=user)
    model.answers(GOOD)

    bundle.work(message(pk))

    assert mojodex.todos_of(pk) == []


def test_defect_5_a_deleted_execution_is_not_sent_to_the_model(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel
) -> None:
    pk = mojodex.execution(SAID, deleted=True)

    assert bundle.schedule() == 0
    bundle.work(message(pk))

    assert model.calls == []


def test_defect_22_a_locked_table_delays_its_jobs_and_loses_none(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waited for the lock until its worker was killed, with 48 of 60 tasks in it."""
    monkeypatch.setattr(db, "LOCK_TIMEOUT_SECONDS", 1)
    pks = [mojodex.execution(SAID) for _ in range(3)]
    model.answers(GOOD)
    with mojodex.engine.begin() as connection:
        connection.execute(text("LOCK TABLE md_todo"))

        response = bundle.work(*map(message, pks))

    assert len(response["batchItemFailures"]) == 3
    assert [mojodex.job(pk).state for pk in pks] == ["queued"] * 3
    bundle.work(*map(message, pks))
    assert all(mojodex.todos_of(pk) == ONE_TODO for pk in pks)


def test_defect_22_the_first_job_after_a_restart_of_postgres_succeeds(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel
) -> None:
    """A restart closes every connection; tests/stack restarts the server itself."""
    model.answers(GOOD)
    bundle.work(message(mojodex.execution(SAID)))
    mojodex.run(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
        " WHERE application_name = 'mojodex-background'"
    )
    pk = mojodex.execution(SAID)

    assert bundle.work(message(pk)) == {"batchItemFailures": []}
    assert mojodex.job(pk).attempts == 1


def test_defect_22_a_password_may_hold_any_character(bundle: Bundle, database: Database) -> None:
    assert {"@", "/"} <= set(database.password)

    with db.db_session(bundle.worker_settings) as session:
        assert session.execute(text("SELECT 1")).scalar() == 1


def test_defect_22_no_session_stays_open_on_errors(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel
) -> None:
    for reply in (Reply(status=400), Reply(refusal="No."), Reply(content="nonsense"), GOOD):
        model.answers(reply)
        bundle.work(message(mojodex.execution(SAID)), message(2**31 - 1), "{oops")

    pool: Any = db.engine(bundle.worker_settings).pool
    assert pool.checkedout() == 0
    idle = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'"
    assert mojodex.run(idle) == 0


def test_defect_23_an_error_is_recorded_and_shows_no_sql(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel, caplog: pytest.LogCaptureFixture
) -> None:
    pk = mojodex.execution(SAID)
    model.answers(Reply(refusal="No."))
    bundle.work(message(pk))
    assert mojodex.run("SELECT message FROM md_error") == (
        f"background extract_todos {pk} : the model refuses this content"
    )

    broken = mojodex.execution(SAID)
    model.answers(GOOD)
    mojodex.run("ALTER TABLE md_todo ADD CONSTRAINT none CHECK (description = '')")
    try:
        bundle.work(message(broken))
    finally:
        mojodex.run("ALTER TABLE md_todo DROP CONSTRAINT none")

    (line,) = [r for r in caplog.records if r.getMessage() == "message comes back, unknown error"]
    fields = {key: value for key, value in vars(line).items() if key != "where"}
    assert fields["error"] == "ProgrammingError"
    assert "INSERT" not in str(fields)
    assert SAID not in str(vars(line))


def test_defect_23_a_log_level_is_understood() -> None:
    assert os.environ["POWERTOOLS_LOG_LEVEL"] == "INFO"
    assert logger.log_level == 20


def test_defect_24_tokens_are_those_of_the_answer_and_retries_are_as_many_as_meant(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel, capsys: pytest.CaptureFixture[str]
) -> None:
    model.answers(GOOD)
    bundle.work(message(mojodex.execution(SAID)))
    printed = capsys.readouterr().out
    assert '"LlmPromptTokens":[100.0]' in printed
    assert '"LlmCompletionTokens":[20.0]' in printed

    model.calls.clear()
    model.answers(Reply(status=500))
    bundle.work(message(mojodex.execution(SAID)))

    # Two tries for each of two models, none of them the SDK's own.
    assert [call["model"] for call in model.calls] == ["gpt-5-mini"] * 2 + ["gpt-4.1"] * 2


_written: list[str] | None = None


def _note_writes(event: str, arguments: tuple[Any, ...]) -> None:
    if _written is not None and event == "open":
        path, mode, flags = arguments
        if isinstance(path, str) and (
            flags & (os.O_WRONLY | os.O_RDWR) or set("wax+") & set(str(mode or ""))
        ):
            _written.append(path)


@contextmanager
def files_written() -> Iterator[list[str]]:
    """Every file that this process opens for writing meanwhile."""
    global _written
    sys.addaudithook(_note_writes)
    _written = written = []
    try:
        yield written
    finally:
        _written = None


def test_defect_25_no_prompt_or_answer_is_kept_on_disk(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel
) -> None:
    pk = mojodex.execution(SAID)
    model.answers(GOOD)
    # Once before, so that what is imported late is imported.
    bundle.work(message(mojodex.execution(SAID)))

    with files_written() as written:
        bundle.work(message(pk))

    assert mojodex.job(pk).state == "done"
    assert written == []
