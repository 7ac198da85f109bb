"""The API with a real Postgres, and queues and secrets of moto."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from local.runtime import postgres
from mojodex.clock import Deadline, utc_now
from mojodex.database import Database
from mojodex.republishing import republish_all
from operate import environment, services
from operate.jobs.job_id import PROCESSES
from tests.api import Client
from tests.integration.conftest import Bundle, client
from tests.lambda_events import FakeContext
from tests.mojodex import Mojodex

CREDENTIALS = {
    "operator": "operators-secret-0123456789",
    "reader": "readers-secret-01234567890",
    "backend": "backends-secret-0123456789",
}
SCHEDULES = ("extract_todos", "reschedule_todo", "events", "redrive")
RIGHTS = {
    "operator": ["publish", "read", "read-content", "operate"],
    "reader": ["read"],
    "backend": ["publish"],
}
SECRET = {
    "session_keys": ["a-session-key-of-twenty-and-more"],
    "credentials": {name: {"secret": CREDENTIALS[name], "rights": RIGHTS[name]} for name in CREDENTIALS},
}


@dataclass
class Operated:
    """The API with its database, queues and AWS calls."""

    client: Client
    mojodex: Mojodex
    sqs: Any
    queue_urls: dict[str, str]
    settings: Any
    calls: list[tuple[str, dict[str, Any]]]

    def queued(self, process: str) -> list[Any]:
        """Remove all messages from a queue and return their bodies."""
        return [json.loads(message["Body"]) for message in self.messages(process)]

    def messages(self, process: str) -> list[Any]:
        """Remove and return all messages of a queue."""
        found = []
        url = self.queue_urls[process]
        while got := self.sqs.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=10,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["MessageGroupId"],
        ).get("Messages"):
            found += got
            for message in got:
                self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return found

    def republish(self) -> int:
        """Publish retried jobs, as the redrive does."""
        return republish_all(
            environment.database, self.queue_urls, Deadline(FakeContext(120).get_remaining_time_in_millis)
        )

    def add_job(
        self,
        process: str = "extract_todos",
        subject: str = "1",
        occasion: str = "",
        state: str = "failed",
        **columns: Any,
    ) -> str:
        """Add a job to the ledger and return its id."""
        from operate.jobs.job_id import JobKey

        now = utc_now()
        ended = state in ("done", "failed", "skipped")
        values = {
            "process": process,
            "subject": subject,
            "occasion": occasion,
            "state": state,
            "attempts": 1,
            "queued_at": now,
            "started_at": None if state == "queued" else now,
            "finished_at": now if ended else None,
            "outcome": {"reason": "the model refuses this content"} if state == "failed" else None,
            "user_id": None,
            "spent": None,
            "history": None,
        } | columns
        for name in ("outcome", "spent", "history"):
            values[name] = None if values[name] is None else json.dumps(values[name])
        names = ", ".join(values)
        binds = ", ".join(
            f"CAST(:{name} AS jsonb)" if name in ("outcome", "spent", "history") else f":{name}"
            for name in values
        )
        self.mojodex.run(f"INSERT INTO md_background_job ({names}) VALUES ({binds})", **values)
        return JobKey(process, subject, occasion).job_id  # type: ignore[arg-type]

    def job(self, process: str = "extract_todos", subject: str = "1") -> Any:
        """Return the newest row of a subject."""
        return self.mojodex.rows(
            "SELECT * FROM md_background_job WHERE process = :p AND subject = :s ORDER BY queued_at DESC",
            p=process,
            s=subject,
        )[0]


class FakeAws:
    """Lambda and CloudWatch: runs schedules in this process and records other calls."""

    def __init__(self, schedules: dict[str, Callable[[], Any]], calls: list[tuple[str, dict[str, Any]]]):
        self.schedules, self.calls = schedules, calls

    def invoke(self, **arguments: Any) -> dict[str, Any]:
        """Run a schedule."""
        self.calls.append(("invoke", arguments))
        run = self.schedules.get(arguments["FunctionName"])
        if run and arguments.get("InvocationType") != "Event":
            run()
        return {}

    def __getattr__(self, name: str) -> Any:
        return lambda **arguments: self.calls.append((name, arguments))


@pytest.fixture
def schedules() -> dict[str, Callable[[], Any]]:
    """Return the functions that the API can invoke by name."""
    return {}


@pytest.fixture
def operated(
    bundle: Bundle,
    database: postgres.Database,
    mojodex: Mojodex,
    schedules: dict[str, Callable[[], Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Operated]:
    sqs, secret_manager = client("sqs"), client("secretsmanager")
    secret_manager.create_secret(Name="operate", SecretString=json.dumps(SECRET))
    urls = {
        name: bundle.queue_url
        if name == "extract_todos"
        else sqs.create_queue(QueueName=f"{name}-of-api")["QueueUrl"]
        for name in PROCESSES
    }
    settings = environment.Settings.model_validate(
        {
            "database_secret_arn": "database",
            "operate_secret_arn": "operate",
            "queue_urls": json.dumps(urls),
            "schedules": json.dumps({name: name for name in SCHEDULES}),
            "event_source_mappings": json.dumps({name: f"mapping-of-{name}" for name in PROCESSES}),
            "age_alarms": json.dumps({name: f"alarm-of-{name}" for name in PROCESSES}),
        }
    )
    calls: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr(services, "client", lambda _service: FakeAws(schedules, calls))
    monkeypatch.setattr("operate.pausing.client", lambda _service: FakeAws(schedules, calls))
    monkeypatch.setattr(environment, "settings", settings)
    monkeypatch.setattr(environment, "database", Database(settings))
    yield Operated(Client(CREDENTIALS), mojodex, sqs, urls, settings, calls)
    environment.database.close()
