"""The deployed bundle at night and in the morning: to-dos are moved, mails go out, workers are killed."""

import json
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import count
from threading import Event
from typing import Any

import pytest
import requests

from mojodex.clock import next_working_day
from tests.fake_model import Reply
from tests.fake_ses import HANG, TAKE_AND_HANG, TAKEN, THROTTLED, FakeSes, fake_ses
from tests.mails import check_mail, text_of
from tests.stack.conftest import Deployed, eventually

DAY = next_working_day(datetime.now(UTC).date())
BEFORE, LATER = DAY - timedelta(days=1), next_working_day(DAY)
NIGHT, MORNING = (datetime(DAY.year, DAY.month, DAY.day, hour, 30, tzinfo=UTC) for hour in (2, 8))
WHY = "Then it is quiet."


def moved_to(day: date = LATER) -> Reply:
    return Reply({"pros": "", "cons": "", "argument": WHY, "date": day.isoformat()})


WANTS_MAIL = "SELECT todo_email_reception FROM md_user WHERE user_id = :u"
WORDS = Reply({"subject": "Your day", "greeting": "Hi!", "intro": "Calm.", "lines": [], "closing": "Bye."})


def answers(request: dict[str, Any]) -> Reply:
    """Answer both prompts."""
    wanted = request["response_format"]["json_schema"]["name"]
    return moved_to() if wanted == "Rescheduling" else WORDS


@pytest.fixture(scope="module")
def _ses(_deployed: Deployed) -> Iterator[FakeSes]:
    """Set both processes' hours to now, and send mails to a scripted SES."""
    offsets = {
        "RescheduleTodo": (NIGHT - datetime.now(UTC)).total_seconds(),
        "Events": (MORNING - datetime.now(UTC)).total_seconds(),
    }
    for prefix, seconds in offsets.items():
        for kind in ("Schedule", "Worker"):
            _deployed.stack.set_environment(f"{prefix}{kind}Function", CLOCK_OFFSET_SECONDS=str(seconds))
    with fake_ses() as running:
        _deployed.stack.set_environment("EventsWorkerFunction", AWS_ENDPOINT_URL_SESV2=running.url)
        yield running


@pytest.fixture
def ses(_ses: FakeSes, deployed: Deployed) -> FakeSes:
    deployed.model.script = answers
    _ses.act = lambda _number: TAKEN
    _ses.requests.clear()
    _ses.mails.clear()
    return _ses


def overdue(deployed: Deployed, day: date = BEFORE) -> tuple[str, int]:
    """Add a user and their overdue to-do."""
    user_id = deployed.mojodex.user()
    execution = deployed.mojodex.execution("x", user_id=user_id, extracted=True)
    return user_id, deployed.mojodex.scheduled(execution, "Call Bob", day)


def job_of(user_id: str) -> str:
    return f"todo_daily_emails:{user_id}"


def message(user_id: str) -> str:
    return json.dumps({"event_type": "todo_daily_emails", "user_id": user_id})


def test_an_overdue_todo_is_moved_and_the_mail_has_the_reason(deployed: Deployed, ses: FakeSes) -> None:
    night, morning = deployed.of("reschedule_todo"), deployed.of("events")
    user_id, todo = overdue(deployed)

    assert night.schedule() == 1
    night.wait_for(todo, "done")
    assert deployed.mojodex.schedulings(todo) == [(BEFORE.isoformat(), None), (LATER.isoformat(), WHY)]
    assert night.schedule() == 0
    # The mail's clock is six hours ahead, which Postgres does not know.
    assert morning.schedule() == 1
    morning.wait_for(job_of(user_id), "done")

    ((recipient, raw),) = ses.mails
    said = text_of(check_mail(raw))
    assert recipient == f"{user_id}@example.com"
    assert "Call Bob" in said
    assert WHY in said
    assert morning.schedule() == 0


def test_a_worker_killed_before_it_saves_a_new_date_moves_the_todo_once(
    deployed: Deployed, ses: FakeSes
) -> None:
    night = deployed.of("reschedule_todo")
    _, todo = overdue(deployed)
    thinking, resume = Event(), Event()

    def script(_request: dict[str, Any]) -> Reply:
        thinking.set()
        resume.wait(30)
        return moved_to()

    deployed.model.script = script
    with night.quick_redelivery():
        night.send(json.dumps({"todo_pk": todo}))
        assert thinking.wait(60)
        assert night.kill_workers() >= 1
        resume.set()
        night.expire_leases()
        assert night.wait_for(todo, "done").attempts == 2
        night.wait_until_drained()

    assert len(deployed.mojodex.schedulings(todo)) == 2


@pytest.mark.parametrize("act", [HANG, TAKE_AND_HANG])
def test_a_worker_killed_while_it_sends_leads_to_no_second_mail(
    deployed: Deployed, ses: FakeSes, act: str
) -> None:
    morning = deployed.of("events")
    user_id, _ = overdue(deployed)
    ses.does(act, TAKEN)

    with morning.quick_redelivery():
        morning.send(message(user_id))
        eventually("SES has received the mail", lambda: ses.requests)
        assert morning.kill_workers() >= 1
        morning.expire_leases()
        job = morning.wait_for(job_of(user_id), "failed")
        morning.wait_until_drained()

    assert "it is not known whether the mail was sent" in job.outcome["reason"]
    assert len(ses.requests) == 1
    assert deployed.mojodex.run("SELECT count(*) FROM md_error") == 1


