"""The daily to-do e-mail on a real database: due users, its content, and at most one mail a day."""

import json
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from email.message import EmailMessage
from typing import Any

import pytest
import time_machine
from itsdangerous import URLSafeSerializer

import events.mail.delivery
from events.daily_email.wording import ENGLISH, words_for
from mojodex import jobs
from mojodex.errors import TransientError
from mojodex.queues import MAX_RECEIVES
from tests.fake_model import FakeModel, Reply, prompt_of
from tests.fake_ses import (
    CLOSE,
    TAKE_AND_CLOSE,
    TAKEN,
    THROTTLED,
    Answer,
    FakeSes,
)
from tests.integration.conftest import Bundle
from tests.lambda_events import FakeContext, failed_ids, sqs_event, sqs_record
from tests.mails import check_mail, joined, text_of
from tests.mojodex import Mojodex

# A Tuesday, 08:30 UTC.
NOW = datetime(2026, 12, 1, 8, 30, tzinfo=UTC)
TODAY, YESTERDAY = NOW.date(), NOW.date() - timedelta(days=1)
THURSDAY = date(2026, 12, 3)


def words(*lines: tuple[str, str], **changes: Any) -> Reply:
    """Return an answer of the model."""
    said = {
        "subject": "Your Tuesday",
        "greeting": "Good morning, Ann!",
        "intro": "A calm day.",
        "lines": [{"id": name, "line": line} for name, line in lines],
        "closing": "Enjoy it.",
    }
    return Reply(said | changes)


@pytest.fixture(autouse=True)
def morning() -> Iterator[None]:
    with time_machine.travel(NOW):
        yield


@pytest.fixture
def bundle(make_bundle: Any, ses: FakeSes) -> Bundle:
    return make_bundle("events")


@pytest.fixture
def model(model: FakeModel) -> FakeModel:
    model.answers(words())
    return model


def user_with(mojodex: Mojodex, *todos: str, day: date = TODAY, **user: Any) -> str:
    """Add a user with open to-dos for today, or for `day`."""
    user_id = mojodex.user(**user)
    execution = mojodex.execution("x", user_id=user_id, extracted=True)
    for todo in todos:
        mojodex.scheduled(execution, todo, day, moved_at=NOW - timedelta(days=9))
    return user_id


def send(bundle: Bundle, *user_ids: str, day: date | None = TODAY) -> Any:
    when = {"local_date": day.isoformat()} if day else {}
    return bundle.work(
        *({"event_type": "todo_daily_emails", "user_id": user_id, **when} for user_id in user_ids)
    )


def job(mojodex: Mojodex, user_id: str) -> Any:
    return mojodex.job(f"todo_daily_emails:{user_id}", "events")


def only_mail(ses: FakeSes) -> EmailMessage:
    ((_, raw),) = ses.mails
    return check_mail(raw)


# Due users.


def test_a_user_with_something_for_today_is_due_once(bundle: Bundle, mojodex: Mojodex) -> None:
    user_id = user_with(mojodex, "Call Bob")

    assert bundle.schedule() == 1
    assert bundle.queued() == [
        {"event_type": "todo_daily_emails", "user_id": user_id, "local_date": "2026-12-01"}
    ]
    assert bundle.schedule() == 0


def test_users_without_a_reason_or_outside_of_their_morning_are_not_due(
    bundle: Bundle, mojodex: Mojodex
) -> None:
    user_with(mojodex)
    user_with(mojodex, "Later", day=THURSDAY)
    user_with(mojodex, "Opted out", wants_email=False)
    user_with(mojodex, "An hour too early", timezone_offset=60)
    user_with(mojodex, "Three hours late", timezone_offset=-180)
    mojodex.run("UPDATE md_todo SET completed = now() WHERE description = :d", d="Done")

    assert bundle.schedule() == 0


@pytest.mark.parametrize("late", [0, 1, 2])
def test_a_user_missed_in_an_outage_is_due_up_to_two_hours_later(
    bundle: Bundle, mojodex: Mojodex, late: int
) -> None:
    user_with(mojodex, "Call Bob", timezone_offset=-60 * late)

    assert bundle.schedule() == 1


@pytest.mark.parametrize("day", [date(2026, 12, 5), date(2026, 12, 6)])
def test_nobody_is_due_at_the_weekend(bundle: Bundle, mojodex: Mojodex, day: date) -> None:
    user_with(mojodex, "Call Bob")

    with time_machine.travel(datetime(day.year, day.month, day.day, 8, 30, tzinfo=UTC)):
        assert bundle.schedule() == 0


