"""What the pages say to run is run. `make demo` and `make test` are not: CI runs those two itself."""

import os
import shutil
import subprocess
import sys

from local.runtime.emulator import CREDENTIALS
from tests import ROOT
from tests.pages import PAGES, README, blocks, commands
from tests.stack.conftest import Deployed

# What CI runs before the tests, and what would take the tools away from the other tests.
NOT_HERE = {"make demo", "make test", "make setup", "make lint", "make clean"}


def test_the_example_for_the_backend_publishes_a_message_that_is_handled(deployed: Deployed) -> None:
    pk = deployed.mojodex.execution("Hello.")
    (example,) = blocks("python")
    assert "user_task_execution_pk = 123" in example

    subprocess.run(
        [sys.executable, "-c", example.replace("= 123", f"= {pk}")],
        env=os.environ
        | CREDENTIALS
        | {"AWS_ENDPOINT_URL": deployed.stack.endpoint, "EXTRACT_TODOS_QUEUE_URL": deployed.queue_url},
        check=True,
    )

    deployed.wait_for(pk, "done")


def test_the_commands_of_the_pages_run_one_after_the_other() -> None:
    pages = [README, *(page for page in PAGES if page != README)]
    listed = dict.fromkeys(command for page in pages for command in commands(page))
    run = [command for command in listed if command not in NOT_HERE and command != "make down"]
    assert run[0] == "make up"
    if shutil.which("curl") is None:
        run = [command for command in run if "curl " not in command]
    # As a shell that make did not start.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}

    try:
        for command in (*run, "make down"):
            done = subprocess.run(
                command, shell=True, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    finally:
        subprocess.run(["make", "down"], cwd=ROOT, env=environment, check=True, capture_output=True)
