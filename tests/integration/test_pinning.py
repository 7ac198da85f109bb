"""No statement of a function pins a connection of RDS Proxy.

The rules are AWS's: https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/rds-proxy-pinning.html
"""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from typing import Any

import pytest
import time_machine

import maintenance.purge
import maintenance.redrive
from mojodex import mail_ledger, unsubscribing, wire
from mojodex.circuit import FAILURES_TO_OPEN, Circuits
from mojodex.database import BEGIN
from mojodex.feedback import Mail
from mojodex.queues import DeadLetter
from mojodex.schema import Base
from tests.fake_model import FakeModel, Reply, todos
from tests.fake_ses import fake_ses
from tests.integration.conftest import Bundle, Documents
from tests.lambda_events import FakeContext
from tests.mojodex import Mojodex
from tests.ses_events import ses_event, soft_bounce

SAID = "I'll send the offer to Bob."
PINS = {
    "a sequence": r"\b(nextval|setval|currval|lastval)\b",
    "a setting of the session": r"^\W*(re)?set\b(?! local)|;\s*set\b(?! local)|set_config\((?![^)]*, true\))",
    "a lock of the session": r"\bpg_(try_)?advisory_(un)?lock",
    "a prepared statement": r"^\W*(prepare|execute|deallocate|discard)\b",
    "a cursor or a channel": r"^\W*(declare|listen|load)\b",
    "a temporary object": r"\bcreate\s+(local\s+|global\s+)?temp",
}
# A longer statement pins too.
LONGEST_BYTES = 16 * 1024


def pins(statement: str) -> list[str]:
    """Return the reasons why a statement pins, or an empty list."""
    found = [why for why, pattern in PINS.items() if re.search(pattern, statement, re.IGNORECASE)]
    return found + (["its length"] if len(statement.encode()) > LONGEST_BYTES else [])


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Iterator[set[str]]:
    """Record all statements that the functions and the driver send to PostgreSQL."""
    statements: set[str] = set()

    def recording(name: str, place: int) -> None:
        send = getattr(wire.Connection, name)

        def record(connection: Any, *given: Any) -> Any:
            statements.add(given[place])
            return send(connection, *given)

        monkeypatch.setattr(wire.Connection, name, record)

    recording("send_PARSE", 1)
    recording("send_QUERY", 0)
    yield statements
    assert {statement: why for statement in statements if (why := pins(statement))} == {}


def inserted(sent: set[str]) -> set[str]:
    """Return the tables that were written to."""
    return {table for statement in sent for table in re.findall(r"INSERT INTO (\w+)", statement)}


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO md_todo (todo_pk) VALUES (nextval('md_todo_seq'))",
        "SET statement_timeout = 1",
        "BEGIN; SET statement_timeout = 1",
        "SELECT set_config('timezone', 'UTC', false)",
        BEGIN.replace("true", "false", 1),
        "SELECT pg_advisory_lock(1)",
        "SELECT pg_try_advisory_lock(1)",
        "CREATE TEMPORARY TABLE x (y integer)",
        "PREPARE x AS SELECT 1",
        "DISCARD ALL",
        "DECLARE x CURSOR FOR SELECT 1",
        "SELECT " + "1, " * LONGEST_BYTES + "1",
    ],
    ids=lambda statement: statement[:50],
)
def test_the_rules_find_statements_that_pin(statement: str) -> None:
    assert pins(statement)


@pytest.mark.parametrize(
    "statement",
    [BEGIN, "SET LOCAL lock_timeout = 1", "SELECT pg_advisory_xact_lock(1)", "UPDATE x SET y = 1"],
)
def test_the_rules_allow_settings_and_locks_of_a_transaction(statement: str) -> None:
    assert pins(statement) == []


def test_extract_todos_does_not_pin(
    make_bundle: Callable[..., Bundle], mojodex: Mojodex, model: FakeModel, sent: set[str]
) -> None:
    bundle = make_bundle()
    good, refused = mojodex.execution(SAID), mojodex.execution(SAID)
    bundle.schedule()
    model.answers(todos(("Send the offer", None, SAID), ("Send the other offer", None, SAID)))
    bundle.work({"user_task_execution_pk": good})
    model.answers(Reply(refusal="No."))
    bundle.work({"user_task_execution_pk": refused})

    assert len(mojodex.todos_of(good)) == 2
    assert {"md_background_job", "md_todo", "md_todo_scheduling", "md_error"} <= inserted(sent)
    assert BEGIN in sent


@time_machine.travel(datetime(2026, 12, 1, 2, 30, tzinfo=UTC))
def test_reschedule_todo_does_not_pin(
    make_bundle: Callable[..., Bundle], mojodex: Mojodex, model: FakeModel, sent: set[str]
) -> None:
    bundle = make_bundle("reschedule_todo")
    todo = mojodex.scheduled(mojodex.execution("x", extracted=True), "Call Bob", date(2026, 11, 30))
    model.answers(Reply({"pros": "", "cons": "", "argument": "Quiet.", "date": "2026-12-02"}))

    bundle.schedule()
    bundle.work(*bundle.queued())
    # Without a day, the worker looks it up.
    bundle.work({"todo_pk": todo})

    assert len(mojodex.schedulings(todo)) == 2
    assert {"md_background_job", "md_todo_scheduling"} <= inserted(sent)