def test_overdue_and_moved_todos_make_a_user_due(bundle: Bundle, mojodex: Mojodex) -> None:
    # On a Tuesday, moves count since Monday began.
    overdue = user_with(mojodex, "Overdue", day=YESTERDAY)
    moved, moved_long_ago, first_planned = (user_with(mojodex) for _ in range(3))
    for user_id, at, dates in (
        (moved, NOW - timedelta(hours=30), (YESTERDAY, THURSDAY)),
        (moved_long_ago, NOW - timedelta(hours=33), (YESTERDAY, THURSDAY)),
        (first_planned, NOW - timedelta(hours=3), (THURSDAY,)),
    ):
        execution = mojodex.run(
            "SELECT user_task_execution_pk FROM md_user_task_execution JOIN md_user_task"
            " ON user_task_pk = user_task_fk WHERE user_id = :u",
            u=user_id,
        )
        mojodex.scheduled(execution, "x", *dates, moved_at=at)

    bundle.schedule()

    assert {body["user_id"] for body in bundle.queued()} == {overdue, moved}


def test_a_setting_sends_empty_mails(
    make_bundle: Any, ses: FakeSes, mojodex: Mojodex, model: FakeModel
) -> None:
    user_id = user_with(mojodex)
    bundle = make_bundle("events", send_empty_todo_emails=True)

    assert bundle.schedule() == 1
    bundle.work(*bundle.queued())

    assert job(mojodex, user_id).state == "done"
    assert len(ses.mails) == 1


@pytest.mark.parametrize("due", [1, 9, 10, 19, 20, 21, 41])
@pytest.mark.parametrize("offset", [0, None])
def test_all_due_users_are_published_whatever_their_number(
    bundle: Bundle, mojodex: Mojodex, monkeypatch: pytest.MonkeyPatch, due: int, offset: int | None
) -> None:
    monkeypatch.setattr("events.daily_email.audience.USERS_PER_PAGE", 20)
    for n in range(due):
        user_with(mojodex, "Call Bob", timezone_offset=0 if n % 3 else offset)

    assert bundle.schedule() == due
    bodies = bundle.queued()
    assert len({body["user_id"] for body in bodies}) == len(bodies) == due


# Content.


def test_the_mail_lists_the_todos_of_today_and_the_moved_ones(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel, ses: FakeSes
) -> None:
    user_id = user_with(mojodex, "Call Bob", "Write to Ann")
    execution = mojodex.run("SELECT max(user_task_execution_pk) FROM md_user_task_execution")
    mojodex.run("UPDATE md_user_task_execution SET title = 'Harbour Lane'")
    mojodex.scheduled(execution, "Book the room", date(2026, 11, 27), moved_at=NOW - timedelta(days=3))
    mojodex.scheduled(execution, "Pay the bill", YESTERDAY, THURSDAY, moved_at=NOW - timedelta(hours=6))
    mojodex.scheduled(execution, "Moved to today", YESTERDAY, TODAY, moved_at=NOW - timedelta(hours=6))
    mojodex.scheduled(execution, "Done already", TODAY, completed=True)
    mojodex.scheduled(execution, "Another day", THURSDAY)
    model.answers(words(("t1", "Friday was tight."), ("t2", "Bob is in."), ("t3", "Short and sweet.")))

    assert send(bundle, user_id) == {"batchItemFailures": []}

    mail = only_mail(ses)
    said = text_of(mail)
    assert mail["subject"] == "Your Tuesday"
    assert mail["to"] == f"Ann Archer <{user_id}@example.com>"
    assert mail["from"] == "Mojo <mojo@example.com>"
    order = [
        *("Good morning, Ann!", "A calm day.", ENGLISH.today.upper()),
        *("Book the room", "Planned for Friday, November 27", "Friday was tight.", "Harbour Lane"),
        *("Call Bob", "Bob is in.", "Write to Ann", "Short and sweet.", "Moved to today", ENGLISH.line(3)),
        *(ENGLISH.moved.upper(), "Pay the bill", "Moved to Thursday, December 3", "Reason 1."),
        *("Enjoy it.", "https://app.example.com"),
    ]
    places = [said.index(part) for part in order]
    assert places == sorted(places)
    assert "Done already" not in said
    assert "Another day" not in said
    (request,) = ses.requests
    assert request["ConfigurationSetName"] == "mojodex"
    assert request["EmailTags"] == [
        {"Name": "job", "Value": f"2026-12-01-events-todo_daily_emails-{user_id}"}
    ]


