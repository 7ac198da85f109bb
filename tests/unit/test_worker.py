"""The loop of every worker: the outcome of each record, with a ledger and queues that record their calls."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from threading import Barrier
from typing import Any, cast

import pytest

from mojodex import circuit, jobs, queues, worker
from mojodex.clock import Deadline
from mojodex.database import Database
from mojodex.errors import InvalidMessageError, NothingToDoError, PermanentError, TransientError
from mojodex.messages import Message
from mojodex.queues import MAX_RECEIVES, RETENTION
from mojodex.spending import Budget, SpendingSettings
from mojodex.worker import Process, WorkerSettings, run_batch
from tests.lambda_events import failed_ids, sqs_record
from tests.metrics import emitted

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
SETTINGS = WorkerSettings(
    queue_url="q", dead_letter_queue_url="d", lease_seconds=150, database_secret_arn="database"
)


class Work(Message):
    """A message that names its subject."""

    name: str

    @property
    def subject(self) -> str:
        return self.name


class WorkOfUser(Work):
    """A message that names its user, too."""

    user_id: str


class Notes:
    """A database, a ledger and queues that record each call."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.begun: list[dict[str, Any]] = []
        self.deliveries: list[jobs.Delivery] = []
        self.attempts = 1
        self.state: str | None = None
        self.expired: Callable[..., dict[tuple[str, str], int]] = lambda *_a, **_o: {}

    def named(self, name: str) -> list[tuple[Any, ...]]:
        return [said[1:] for said in self.calls if said[0] == name]

    @contextmanager
    def session(self) -> Iterator["Notes"]:
        yield self

    def with_db_session(self, act: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        return act(self, *arguments, **options)

    def with_db_session_patiently(self, _deadline: Deadline, act: Callable[..., Any]) -> None:
        act(self)

    def commit(self) -> None:
        self.calls.append(("commit",))

    def begin(self, _session: Any, delivery: jobs.Delivery, **key: Any) -> Any:
        self.begun.append(key)
        self.deliveries.append(delivery)
        if self.state:
            return self.state
        return jobs.Job(
            *(key[name] for name in ("process", "subject", "occasion")),
            lease=key["now"],
            attempts=self.attempts,
            queued_at=NOW,
            open_circuits=frozenset({"gpt"}),
        )

    def release(self, _session: Any, job: jobs.Job, error: Exception, *, counts: bool, now: datetime) -> None:
        self.calls.append(("release", job.subject, error, counts, now))

    def finish(self, _session: Any, job: jobs.Job, state: str, outcome: Any, *, now: datetime) -> None:
        self.calls.append(("finish", job.subject, state, outcome, now))

    def report_error(self, _session: Any, *about: Any) -> None:
        self.calls.append(("report", *about))

    def retry_later(self, url: str, record: Any, seconds: int) -> None:
        self.calls.append(("retry", url, record["messageId"], seconds))

    def dead_letter(self, url: str, record: Any, reason: str) -> None:
        self.calls.append(("dead letter", url, record["messageId"], reason))

    def delete(self, url: str, records: Any) -> None:
        self.calls.append(("delete", url, [record["messageId"] for record in records]))


@pytest.fixture
def notes(monkeypatch: pytest.MonkeyPatch) -> Notes:
    notes = Notes()
    for name in ("begin", "release", "finish", "report_error"):
        monkeypatch.setattr(jobs, name, getattr(notes, name))
    monkeypatch.setattr(jobs, "expired_leases", lambda *a, **o: notes.expired(*a, **o))
    for name in ("retry_later", "dead_letter", "delete"):
        monkeypatch.setattr(queues, name, getattr(notes, name))
    monkeypatch.setattr(queues, "back_off_seconds", lambda receives, after=None: (receives, after))
    monkeypatch.setattr(worker, "utc_now", lambda: NOW)
    return notes


class Context:
    """A context whose remaining time stays the same."""

    function_name = "function"
    aws_request_id = "request"

    def __init__(self, seconds: float = 100) -> None:
        self._millis = int(seconds * 1000)

    def get_remaining_time_in_millis(self) -> int:
        return self._millis


def record(name: str = "a", receives: int = 1) -> dict[str, Any]:
    return sqs_record(json.dumps({"name": name}), receive_count=receives)


def work(
    notes: Notes,
    run: Callable[[Work, jobs.Job, Deadline], str | None],
    *records: dict[str, Any],
    context: Any = None,
    **options: Any,
) -> Any:
    process = Process("p", Work, 10, run, **options)
    event = {"Records": list(records) or [record()]}
    return run_batch(event, context or Context(), process, cast(Database, notes), SETTINGS)


def raising(error: Exception) -> Callable[..., None]:
    def run(*_: Any) -> None:
        raise error

    return run


def test_a_job_is_begun_with_its_key_and_its_message(
    notes: Notes, capsys: pytest.CaptureFixture[str]
) -> None:
    one = record()

    assert work(notes, lambda *_: None, one, occasion=lambda message, _sent: f"of {message.name}") == {
        "batchItemFailures": []
    }

    assert notes.begun == [
        {
            **{"process": "p", "subject": "a", "occasion": "of a", "now": NOW, "lease_seconds": 150},
            **{"user_id": None, "user_of": "NULL"},
        }
    ]
    assert [delivery.message_id for delivery in notes.deliveries] == [one["messageId"]]
    assert notes.calls == []
    assert {name for _, name in emitted(capsys.readouterr().out)} == {"JobsDone"}


def test_a_job_is_begun_with_the_user_that_its_message_names(notes: Notes) -> None:
    process = Process("p", WorkOfUser, 10, lambda *_: None)
    event = {"Records": [sqs_record(json.dumps({"name": "a", "user_id": "ann"}))]}

    run_batch(event, Context(), process, cast(Database, notes), SETTINGS)

    assert notes.begun[0]["user_id"] == "ann"


def test_a_job_is_begun_with_the_query_that_finds_its_user(notes: Notes) -> None:
    work(notes, lambda *_: None, user_of="(SELECT 'ann')")

    assert (notes.begun[0]["user_id"], notes.begun[0]["user_of"]) == (None, "(SELECT 'ann')")


def test_work_has_one_occasion_unless_its_process_defines_more(notes: Notes) -> None:
    work(notes, lambda *_: None)

    assert notes.begun[0]["occasion"] == ""


def test_a_message_can_be_delivered_again_until_its_retention_ends(notes: Notes) -> None:
    one = record(receives=MAX_RECEIVES)

    work(notes, lambda *_: None, one)

    sent = datetime.fromtimestamp(int(one["attributes"]["SentTimestamp"]) / 1000, UTC)
    assert notes.deliveries == [jobs.Delivery(one["messageId"], sent + RETENTION)]


@pytest.mark.parametrize("state", ["done", "failed"])
def test_a_finished_job_is_not_run_again(
    notes: Notes, state: str, capsys: pytest.CaptureFixture[str]
) -> None:
    notes.state = state

    assert work(notes, raising(AssertionError())) == {"batchItemFailures": []}
    assert {name for _, name in emitted(capsys.readouterr().out)} == {"JobsRepeated"}


@pytest.mark.parametrize(("word", "metric"), [(None, "JobsDone"), ("continued", "JobsContinued")])
def test_the_result_of_a_job_selects_its_metric(
    notes: Notes, word: str | None, metric: str, capsys: pytest.CaptureFixture[str]
) -> None:
    work(notes, lambda *_: word)

    assert {name for _, name in emitted(capsys.readouterr().out)} == {metric}


def test_a_permanent_error_fails_the_job_and_is_reported_to_mojodex(
    notes: Notes, capsys: pytest.CaptureFixture[str]
) -> None:
    assert work(notes, raising(PermanentError("refused"))) == {"batchItemFailures": []}

    assert notes.calls == [
        ("finish", "a", "failed", {"reason": "refused"}, NOW),
        ("report", "p", "a", "", "refused", NOW),
        ("commit",),
    ]
    assert {name for _, name in emitted(capsys.readouterr().out)} == {"JobsFailed"}


def test_a_job_without_work_is_skipped_and_not_reported(
    notes: Notes, capsys: pytest.CaptureFixture[str]
) -> None:
    assert work(notes, raising(NothingToDoError("deleted"))) == {"batchItemFailures": []}

    assert notes.calls == [("finish", "a", "skipped", {"reason": "deleted"}, NOW), ("commit",)]
    assert {name for _, name in emitted(capsys.readouterr().out)} == {"JobsSkipped"}


def test_a_message_about_a_missing_object_is_skipped_and_becomes_a_dead_letter(
    notes: Notes, capsys: pytest.CaptureFixture[str]
) -> None:
    one = record()

    assert work(notes, raising(InvalidMessageError("there is no a")), one) == {"batchItemFailures": []}

    assert notes.calls == [
        ("finish", "a", "skipped", {"reason": "there is no a"}, NOW),
        ("commit",),
        ("dead letter", "d", one["messageId"], "there is no a"),
    ]
    assert {name for _, name in emitted(capsys.readouterr().out)} == {"MessagesInvalid"}


@pytest.mark.parametrize(
    ("error", "counts", "delay"),
    [
        (TransientError("away", retry_after=7), False, (3, 7)),
        (TransientError("too long", counts=True), True, (3, None)),
        (KeyError("x"), True, (3, None)),
    ],
    ids=["transient", "transient that counts", "unknown"],
)
def test_any_other_error_releases_the_job_and_retries_the_message(
    notes: Notes,
    error: Exception,
    delay: tuple[int, int | None],
    capsys: pytest.CaptureFixture[str],
    *,
    counts: bool,
) -> None:
    one = record(receives=3)

    assert failed_ids(work(notes, raising(error), one)) == {one["messageId"]}

    assert notes.calls == [("release", "a", error, counts, NOW), ("retry", "q", one["messageId"], delay)]
    assert {name for _, name in emitted(capsys.readouterr().out)} == {"MessagesReturned"}


@pytest.mark.parametrize("broken", ["release", "retry_later"])
def test_a_message_is_retried_by_its_own_error_even_if_releasing_the_job_fails(
    notes: Notes, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    owner = jobs if broken == "release" else queues
    monkeypatch.setattr(owner, broken, raising_any(TransientError("away", retry_after=99)))
    one, first = record(), KeyError("first")

    assert failed_ids(work(notes, raising(first), one)) == {one["messageId"]}

    told = {
        "release": ("retry", "q", one["messageId"], (1, None)),
        "retry_later": ("release", "a", first, True, NOW),
    }
    assert notes.calls == [told[broken]]


def raising_any(error: Exception) -> Callable[..., None]:
    def act(*_: Any, **__: Any) -> None:
        raise error

    return act


def test_a_job_with_too_many_attempts_fails_without_being_run(notes: Notes) -> None:
    notes.attempts = jobs.MAX_ATTEMPTS + 1

    work(notes, raising(AssertionError()))

    reason = "gave up after 20 attempts"
    expected = {"reason": reason, "attempts_exhausted": True}
    assert notes.named("finish") == [("a", "failed", expected, NOW)]
    assert notes.named("report") == [("p", "a", "", reason, NOW)]


def test_the_last_attempt_is_run(notes: Notes) -> None:
    notes.attempts = jobs.MAX_ATTEMPTS
    ran: list[str] = []

    work(notes, lambda message, *_: ran.append(message.name))

    assert ran == ["a"]


def test_the_result_of_a_cleanup_is_in_the_outcome(notes: Notes) -> None:
    def cleanup(session: Any, job: jobs.Job, state: str, reason: str) -> dict[str, Any]:
        assert session is notes
        return {"cleaned": f"{job.subject} {state} {reason}"}

    work(notes, raising(PermanentError("refused")), cleanup=cleanup)

    assert notes.named("finish")[0][2] == {"reason": "refused", "cleaned": "a failed refused"}


def test_a_record_is_begun_only_with_enough_time_left(notes: Notes) -> None:
    # A deadline keeps a reserve.
    reserve = -Deadline(lambda: 0).seconds_left()
    ran: list[str] = []
    assert work(notes, lambda m, *_: ran.append(m.name), context=Context(10 + reserve)) == {
        "batchItemFailures": []
    }
    one = record("b")

    response = work(notes, lambda m, *_: ran.append(m.name), one, context=Context(9.9 + reserve))

    assert failed_ids(response) == {one["messageId"]}
    assert ran == ["a"]
    assert [key["subject"] for key in notes.begun] == ["a"]
    assert notes.calls == [("retry", "q", one["messageId"], (1, 1))]


def test_all_records_of_a_batch_run_at_once(notes: Notes) -> None:
    together = Barrier(10, timeout=20)

    response = work(notes, lambda *_: together.wait() and None, *(record(str(n)) for n in range(10)))

    assert response == {"batchItemFailures": []}


def test_open_circuits_are_read_from_the_ledger_before_the_work(notes: Notes) -> None:
    circuits = circuit.Circuits(cast(Database, notes))
    known: list[bool] = []

    work(
        notes,
        lambda *_: known.append("gpt" in circuits._open),
        budget=Budget(cast(Database, notes), SpendingSettings(), circuits),
    )

    assert known == [True]


def test_only_redelivered_records_are_looked_up(notes: Notes) -> None:
    asked: list[Any] = []

    def expired(_session: Any, process: str, keys: Any, **lease: Any) -> dict[tuple[str, str], int]:
        asked.append((process, list(keys), lease))
        return {}

    notes.expired = expired
    work(notes, lambda *_: None, record("a"), record("b", 2), record("c", 3))
    work(notes, lambda *_: None, record("a"))

    assert asked == [("p", [("b", ""), ("c", "")], {"now": NOW, "lease_seconds": 150})]


def test_suspects_run_one_by_one_after_finished_messages_are_deleted(notes: Notes) -> None:
    notes.expired = lambda *_a, **_o: {("worst", ""): 3, ("victim", ""): 1}
    records = [record("worst", 2), record("fails", 2), record("victim", 2), record("new")]
    order: list[str] = []

    def run(message: Work, *_: Any) -> None:
        order.append(message.name)
        if message.name == "fails":
            raise TransientError("away")

    response = work(notes, run, *records)

    assert failed_ids(response) == {records[1]["messageId"]}
    assert set(order[:2]) == {"fails", "new"}
    assert order[2:] == ["victim", "worst"]
    deleted = [("q", [records[3]["messageId"]]), ("q", [records[2]["messageId"]])]
    assert notes.named("delete") == deleted


def test_a_deletion_that_fails_stops_nothing(notes: Notes, monkeypatch: pytest.MonkeyPatch) -> None:
    notes.expired = lambda *_a, **_o: {("suspect", ""): 1}
    monkeypatch.setattr(queues, "delete", raising_any(TransientError("away")))
    ran: list[str] = []

    response = work(notes, lambda m, *_: ran.append(m.name), record("suspect", 2), record("new"))

    assert response == {"batchItemFailures": []}
    assert ran == ["new", "suspect"]


@pytest.mark.parametrize("error", [TransientError("away"), KeyError("x")], ids=["transient", "unknown"])
def test_suspects_that_cannot_be_looked_up_run_like_the_others(notes: Notes, error: Exception) -> None:
    notes.expired = raising_any(error)
    together = Barrier(2, timeout=20)

    response = work(notes, lambda *_: together.wait() and None, record("a", 2), record("b", 2))

    assert response == {"batchItemFailures": []}


def test_a_suspect_whose_occasion_cannot_be_read_runs_like_the_others(notes: Notes) -> None:
    read: list[str] = []

    def occasion(message: Work, _sent: datetime) -> str:
        read.append(message.name)
        if len(read) == 1:
            raise KeyError("the database is away")
        return ""

    assert work(notes, lambda *_: None, record("a", 2), occasion=occasion) == {"batchItemFailures": []}
    assert read == ["a", "a"]


def test_an_invalid_message_becomes_a_dead_letter_with_its_reason_and_begins_no_job(notes: Notes) -> None:
    one = sqs_record('{"name": 7}', receive_count=2)

    assert work(notes, raising(AssertionError()), one) == {"batchItemFailures": []}

    ((url, message_id, reason),) = notes.named("dead letter")
    assert (url, message_id) == ("d", one["messageId"])
    assert reason == "name: Input should be a valid string"
    assert notes.begun == []


def test_the_reason_for_a_message_that_is_not_an_object_names_the_message(notes: Notes) -> None:
    work(notes, raising(AssertionError()), sqs_record("[]"))

    assert notes.named("dead letter")[0][2].startswith("message: ")


def test_a_reason_is_short_and_has_only_characters_that_sqs_accepts(notes: Notes) -> None:
    fields = {f"\x07{n}": 1 for n in range(100)}

    work(notes, raising(AssertionError()), sqs_record(json.dumps(fields)))

    reason = notes.named("dead letter")[0][2]
    assert len(reason) == 1000
    assert "?99: Extra" in reason or "?0: Extra" in reason
    assert reason.isprintable()


def test_a_message_that_cannot_be_moved_to_the_dead_letters_is_retried(
    notes: Notes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queues, "dead_letter", raising_any(TransientError("away")))
    one = sqs_record("{oops")

    assert failed_ids(work(notes, raising(AssertionError()), one)) == {one["messageId"]}
    assert notes.named("retry") == [("q", one["messageId"], (1, None))]


def test_a_log_line_names_the_job_and_an_unknown_error_with_its_place(
    notes: Notes, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: dict[str, dict[str, Any]] = {}
    for level in ("info", "warning", "error"):
        monkeypatch.setattr(worker.logger, level, lambda text, extra: lines.update({text: extra}))
    one = record("a")

    work(notes, lambda *_: None, one)
    work(notes, raising(KeyError("words of a user")), one)

    about = {"message_id": one["messageId"], "subject": "a", "occasion": ""}
    assert lines["job ended"] == about | {"state": "done"}
    unknown = lines["unknown error, message is retried"]
    assert {name: unknown[name] for name in about} == about
    assert unknown["error"] == "KeyError"
    assert "in run" in "".join(unknown["where"])
    assert "lease expired, job is taken over" not in lines
