"""The database user of docs/deploy.md has the rights that it needs and no more; the pages' SQL works."""

from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import pytest
import time_machine
from sqlalchemy import create_engine, text
from sqlalchemy.exc import ProgrammingError

import maintenance.purge
from documents.web.errors import FetchError, HostRestsError
from documents.web.host_slots import HostSlots
from local.runtime.postgres import Database
from mojodex import mail_ledger, unsubscribing
from mojodex.clock import Deadline, utc_now
from mojodex.feedback import Mail
from mojodex.sql import read_sql
from tests.fake_model import FakeModel, Reply, todos
from tests.fake_ses import fake_ses
from tests.integration.conftest import Bundle, Documents
from tests.lambda_events import FakeContext
from tests.mojodex import Mojodex
from tests.pages import DOCS, blocks
from tests.ses_events import ses_event, soft_bounce

ROLE = "mojodex_background"
SAID = "I'll send the offer to Bob."


def statements(sql: str) -> list[str]:
    """Split SQL into its statements."""
    return [statement for part in sql.split(";") if (statement := part.strip())]


STATEMENTS = [
    statement
    for sql in (
        *(sql for page in ("operations", "messages", "jobs") for sql in blocks("sql", DOCS / f"{page}.md")),
        read_sql(DOCS / "erase_user.sql").replace(":'user_id'", "'…'"),
    )
    for statement in statements(sql)
]


@pytest.fixture
def user(database: Database, mojodex: Mojodex) -> Iterator[dict[str, Any]]:
    """The secret of a user with the rights of the page's files, also on our own tables."""
    rights = read_sql(DOCS / "database_user.sql").replace(":'password'", "'secret'")
    for statement in statements(rights + read_sql(DOCS / "our_tables.sql")):
        mojodex.run(statement)
    yield database.secret() | {"username": ROLE, "password": "secret"}
    mojodex.run(f"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = '{ROLE}'")
    mojodex.run(f"DROP OWNED BY {ROLE}")
    mojodex.run(f"DROP ROLE {ROLE}")


def test_the_pages_database_user_may_do_all_that_the_functions_do(
    make_bundle: Callable[..., Bundle], mojodex: Mojodex, model: FakeModel, user: dict[str, Any]
) -> None:
    bundle = make_bundle(secret=user)
    good, refused = mojodex.execution(SAID), mojodex.execution(SAID)

    assert bundle.schedule() == 2
    model.answers(todos(("Send the offer", None, SAID)))
    bundle.work({"user_task_execution_pk": good})
    model.answers(Reply(refusal="No."))
    bundle.work({"user_task_execution_pk": refused})

    assert len(mojodex.todos_of(good)) == 1
    assert mojodex.job(refused).state == "failed"
    assert mojodex.run("SELECT count(*) FROM md_error") == 1


@time_machine.travel("2026-12-01T02:30Z")
def test_it_may_move_todos(
    make_bundle: Callable[..., Bundle], mojodex: Mojodex, model: FakeModel, user: dict[str, Any]
) -> None:
    bundle = make_bundle("reschedule_todo", secret=user)
    todo = mojodex.scheduled(mojodex.execution("x", extracted=True), "Call Bob", date(2026, 11, 30))
    model.answers(Reply({"pros": "", "cons": "", "argument": "Quiet.", "date": "2026-12-02"}))

    assert bundle.schedule() == 1
    bundle.work(*bundle.queued(), {"todo_pk": todo})

    assert len(mojodex.schedulings(todo)) == 2


