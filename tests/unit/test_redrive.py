"""The loop of the redrive: letters that it returns or makes visible again, and when it stops."""

import json
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from maintenance import redrive
from mojodex import queues
from mojodex.clock import RESERVE_SECONDS, Deadline
from mojodex.errors import TransientError
from mojodex.queues import MAX_RECEIVES, DeadLetter
from mojodex.schedule import SECONDS_NEEDED
from tests.lambda_events import FakeContext
from tests.metrics import emitted

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)


def letter(name: str) -> DeadLetter:
    return DeadLetter(name, f"r-{name}", name, 0, 0, None, "bad" if name.startswith("bad") else None)


class Notes:
    """Queues with these dead letters, which record all calls."""

    def __init__(self, names: str) -> None:
        self.letters = [letter(name) for name in names.split()]
        self.returned: list[list[str]] = []
        self.shown: list[list[str]] = []
        self.noted: list[tuple[list[str], list[str]]] = []
        self.put_aside: list[tuple[str, str]] = []
        self.received = 0

    def with_db_session(self, act: Callable[..., Any], *arguments: Any) -> Any:
        return act(self, *arguments)

    def attempts_of(self, _session: Any, letters: Collection[DeadLetter]) -> dict[str, int]:
        return {each.message_id: MAX_RECEIVES for each in letters if each.body.startswith("poison")}

    def note(self, _session: Any, found: redrive.Sorted, now: datetime) -> None:
        assert now == NOW
        returned = [each.body for each in found.to_return]
        self.noted.append((returned, [each.body for each, _ in found.to_set_aside]))

    def set_aside(self, url: str, letter: DeadLetter, reason: str) -> None:
        assert url == "d"
        self.put_aside.append((letter.body, reason))

    def dead_letters(self, url: str) -> Iterator[DeadLetter]:
        assert url == "d"
        for each in self.letters:
            self.received += 1
            yield each

    def redrive(self, queue_url: str, dead_letter_queue_url: str, letters: Iterable[DeadLetter]) -> None:
        assert (queue_url, dead_letter_queue_url) == ("q", "d")
        self.returned.append([each.body for each in letters])

    def show(self, url: str, letters: Iterable[DeadLetter]) -> None:
        assert url == "d"
        self.shown.append([each.body for each in letters])


@pytest.fixture
def begin(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Notes]:
    """Put letters into the dead-letter queue. The redrive handles two at a time."""

    def begin(names: str) -> Notes:
        notes = Notes(names)
        monkeypatch.setattr(redrive, "database", notes)
        for name in ("dead_letters", "redrive", "show", "set_aside"):
            monkeypatch.setattr(queues, name, getattr(notes, name))
        for name in ("attempts_of", "note"):
            monkeypatch.setattr(redrive, name, getattr(notes, name))
        return notes

    monkeypatch.setattr(redrive, "LETTERS_AT_ONCE", 2)
    monkeypatch.setattr(redrive, "utc_now", lambda: NOW)
    return begin


def run(seconds: float = 100) -> int:
    millis = int(1000 * (seconds + RESERVE_SECONDS))
    return redrive.redrive("p", "q", "d", Deadline(lambda: millis))


def test_letters_are_redriven_in_batches_and_the_rest_becomes_visible_at_the_end(
    begin: Callable[[str], Notes], capsys: pytest.CaptureFixture[str]
) -> None:
    notes = begin("a bad1 bad2 b c")

    assert run() == 3

    assert notes.returned == [["a"], ["b"], ["c"]]
    assert notes.shown == [["bad1", "bad2"]]
    assert emitted(capsys.readouterr().out) == {("p", "MessagesRedriven"): 3, ("p", "DeadLettersLeft"): 2}


def test_an_empty_queue_is_counted_as_zero_so_that_the_alarm_clears(
    begin: Callable[[str], Notes], capsys: pytest.CaptureFixture[str]
) -> None:
    begin("")

    assert run() == 0

    metrics = emitted(capsys.readouterr().out)
    assert set(metrics) == {("p", "MessagesRedriven"), ("p", "DeadLettersLeft")}
    assert metrics.total() == 0


@pytest.mark.parametrize(("seconds", "returned"), [(SECONDS_NEEDED, 4), (SECONDS_NEEDED - 0.1, 2)])
def test_a_redrive_stops_when_there_is_no_time_for_more(
    begin: Callable[[str], Notes], seconds: float, returned: int
) -> None:
    notes = begin("a b c d bad")

    assert run(seconds) == returned

    assert notes.received == (5 if returned == 4 else 2)
    assert notes.shown == [["bad"] if returned == 4 else []]


