"""A real Postgres with Mojodex's tables and our migration, queues and secrets of moto, and a model with a
script.
"""

import importlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from importlib.util import find_spec
from itertools import batched
from types import MappingProxyType, ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto import mock_aws
from sqlalchemy import create_engine

from documents.web import fetch, visit
from local.runtime import postgres
from maintenance.migrate.migration import migrate
from mojodex import provider, secrets
from mojodex.circuit import Circuits
from mojodex.database import Database
from mojodex.embeddings import EmbeddingModel
from mojodex.model import Model
from mojodex.spending import Budget
from tests.fake_model import FakeModel, fake_model, relevance, vector
from tests.fake_ses import FakeSes, fake_ses
from tests.lambda_events import FakeContext, sqs_event
from tests.mojodex import Mojodex
from tests.website import Website, website

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


# USD for a million tokens of a prompt, of its cached part, and of an answer, as template.yaml has them.
PRICES = "gpt-5-mini=0.25/0.025/2, gpt-4.1=2/0.5/8, text-embedding-ada-002=0.1"

# To make one takes a tenth of a second. moto's AWS is empty at the start of each test, for any client.
client = cache(boto3.client)


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[postgres.Database]:
    directory = tmp_path_factory.mktemp("postgres")
    database = postgres.start(directory)
    try:
        postgres.run_sql_file(database, postgres.MOJODEX_SCHEMA)
        migrate(database.secret())
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


@pytest.fixture
def ses(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSes]:
    with fake_ses() as running:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SESV2", running.url)
        yield running


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

    @property
    def database(self) -> Database:
        """The worker's database."""
        database: Database = self.worker.database
        return database

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
            QueueUrl=url,
            MaxNumberOfMessages=10,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["MessageGroupId"],
        ).get("Messages"):
            messages += got
            entries: Any = [{"Id": str(i), "ReceiptHandle": m["ReceiptHandle"]} for i, m in enumerate(got)]
            self.sqs.delete_message_batch(QueueUrl=url, Entries=entries)
        return messages

    def queued(self) -> list[Any]:
        """Take all bodies out of the queue."""
        return [json.loads(message["Body"]) for message in self._drain(self.queue_url)]

    def groups(self) -> list[str | None]:
        """Take all messages out of the queue; the group of each."""
        return [
            message.get("Attributes", {}).get("MessageGroupId") for message in self._drain(self.queue_url)
        ]

    def dead_letters(self) -> list[tuple[str, str]]:
        """Take all messages out of the dead-letter queue: (body, reason)."""
        return [
            (message["Body"], message["MessageAttributes"]["reason"]["StringValue"])
            for message in self._drain(self.dead_letter_queue_url)
        ]


@contextmanager
def closing_databases() -> Iterator[dict[Any, Database]]:
    """Databases of modules, by name and pool size. All that were added are closed at the end."""
    added: dict[Any, Database] = {}
    try:
        yield added
    finally:
        for each in added.values():
            each.close()


@pytest.fixture(scope="session")
def databases() -> Iterator[dict[Any, Database]]:
    """The databases that all tests share, because a new one compiles each statement again."""
    with closing_databases() as shared:
        yield shared


