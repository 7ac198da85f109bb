"""The order in which a mail is marked, sent and saved, with a ledger and an SES that record their calls."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from events.mail import delivery, ses
from events.mail.delivery import SECONDS_NEEDED, Mail, check_not_begun, deliver
from events.mail.mime import EmailSettings, Rendered, Unsubscribe
from events.mail.ses import NotKnownIfSentError
from mojodex import feedback, jobs, mail_ledger, unsubscribing
from mojodex.circuit import Circuits
from mojodex.clock import RESERVE_SECONDS, Deadline
from mojodex.database import Database
from mojodex.errors import OPERATOR_SECONDS, PermanentError, TransientError
from tests.metrics import emitted

NOW = datetime(2026, 12, 1, 8, tzinfo=UTC)
SETTINGS = EmailSettings(
    email_sender="mojo@example.org",
    ses_configuration_set="mails",
    mojodex_webapp_uri="https://app.example.org",
)
MAIL = Mail(
    user_id="user-1",
    md_event_type="todo_daily_emails",
    to_name="Ada",
    to_address="ada@example.org",
    event_type="todo_daily_emails",
    unsubscribe=Unsubscribe("https://app.example.org/u?token=t"),
    rendered=Rendered("Today", "<p>Two things.</p>", "Two things."),
    outcome={"todos": 2},
    kept={"words": "paid for"},
)
JOB = jobs.Job("events", "user-1 todo_daily_emails", "2026-12-01", NOW, 1, NOW)
SENT = {"sending_since": NOW.isoformat()}


class Notes:
    """A database, a ledger, circuits and SES that record their calls in order."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.raw = b""
        self.send_error: Exception | None = None
        self.is_open = False

    def with_db_session(self, act: Callable[..., Any], *arguments: Any) -> Any:
        return act(self, *arguments)

    def with_db_session_patiently(self, _deadline: Deadline, act: Callable[..., Any], *arguments: Any) -> Any:
        return act(self, *arguments)

    def add(self, event: Any) -> None:
        self.calls.append(("add", event.event_type, event.user_id, event.message, event.creation_date))

    def commit(self) -> None:
        self.calls.append(("commit",))

    def save_progress(self, _session: Any, _job: jobs.Job, progress: Any) -> None:
        self.calls.append(("keep", progress))

    def finish(self, _session: Any, _job: jobs.Job, state: str, outcome: Any, *, now: datetime) -> None:
        self.calls.append(("finish", state, outcome, now))

    def remember(self, _session: Any, *about: Any) -> None:
        self.calls.append(("remember", *about))

    def record(self, _session: Any, mails: list[feedback.Mail]) -> None:
        self.calls.append(("record", *mails))

    def send(self, _settings: Any, raw: bytes, *, to_address: str, job: str) -> str:
        self.raw = raw
        self.calls.append(("send", to_address, job))
        if self.send_error:
            raise self.send_error
        return "ses-1"

    def allows(self, provider: str) -> bool:
        assert provider == "SES"
        return not self.is_open

    def succeeded(self, provider: str) -> None:
        self.calls.append(("succeeded", provider))

    def failed(self, provider: str, reason: str, **probe: float) -> None:
        self.calls.append(("failed", provider, reason, *probe.values()))


@pytest.fixture
def notes(monkeypatch: pytest.MonkeyPatch) -> Notes:
    notes = Notes()
    monkeypatch.setattr(jobs, "save_progress", notes.save_progress)
    monkeypatch.setattr(jobs, "finish", notes.finish)
    monkeypatch.setattr(unsubscribing, "remember", notes.remember)
    monkeypatch.setattr(mail_ledger, "record", notes.record)
    monkeypatch.setattr(ses, "send", notes.send)
    monkeypatch.setattr(delivery, "utc_now", lambda: NOW)
    return notes


def send(notes: Notes, seconds: float = 100, mail: Mail = MAIL) -> None:
    millis = int(1000 * (seconds + RESERVE_SECONDS))
    circuits, database = cast(Circuits, notes), cast(Database, notes)
    deliver(database, circuits, SETTINGS, mail, JOB, Deadline(lambda: millis))


SENT_MAIL = feedback.Mail(
    "ses-1",
    NOW,
    user_id="user-1",
    address="ada@example.org",
    job="2026-12-01-events-user-1-todo_daily_emails",
)
SEND = ("send", "ada@example.org", "2026-12-01-events-user-1-todo_daily_emails")