@time_machine.travel(datetime(2026, 12, 1, 8, 30, tzinfo=UTC))
def test_events_does_not_pin(
    make_bundle: Callable[..., Bundle],
    mojodex: Mojodex,
    model: FakeModel,
    monkeypatch: pytest.MonkeyPatch,
    sent: set[str],
) -> None:
    bundle = make_bundle("events", dormant_after_days=30)
    user_id = mojodex.user()
    mojodex.scheduled(mojodex.execution("x", user_id=user_id, extracted=True), "Call Bob", date(2026, 12, 1))
    # The last mail before a pause.
    for table, column in (
        ("user", "creation_date"),
        ("message", "message_date"),
        ("produced_text_version", "creation_date"),
    ):
        mojodex.run(f"UPDATE md_{table} SET {column} = '2026-01-01'")
    model.answers(Reply(refusal="No."))

    with fake_ses() as ses:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SESV2", ses.url)
        bundle.schedule()
        bundle.work(*bundle.queued(), {"event_type": "todo_daily_emails", "user_id": user_id})

    assert len(ses.mails) == 1
    assert {"md_background_job", "md_background_pause", "md_event"} <= inserted(sent)


def test_documents_do_not_pin(documents: Documents, sent: set[str]) -> None:
    """A page with many links and a text with many chunks make statements with many rows."""
    documents.site.simple("/", *(f"/{n:03}" for n in range(250)))
    for path in list(documents.site.pages)[4:]:
        documents.site.pages[path].status = 404
    assert documents.read().state == "done"
    text = documents.text_document("All of this is to be replaced.")
    parts = (f"# Part {n}\n" + " ".join(f"w{n}x{i}" for i in range(45)) for n in range(250))

    assert documents.update(text, "\n\n".join(parts)).state == "done"
    assert len(documents.chunks(text)) == 250
    documents.websites.schedule()

    tables = {name for name in Base.metadata.tables if name.startswith("md_background_")}
    tables -= {"md_background_circuit", "md_background_pause"}
    tables -= {name for name in tables if name.startswith("md_background_mail")}
    # Only operators write these.
    tables -= {f"md_background_{name}" for name in ("audit", "refusal", "paused_process")}
    assert tables | {"md_document", "md_document_chunk"} <= inserted(sent)


def test_feedback_does_not_pin(make_bundle: Callable[..., Bundle], mojodex: Mojodex, sent: set[str]) -> None:
    bundle, user_id, now = make_bundle("mail_feedback"), mojodex.user(), datetime.now(UTC)
    with bundle.database.session() as session:
        mails = [Mail(f"m{n}", now, user_id=user_id, address=f"{user_id}@example.com") for n in range(3)]
        mail_ledger.record(session, mails)
        unsubscribing.remember(session, "t", user_id, "todo_daily_emails", now)
        session.commit()

    bundle.work(*(soft_bounce(f"m{n}", now) for n in range(3)))
    bundle.work(ses_event("Delivery", "m1", now))
    with bundle.database.session() as session:
        mail_ledger.lift(session, user_id, "carla", now)
        unsubscribing.set_reception(session, "t", wanted=False)

    tables = {f"md_background_mail{name}" for name in ("", "_block", "_token")}
    assert tables <= inserted(sent)


def test_circuits_do_not_pin(bundle: Bundle, mojodex: Mojodex, sent: set[str]) -> None:
    circuits = Circuits(bundle.database)
    for _ in range(FAILURES_TO_OPEN):
        circuits.failed("gpt-5-mini", "503")
    mojodex.run("UPDATE md_background_circuit SET probe_at = now()")

    assert circuits.allows("gpt-5-mini")
    circuits.failed("gpt-5-mini", "503")
    circuits.succeeded("gpt-5-mini")

    assert "md_background_circuit" in inserted(sent)


def test_the_redrive_does_not_pin(bundle: Bundle, sent: set[str]) -> None:
    letters = [
        DeadLetter(f"{n:036}", "receipt", "{}", 0, 0, None, None)
        for n in range(maintenance.redrive.LETTERS_AT_ONCE)
    ]

    with bundle.database.session() as session:
        attempts = maintenance.redrive.attempts_of(session, letters)
        found = maintenance.redrive.sort(letters, attempts, datetime.now(UTC))
        maintenance.redrive.note(session, found, datetime.now(UTC))

    assert len(found.to_return) == len(letters)
    asked = [statement.split()[0] for statement in sent if "message_id IN" in statement]
    assert {"SELECT", "UPDATE"} <= set(asked)


def test_the_purge_does_not_pin(
    make_bundle: Callable[..., Bundle], mojodex: Mojodex, monkeypatch: pytest.MonkeyPatch, sent: set[str]
) -> None:
    monkeypatch.setattr(maintenance.purge, "database", make_bundle().database)
    mojodex.run(
        "INSERT INTO md_background_job (process, subject, state, finished_at)"
        " VALUES ('reschedule_todo', '7', 'failed', now() - interval '31 days')"
    )

    assert maintenance.purge.handler({}, FakeContext())["jobs"] == 1
    assert any(statement.startswith("DELETE") or "DELETE FROM" in statement for statement in sent)
