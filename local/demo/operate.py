"""The end: what an operator sees of all that, in the console and through its API."""

import requests

from local.demo.stage import Stage
from local.runtime import terminal
from local.runtime.stack import Stack

SHOWN = 5


def show(stage: Stage) -> list[str]:
    """Ask the API for the last jobs, and for the console's first page; what is not as expected."""
    terminal.heading("The console: all of it at a glance (operate)")
    jobs = _get(stage.stack, f"/jobs?limit={SHOWN}").json()["jobs"]
    terminal.table(
        [
            ("process", "state", "attempts", "paid", "id"),
            *(
                (job["process"], job["state"], str(job["attempts"]), f"${job['usd']:.5f}", job["id"][:40])
                for job in jobs
            ),
        ]
    )
    console = _get(stage.stack, "/console")
    print()
    terminal.paragraph(
        "These are the last jobs, as the API lists them. The console shows each process: what waits, runs,"
        " was done, has failed and was paid. Operators retry, cancel and pause there. `make up` prints its"
        " address; docs/jobs.md has the rest."
    )
    states = {job["state"] for job in jobs}
    return [
        *([f"the API lists {len(jobs)} jobs, {states}"] if (len(jobs), states) != (SHOWN, {"done"}) else []),
        *([f"the console answers {console.status_code}"] if console.status_code != 200 else []),
    ]


def _get(stack: Stack, path: str) -> requests.Response:
    with requests.Session() as session:
        # No proxy of the environment has to do with this machine.
        session.trust_env = False
        session.auth = "operator", stack.credentials["operator"]
        return session.get(f"{stack.operate_url}{path}", timeout=30)
