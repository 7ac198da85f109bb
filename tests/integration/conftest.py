"""A real Postgres with Mojodex's tables and our migration, queues and secrets of moto, and a model with a
script.
"""

import importlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto import mock_aws
from sqlalchemy import create_engine

from local import postgres
from migrate.migration import migrate
from mojodex import aws, db, llm, secrets
from tests import ROOT
from tests.fake_model import FakeModel, fake_model
from tests.lambda_events import FakeContext, sqs_event
from tests.mojodex import Mojodex

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[postgres.Database]:
    directory = tmp_path_factory.mktemp("postgres")
    database = postgres.start(directory)
    try:
        postgres.run_sql_file(database, ROOT / "local" / "mojodex_schema.sql")
        engine = create_engine(database.url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            migrate(connection)
        engine.dispose()
        yield database
    finally:
        postgres.stop(directory)


@pytest.fixture(scope="session")
def _engine(database: postgres.Database) -> Iterator[Any]:
    engine = create_engine(database.url, pool_pre_ping=True)
    yield engine
    engine.dispose()


@pytest.fixture
def mojodex(_engine: Any) -> Mojodex:
    mojodex = Mojodex(_engine)
    mojodex.empty()
    return mojodex


@pytest.fixture
def model() -> Iterator[FakeModel]:
    with fake_model() as model:
        yield model


@dataclass
class Bundle:
    """The functions of one process, wired to the test's database, queues and model."""

    sqs: "SQSClient"
    queue_url: str
    dead_letter_queue_url: str
    worker: ModuleType
    scheduler: ModuleType
    worker_settings: Any
    schedule_settings: Any

    def work(self, *bodies: Any, seconds: float = 120) -> Any:
        """Invoke the worker with a batch of these bodies; its partial batch response."""
        return self.worker.handler(sqs_event(*bodies), FakeContext(seconds))

    def work_on(self, event: dict[str, Any]) -> Any:
        """Invoke the worker with this event."""
        return self.worker.handler(event, FakeContext())

    def schedule(self, seconds: float = 120) -> int:
        """Invoke the schedule; how many messages it published."""
        return int(self.scheduler.handler({}, FakeContext(seconds))["published"])

    def _drain(self, url: str) -> list[Any]:
        messages: list[Any] = []
        while got := self.sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        ).get("Messages"):
            messages += got
            for message in got:
                self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return messages

    def queued(self) -> list[Any]:
        """Take all bodies out of the queue."""
        return [json.loads(message["Body"]) for message in self._drain(self.queue_url)]

    def dead_letters(self) -> list[tuple[str, str]]:
        """Take all messages out of the dead-letter queue: (body, reason)."""
        return [
            (message["Body"], message["MessageAttributes"]["reason"]["StringValue"])
            for message in self._drain(self.dead_letter_queue_url)
        ]


@pytest.fixture
def make_bundle(
    database: postgres.Database, model: FakeModel, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Bundle]]:
    def forget() -> None:
        aws.sqs.cache_clear()
        secrets._provider.cache_clear()
        db.engine.cache_clear()
        llm._client.cache_clear()

    engines: list[Any] = []

    def make(
        process: str = "extract_todos",
        *,
        secret: dict[str, Any] | None = None,
        more_secrets: Mapping[str, Any] = MappingProxyType({}),
        **changes: Any,
    ) -> Bundle:
        worker, schedule = (importlib.import_module(f"{process}.{name}") for name in ("worker", "schedule"))
        sqs = boto3.client("sqs")
        secret_manager = boto3.client("secretsmanager")
        secret_manager.create_secret(Name="database", SecretString=json.dumps(secret or database.secret()))
        secret_manager.create_secret(Name="model", SecretString=json.dumps({"api_key": "key"}))
        for name, value in more_secrets.items():
            secret_manager.create_secret(Name=name, SecretString=json.dumps(value))
        urls = [sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("queue", "dead-letters")]
        environment = {
            "database_secret_arn": "database",
            "database_pool_size": 5,
            "queue_url": urls[0],
            "dead_letter_queue_url": urls[1],
            "lease_seconds": 150,
            "llm_secret_arn": "model",
            "llm_models": "gpt-5-mini,gpt-4.1",
            "llm_base_url": model.url,
            "conversation_token_budget": 16000,
            "minimum_age_minutes": 10,
            "look_back_days": 7,
            "night_from_hour": 1,
            "night_until_hour": 6,
            "load_cap": 8,
            "slipping_after_moves": 5,
            "daily_todo_email_time": 8,
            "email_sender": "mojo@example.com",
            "ses_configuration_set": "mojodex",
            "mojodex_webapp_uri": "https://app.example.com",
        } | changes
        for module in (worker, schedule):
            monkeypatch.setattr(module, "settings", module.Settings.model_validate(environment))
            engines.append(db.engine(module.settings))
        return Bundle(sqs, urls[0], urls[1], worker, schedule, worker.settings, schedule.settings)

    with mock_aws():
        forget()
        yield make
        for engine in engines:
            engine.dispose()
        forget()


@pytest.fixture
def bundle(make_bundle: Callable[..., Bundle]) -> Bundle:
    return make_bundle()
