"""Write the daily e-mails of the demo account to files, with the functions' own code. None is sent.

Postgres and the model are as in the demo. There is no AWS and no queue. `functions` and `shared` must be on
`sys.path`.
"""

import json
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime, time
from io import StringIO
from pathlib import Path
from typing import Any

import boto3
from moto import mock_aws
from sqlalchemy import Connection, create_engine

from events.daily_email.content import (
    LONGEST_WAIT,
    TodoDailyEmailsSettings,
    collect,
    compose,
    think,
)
from events.daily_email.rendering import render
from events.mail.mime import Rendered, as_bytes, unsubscribe
from events.message import EventType, SendEvent
from local.demo import stories
from local.demo.seed import Account, SeededUser, move, seed
from local.runtime import model, postgres
from local.runtime.stack import MAIL_PARAMETERS
from local.standin.model_server import ModelServer
from maintenance.migrate.migration import migrate
from mojodex.circuit import Circuits
from mojodex.clock import Deadline
from mojodex.database import Database, DatabaseSettings
from mojodex.jobs import Job
from mojodex.model import Model

EVENT_TYPE: EventType = "todo_daily_emails"
MORNING = time(8, 5)
# The template's default of LlmModels.
MODELS = "gpt-5-mini,gpt-4.1"
MILLISECONDS = 120_000


@dataclass(frozen=True)
class Preview:
    """A mail that was written to `stem`.html, .txt and .eml.

    Attributes:
        stem: path without its extension.
        address: of the recipient.
        subject: of the mail.
        worded_by_model: whether the model wrote its words. Otherwise they are the bundle's own.
    """

    stem: Path
    address: str
    subject: str
    worded_by_model: bool


def run(directory: Path) -> list[Preview]:
    """Write the mails of the next working day: for each user one with the model's words, and one without.

    Args:
        directory: for the files. It is created if missing.

    Raises:
        StartError: Postgres does not start.
        MojodexError: the functions' code failed.
    """
    directory.mkdir(parents=True, exist_ok=True)
    # The functions print metrics.
    with redirect_stdout(StringIO()), _surroundings() as (database, settings, account):
        return [
            _write(database, settings, user, account, directory / f"{name}{suffix}", ask=ask)
            for name, user in (("claire", account.claire), ("hugo", account.hugo))
            for suffix, ask in (("", True), ("-without-model", False))
        ]


def _write(
    database: Database,
    settings: TodoDailyEmailsSettings,
    user: SeededUser,
    account: Account,
    stem: Path,
    *,
    ask: bool,
) -> Preview:
    now, day = user.at(account.morning, MORNING), account.morning
    message = SendEvent(event_type=EVENT_TYPE, user_id=user.user_id)
    today = database.with_db_session(collect, message, day, now, settings)
    # Queued so long ago that an unavailable model is not waited for.
    job = Job("events", EVENT_TYPE, day.isoformat(), lease=now, attempts=1, queued_at=now - LONGEST_WAIT)
    answer = (
        think(Model(settings, Circuits(database)), today, job, Deadline(lambda: MILLISECONDS))
        if ask
        else None
    )
    unsubscribing = unsubscribe(settings, user.user_id, EVENT_TYPE)
    link = unsubscribing.link if unsubscribing else None
    rendered: Rendered = render(compose(answer, today, settings.mojodex_webapp_uri, link))
    raw = as_bytes(
        settings, rendered, to_name=today.name, to_address=today.address, unsubscribe_link=link, now=now
    )
    stem.with_suffix(".html").write_text(rendered.html)
    stem.with_suffix(".txt").write_text(rendered.text)
    stem.with_suffix(".eml").write_bytes(raw)
    return Preview(stem, today.address, rendered.subject, answer is not None)


@contextmanager
def _surroundings() -> Iterator[tuple[Database, TodoDailyEmailsSettings, Account]]:
    """Provide what the functions need: a database with the account, a model, and secrets."""
    with tempfile.TemporaryDirectory(prefix="mojodex-preview-") as name, mock_aws(), _model() as asked:
        directory = Path(name)
        try:
            server = postgres.start(directory)
            postgres.run_sql_file(server, postgres.MOJODEX_SCHEMA)
            migrate(server.secret())
            secrets = {
                "database": server.secret(),
                "model": {"api_key": model.api_key()},
                "unsubscribe": {"signing_key": "preview"},
            }
            manager = boto3.client("secretsmanager")
            for secret, value in secrets.items():
                manager.create_secret(Name=secret, SecretString=json.dumps(value))
            settings = TodoDailyEmailsSettings.model_validate(_values(asked))
            engine = create_engine(server.url)
            with engine.begin() as connection:
                account = seed(connection, datetime.now(UTC))
                _move_some(connection, account)
            engine.dispose()
            database = Database(DatabaseSettings(database_secret_arn="database"))
            yield database, settings, account
            database.close()
        finally:
            postgres.stop(directory)


def _values(asked: model.Model) -> dict[str, Any]:
    return {
        "llm_secret_arn": "model",
        "llm_models": asked.models or MODELS,
        "llm_base_url": asked.base_url,
        "email_sender": MAIL_PARAMETERS["EmailSender"],
        "ses_configuration_set": "none",
        "mojodex_webapp_uri": MAIL_PARAMETERS["MojodexWebappUri"],
        "unsubscribe_url": "https://app.mojodex.example/unsubscribe",
        "unsubscribe_secret_arn": "unsubscribe",
    }


@contextmanager
def _model() -> Iterator[model.Model]:
    """Provide the caller's model, or the stand-in in a thread of this process."""
    if found := model.from_environment():
        yield found
        return
    with ModelServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield model.Model(model.OFFLINE, f"http://127.0.0.1:{server.server_port}/v1")
        finally:
            server.shutdown()
            thread.join()


def _move_some(connection: Connection, account: Account) -> None:
    """Move one to-do of each user, as a night does. Another one stays overdue."""
    later = stories.working_day(stories.working_day(account.morning, 1), 1)
    for user, todo, reason in (
        (account.claire, stories.SLIPPING, stories.SLIPPING_REASON),
        (account.hugo, stories.HUGOS_MOVED, stories.HUGOS_REASON),
    ):
        move(connection, account.todos[todo], later, reason, user.at(account.morning, time(2)))
