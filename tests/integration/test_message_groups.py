"""Every published message carries its user as group, so that SQS can be fair to all users."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime

import pytest
import time_machine

from documents.create_from_website import crawl
from local.runtime.redrive import redrive
from mojodex.clock import RESERVE_SECONDS
from tests.integration.conftest import Bundle, Documents
from tests.lambda_events import sqs_record
from tests.mojodex import Mojodex

NIGHT = datetime(2026, 12, 1, 2, 30, tzinfo=UTC)
MORNING = datetime(2026, 12, 1, 8, 30, tzinfo=UTC)
TODAY = MORNING.date()


def test_the_schedule_of_extract_todos_sets_the_group(bundle: Bundle, mojodex: Mojodex) -> None:
    one, other = mojodex.user(), mojodex.user()
    for user_id in (one, one, other):
        mojodex.execution("x", user_id=user_id)

    assert bundle.schedule() == 3
    assert Counter(bundle.groups()) == {one: 2, other: 1}


@pytest.mark.parametrize("hour", [2, 5], ids=["planned lately", "everything open"])
def test_the_schedule_of_reschedule_todo_sets_the_group(
    make_bundle: Callable[..., Bundle], mojodex: Mojodex, hour: int
) -> None:
    one, other = mojodex.user(), mojodex.user()
    for user_id in (one, one, other):
        execution = mojodex.execution("x", user_id=user_id, extracted=True)
        mojodex.scheduled(execution, "Call Bob", date(2026, 11, 30))

    with time_machine.travel(NIGHT.replace(hour=hour)):
        bundle = make_bundle("reschedule_todo")
        assert bundle.schedule() == 3
        groups = bundle.groups()

    assert Counter(groups) == {one: 2, other: 1}


def test_the_schedule_of_events_sets_the_group(make_bundle: Callable[..., Bundle], mojodex: Mojodex) -> None:
    users = [mojodex.user(), mojodex.user(timezone_offset=None)]
    for user_id in users:
        execution = mojodex.execution("x", user_id=user_id, extracted=True)
        mojodex.scheduled(execution, "Call Bob", TODAY)

    with time_machine.travel(MORNING):
        bundle = make_bundle("events")
        assert bundle.schedule() == 2
        groups = bundle.groups()

    assert sorted(map(str, groups)) == sorted(users)


def test_the_crawler_sets_the_group_of_its_pages_and_its_continuation(
    documents: Documents, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents.site.simple("/", *(f"/{n}" for n in range(6)))
    seconds = documents.websites.worker.process.seconds_needed + 1
    with monkeypatch.context() as context:
        context.setattr(crawl, "SECONDS_NEEDED", seconds - 0.1)
        for page in documents.site.pages.values():
            page.delay = 0.1
        body = {"user_id": documents.user_id, "website_url": documents.site.url, "request_id": "r1"}
        documents.websites.work(body, seconds=seconds + RESERVE_SECONDS)
    assert documents.websites.groups() == [documents.user_id]

    documents.websites.work(body, seconds=300)

    assert documents.pages.groups() == [documents.user_id] * 7


def test_the_schedule_of_documents_sets_the_group(documents: Documents) -> None:
    documents.site.simple("/", "/a")
    documents.ask()
    assert len(documents.pages.queued()) == 2
    documents.mojodex.run(
        "UPDATE md_background_job SET message_expires_at = now() - interval '1 minute',"
        " started_at = started_at - interval '1 hour'"
    )

    assert documents.websites.schedule() == 3
    assert documents.pages.groups() == [documents.user_id] * 2
    assert documents.websites.groups() == [documents.user_id]


def test_a_user_whose_id_sqs_would_refuse_has_a_group_too(bundle: Bundle, mojodex: Mojodex) -> None:
    odd = "Zoë " + "x" * 200
    mojodex.run(
        "INSERT INTO md_user (user_id, email, creation_date) VALUES (:u, 'z@example.com', now())", u=odd
    )
    mojodex.execution("x", user_id=odd)

    assert bundle.schedule() == 1
    (group,) = bundle.groups()
    assert group
    assert len(group) == 64


def test_a_dead_letter_keeps_its_group_and_so_does_its_redrive(bundle: Bundle) -> None:
    record = sqs_record("{oops")
    record["attributes"]["MessageGroupId"] = "user-1"
    bundle.work_on({"Records": [record, sqs_record("{without a group")]})
    queues = {
        "ExtractTodosDeadLetterQueueUrl": bundle.dead_letter_queue_url,
        "ExtractTodosQueueUrl": bundle.queue_url,
    }

    redriven = redrive("extract_todos", bundle.sqs, queues)

    assert redriven.moved == 2
    assert set(bundle.groups()) == {"user-1", None}
