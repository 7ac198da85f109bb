"""The cost of one job for the database: statements, transactions and round trips.

The numbers are exact, so that a query in a loop is noticed. Each job is bigger than the smallest one: three
to-dos, three chunks, three pages.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import time_machine
from pg8000.core import CoreConnection
from sqlalchemy import Engine, event

from tests.fake_model import FakeModel, Reply, todos
from tests.fake_ses import fake_ses
from tests.integration.conftest import Bundle, Documents
from tests.mojodex import Mojodex

# A Tuesday, at night and in the morning.
NIGHT = datetime(2026, 12, 1, 2, 30, tzinfo=UTC)
MORNING = datetime(2026, 12, 1, 8, 30, tzinfo=UTC)
TODAY = MORNING.date()

PARTS = [f"# Part {n}\n" + " ".join(f"w{n}x{{edition}}x{i}" for i in range(45)) for n in range(3)]

# Process: (statements, transactions, round trips). Each statement takes one round trip, and each transaction
# two: its begin, with its settings, and its end. One transaction, with one statement, saves the spending.
EXPECTED = {
    "extract_todos": (10, 4, 18),
    "reschedule_todo": (12, 4, 20),
    "events": (11, 5, 21),
    "ingest_page": (20, 5, 30),
    "update_document": (14, 5, 24),
}

# Not exact: concurrent fetches poll for a host slot.
STATEMENTS_PER_CRAWLED_PAGE = 10

type Counted = tuple[int, int, int]


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """Count the statements, transactions and round trips in the context."""
    counts: Counter[str] = Counter()
    wait = CoreConnection.handle_messages

    def see_wait(*given: Any) -> Any:
        counts["answers"] += 1
        return wait(*given)

    def see_statement(*_: Any) -> None:
        counts["statements"] += 1

    def see_begin(*_: Any) -> None:
        counts["transactions"] += 1

    event.listen(Engine, "before_cursor_execute", see_statement)
    event.listen(Engine, "begin", see_begin)
    try:
        with monkeypatch.context() as patched:
            patched.setattr(CoreConnection, "handle_messages", see_wait)
            yield counts
    finally:
        event.remove(Engine, "before_cursor_execute", see_statement)
        event.remove(Engine, "begin", see_begin)


def cost(counts: Counter[str]) -> Counted:
    return counts["statements"], counts["transactions"], counts["answers"]


def of_second(monkeypatch: pytest.MonkeyPatch, work: Callable[[], Any]) -> Counted:
    """Return the cost of the second run of `work`. The first one connects."""
    assert work()["batchItemFailures"] == []
    with counted(monkeypatch) as counts:
        assert work()["batchItemFailures"] == []
    return cost(counts)


def test_extract_todos(
    make_bundle: Callable[..., Bundle],
    mojodex: Mojodex,
    model: FakeModel,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = ("I will call Bob", "I will write to Ann", "I will book a room")
    bundle, user_id = make_bundle(), mojodex.user()
    jobs = [mojodex.execution(*said, user_id=user_id) for _ in range(2)]
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).date().isoformat()
    model.answers(
        todos(*((words, tomorrow, words) for words in said[:1])),
        todos(*((words.upper() + "!", tomorrow, words) for words in said)),
    )

    found = of_second(monkeypatch, lambda: bundle.work({"user_task_execution_pk": jobs.pop()}))

    assert mojodex.run("SELECT count(*) FROM md_todo") > 1
    assert found == EXPECTED["extract_todos"]


def test_reschedule_todo(
    make_bundle: Callable[..., Bundle],
    mojodex: Mojodex,
    model: FakeModel,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with time_machine.travel(NIGHT):
        bundle = make_bundle("reschedule_todo")
        execution = mojodex.execution("x", extracted=True)
        dates = [date(2026, 11, 26), date(2026, 11, 27), date(2026, 11, 30)]
        jobs = [mojodex.scheduled(execution, "Call Bob", *dates) for _ in range(3)]
        model.answers(Reply({"pros": "", "cons": "", "argument": "Quiet.", "date": "2026-12-03"}))

        found = of_second(
            monkeypatch,
            lambda: bundle.work({"todo_pk": jobs.pop(), "local_date": TODAY.isoformat()}),
        )

    assert found == EXPECTED["reschedule_todo"]


def test_events(
    make_bundle: Callable[..., Bundle],
    mojodex: Mojodex,
    model: FakeModel,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with time_machine.travel(MORNING), fake_ses() as ses:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SESV2", ses.url)
        bundle = make_bundle("events")
        users = [mojodex.user() for _ in range(2)]
        for user_id in users:
            for _ in range(3):
                execution = mojodex.execution("x", user_id=user_id, extracted=True)
                mojodex.scheduled(execution, "Call Bob", TODAY)
        model.answers(
            Reply({"subject": "Tuesday", "greeting": "Hello", "intro": "Calm.", "lines": [], "closing": "!"})
        )

        found = of_second(
            monkeypatch,
            lambda: bundle.work(
                {
                    "event_type": "todo_daily_emails",
                    "user_id": users.pop(),
                    "local_date": TODAY.isoformat(),
                }
            ),
        )

    assert len(ses.mails) == 2
    assert found == EXPECTED["events"]


def test_create_from_website_and_ingest_page(documents: Documents, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cost of a crawled page is a third of the difference between six and three pages."""
    costs = []
    for number, others in enumerate((2, 2, 5)):
        documents.site.pages.clear()
        documents.site.simple("/", *(f"/{number}/{other}" for other in range(others)))
        with counted(monkeypatch) as counts:
            documents.ask(request=f"r{number}")
        costs.append(counts["statements"])
        bodies = documents.pages.queued()
        if others == 2:
            documents.pages.work(*bodies)
    jobs = iter([bodies[-1], bodies[-2]])

    found = of_second(monkeypatch, lambda: documents.pages.work(next(jobs)))

    assert (costs[2] - costs[1]) / 3 <= STATEMENTS_PER_CRAWLED_PAGE
    assert found == EXPECTED["ingest_page"]


def test_update_document(documents: Documents, monkeypatch: pytest.MonkeyPatch) -> None:
    pk = documents.text_document("what was there before, which is long enough")
    editions = iter(["first", "second"])

    def work() -> Any:
        edition = "\n\n".join(PARTS).format(edition=next(editions))
        return documents.updates.work({"user_id": documents.user_id, "document_pk": pk, "edition": edition})

    found = of_second(monkeypatch, work)

    assert len(documents.chunks(pk)) >= 3
    assert found == EXPECTED["update_document"]