def test_the_event_and_the_job_record_the_sent_mail(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel, ses: FakeSes
) -> None:
    user_id = user_with(mojodex, "Call Bob")

    send(bundle, user_id)

    (event,) = mojodex.rows("SELECT * FROM md_event")
    assert (event.event_type, event.user_id) == ("todo_daily_email", user_id)
    assert event.message["subject"] == "Your Tuesday"
    assert event.message["email"] == f"{user_id}@example.com"
    assert "Call Bob" in event.message["body"]
    done = job(mojodex, user_id)
    assert (done.state, done.occasion) == ("done", "2026-12-01")
    assert done.outcome == {"ses_message_id": "id-1", "todos": 1, "moved": 0, "worded_by": "model"}


@pytest.mark.parametrize(
    ("lines", "shown", "hidden"),
    [
        ([], (), ()),
        ([("t1", "First."), ("t2", "Second.")], ("First.", "Second."), ()),
        ([("t1", "First."), ("t3", "Buy a yacht.")], ("First.",), ("yacht",)),
        ([("t1", "First."), ("t1", "Again.")], (), ("First.", "Again.")),
        ([("t1", ""), ("t2", "Second.")], ("Second.",), ()),
        ([(None, "Nowhere."), ("t2", None)], (), ("Nowhere.",)),
        ([("T1", "Capital."), (" t1", "Space.")], (), ("Capital.", "Space.")),
    ],
)
def test_each_todo_is_in_the_mail_once_whatever_the_model_answers(
    bundle: Bundle,
    mojodex: Mojodex,
    model: FakeModel,
    ses: FakeSes,
    lines: Any,
    shown: tuple[str, ...],
    hidden: tuple[str, ...],
) -> None:
    user_id = user_with(mojodex, "Call Bob", "Write to Ann")
    model.answers(words(*lines))

    send(bundle, user_id)

    said = text_of(only_mail(ses))
    assert said.count("Call Bob") == said.count("Write to Ann") == 1
    assert all(said.count(line) == 1 for line in shown)
    assert not any(line in said for line in hidden)
    ours = [ENGLISH.line(0) in said, ENGLISH.line(1) in said]
    assert sum(ours) == 2 - len(shown)
    assert len(model.calls) == 1


@pytest.mark.parametrize("language", ["en", "fr", "fr-CA", "de", "es-AR", "it", None])
def test_if_the_model_fails_permanently_the_mail_has_our_own_words(
    bundle: Bundle,
    mojodex: Mojodex,
    model: FakeModel,
    ses: FakeSes,
    capsys: pytest.CaptureFixture[str],
    language: str | None,
) -> None:
    user_id = user_with(mojodex, "Call Bob", language=language)
    model.answers(Reply(refusal="No."))

    send(bundle, user_id)

    ours = words_for(language)
    mail = only_mail(ses)
    assert mail["subject"] == ours.subject(1, 0)
    assert joined(ours.closing) in text_of(mail)
    assert job(mojodex, user_id).outcome["worded_by"] == "rule"
    metrics = [line for line in capsys.readouterr().out.splitlines() if '"EmailsWithoutModel"' in line]
    assert [json.loads(line)["EmailsWithoutModel"] for line in metrics] == [[1.0]]


def test_an_unavailable_model_is_waited_for_and_then_done_without(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel, ses: FakeSes
) -> None:
    user_id = user_with(mojodex, "Call Bob")
    model.answers(Reply(status=500))

    for seconds in (0, 100, 299, 301):
        with time_machine.travel(NOW + timedelta(seconds=seconds)):
            response = send(bundle, user_id)
        assert (response == {"batchItemFailures": []}) is (seconds == 301)

    assert len(ses.mails) == 1
    assert job(mojodex, user_id).outcome["worded_by"] == "rule"


def test_a_model_that_hangs_leaves_time_to_send(
    make_bundle: Any, mojodex: Mojodex, model: FakeModel, ses: FakeSes
) -> None:
    bundle = make_bundle("events", llm_timeout_seconds=3)
    user_id = user_with(mojodex, "Call Bob")
    model.answers(Reply(words().content, delay=8))
    mojodex.run(
        "INSERT INTO md_background_job (process, subject, occasion, state, attempts)"
        " VALUES ('events', :s, '2026-12-01', 'queued', 6)",
        s=f"todo_daily_emails:{user_id}",
    )
    event = sqs_event({"event_type": "todo_daily_emails", "user_id": user_id})

    # Enough to begin, but not for both models and the mail.
    assert bundle.worker.handler(event, FakeContext(36)) == {"batchItemFailures": []}

    assert len(ses.mails) == 1
    assert job(mojodex, user_id).outcome["worded_by"] == "rule"


