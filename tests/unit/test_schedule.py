"""The loop of a schedule: page after page, until all work is published or the time is up."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mojodex import jobs, queues, schedule
from mojodex.clock import RESERVE_SECONDS, Deadline
from mojodex.database import Database
from mojodex.messages import Message
from mojodex.schedule import SECONDS_NEEDED, DueWork, publish_due
from tests.metrics import emitted

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
ENDED = NOW + timedelta(seconds=9)


class Numbered(Message):
    number: int

    @property
    def subject(self) -> str:
        return str(self.number)


def message(row: Any) -> Numbered:
    return Numbered(number=row.number)


class Notes:
    """A database with pages of due work, which records its calls in order."""

    def __init__(self, *pages: tuple[list[int], dict[str, Any] | None]) -> None:
        self.pages = iter(pages)
        self.calls: list[Any] = []
        self.runs: list[dict[str, Any]] = []

    @contextmanager
    def session(self) -> Iterator["Notes"]:
        yield self

    def commit(self) -> None:
        self.calls.append("commit")

    def execute(self, statement: Any, run: dict[str, Any]) -> None:
        assert statement is schedule.RUN
        self.calls.append("run")
        self.runs.append(run)

    def claim(
        self, _session: Any, process: str, due: str, parameters: Mapping[str, Any], *, now: datetime
    ) -> jobs.Page:
        assert now == NOW
        self.calls.append((process, due, dict(parameters)))
        numbers, after = next(self.pages)
        rows: list[Any] = [SimpleNamespace(number=number, user_id=f"user-{number}") for number in numbers]
        return jobs.Page(rows, after)

    def publish(self, url: str, messages: Iterable[queues.Outgoing]) -> None:
        self.calls.append((url, [(each.body, each.owner) for each in messages]))


@pytest.fixture
def publish(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    def publish(notes: Notes, *processes: str, left: Iterable[float] = ()) -> int:
        monkeypatch.setattr(jobs, "claim", notes.claim)
        monkeypatch.setattr(queues, "publish", notes.publish)
        monkeypatch.setattr(schedule, "utc_now", lambda: ENDED)
        seconds = iter(left)
        deadline = Deadline(lambda: int(1000 * (next(seconds, 100) + RESERVE_SECONDS)))
        due = (
            DueWork(each, f"due {each}", {"size": 2, "after": 0}, f"q-{each}", message) for each in processes
        )
        return publish_due(cast(Database, notes), due, NOW, deadline)["published"]

    return publish


def test_each_page_is_published_before_its_commit_and_the_next_page_follows_it(
    publish: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    notes = Notes(([1, 2], {"after": 7}), ([3], {"after": 9}), ([], None))

    assert publish(notes, "p") == 3

    assert notes.calls == [
        ("p", "due p", {"size": 2, "after": 0}),
        ("q-p", [('{"number":1}', "user-1"), ('{"number":2}', "user-2")]),
        "commit",
        ("p", "due p", {"size": 2, "after": 7}),
        ("q-p", [('{"number":3}', "user-3")]),
        "commit",
        ("p", "due p", {"size": 2, "after": 9}),
        ("q-p", []),
        "commit",
        "run",
        "commit",
    ]
    assert emitted(capsys.readouterr().out) == {("extract_todos", "JobsQueued"): 3}


def test_the_messages_of_all_due_queries_are_counted_together(publish: Callable[..., int]) -> None:
    notes = Notes(([1], None), ([2], None))

    assert publish(notes, "p", "q") == 2

    assert [said[0] for said in notes.calls if isinstance(said, tuple)] == ["p", "q-p", "q", "q-q"]


@pytest.mark.parametrize(("left", "published"), [(SECONDS_NEEDED + 0.1, 2), (SECONDS_NEEDED, 1)])
def test_a_page_is_begun_only_with_enough_time_left(
    publish: Callable[..., int], left: float, published: int
) -> None:
    notes = Notes(([1], {"after": 7}), ([2], None))

    assert publish(notes, "p", left=(100, left)) == published


@pytest.mark.parametrize(
    ("left", "complete"),
    [((100, 100), True), ((100, SECONDS_NEEDED), False), ((SECONDS_NEEDED, 100), False)],
    ids=["time for both", "no time for the last one", "no time for the first one"],
)
def test_a_finished_run_is_recorded_as_complete_or_not(
    publish: Callable[..., int], left: tuple[float, ...], *, complete: bool
) -> None:
    notes = Notes(([1, 2], None), ([3], None))

    published = publish(notes, "p", "q", left=left)

    run = {"schedule": "extract_todos", "ended_at": ENDED, "published": published, "complete": complete}
    assert notes.runs == [run]
