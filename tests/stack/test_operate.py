"""The API through the emulator's API Gateway, and its effects in the deployed bundle."""

from typing import Any

import pytest
import requests

from operate.jobs.job_id import JobKey
from tests.fake_model import Reply, todos
from tests.stack.conftest import Deployed, eventually

SAID = "I'll send the offer to Bob soon."


@pytest.fixture
def call(deployed: Deployed) -> Any:
    def call(method: str, path: str, name: str | None = "operator", **request: Any) -> requests.Response:
        with requests.Session() as session:
            session.trust_env = False
            if name:
                session.auth = name, deployed.stack.credentials[name]
            url = f"{deployed.stack.operate_url}/{path}"
            return session.request(method, url, timeout=60, allow_redirects=False, **request)

    return call


def test_without_credentials_only_the_health_check_answers(call: Any) -> None:
    assert call("GET", "healthz", None).json() == {"status": "ok"}
    for path in ("jobs", "openapi.json", "users/ann/activity"):
        assert call("GET", path, None).status_code == 401
    assert call("POST", "update_document", None).json() == {
        "error": "Send a name and a secret as HTTP Basic."
    }
    assert call("GET", "console", None).headers["Location"] == "login"


def test_work_that_mojodex_reports_as_due_is_done(deployed: Deployed, call: Any) -> None:
    pk = deployed.mojodex.execution("Thanks, that was all.")

    answer = call("POST", "extract_todos", "backend", json={"datetime": "2026-11-27T09:00:00"})

    assert answer.json() == {"user_task_execution_pks": [pk]}
    deployed.wait_for(pk, "done")


def test_a_failed_job_is_retried_and_done(deployed: Deployed, call: Any) -> None:
    pk = deployed.mojodex.execution(SAID)
    deployed.model.answers(Reply(refusal="I cannot help with that."))
    deployed.schedule()
    deployed.wait_for(pk, "failed")
    (failed,) = call("GET", "jobs", params={"state": "failed"}).json()["jobs"]

    deployed.model.answers(todos())
    answer = call("POST", f"jobs/{failed['id']}/retry")

    assert (answer.status_code, answer.json()["id"]) == (202, failed["id"])
    deployed.wait_for(pk, "done")
    history = call("GET", f"jobs/{failed['id']}").json()["history"]
    assert [attempt["error"] for attempt in history] == ["Failed", None]


def test_all_failed_jobs_are_retried_by_the_redrive_at_once(deployed: Deployed, call: Any) -> None:
    pks = [deployed.mojodex.execution(SAID) for _ in range(3)]
    deployed.model.answers(Reply(refusal="I cannot help with that."))
    deployed.schedule()
    for pk in pks:
        deployed.wait_for(pk, "failed")
    deployed.model.answers(todos())

    answer = call("POST", "jobs/retry", json={"process": "extract_todos", "confirm": 3})

    assert (answer.status_code, answer.json()["retried"]) == (202, 3)
    for pk in pks:
        deployed.wait_for(pk, "done")


def test_a_paused_process_waits_and_its_alarm_is_silent_until_it_is_resumed(
    deployed: Deployed, call: Any
) -> None:
    def alarm_is_on() -> bool:
        alarms = deployed.stack.client("cloudwatch").describe_alarms()["MetricAlarms"]
        (age,) = [alarm for alarm in alarms if "ExtractTodosAgeAlarm" in alarm["AlarmName"]]
        return bool(age["ActionsEnabled"])

    def mapping() -> str:
        function = deployed.stack.function_name(deployed.worker)
        mappings = deployed.stack.client("lambda").list_event_source_mappings(FunctionName=function)
        return str(mappings["EventSourceMappings"][0]["State"])

    pk = deployed.mojodex.execution(SAID)
    try:
        assert call("POST", "processes/extract_todos/pause").json()["paused"] is True
        eventually("the mapping is disabled", lambda: mapping() == "Disabled", mapping)
        assert not alarm_is_on()
        deployed.schedule()
        assert deployed.mojodex.job(pk).state == "queued"
    finally:
        assert call("POST", "processes/extract_todos/resume").json()["paused"] is False

    deployed.wait_for(pk, "done")
    assert alarm_is_on()


def test_the_console_is_served_with_its_files(call: Any) -> None:
    page = call("GET", "console")

    assert page.status_code == 200
    assert "extract_todos" in page.text
    for name, kind in (("console.css", "text/css"), ("console.js", "text/javascript")):
        found = call("GET", name, None)
        assert (found.status_code, found.headers["Content-Type"].partition(";")[0]) == (200, kind)


def test_a_job_has_the_same_id_for_a_backend_and_for_the_api(deployed: Deployed, call: Any) -> None:
    pk = deployed.mojodex.execution(SAID)
    deployed.schedule()
    deployed.wait_for(pk, "done")

    found = call("GET", f"jobs/{JobKey('extract_todos', str(pk), '').job_id}").json()

    assert (found["subject"], found["state"]) == (str(pk), "done")