def test_after_the_last_attempt_the_job_still_shows_that_its_mail_may_be_sent(
    bundle: Bundle, mojodex: Mojodex, ses: FakeSes
) -> None:
    user_id = user_with(mojodex, "Call Bob")
    mojodex.run(
        "INSERT INTO md_background_job (process, subject, occasion, state, attempts, outcome)"
        " VALUES ('events', :s, '2026-12-01', 'queued', 20, '{\"sending_since\": \"then\"}')",
        s=f"todo_daily_emails:{user_id}",
    )

    send(bundle, user_id)

    outcome = job(mojodex, user_id).outcome
    assert (outcome["reason"], outcome["sending_since"]) == ("gave up after 20 attempts", "then")
    assert ses.mails == []


def test_a_model_that_asks_for_too_long_a_wait_is_done_without(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel, ses: FakeSes
) -> None:
    user_id = user_with(mojodex, "Call Bob")
    model.answers(Reply(status=429, headers={"Retry-After": "1800"}))

    assert send(bundle, user_id) == {"batchItemFailures": []}

    assert len(ses.mails) == 1


def test_kept_words_are_used_only_for_the_same_todos(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel, ses: FakeSes
) -> None:
    user_id = user_with(mojodex, "Call Bob", "Buy flowers")
    model.answers(words(("t1", "Bob is in until noon."), ("t2", "Roses.")), words(("t1", "Tulips.")))
    ses.does(Answer(400, "SendingPausedException"), TAKEN)
    send(bundle, user_id)
    mojodex.run("UPDATE md_todo SET completed = now() WHERE description = 'Call Bob'")

    send(bundle, user_id)

    said = text_of(only_mail(ses))
    assert "Buy flowers Tulips." in said
    assert "Bob" not in said
    assert len(model.calls) == 2


def test_mondays_mail_reports_moves_after_fridays_mail(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel, ses: FakeSes
) -> None:
    user_id = user_with(mojodex)
    execution = mojodex.run("SELECT max(user_task_execution_pk) FROM md_user_task_execution")
    friday = datetime(2026, 12, 4, 9, 30, tzinfo=UTC)
    mojodex.scheduled(execution, "Pay", THURSDAY, date(2026, 12, 9), moved_at=friday)

    with time_machine.travel(datetime(2026, 12, 7, 8, 30, tzinfo=UTC)):
        assert bundle.schedule() == 1
        bundle.work(*bundle.queued())

    assert "Pay Moved to Wednesday, December 9" in text_of(only_mail(ses))
    assert job(mojodex, user_id).state == "done"


def test_after_an_outage_of_an_hour_the_mail_is_sent_in_the_next_one(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel, ses: FakeSes
) -> None:
    user_id = user_with(mojodex, "Call Bob")
    ses.does(Answer(503, "ServiceUnavailable"))
    bundle.schedule()
    (message,) = bundle.queued()
    for receives in range(1, MAX_RECEIVES + 1):
        mojodex.close_circuits()
        event = {"Records": [sqs_record(json.dumps(message), receive_count=receives)]}
        assert len(bundle.work_on(event)["batchItemFailures"]) == 1
    assert bundle.schedule() == 0

    mojodex.close_circuits()
    ses.does(TAKEN)
    with time_machine.travel(NOW + timedelta(hours=1)):
        # Its message is a dead letter, which the redrive returns.
        assert bundle.schedule() == 0
        bundle.work(message)

    assert len(ses.mails) == len(model.calls) == 1
    assert job(mojodex, user_id).state == "done"


