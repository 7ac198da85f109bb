"""A second `sam deploy` with a changed function, while messages are being worked on."""

import json
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from local.runtime.deploy import BUILD_DIRECTORY
from tests.fake_model import Reply, todos
from tests.stack.conftest import Deployed, eventually

TOMORROW = (datetime.now(UTC).date() + timedelta(days=1)).isoformat()
SAID = "I'll send the offer to Bob tomorrow."
GOOD = todos(("Send the offer to Bob", TOMORROW, SAID))
ONE_TODO = [("Send the offer to Bob", TOMORROW)]
SECOND_VERSION = "second version of the worker"
# Longer than a job takes here, so only a killed worker's message is hidden for longer.
SECONDS_HELD = 20


@pytest.fixture
def second_build(tmp_path: Path) -> Path:
    """The build with a changed worker of extract_todos, in code and description."""
    build = tmp_path / "build"
    shutil.copytree(BUILD_DIRECTORY, build)
    code = build / "ExtractTodosWorkerFunction" / "extract_todos"
    with (code / "worker.py").open("a") as worker:
        worker.write(f'\nfrom mojodex.observability import logger\nlogger.info("{SECOND_VERSION}")\n')
    # Bytecode is not checked against its source.
    for compiled in (code / "__pycache__").glob("worker.*"):
        compiled.unlink()
    template = build / "template.yaml"
    head, function = template.read_text().split("\n  ExtractTodosWorkerFunction:\n")
    changed = function.replace("Description: ", f"Description: {SECOND_VERSION}, ", 1)
    template.write_text(f"{head}\n  ExtractTodosWorkerFunction:\n{changed}")
    return build


@pytest.fixture
def redeployed(deployed: Deployed) -> Iterator[Deployed]:
    """The bundle, restored after the test."""
    try:
        with deployed.quick_redelivery():
            yield deployed
    finally:
        deployed.stack.stop_schedules()
        deployed.stack.open_loopback()


def test_a_deployment_in_the_middle_of_the_load_loses_nothing(
    redeployed: Deployed, second_build: Path
) -> None:
    redeployed.model.script = lambda _request: Reply(GOOD.content, delay=1)
    pks: list[int] = []

    def publish(number: int) -> None:
        new = [redeployed.mojodex.execution(SAID) for _ in range(number)]
        redeployed.send(*[json.dumps({"user_task_execution_pk": pk}) for pk in new])
        pks.extend(new)

    def in_state(state: str) -> int:
        counted = "SELECT count(*) FROM md_background_job WHERE state = :s"
        return int(redeployed.mojodex.run(counted, s=state))

    def all_are_done() -> bool:
        redeployed.mojodex.run(
            "UPDATE md_background_job SET started_at = started_at - interval '10 minutes'"
            " WHERE state = 'running' AND started_at < now() - make_interval(secs => :held)",
            held=SECONDS_HELD,
        )
        return in_state("done") == len(pks)

    for _ in range(6):
        publish(10)
    eventually("jobs of the load are running", lambda: in_state("running"))
    with ThreadPoolExecutor(1) as threads:
        deployment = threads.submit(redeployed.stack.deploy, redeployed.directory, second_build)
        while not deployment.done():
            if redeployed.pending() < 30:
                publish(10)
            time.sleep(0.1)
        deployment.result()
    publish(10)
    eventually("all jobs are done", all_are_done, redeployed.worker_logs)
    redeployed.wait_until_drained()

    assert all(redeployed.mojodex.todos_of(pk) == ONE_TODO for pk in pks)
    assert redeployed.dead_letters() == []
    assert any(SECOND_VERSION in line for line in redeployed.stack.logs(redeployed.worker))
    # The emulator killed running workers of the old version.
    assert max(redeployed.mojodex.job(pk).attempts for pk in pks) > 1
