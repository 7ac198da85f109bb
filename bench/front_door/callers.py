"""Run Mojodex's code that calls a Background: `callers.py tables`, `callers.py backend|scheduler JSON`.

This script is not imported by the bench: Mojodex's code and libraries are on its path. The last line of
output is JSON with the results. JSON lists the users' requests for `backend`, and the tasks to run for
`scheduler`.
"""

import json
import logging
import os
import sys
from importlib import import_module
from types import ModuleType
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit

import requests

# Stops a task that asks for page after page without an end.
MOST_CALLS = 10
# Mojodex itself waits without a limit.
SECONDS = 60
# The model's answer about a company's website.
COMPANY = {"name": "The old mill", "description": "Makes fine things", "emoji": "*"}

calls: list[dict[str, Any]] = []
really_post = requests.post


def post(url: str, **arguments: Any) -> requests.Response:
    """Send a request of Mojodex's code, and record it with its answer."""
    if len(calls) == MOST_CALLS:
        raise RuntimeError(f"{MOST_CALLS} calls without an end")
    answer = really_post(url, timeout=SECONDS, **arguments)
    sent = {"path": urlsplit(url).path, "json": arguments["json"]}
    calls.append(sent | {"status": answer.status_code, "body": answer.text})
    return answer


def calls_since() -> list[dict[str, Any]]:
    """Return the calls since the last time."""
    since = calls.copy()
    calls.clear()
    return since


def tables() -> None:
    """Create Mojodex's tables that the database lacks."""
    engine = import_module("sqlalchemy").create_engine(os.environ["DATABASE_URL"])
    import_module("mojodex_core.entities.db_base_entities").Base.metadata.create_all(engine)


def backend(asked: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Send the users' requests to the backend's routes; all come from one user."""
    application = import_module("flask").Flask("backend")
    application.config["SQLALCHEMY_DATABASE_URI"] = os.environ["DATABASE_URL"]
    api = import_module("flask_restful").Api(application)
    # The routes import this from backend/app/app.py, which needs Stripe, sockets, a folder /data, and more.
    app = ModuleType("app")
    vars(app)["db"] = import_module("flask_sqlalchemy").SQLAlchemy(application)
    vars(app)["translator"] = import_module("translator").Translator()
    sys.modules["app"] = app
    api.add_resource(import_module("routes.company").Company, "/company")
    api.add_resource(import_module("routes.resource").MojoResource, "/resource")
    subject = os.environ["USER_ID"] + os.environ["TOKEN_SECRET_SPLITTER"]
    token = import_module("jwt").encode({"sub": subject}, os.environ["JWT_SECRET"])
    prompts = import_module("mojodex_core.llm_engine.mpt").MPT
    happened = []
    with patch.object(prompts, "run", return_value=json.dumps(COMPANY)):
        for each in asked:
            answer = application.test_client().open(
                each["path"], method=each["method"], json=each["json"], headers={"Authorization": token}
            )
            happened.append(
                {
                    "name": each["name"],
                    "status": answer.status_code,
                    "body": answer.text,
                    "calls": calls_since(),
                }
            )
    return happened


def scheduler(tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Run tasks of the scheduler once, and collect the errors they log."""
    happened = []
    for each in tasks:
        module, _, name = each["task"].rpartition(".")
        task = getattr(import_module(f"scheduled_tasks.{module}"), name)(3600)
        errors: list[str] = []
        handler = logging.Handler(logging.ERROR)
        handler.emit = lambda record, errors=errors: errors.append(record.getMessage())  # type: ignore[method-assign, misc]
        task.logger.addHandler(handler)
        task.job(**each["arguments"])
        happened.append({"name": each["task"], "errors": errors, "calls": calls_since()})
    return happened


if __name__ == "__main__":
    command, *rest = sys.argv[1:]
    with patch("requests.post", post):
        if command == "tables":
            tables()
        else:
            run = {"backend": backend, "scheduler": scheduler}[command]
            print(json.dumps(run(json.loads(rest[0]))))
