"""The loop of the redrive: what is returned, what is shown again, and when it stops."""

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from maintenance import redrive
from mojodex import queues
from mojodex.clock import RESERVE_SECONDS, Deadline
from mojodex.errors import TransientError
from mojodex.queues import DeadLetter
from mojodex.schedule import SECONDS_NEEDED
from tests.metrics import emitted


def letter(name: str) -> DeadLetter:
    return DeadLetter(name, f"r-{name}", name, 0, 0, None, "bad" if name.startswith("bad") else None)


class Notes:
    """Queues with these dead letters; notes what is done to them."""

    def __init__(self, names: str) -> None:
        self.letters = [letter(name) for name in names.split()]
        self.returned: list[list[str]] = []
        self.shown: list[list[str]] = []
        self.received = 0

    @contextmanager
    def session(self) -> Iterator[None]:
        yield

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
    """Put letters into the dead-letter queue; two are looked at together, and those named bad are left."""

    def sort(_session: Any, letters: Collection[DeadLetter]) -> redrive.Sorted:
        return redrive.Sorted(
            [each for each in letters if not each.reason], [each for each in letters if each.reason]
        )

    def begin(names: str) -> Notes:
        notes = Notes(names)
        monkeypatch.setattr(redrive, "database", notes)
        for name in ("dead_letters", "redrive", "show"):
            monkeypatch.setattr(queues, name, getattr(notes, name))
        return notes

    monkeypatch.setattr(redrive, "sort", sort)
    monkeypatch.setattr(redrive, "LETTERS_AT_ONCE", 2)
    return begin


def run(seconds: float = 100) -> int:
    millis = int(1000 * (seconds + RESERVE_SECONDS))
    return redrive.redrive("p", "q", "d", Deadline(lambda: millis))


def test_all_are_looked_at_some_at_a_time_and_what_is_left_is_shown_at_the_end(
    begin: Callable[[str], Notes], capsys: pytest.CaptureFixture[str]
) -> None:
    notes = begin("a bad1 bad2 b c")

    assert run() == 3

    assert notes.returned == [["a"], ["b"], ["c"]]
    assert notes.shown == [["bad1", "bad2"]]
    assert emitted(capsys.readouterr().out) == {("p", "MessagesRedriven"): 3, ("p", "DeadLettersLeft"): 2}


def test_an_empty_queue_says_that_it_is_empty_so_that_the_alarm_ends(
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


def test_a_redrive_that_fails_shows_all_that_it_has_received(
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