def test_the_prompt_holds_only_the_day(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel, ses: FakeSes
) -> None:
    user_id = user_with(mojodex, "Call Bob", language="fr", timezone_offset=-60)
    execution = mojodex.run("SELECT max(user_task_execution_pk) FROM md_user_task_execution")
    mojodex.run("UPDATE md_user_task_execution SET title = NULL")
    mojodex.scheduled(execution, "x" * 10_000, YESTERDAY)
    mojodex.scheduled(execution, "Pay", YESTERDAY, THURSDAY, moved_at=NOW - timedelta(hours=6))
    user_with(mojodex, "A stranger's")

    send(bundle, user_id)

    prompt = prompt_of(model.calls[0])
    assert "Today is 2026-12-01 (Tuesday)" in prompt
    assert "Language: fr" in prompt
    assert "[t1] " + "x" * 500 + "\n" in prompt
    assert "was planned for 2026-11-30 and is still open" in prompt
    assert '[t2] Call Bob\n    from the task "Minutes"' in prompt
    assert "- Pay: moved to 2026-12-03, because: Reason 1." in prompt
    assert "stranger" not in prompt
    assert "@example.com" not in prompt


def test_the_unsubscribe_link_is_signed(
    make_bundle: Any, ses: FakeSes, mojodex: Mojodex, model: FakeModel
) -> None:
    user_id = user_with(mojodex, "Call Bob")
    bundle = make_bundle(
        "events",
        unsubscribe_url="https://app.example.com/unsubscribe",
        unsubscribe_secret_arn="unsubscribe",
        more_secrets={"unsubscribe": {"signing_key": "secret"}},
    )

    send(bundle, user_id)

    mail = only_mail(ses)
    assert mail["list-unsubscribe-post"] == "List-Unsubscribe=One-Click"
    token = mail["list-unsubscribe"].strip("<>").partition("?token=")[2]
    assert URLSafeSerializer("secret", salt="unsubscribe").loads(token) == {
        "user_id": user_id,
        "event_type": "todo_daily_emails",
    }


# At most one mail.


def test_send_now_and_the_schedule_are_one_mail(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel, ses: FakeSes
) -> None:
    user_id = user_with(mojodex, "Call Bob", timezone_offset=-60)

    bundle.schedule()
    send(bundle, user_id, day=None)
    bundle.work(*bundle.queued())
    send(bundle, user_id, day=None)

    assert len(ses.mails) == len(model.calls) == 1
    assert mojodex.run("SELECT count(*) FROM md_background_job") == 1
    assert mojodex.run("SELECT count(*) FROM md_event") == 1


def test_send_now_goes_out_at_any_hour_and_on_any_day(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel, ses: FakeSes
) -> None:
    user_id = user_with(mojodex, "Call Bob")

    with time_machine.travel(datetime(2026, 12, 5, 22, tzinfo=UTC)):
        send(bundle, user_id, day=None)

    assert len(ses.mails) == 1
    assert job(mojodex, user_id).occasion == "2026-12-05"


def test_the_same_message_many_times_at_once_is_one_mail(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel, ses: FakeSes
) -> None:
    user_id = user_with(mojodex, "Call Bob")
    model.script = lambda _request: Reply(words().content, delay=0.3)

    with ThreadPoolExecutor() as threads:
        list(threads.map(lambda _: send(bundle, *[user_id] * 3), range(3)))

    assert len(ses.mails) == len(model.calls) == 1


def killed_while_sending(mojodex: Mojodex, user_id: str) -> None:
    """Leave the state of a worker that was killed after it marked the job."""
    mojodex.run(
        "UPDATE md_background_job SET state = 'running', finished_at = NULL, started_at = :at,"
        ' outcome = \'{"sending_since": "2026-12-01T08:20:00+00:00"}\' WHERE subject = :s',
        at=NOW - timedelta(minutes=10),
        s=f"todo_daily_emails:{user_id}",
    )


def test_a_worker_killed_before_the_mark_has_sent_no_mail(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel, ses: FakeSes, monkeypatch: pytest.MonkeyPatch
) -> None:
    user_id = user_with(mojodex, "Call Bob")

    class KilledError(BaseException):
        """An error that, like SIGKILL, no handler catches."""

    def die(*_args: Any) -> None:
        raise KilledError

    with monkeypatch.context() as killing:
        killing.setattr(jobs, "save_progress", die)
        with pytest.raises(KilledError):
            send(bundle, user_id)
    assert (job(mojodex, user_id).state, job(mojodex, user_id).outcome) == ("running", None)
    mojodex.run("UPDATE md_background_job SET started_at = started_at - interval '10 minutes'")

    send(bundle, user_id)

    assert len(ses.mails) == 1
    assert job(mojodex, user_id).state == "done"