def test_a_mail_is_marked_then_sent_then_saved_with_its_event(
    notes: Notes, capsys: pytest.CaptureFixture[str]
) -> None:
    send(notes)

    content = {"subject": "Today", "body": "Two things.", "email": "ada@example.org"}
    assert notes.calls == [
        ("keep", SENT),
        SEND,
        ("succeeded", "SES"),
        ("add", "todo_daily_emails", "user-1", content, NOW),
        ("record", SENT_MAIL),
        ("finish", "done", {"ses_message_id": "ses-1", "todos": 2}, NOW),
        ("commit",),
    ]
    assert {name for _, name in emitted(capsys.readouterr().out)} == {"EmailsSent"}
    for part in (b"To: Ada <ada@example.org>", b"<https://app.example.org/u?token=t>", b"01 Dec 2026 08:00"):
        assert part in notes.raw.replace(b"\r\n ", b" ")


def test_an_unsubscribe_link_is_saved_with_its_user_before_the_mail_is_sent(notes: Notes) -> None:
    ours = Unsubscribe("https://api.example.org/unsubscribe?token=t.s", "t")

    send(notes, mail=replace(MAIL, unsubscribe=ours))

    assert notes.calls[:3] == [("remember", "t", "user-1", "todo_daily_emails", NOW), ("keep", SENT), SEND]
    assert b"List-Unsubscribe: <https://api.example.org/unsubscribe?token=t.s>" in notes.raw


def test_a_mail_is_not_sent_while_ses_is_away_and_the_paid_answer_is_kept(notes: Notes) -> None:
    notes.is_open = True

    with pytest.raises(TransientError, match="circuit") as raised:
        send(notes)

    assert raised.value.retry_after is None
    assert notes.calls == [("keep", MAIL.kept)]


def test_a_mail_is_sent_only_with_enough_time_left(notes: Notes) -> None:
    send(notes, SECONDS_NEEDED)
    assert SEND in notes.calls
    notes.calls.clear()

    with pytest.raises(TransientError) as raised:
        send(notes, SECONDS_NEEDED - 0.1)

    assert raised.value.retry_after == 1
    assert notes.calls == [("keep", MAIL.kept)]


@pytest.mark.parametrize(
    ("error", "opens", "metrics"),
    [
        (TransientError("SES is not available"), True, set()),
        (TransientError("paused", retry_after=OPERATOR_SECONDS), True, {"EmailsHeldBack"}),
        (ses.ThrottledError("SES is busy"), False, set()),
    ],
    ids=["away", "operator", "busy"],
)
def test_a_mail_that_was_not_sent_replaces_its_mark_with_the_paid_answer(
    notes: Notes,
    error: TransientError,
    metrics: set[str],
    capsys: pytest.CaptureFixture[str],
    *,
    opens: bool,
) -> None:
    notes.send_error = error

    with pytest.raises(TransientError) as raised:
        send(notes)

    assert raised.value is error
    told = [("failed", "SES", str(error))] if opens else []
    assert notes.calls == [("keep", SENT), SEND, *told, ("keep", MAIL.kept)]
    assert {name for _, name in emitted(capsys.readouterr().out)} == metrics


def test_a_mail_that_ses_refuses_keeps_its_mark_and_does_not_touch_the_circuit(notes: Notes) -> None:
    notes.send_error = PermanentError("refused")

    with pytest.raises(PermanentError):
        send(notes)

    assert notes.calls == [("keep", SENT), SEND]


def test_a_mail_that_may_have_been_sent_keeps_its_mark_and_opens_the_circuit_longer(notes: Notes) -> None:
    """While SES does not answer, each further mail may be lost."""
    notes.send_error = NotKnownIfSentError("no answer")

    with pytest.raises(NotKnownIfSentError):
        send(notes)

    assert notes.calls == [("keep", SENT), SEND, ("failed", "SES", "no answer", 300)]


@pytest.mark.parametrize("progress", [None, {}, {"words": "paid for"}])
def test_a_mail_without_a_mark_may_be_sent(progress: Any) -> None:
    check_not_begun(replace(JOB, progress=progress))


def test_a_mail_with_a_mark_is_never_sent_again() -> None:
    with pytest.raises(NotKnownIfSentError):
        check_not_begun(replace(JOB, progress=SENT))