def test_a_mail_is_sent_later_if_its_worker_is_killed_before_sending(
    deployed: Deployed, ses: FakeSes
) -> None:
    morning = deployed.of("events")
    user_id, _ = overdue(deployed)
    thinking, resume = Event(), Event()

    def script(_request: dict[str, Any]) -> Reply:
        thinking.set()
        resume.wait(30)
        return WORDS

    deployed.model.script = script
    with morning.quick_redelivery():
        morning.send(message(user_id))
        assert thinking.wait(60)
        assert morning.kill_workers() >= 1
        resume.set()
        morning.expire_leases()
        morning.wait_for(job_of(user_id), "done")
        morning.wait_until_drained()

    assert len(ses.mails) == 1
    assert deployed.mojodex.run("SELECT count(*) FROM md_event") == 1


def test_an_unknown_event_is_a_dead_letter_with_its_reason(deployed: Deployed, ses: FakeSes) -> None:
    morning = deployed.of("events")

    morning.send('{"event_type": "birthday", "user_id": "u"}')
    morning.wait_until_drained()

    ((_, reason),) = eventually("a dead letter", morning.dead_letters)
    assert reason == "event_type: Input should be 'todo_daily_emails'"


def test_many_mails_are_sent_once_despite_double_messages_and_failing_providers(
    deployed: Deployed, ses: FakeSes, capsys: pytest.CaptureFixture[str]
) -> None:
    morning, users = deployed.of("events"), 100
    overdue(deployed)
    deployed.mojodex.run(
        "WITH u AS (INSERT INTO md_user (user_id, email, name, timezone_offset, creation_date)"
        "  SELECT 'many-' || i, 'many-' || i || '@example.com', 'Ann', 0, now()"
        "  FROM generate_series(2, :n) AS i RETURNING user_id),"
        " k AS (INSERT INTO md_user_task (user_id, task_fk) SELECT user_id, task_pk FROM u, md_task"
        "  RETURNING user_task_pk),"
        " e AS (INSERT INTO md_user_task_execution (user_task_fk, session_id, json_input_values)"
        "  SELECT user_task_pk, session_id, '{}' FROM k, md_session RETURNING user_task_execution_pk),"
        " t AS (INSERT INTO md_todo (user_task_execution_fk, description)"
        "  SELECT user_task_execution_pk, 'Call Bob' FROM e RETURNING todo_pk)"
        " INSERT INTO md_todo_scheduling (todo_fk, scheduled_date) SELECT todo_pk, :d FROM t",
        n=users,
        d=DAY,
    )
    asked = count()
    deployed.model.script = lambda _request: Reply(status=500) if next(asked) % 5 == 0 else WORDS
    ses.act = lambda number: THROTTLED if number % 10 == 0 else TAKEN

    assert morning.schedule() == users
    ids = [row.user_id for row in deployed.mojodex.rows("SELECT user_id FROM md_user")]
    for n in range(0, users, 10):
        morning.send(*map(message, ids[n : n + 10]))
    done = "SELECT count(*) FROM md_background_job WHERE state = 'done'"
    eventually("all jobs are done", lambda: deployed.mojodex.run(done) == users, morning.worker_logs)
    morning.wait_until_drained()

    with capsys.disabled():
        sys.stdout.write(
            f"\n{users} users: {len(ses.mails)} mails, {len(deployed.model.calls)} calls of the model,"
            f" {len(ses.requests)} of SES\n"
        )
    assert Counter(recipient for recipient, _ in ses.mails) == {
        row.email: 1 for row in deployed.mojodex.rows("SELECT email FROM md_user")
    }
    assert deployed.mojodex.run("SELECT count(DISTINCT user_id) FROM md_event") == users
    assert deployed.mojodex.run("SELECT count(*) FROM md_event") == users


def test_the_emulators_own_ses_takes_the_mail(deployed: Deployed, ses: FakeSes) -> None:
    morning = deployed.of("events")
    user_id, _ = overdue(deployed)
    deployed.stack.set_environment("EventsWorkerFunction", AWS_ENDPOINT_URL_SESV2="")
    try:
        morning.send(message(user_id))
        job = morning.wait_for(job_of(user_id), "done")
    finally:
        deployed.stack.set_environment("EventsWorkerFunction", AWS_ENDPOINT_URL_SESV2=ses.url)

    mail = deployed.stack.mails()[-1]
    assert mail.to == (f"{user_id}@example.com",)
    assert mail.subject == "Your day"
    assert "Call Bob" in mail.text
    assert "Call Bob" in mail.html
    assert job.outcome["ses_message_id"]


def test_a_post_to_the_link_of_a_mail_unsubscribes_its_user(deployed: Deployed, ses: FakeSes) -> None:
    morning = deployed.of("events")
    user_id, _ = overdue(deployed)
    morning.send(message(user_id))
    morning.wait_for(job_of(user_id), "done")
    ((_, raw),) = ses.mails
    link = check_mail(raw)["List-Unsubscribe"].strip("<>")
    assert link.startswith(f"{deployed.stack.operate_url}/unsubscribe?token=")
    assert user_id not in link

    with requests.Session() as session:
        session.trust_env = False
        looked = session.get(link, timeout=30)
        wanted = deployed.mojodex.run(WANTS_MAIL, u=user_id)
        clicked = session.post(link, data={"List-Unsubscribe": "One-Click"}, timeout=30)

    assert (looked.status_code, wanted, clicked.status_code) == (200, True, 200)
    assert not deployed.mojodex.run(WANTS_MAIL, u=user_id)