def test_after_a_kill_between_mark_and_answer_no_second_mail_is_sent(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel, ses: FakeSes
) -> None:
    user_id = user_with(mojodex, "Call Bob")
    bundle.schedule()
    killed_while_sending(mojodex, user_id)

    assert bundle.work(*bundle.queued()) == {"batchItemFailures": []}

    assert ses.requests == model.calls == []
    failed = job(mojodex, user_id)
    assert failed.state == "failed"
    assert "it is not known whether the mail was sent" in failed.outcome["reason"]
    assert mojodex.run("SELECT count(*) FROM md_error WHERE message LIKE '%not known%'") == 1
    assert mojodex.run("SELECT count(*) FROM md_event") == 0
    assert bundle.schedule() == 0


@pytest.mark.parametrize("lost", [CLOSE, TAKE_AND_CLOSE])
def test_a_lost_answer_of_ses_causes_no_second_mail(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel, ses: FakeSes, lost: str
) -> None:
    user_id = user_with(mojodex, "Call Bob")
    ses.does(lost, TAKEN)

    for _ in range(2):
        assert send(bundle, user_id) == {"batchItemFailures": []}

    assert len(ses.requests) == 1
    assert job(mojodex, user_id).outcome == {"reason": "it is not known whether SES took the mail"}


@pytest.mark.parametrize(
    ("answer", "opens"),
    [
        (Answer(503, "ServiceUnavailable"), True),
        (Answer(400, "SendingPausedException"), True),
        (Answer(500, "InternalFailure"), True),
        (Answer(429, "TooManyRequestsException"), False),
        (Answer(400, "MessageRejected"), False),
    ],
    ids=lambda value: getattr(value, "code", ""),
)
def test_an_error_of_ses_that_affects_all_users_opens_its_circuit(
    bundle: Bundle,
    mojodex: Mojodex,
    ses: FakeSes,
    monkeypatch: pytest.MonkeyPatch,
    answer: Answer,
    *,
    opens: bool,
) -> None:
    monkeypatch.setattr("events.mail.ses.PAUSE_SECONDS", (0, 0.01))
    users = [user_with(mojodex, "Call Bob") for _ in range(7)]
    ses.does(answer)

    for user_id in users:
        send(bundle, user_id)

    circuits = [row.provider for row in mojodex.rows("SELECT provider FROM md_background_circuit")]
    assert circuits == (["SES"] if opens else [])
    asked = len(ses.requests)
    send(bundle, users[-1])
    assert (len(ses.requests) == asked) is (opens or job(mojodex, users[-1]).state == "failed")


def test_a_database_that_is_unavailable_after_the_send_is_waited_for(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel, ses: FakeSes, monkeypatch: pytest.MonkeyPatch
) -> None:
    user_id = user_with(mojodex, "Call Bob")
    real, failures = events.mail.delivery._save, iter([True, True, False])
    monkeypatch.setattr("mojodex.database.PAUSE_SECONDS", 0.05)

    def save(*args: Any) -> None:
        if next(failures):
            raise TransientError("database: gone")
        real(*args)

    monkeypatch.setattr(events.mail.delivery, "_save", save)

    assert send(bundle, user_id) == {"batchItemFailures": []}

    assert len(ses.mails) == 1
    assert job(mojodex, user_id).state == "done"
    assert mojodex.run("SELECT count(*) FROM md_event") == 1


@pytest.mark.parametrize(
    ("code", "seconds"),
    [
        ("TooManyRequestsException", range(2, 6)),
        ("SendingPausedException", [900]),
        ("LimitExceededException", [900]),
    ],
)
def test_a_busy_or_paused_ses_is_waited_for(
    bundle: Bundle,
    mojodex: Mojodex,
    model: FakeModel,
    ses: FakeSes,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    code: str,
    seconds: Any,
) -> None:
    monkeypatch.setattr("events.mail.ses.PAUSE_SECONDS", (0, 0.01))
    user_id = user_with(mojodex, "Call Bob")
    ses.does(Answer(429 if "Many" in code else 400, code))
    event = sqs_event({"event_type": "todo_daily_emails", "user_id": user_id})

    assert failed_ids(bundle.work_on(event)) == {event["Records"][0]["messageId"]}
    (line,) = [record for record in caplog.records if record.getMessage() == "message is retried"]
    assert vars(line)["seconds"] in seconds
    waiting = job(mojodex, user_id)
    assert waiting.state == "queued"
    assert "sending_since" not in waiting.outcome
    ses.does(TAKEN)
    assert bundle.work_on(event) == {"batchItemFailures": []}

    assert len(ses.mails) == len(model.calls) == 1
    assert job(mojodex, user_id).state == "done"


