"""The deployed bundle: messages delivered twice, killed workers, a failing model, a restarted database."""

import json
import os
import sys
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest
from sqlalchemy import text

from local.runtime import postgres
from tests.fake_model import Reply, prompt_of, todos
from tests.lambda_events import sqs_event
from tests.stack.conftest import Deployed, eventually

TOMORROW = (datetime.now(UTC).date() + timedelta(days=1)).isoformat()
SAID = "I'll send the offer to Bob tomorrow."
GOOD = todos(("Send the offer to Bob", TOMORROW, SAID))
ONE_TODO = [("Send the offer to Bob", TOMORROW)]


def message(pk: int) -> str:
    return json.dumps({"user_task_execution_pk": pk})


def test_finished_tasks_become_todos(deployed: Deployed) -> None:
    pks = [deployed.mojodex.execution(SAID) for _ in range(25)]
    too_young = deployed.mojodex.execution(SAID, age=timedelta(minutes=5))
    deployed.model.answers(GOOD)

    assert deployed.schedule() == 25
    for pk in pks:
        deployed.wait_for(pk, "done")

    assert all(deployed.mojodex.todos_of(pk) == ONE_TODO for pk in pks)
    assert deployed.mojodex.job(too_young) is None
    assert len(deployed.model.calls) == 25
    deployed.wait_until_drained()
    assert deployed.schedule() == 0


def test_three_deliveries_and_the_schedule_are_one_set_of_todos_and_one_call(deployed: Deployed) -> None:
    pk = deployed.mojodex.execution(SAID)
    deployed.model.script = lambda _request: Reply(GOOD.content, delay=1)

    deployed.send(*[message(pk)] * 3)
    deployed.schedule()
    deployed.wait_for(pk, "done")
    deployed.wait_until_drained()

    assert deployed.mojodex.todos_of(pk) == ONE_TODO
    assert len(deployed.model.calls) == 1
    assert deployed.dead_letters() == []


def test_a_worker_killed_between_answer_and_commit_loses_and_doubles_nothing(deployed: Deployed) -> None:
    pk = deployed.mojodex.execution(SAID)
    answered = threading.Event()

    def script(_request: dict[str, Any]) -> Reply:
        answered.set()
        return GOOD

    deployed.model.script = script
    with deployed.quick_redelivery():
        with deployed.mojodex.engine.begin() as connection:
            # The save waits for this locked row, so the worker dies after it got the answer.
            lock = "SELECT 1 FROM md_user_task_execution WHERE user_task_execution_pk = :e FOR UPDATE"
            connection.execute(text(lock), {"e": pk})
            deployed.send(message(pk))
            assert answered.wait(60)
            waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            eventually("the worker is waiting to save", lambda: deployed.mojodex.run(waiting))
            assert deployed.kill_workers() >= 1
        assert deployed.mojodex.todos_of(pk) == []
        assert deployed.mojodex.job(pk).state == "running"
        deployed.expire_leases()
        deployed.wait_for(pk, "done")
        deployed.wait_until_drained()

    assert deployed.mojodex.todos_of(pk) == ONE_TODO
    assert deployed.mojodex.job(pk).attempts == 2


def test_a_worker_killed_between_commit_and_message_deletion_doubles_nothing(deployed: Deployed) -> None:
    quick, slow = deployed.mojodex.execution(SAID), deployed.mojodex.execution("I'm slow. " + SAID)
    resume = threading.Event()

    def script(request: dict[str, Any]) -> Reply:
        if "I'm slow" in prompt_of(request):
            resume.wait(60)
        return GOOD

    deployed.model.script = script
    with deployed.quick_redelivery():
        # Two records of one invocation: the quick one's message stays until the slow one is done, too.
        deployed.send(message(quick), message(slow))
        deployed.wait_for(quick, "done")
        deployed.wait_for(slow, "running")
        assert deployed.kill_workers() >= 1
        resume.set()
        deployed.expire_leases()
        deployed.wait_for(slow, "done")
        deployed.wait_until_drained()

    assert deployed.mojodex.todos_of(quick) == deployed.mojodex.todos_of(slow) == ONE_TODO
    assert deployed.mojodex.job(quick).attempts == 1


def test_jobs_are_retried_until_the_model_is_available(deployed: Deployed) -> None:
    pk = deployed.mojodex.execution(SAID)
    deployed.model.answers(*[Reply(status=429, headers={"Retry-After": "4"})] * 2, GOOD)

    deployed.send(message(pk))
    deployed.wait_for(pk, "done")
    deployed.wait_until_drained()

    assert deployed.mojodex.todos_of(pk) == ONE_TODO
    assert deployed.mojodex.job(pk).attempts == 1


