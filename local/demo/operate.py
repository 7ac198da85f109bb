"""The sixth part: the jobs as an operator sees them, in the API and the console."""

import requests

from local.demo.stage import Stage
from local.runtime import terminal
from local.runtime.stack import Stack

SHOWN = 5


def show(stage: Stage) -> list[str]:
    """Show the latest jobs of the API, open the console, and return the problems."""
    terminal.heading("6  The API and the console: for operators (operate)")
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
        "These are the latest jobs, as the API lists them. For each process, the console shows how many jobs"
        " wait, run, are done or have failed, and what was paid to models. Operators retry and cancel jobs"
        " there, and pause processes. `make up` prints its address; docs/jobs.md says more."
    )
    states = {job["state"] for job in jobs}
    return [
        *([f"the API lists {len(jobs)} jobs, {states}"] if (len(jobs), states) != (SHOWN, {"done"}) else []),
        *([f"the console answers {console.status_code}"] if console.status_code != 200 else []),
    ]


def _get(stack: Stack, path: str) -> requests.Response:
    with requests.Session() as session:
        # Ignore proxies of the environment.
        session.trust_env = False
        session.auth = "operator", stack.credentials["operator"]
        return session.get(f"{stack.operate_url}{path}", timeout=30)
