"""Each process is in every list of processes. A list without it fails only when somebody needs it."""

import json
import re
from typing import Any

import pytest

from local.runtime.stack import PREFIXES
from operate import overview
from operate.jobs.job_id import PROCESSES
from operate.jobs.retry import NEVER_RETRIED, RETRY, RETRYABLE
from tests import ROOT
from tests.structure.template import functions, sqs_sources

# It has no jobs: each message is a fact about a mail. So there is nothing to list, retry, cancel or pause.
WITHOUT_JOBS = {"mail_feedback"}
WITH_JOBS = {process: prefix for process, prefix in PREFIXES.items() if process not in WITHOUT_JOBS}
# The schedule `documents` finds its work, too, but the console shows that schedule beside the websites.
SHOWN_WITH_ANOTHER = {"ingest_page"}


def variables(function: str) -> dict[str, Any]:
    """Return the environment variables of a function."""
    found: dict[str, Any] = functions()[function]["Environment"]["Variables"]
    return found


def service(function: str) -> str:
    """Return the name under which a function logs, counts and records its runs."""
    return str(variables(function)["POWERTOOLS_SERVICE_NAME"])


def in_operate(name: str) -> dict[str, str]:
    """Return a variable of OperateFunction, which is a JSON object of references."""
    found: dict[str, str] = json.loads(variables("OperateFunction")[name]["Sub"])
    return found


def schedules() -> dict[str, str]:
    """Return the schedule that publishes to the queue of each process."""
    return {
        process: service(name)
        for name in functions()
        for variable, queue in variables(name).items()
        for process, prefix in PREFIXES.items()
        if name.endswith("ScheduleFunction")
        and variable.endswith("QUEUE_URL")
        and queue == {"Ref": f"{prefix}Queue"}
    }


def test_the_local_stack_knows_every_worker() -> None:
    """Chaos, `make publish`, `make redrive` and the stack tests take the processes from it."""
    workers = {service(name): name.removesuffix("WorkerFunction") for name, _, _ in sqs_sources()}

    assert workers == PREFIXES


def test_the_api_knows_every_process_that_has_jobs() -> None:
    assert set(PROCESSES) == set(WITH_JOBS)


@pytest.mark.parametrize(
    ("variable", "resource"),
    [
        ("QUEUE_URLS", "Queue"),
        ("EVENT_SOURCE_MAPPINGS", "WorkerFunctionMessages"),
        ("AGE_ALARMS", "AgeAlarm"),
    ],
)
def test_the_api_can_reach_every_process_that_has_jobs(variable: str, resource: str) -> None:
    assert in_operate(variable) == {
        process: f"${{{prefix}{resource}}}" for process, prefix in WITH_JOBS.items()
    }


def test_the_api_can_run_the_schedules_that_it_runs() -> None:
    """Mojodex calls the routes of three schedules. The API needs no right to run another one."""
    source = (ROOT / "functions" / "operate" / "front_door.py").read_text()
    run = re.findall(r'_queued_by\("(\w+)"', source)

    assert run
    assert in_operate("SCHEDULES") == {
        **{process: f"${{{PREFIXES[process]}ScheduleFunction}}" for process in run},
        "redrive": "${RedriveScheduleFunction}",
    }


def test_the_console_shows_the_last_run_of_every_schedule() -> None:
    shown = {process: name for process, name in schedules().items() if process not in SHOWN_WITH_ANOTHER}

    assert shown == overview.SCHEDULES


@pytest.mark.parametrize("process", WITH_JOBS)
def test_a_failed_job_can_be_retried_with_its_message(process: str) -> None:
    """Otherwise the console offers a retry that does nothing."""
    retried = f"'{process}'"

    assert (process == NEVER_RETRIED) == (f"WHEN {retried}" not in RETRYABLE)
    assert (process == NEVER_RETRIED) == (retried not in str(RETRY).replace(RETRYABLE, ""))


@pytest.mark.parametrize("process", PREFIXES)
@pytest.mark.parametrize("ending", ["", "_bad"])
def test_each_worker_has_a_good_and_a_bad_payload(process: str, ending: str) -> None:
    assert (ROOT / "tests" / "payloads" / f"{process}{ending}.json").is_file()