def test_a_failed_redrive_makes_all_received_letters_visible(
    begin: Callable[[str], Notes], monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = begin("bad a b c d")

    def fail(queue_url: str, dead_letter_queue_url: str, letters: Iterable[DeadLetter]) -> None:
        notes.redrive(queue_url, dead_letter_queue_url, letters)
        if len(notes.returned) == 2:
            raise TransientError("queue: away")

    monkeypatch.setattr(queues, "redrive", fail)
    with pytest.raises(TransientError):
        run()

    assert notes.returned == [["a"], ["b", "c"]]
    assert notes.shown == [["bad", "b", "c"]]
    assert notes.noted == [(["a"], [])]


def test_poison_is_set_aside_with_its_reason_and_noted_in_the_ledger(begin: Callable[[str], Notes]) -> None:
    notes = begin("poison a bad")

    assert run() == 1

    reason = "poison: 10 attempts ended with a dead worker or an unknown error"
    assert notes.put_aside == [("poison", reason)]
    assert notes.noted == [(["a"], ["poison"]), ([], [])]
    assert notes.shown == [["bad"]]


@pytest.mark.parametrize(
    ("redrives", "hours", "attempts", "becomes"),
    [
        (0, 97, None, "returned"),
        (9, 97, None, "returned"),
        (10, 97, None, "it was returned 10 times, and its job was never begun"),
        # The second message of a job that waits for the model. The first one has begun the job.
        (500, 96, None, "returned"),
        (500, 97, 0, "returned"),
        (0, 1, 9, "returned"),
        (0, 1, 10, "poison: 10 attempts ended with a dead worker or an unknown error"),
    ],
)
def test_poison_and_long_waiting_dead_letters_stay(
    redrives: int, hours: int, attempts: int | None, becomes: str
) -> None:
    sent = int((NOW - timedelta(hours=hours)).timestamp() * 1000)
    one = replace(letter("a"), redrives=redrives, sent_millis=sent)

    found = redrive.sort([one], {} if attempts is None else {"a": attempts}, NOW)

    if becomes == "returned":
        assert found == redrive.Sorted([one], [], [])
    else:
        assert found == redrive.Sorted([], [(one, becomes)], [])


def test_a_dead_letter_with_a_reason_stays_whatever_the_ledger_contains() -> None:
    one = replace(letter("bad"), redrives=10)

    for attempts in ({}, {"bad": 0}, {"bad": 10}):
        assert redrive.sort([one], attempts, NOW) == redrive.Sorted([], [], [one])


def test_the_oldest_are_returned_first() -> None:
    letters = [replace(letter(str(millis)), sent_millis=millis) for millis in (3, 1, 2)]

    assert [each.sent_millis for each in redrive.sort(letters, {}, NOW).to_return] == [1, 2, 3]


def test_each_process_is_redriven_and_an_alarm_gets_the_sum(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    queues_of = {"one": ["q1", "d1"], "broken": ["q2", "d2"], "two": ["q3", "d3"]}
    settings = redrive.Settings.model_validate(
        {"database_secret_arn": "database", "queues": json.dumps(queues_of)}
    )
    monkeypatch.setattr(redrive, "settings", settings)
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "redrive")
    returned = {("one", "q1", "d1"): 2, ("two", "q3", "d3"): 3}
    monkeypatch.setattr(redrive, "redrive", lambda *about: returned[about[:3]])
    # Of the database.
    monkeypatch.setattr(redrive, "count_paused", len)
    monkeypatch.setattr(redrive, "republish_all", lambda *_about: 0)

    with pytest.raises(ExceptionGroup) as raised:
        redrive.handler({}, FakeContext())

    assert raised.group_contains(KeyError)
    assert emitted(capsys.readouterr().out) == {("redrive", "MessagesRedriven"): 5}
    returned["broken", "q2", "d2"] = 0
    assert redrive.handler({}, FakeContext()) == {"one": 2, "broken": 0, "two": 3}


@pytest.mark.parametrize(("names", "lines"), [("", 0), ("a", 1), ("bad", 1)])
def test_a_run_logs_its_result_unless_there_was_nothing_to_do(
    begin: Callable[[str], Notes], monkeypatch: pytest.MonkeyPatch, names: str, lines: int
) -> None:
    begin(names)
    logged: list[str] = []
    monkeypatch.setattr(redrive.logger, "info", lambda text, **_: logged.append(text))

    run()

    assert len(logged) == lines