def test_a_refusal_of_the_model_is_paid_for_once(deployed: Deployed) -> None:
    pk = deployed.mojodex.execution(SAID)
    deployed.model.answers(Reply(refusal="No."))

    deployed.schedule()
    deployed.wait_for(pk, "failed")
    deployed.wait_until_drained()

    assert deployed.schedule() == 0
    assert len(deployed.model.calls) == 1
    assert deployed.mojodex.run("SELECT count(*) FROM md_error") == 1


def test_a_bad_message_becomes_a_dead_letter_with_its_reason_and_the_others_are_done(
    deployed: Deployed,
) -> None:
    pk = deployed.mojodex.execution(SAID)

    deployed.send("{oops", message(pk), '{"user_task_execution_pk": -1}')
    deployed.wait_for(pk, "done")
    deployed.wait_until_drained()

    letters = dict(eventually("two dead letters", lambda: deployed.dead_letters()))
    letters |= dict(deployed.dead_letters())
    assert "Invalid JSON" in letters["{oops"]
    assert "greater than or equal to 1" in letters['{"user_task_execution_pk": -1}']


def test_jobs_are_retried_while_the_database_restarts(deployed: Deployed) -> None:
    before, after = deployed.mojodex.execution(SAID), deployed.mojodex.execution(SAID)
    deployed.model.answers(GOOD)
    deployed.send(message(before))
    deployed.wait_for(before, "done")

    postgres.restart(deployed.directory)
    deployed.send(message(after))
    job = deployed.wait_for(after, "done")

    # Warm workers notice broken connections before they use one.
    assert job.attempts == 1
    assert deployed.mojodex.todos_of(after) == ONE_TODO


def test_a_batch_of_ten_takes_little_longer_than_a_batch_of_one(
    deployed: Deployed, capsys: pytest.CaptureFixture[str]
) -> None:
    deployed.model.script = lambda _request: Reply(GOOD.content, delay=0.3)

    def invoke(size: int) -> float:
        pks = [deployed.mojodex.execution(SAID) for _ in range(size)]
        began = datetime.now(UTC)
        answer, succeeded = deployed.stack.invoke(
            "ExtractTodosWorkerFunction", sqs_event(*[{"user_task_execution_pk": pk} for pk in pks])
        )
        took = (datetime.now(UTC) - began).total_seconds()
        assert succeeded, answer
        assert answer == {"batchItemFailures": []}
        assert all(deployed.mojodex.todos_of(pk) == ONE_TODO for pk in pks)
        return took

    invoke(10)
    ones, tens = [], []
    for _ in range(5):
        ones.append(invoke(1))
        tens.append(invoke(10))

    ratio = sorted(tens)[2] / sorted(ones)[2]
    with capsys.disabled():
        sys.stdout.write(f"\na batch of 10 takes {ratio:.2f} times a batch of 1 (bar 2.5)\n")
    assert ratio < 2.5


def test_the_functions_log_json_lines_with_ids(deployed: Deployed) -> None:
    pk = deployed.mojodex.execution(SAID)
    deployed.send(message(pk))
    deployed.wait_for(pk, "done")

    def line() -> Any:
        lines = deployed.stack.logs("ExtractTodosWorkerFunction")
        ours = [json.loads(at) for at in lines if at.startswith("{") and "job ended" in at]
        return [entry for entry in ours if entry["subject"] == str(pk)]

    entry = eventually("the log line", line)[0]
    assert (entry["level"], entry["state"]) == ("INFO", "done")
    assert entry["function_request_id"]


def test_no_port_is_open_beyond_loopback(deployed: Deployed) -> None:
    ours = {os.getpid()}
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if str(deployed.directory) in " ".join([*process.cmdline(), process.cwd()]):
                ours |= {process.pid, *(child.pid for child in process.children(recursive=True))}
    connections = psutil.net_connections("inet")
    listening = [c for c in connections if c.status == psutil.CONN_LISTEN and c.pid in ours]

    # At least Postgres and the emulator, which also serves the API.
    assert len(listening) >= 2
    assert {c.laddr.ip for c in listening} <= {"127.0.0.1", "::1"}
    assert urlsplit(deployed.stack.operate_url).port in {c.laddr.port for c in listening}