def test_a_rejected_address_fails_with_a_reason_that_does_not_name_it(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel, ses: FakeSes
) -> None:
    user_id = user_with(mojodex, "Call Bob")
    ses.does(Answer(400, "MessageRejected", "Address blacklisted: x@example.com"))

    for _ in range(2):
        assert send(bundle, user_id) == {"batchItemFailures": []}

    assert len(ses.requests) == 1
    assert job(mojodex, user_id).outcome == {"reason": "SES refuses the mail (MessageRejected)"}
    assert mojodex.run("SELECT count(*) FROM md_error WHERE message LIKE '%MessageRejected%'") == 1


@pytest.mark.parametrize("address", ["", "ann", "ann@", "a@b.example\r\nBcc: c@d.example", "ä@b.example"])
def test_an_invalid_address_costs_no_call(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel, ses: FakeSes, address: str
) -> None:
    user_id = user_with(mojodex, "Call Bob")
    mojodex.run("UPDATE md_user SET email = :a", a=address)

    send(bundle, user_id)

    assert model.calls == ses.requests == []
    assert job(mojodex, user_id).outcome == {"reason": "the user's e-mail address is not valid"}


# Mails that are not sent.


def test_a_mail_without_a_reason_is_skipped(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel, ses: FakeSes
) -> None:
    nothing = user_with(mojodex)
    unwanted = user_with(mojodex, "Call Bob", wants_email=False)
    yesterdays = user_with(mojodex, "Call Bob")
    elsewhere = user_with(mojodex, "Call Bob", timezone_offset=-60 * 16)

    send(bundle, nothing, unwanted, elsewhere)
    send(bundle, yesterdays, day=YESTERDAY)

    assert {
        user_id: job(mojodex, user_id).outcome["reason"]
        for user_id in (nothing, unwanted, yesterdays, elsewhere)
    } == {
        nothing: "there is nothing to tell",
        unwanted: "the user does not want it",
        yesterdays: "it is not 2026-11-30 where the user is",
        elsewhere: "it is not 2026-12-01 where the user is",
    }
    assert model.calls == ses.requests == []


def test_a_skipped_user_with_a_new_todo_is_mailed_in_the_next_hour(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel, ses: FakeSes
) -> None:
    user_id = user_with(mojodex, "Call Bob")
    mojodex.run("UPDATE md_todo SET completed = now()")
    send(bundle, user_id)
    assert job(mojodex, user_id).state == "skipped"
    mojodex.run("UPDATE md_todo SET completed = NULL")

    with time_machine.travel(NOW + timedelta(hours=1)):
        assert bundle.schedule() == 1
        bundle.work(*bundle.queued())

    assert len(ses.mails) == 1


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"event_type": "birthday", "user_id": "u"}, "event_type: Input should be 'todo_daily_emails'"),
        ({"user_id": "u"}, "event_type: Field required"),
        ({"event_type": "todo_daily_emails"}, "user_id: Field required"),
        ({"event_type": "todo_daily_emails", "user_id": 7}, "user_id: Input should be a valid string"),
        ({"event_type": "todo_daily_emails", "user_id": ""}, "user_id: String should have at least 1"),
        ({"event_type": "todo_daily_emails", "user_id": "a\0b"}, "user_id: String should match pattern"),
        (
            {"event_type": "todo_daily_emails", "user_id": "u" * 256},
            "user_id: String should have at most",
        ),
        ({"event_type": "todo_daily_emails", "user_id": "nobody"}, "there is no such user"),
        (
            {"event_type": "todo_daily_emails", "user_id": "nobody", "local_date": "2026-12-01"},
            "there is no such user",
        ),
    ],
)
def test_a_bad_message_is_a_dead_letter_with_its_reason(
    bundle: Bundle, mojodex: Mojodex, ses: FakeSes, body: Any, reason: str
) -> None:
    assert bundle.work(body) == {"batchItemFailures": []}

    ((_, found),) = bundle.dead_letters()
    assert reason in found
    assert ses.requests == []


# All of it together.