@time_machine.travel("2026-12-01T08:30Z")
def test_it_may_send_mails(
    make_bundle: Callable[..., Bundle],
    mojodex: Mojodex,
    model: FakeModel,
    user: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bundle = make_bundle("events", secret=user)
    user_id = mojodex.user()
    mojodex.scheduled(mojodex.execution("x", user_id=user_id, extracted=True), "Call Bob", date(2026, 12, 1))
    model.answers(Reply(refusal="No."))

    with fake_ses() as ses:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SESV2", ses.url)
        assert bundle.schedule() == 1
        bundle.work(*bundle.queued(), {"event_type": "todo_daily_emails", "user_id": user_id})

    assert len(ses.mails) == mojodex.run("SELECT count(*) FROM md_event") == 1


def test_it_may_read_websites_and_update_documents(
    make_documents: Callable[..., Documents], mojodex: Mojodex, user: dict[str, Any]
) -> None:
    documents = make_documents(secret=user)
    documents.site.simple("/", "/a", "/b")
    assert documents.read().state == "done"
    page, *_ = documents.documents().values()
    text = documents.text_document("All of this is to be replaced.")
    mojodex.run("UPDATE md_document SET deleted_by_user = true WHERE document_pk = :d", d=page)
    mojodex.run("DELETE FROM md_background_document")

    again = documents.read(request="r2")
    edited = documents.update(text, "These are new words, and enough of them for a chunk of text.")
    failed = documents.update(text, user_id="somebody else")

    assert again.state == edited.state == "done"
    assert failed.state == "failed"
    assert page in documents.documents().values()
    assert documents.pages.schedule() == 0


def test_it_may_purge(
    make_bundle: Callable[..., Bundle],
    mojodex: Mojodex,
    user: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bundle = make_bundle(secret=user)
    monkeypatch.setattr(maintenance.purge, "database", bundle.database)
    mojodex.run(
        "INSERT INTO md_background_job (process, subject, state, finished_at)"
        " VALUES ('reschedule_todo', '7', 'failed', now() - interval '31 days')"
    )
    mojodex.run(
        "INSERT INTO md_background_page (subject, occasion, user_id, url, key, depth, state, found_at)"
        " VALUES ('s', 'o', 'u', 'url', 'key', 0, 'failed', now() - interval '31 days')"
    )

    mojodex.run(
        "INSERT INTO md_background_mail (message_id, sent_at, reasons)"
        " VALUES ('m', now() - interval '91 days', '{}')"
    )

    mojodex.run(
        "INSERT INTO md_background_audit (at, who, action, target) VALUES ('2020-01-01', 'ann', 'retry', 'x')"
    )
    mojodex.run("INSERT INTO md_background_refusal VALUES ('a hash', 3, now() - interval '25 hours')")

    assert set(maintenance.purge.handler({}, FakeContext()).values()) == {1}


def test_it_may_hear_of_mails_and_let_users_unsubscribe(
    make_bundle: Callable[..., Bundle], mojodex: Mojodex, user: dict[str, Any]
) -> None:
    bundle = make_bundle("mail_feedback", secret=user)
    user_id, now = mojodex.user(), utc_now()
    with bundle.database.session() as session:
        mails = [Mail(f"m{n}", now, user_id=user_id, address=f"{user_id}@example.com") for n in range(3)]
        mail_ledger.record(session, mails)
        unsubscribing.remember(session, "t", user_id, "todo_daily_emails", now)
        session.commit()

    bundle.work(*(soft_bounce(f"m{n}", now) for n in range(3)))
    with bundle.database.session() as session:
        assert mail_ledger.lift(session, user_id, "carla", now) == "soft bounces"
    bundle.work(ses_event("Delivery", "m1", now))
    bundle.work(ses_event("Bounce", "m2", now))

    assert mojodex.run("SELECT kind FROM md_background_mail_block") == "bounce"
    with bundle.database.session() as session:
        changed = unsubscribing.set_reception(session, "t", wanted=False)
    assert changed == unsubscribing.Reception("en", wanted=False)


@pytest.mark.parametrize(
    "forbidden",
    [
        "SELECT password FROM md_user",
        "UPDATE md_user SET email = ''",
        "UPDATE md_user SET name = ''",
        "DELETE FROM md_todo",
        "UPDATE md_todo SET description = ''",
        "UPDATE md_todo_scheduling SET scheduled_date = now()",
        "SELECT message FROM md_event",
        "DELETE FROM md_document",
        "UPDATE md_document SET name = ''",
        "SELECT embedding FROM md_document_chunk",
        "UPDATE md_document_chunk SET chunk_text = ''",
    ],
)
def test_the_pages_database_user_may_do_no_more(
    database: Database, user: dict[str, Any], forbidden: str
) -> None:
    engine = create_engine(database.url.set(username=ROLE, password="secret"))
    with engine.connect() as connection, pytest.raises(ProgrammingError, match="permission denied"):
        connection.execute(text(forbidden))
    engine.dispose()


@pytest.mark.parametrize("statement", STATEMENTS)
def test_the_database_understands_the_sql_of_the_pages(mojodex: Mojodex, statement: str) -> None:
    assert mojodex.run(f"EXPLAIN {statement}")


def test_the_runbook_ends_a_hosts_rest(documents: Documents, mojodex: Mojodex) -> None:
    slots = HostSlots(documents.websites.database, Deadline(lambda: 300_000), utc_now())
    with pytest.raises(HostRestsError), slots.slot("example.com", 0, page=True):
        raise FetchError("no", status=429)
    (look,) = [statement for statement in STATEMENTS if "WHERE rests_until IS NOT NULL" in statement]
    (end,) = [statement for statement in STATEMENTS if "SET rests_until = NULL" in statement]
    assert [row.host for row in mojodex.rows(look)] == ["example.com"]

    mojodex.run(end)

    assert not mojodex.rows(look)
    with slots.slot("example.com", 0, page=True):
        pass
