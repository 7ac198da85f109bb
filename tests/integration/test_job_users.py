"""The ledger records a job's user: from its message, its schedule or its subject."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
import time_machine

from tests.integration.conftest import Bundle, Documents
from tests.mojodex import Mojodex

NIGHT = datetime(2026, 12, 1, 2, 30, tzinfo=UTC)
MORNING = datetime(2026, 12, 1, 8, 30, tzinfo=UTC)
YESTERDAY = date(2026, 11, 30)


def owner(mojodex: Mojodex, process: str) -> str | None:
    """The user of the only job of a process."""
    (row,) = mojodex.rows("SELECT user_id FROM md_background_job WHERE process = :p", p=process)
    user_id: str | None = row.user_id
    return user_id


def overdue(mojodex: Mojodex, user_id: str) -> int:
    return mojodex.scheduled(mojodex.execution("x", user_id=user_id, extracted=True), "Call Bob", YESTERDAY)


# From the message.


@time_machine.travel(MORNING)
def test_the_message_of_a_mail_gives_the_user(make_bundle: Any, mojodex: Mojodex, ses: Any) -> None:
    ann = mojodex.user()

    make_bundle("events").work({"event_type": "todo_daily_emails", "user_id": ann})

    assert owner(mojodex, "events") == ann


def test_the_messages_of_documents_give_the_user(documents: Documents, mojodex: Mojodex) -> None:
    documents.site.simple("/")

    documents.ask()
    documents.update(documents.text_document("A text."), "These are new words, and enough of them.")

    ann = documents.user_id
    assert owner(mojodex, "create_from_website") == owner(mojodex, "update_document") == ann


# From the claim.


def test_the_schedule_of_extractions_records_the_user(bundle: Bundle, mojodex: Mojodex) -> None:
    mojodex.execution("x", user_id=(ann := mojodex.user()))

    bundle.schedule()

    assert owner(mojodex, "extract_todos") == ann


@pytest.mark.parametrize("hour", [1, 2], ids=["all open ones", "recently planned ones"])
def test_the_schedule_of_moves_records_the_user(make_bundle: Any, mojodex: Mojodex, hour: int) -> None:
    overdue(mojodex, ann := mojodex.user())

    with time_machine.travel(NIGHT.replace(hour=hour)):
        make_bundle("reschedule_todo").schedule()

    assert owner(mojodex, "reschedule_todo") == ann


@time_machine.travel(MORNING)
def test_the_schedule_of_mails_records_the_user(make_bundle: Any, mojodex: Mojodex) -> None:
    overdue(mojodex, ann := mojodex.user())

    make_bundle("events").schedule()

    assert owner(mojodex, "events") == ann


def test_a_crawl_records_the_user_of_its_pages(documents: Documents, mojodex: Mojodex) -> None:
    documents.site.simple("/")

    documents.ask()

    assert owner(mojodex, "ingest_page") == documents.user_id


def test_the_schedule_of_documents_records_the_user(documents: Documents, mojodex: Mojodex) -> None:
    documents.site.simple("/")
    documents.ask()
    mojodex.run("UPDATE md_background_job SET user_id = NULL, message_expires_at = now() - interval '1 s'")

    assert documents.websites.schedule() == 2

    assert owner(mojodex, "create_from_website") == owner(mojodex, "ingest_page") == documents.user_id


# From the subject, for a message that no schedule claimed.


def test_an_execution_gives_the_user(bundle: Bundle, mojodex: Mojodex) -> None:
    pk = mojodex.execution("x", user_id=(ann := mojodex.user()))

    bundle.work({"user_task_execution_pk": pk})

    assert owner(mojodex, "extract_todos") == ann


@time_machine.travel(NIGHT)
def test_a_todo_gives_the_user(make_bundle: Any, mojodex: Mojodex) -> None:
    pk = overdue(mojodex, ann := mojodex.user())

    make_bundle("reschedule_todo").work({"todo_pk": pk})

    assert owner(mojodex, "reschedule_todo") == ann


def test_a_page_gives_the_user(documents: Documents, mojodex: Mojodex) -> None:
    documents.site.simple("/")
    documents.ask()
    (body,) = documents.pages.queued()
    mojodex.run("DELETE FROM md_background_job WHERE process = 'ingest_page'")

    documents.pages.work(body)

    assert owner(mojodex, "ingest_page") == documents.user_id


def test_a_subject_that_does_not_exist_has_no_user(bundle: Bundle, mojodex: Mojodex) -> None:
    bundle.work({"user_task_execution_pk": 2**31 - 1})

    assert owner(mojodex, "extract_todos") is None
    assert len(bundle.dead_letters()) == 1


def test_a_job_of_an_earlier_release_gets_its_user_at_its_next_attempt(
    bundle: Bundle, mojodex: Mojodex
) -> None:
    pk = mojodex.execution("x", user_id=(ann := mojodex.user()))
    mojodex.run(
        "INSERT INTO md_background_job (process, subject, state) VALUES ('extract_todos', :s, 'queued')",
        s=str(pk),
    )

    bundle.work({"user_task_execution_pk": pk})

    assert owner(mojodex, "extract_todos") == ann