def test_five_hundred_users_get_one_mail_each_despite_duplicates_and_failures(
    bundle: Bundle,
    mojodex: Mojodex,
    model: FakeModel,
    ses: FakeSes,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("events.mail.ses.PAUSE_SECONDS", (0, 0.01))
    user_with(mojodex, "Call Bob")
    mojodex.run(
        "WITH u AS (INSERT INTO md_user (user_id, email, name, timezone_offset, creation_date)"
        "  SELECT 'many-' || i, 'many-' || i || '@example.com', 'Ann', 0, now()"
        "  FROM generate_series(2, 500) AS i RETURNING user_id),"
        " k AS (INSERT INTO md_user_task (user_id, task_fk) SELECT user_id, task_pk FROM u, md_task"
        "  RETURNING user_task_pk),"
        " e AS (INSERT INTO md_user_task_execution (user_task_fk, session_id, json_input_values)"
        "  SELECT user_task_pk, session_id, '{}' FROM k, md_session RETURNING user_task_execution_pk),"
        " t AS (INSERT INTO md_todo (user_task_execution_fk, description)"
        "  SELECT user_task_execution_pk, 'Call Bob' FROM e RETURNING todo_pk)"
        " INSERT INTO md_todo_scheduling (todo_fk, scheduled_date) SELECT todo_pk, '2026-12-01' FROM t"
    )
    asked = iter(range(10**6))
    model.script = lambda _request: Reply(status=500) if next(asked) % 5 == 0 else words()
    ses.act = lambda number: THROTTLED if number % 10 == 0 else TAKEN

    assert bundle.schedule() == 500
    waiting = [body for body in bundle.queued() for _ in range(2)]
    deliveries = len(waiting)
    while waiting:
        batches = [waiting[n : n + 10] for n in range(0, len(waiting), 10)]
        with ThreadPoolExecutor(3) as threads:
            events = [sqs_event(*batch) for batch in batches]
            answers = list(threads.map(bundle.work_on, events))
        back = set().union(*map(failed_ids, answers))
        waiting = [
            json.loads(record["body"])
            for event in events
            for record in event["Records"]
            if record["messageId"] in back
        ]
        deliveries += len(waiting)

    mails = Counter(recipient for recipient, _ in ses.mails)
    figures = (
        f"{len(mails)} users, {len(ses.mails)} mails, {mojodex.run('SELECT count(*) FROM md_event')} events,"
        f" {deliveries} deliveries, {len(model.calls)} calls of the model, {len(ses.requests)} of SES"
    )
    with capsys.disabled():
        sys.stdout.write(f"\n{figures}\n")
    assert len(mails) == len(ses.mails) == 500
    assert mojodex.run("SELECT count(DISTINCT user_id) FROM md_event") == 500
    assert mojodex.run("SELECT count(*) FROM md_event") == 500
    assert mojodex.rows("SELECT state, count(*) FROM md_background_job GROUP BY 1") == [("done", 500)]
    for _, raw in ses.mails:
        check_mail(raw)


def moved_at(mojodex: Mojodex, user_id: str, description: str, at: datetime) -> None:
    """Add a to-do of the user that was moved to Thursday at this moment."""
    execution = mojodex.execution("x", user_id=user_id, extracted=True)
    mojodex.scheduled(execution, description, YESTERDAY, THURSDAY, moved_at=at)


def test_each_move_is_reported_exactly_once(bundle: Bundle, mojodex: Mojodex, ses: FakeSes) -> None:
    """One move was made in the night before Monday's mail, one after it."""
    user_id = user_with(mojodex, "Call Bob")
    monday = NOW - timedelta(days=1)
    moved_at(mojodex, user_id, "Moved in the night", monday - timedelta(hours=6))
    with time_machine.travel(monday):
        send(bundle, user_id, day=YESTERDAY)
    moved_at(mojodex, user_id, "Moved at noon", monday + timedelta(hours=4))

    send(bundle, user_id)

    first, second = (text_of(check_mail(raw)) for _, raw in ses.mails)
    assert "Moved in the night" in first
    assert "Moved in the night" not in second
    assert "Moved at noon" in second


@pytest.mark.parametrize(("days", "is_told"), [(4, True), (20, False)])
def test_moves_since_the_last_mail_are_reported_unless_it_is_too_old(
    bundle: Bundle, mojodex: Mojodex, ses: FakeSes, days: int, is_told: bool
) -> None:
    user_id = user_with(mojodex, "Call Bob", day=TODAY - timedelta(days=30))
    last = NOW - timedelta(days=days)
    with time_machine.travel(last):
        send(bundle, user_id, day=last.date())
    moved_at(mojodex, user_id, "Moved on Friday", NOW - timedelta(days=3))

    send(bundle, user_id)

    assert ("Moved on Friday" in text_of(check_mail(ses.mails[-1][1]))) is is_told