@pytest.fixture
def make_bundle(
    database: postgres.Database,
    databases: dict[Any, Database],
    model: FakeModel,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[..., Bundle]]:
    def forget() -> None:
        # Its client stays.
        secrets._provider().clear_cache()
        provider.client.cache_clear()

    created: set[str] = set()
    # Between two attempts at a call of the model is a pause; no test learns anything from it.
    monkeypatch.setattr(provider, "time", SimpleNamespace(**{**vars(time), "sleep": lambda _seconds: None}))

    def make(
        process: str = "extract_todos",
        *,
        worker: str = "worker",
        secret: dict[str, Any] | None = None,
        more_secrets: Mapping[str, Any] = MappingProxyType({}),
        **changes: Any,
    ) -> Bundle:
        # No other test can use the connections of this one's user.
        kept = own if secret else databases
        parts = (worker, "schedule") if find_spec(f"{process}.schedule") else (worker,)
        modules = [importlib.import_module(f"{process}.{name}") for name in parts]
        sqs, secret_manager = client("sqs"), client("secretsmanager")
        known = {"database": secret or database.secret(), "model": {"api_key": "key"}, **more_secrets}
        for name in known.keys() - created:
            secret_manager.create_secret(Name=name, SecretString=json.dumps(known[name]))
            created.add(name)
        folder, dot, _ = worker.rpartition(".")
        names = [folder, f"{folder}-dead-letters"] if dot else ["queue", "dead-letters"]
        urls = [sqs.create_queue(QueueName=name)["QueueUrl"] for name in names]
        environment = {
            "database_secret_arn": "database",
            "database_pool_size": 5,
            "queue_url": urls[0],
            "dead_letter_queue_url": urls[1],
            "lease_seconds": 150,
            "llm_secret_arn": "model",
            "llm_models": "gpt-5-mini,gpt-4.1",
            "llm_base_url": model.url,
            "model_prices": PRICES,
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
        for module in modules:
            settings = module.Settings.model_validate(environment)
            key = module.__name__, settings.database_pool_size
            of_module = kept.setdefault(key, Database(settings))
            monkeypatch.setattr(module, "settings", settings)
            monkeypatch.setattr(module, "database", of_module)
            if hasattr(module, "circuits"):
                circuits = Circuits(of_module)
                monkeypatch.setattr(module, "circuits", circuits)
                budget = Budget(of_module, settings, circuits)
                process_there = replace(module.process, budget=budget)
                monkeypatch.setattr(module, "process", process_there)
                for name, kind in (("model", Model), ("embedding_model", EmbeddingModel)):
                    if hasattr(module, name):
                        monkeypatch.setattr(module, name, kind(settings, circuits))
        # One without a schedule has none to invoke.
        modules = [modules[0], modules[-1]]
        return Bundle(sqs, *urls, *modules, *(module.settings for module in modules))

    # The session keeps what it has read of botocore's data: .05 s for each client of a new one.
    with mock_aws(config={"core": {"reset_boto3_session": False}}), closing_databases() as own:
        forget()
        yield make
        forget()


@pytest.fixture
def bundle(make_bundle: Callable[..., Bundle]) -> Bundle:
    return make_bundle()


@dataclass
class Documents:
    """The three workers of documents and their schedule, a website and a user."""

    websites: Bundle
    pages: Bundle
    updates: Bundle
    site: Website
    user_id: str
    mojodex: Mojodex

    def ask(self, url: str = "", request: str = "r1", **more: Any) -> None:
        """Let the crawler have a request for the site, until it has published its pages."""
        asked = {"user_id": self.user_id, "website_url": url or self.site.url, "request_id": request}
        bodies: list[Any] = [asked | more]
        while bodies:
            assert self.websites.work(*bodies, seconds=300)["batchItemFailures"] == []
            bodies = self.websites.queued()

    def ingest(self) -> None:
        """Let ingest_page have the messages that are in its queue."""
        while bodies := self.pages.queued():
            for some in batched(bodies, 10, strict=False):
                assert self.pages.work(*some)["batchItemFailures"] == []

    def read(self, url: str = "", request: str = "r1") -> Any:
        """All of it; the website's row in the ledger."""
        self.ask(url, request)
        self.ingest()
        return self.job(url, request)

    def job(self, url: str = "", request: str = "r1") -> Any:
        """The website's row in the ledger."""
        (row,) = self.mojodex.rows(
            "SELECT * FROM md_background_job WHERE process = 'create_from_website' AND subject = :s"
            " AND occasion = :o",
            s=f"{self.user_id} {url or self.site.url}",
            o=request,
        )
        return row

    def reasons(self, **of: str) -> dict[str, str]:
        """Why pages are not stored, by their paths."""
        pages = self.job(**of).outcome["not_stored"]
        return {page["url"].removeprefix(self.site.url): page["reason"] for page in pages}

    def update(self, document_pk: int, edition: str | None = None, **changes: Any) -> Any:
        """Let the worker of updates have a message, sent now; the job's row."""
        body = {"user_id": self.user_id, "document_pk": document_pk, "edition": edition, **changes}
        assert self.updates.work(body)["batchItemFailures"] == []
        return self.mojodex.rows(
            "SELECT * FROM md_background_job WHERE process = 'update_document' AND subject = :s"
            " ORDER BY occasion DESC",
            s=str(document_pk),
        )[0]

    def documents(self) -> dict[str, int]:
        """The keys of the user's documents that are not deleted, by their paths (or names)."""
        return {
            row.name.removeprefix(self.site.url): row.document_pk
            for row in self.mojodex.rows(
                "SELECT * FROM md_document WHERE author_user_id = :u AND NOT deleted_by_user"
                " ORDER BY document_pk",
                u=self.user_id,
            )
        }

    def chunks(self, document_pk: int) -> list[Any]:
        """A document's chunks, in order, each with the row's own version (ctid and xmin)."""
        return self.mojodex.rows(
            "SELECT document_chunk_pk, index AS place, chunk_text, deleted,"
            " CAST(embedding AS text) AS vector, CAST(ctid AS text) AS ctid, CAST(xmin AS text) AS xmin"
            " FROM md_document_chunk WHERE document_fk = :d ORDER BY index, document_chunk_pk",
            d=document_pk,
        )

    def text(self, document_pk: int) -> list[str]:
        """The texts of a document's chunks, in order."""
        return [row.chunk_text for row in self.chunks(document_pk)]

    def contents(self) -> dict[str, list[tuple[int, str, str]]]:
        """What a user has, by name: place, text and vector of each chunk."""
        return {
            name: [(row.place, row.chunk_text, row.vector) for row in self.chunks(pk)]
            for name, pk in sorted(self.documents().items())
        }

    def lose_leases(self) -> None:
        """Let so much time pass that what a killed worker held is free."""
        self.mojodex.run(
            "UPDATE md_background_job SET started_at = started_at - interval '6 minutes'"
            " WHERE state = 'running'"
        )
        self.mojodex.run("UPDATE md_background_host_slot SET free_at = now()")

    def text_document(self, *chunks: str) -> int:
        """A document that Mojo has learned, as Mojodex writes it; its key."""
        pk = self.mojodex.run(
            "INSERT INTO md_document (name, author_user_id, creation_date, document_type)"
            " VALUES ('Notes', :u, now(), 'learned_by_mojo') RETURNING document_pk",
            u=self.user_id,
        )
        for index, chunk in enumerate(chunks):
            self.mojodex.run(
                "INSERT INTO md_document_chunk (document_fk, index, embedding, chunk_text)"
                " VALUES (:d, :i, CAST(:v AS vector), :t)",
                d=pk,
                i=index,
                v=str(vector(chunk)),
                t=chunk,
            )
        return int(pk)


@pytest.fixture
def site() -> Iterator[Website]:
    with website() as running:
        yield running


@pytest.fixture
def make_documents(
    make_bundle: Callable[..., Bundle],
    site: Website,
    model: FakeModel,
    mojodex: Mojodex,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., Documents]:
    # AWS is in this process here.
    monkeypatch.setattr(fetch, "is_local", lambda _environment: True)
    monkeypatch.setattr(visit, "PAUSES", (0.01, 0.01))
    model.script = relevance

    def make(**changes: Any) -> Documents:
        settings = {
            "embedding_model": "text-embedding-ada-002",
            "crawl_page_limit": 100,
            "crawl_depth_limit": 3,
            "crawl_minutes_limit": 60,
            "refresh_days": 7,
            "page_bytes_limit": 5_000_000,
            "contact_url": "https://example.com/crawler",
            "fetch_loopback": True,
            "lease_seconds": 330,
        } | changes
        sqs = client("sqs")
        queues = {
            f"{name}_queue_url": sqs.create_queue(QueueName=name)["QueueUrl"]
            for name in ("ingest_page", "create_from_website")
        }
        bundles = [
            make_bundle("documents", worker=f"{name}.worker", **settings, **queues)
            for name in ("create_from_website", "ingest_page", "update_document")
        ]
        return Documents(*bundles, site, mojodex.user(), mojodex)

    return make


@pytest.fixture
def documents(make_documents: Callable[..., Documents]) -> Documents:
    return make_documents()
