"""Dormant users cost no model calls: a rule moves their to-dos once a week, and their mail pauses."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta

import pytest
import time_machine

from events.daily_email.wording import WORDS
from mojodex.queries import sign_of_life
from reschedule_todo.wording import dormant_wording
from tests.fake_model import FakeModel, Reply
from tests.fake_ses import TAKEN, Answer, FakeSes
from tests.integration.conftest import Bundle
from tests.mails import Html, check_mail, part, squeeze
from tests.mojodex import Mojodex

# A Tuesday.
NIGHT = datetime(2026, 12, 1, 2, 30, tzinfo=UTC)
MORNING = datetime(2026, 12, 1, 8, 30, tzinfo=UTC)
TODAY = NIGHT.date()
DAYS = 30
# A user's activities, each as SQL that sets its time.
SIGNS = {
    "registers": "UPDATE md_user SET creation_date = :at WHERE user_id = :user",
    "writes a message": "UPDATE md_message SET message_date = :at"
    " WHERE session_id IN (SELECT session_id FROM md_session WHERE user_id = :user)",
    "starts a task": "UPDATE md_user_task_execution SET start_date = :at WHERE user_task_fk IN"
    " (SELECT user_task_pk FROM md_user_task WHERE user_id = :user)",
    "edits a result": "UPDATE md_produced_text_version SET creation_date = CAST(:at AS timestamptz)"
    " WHERE produced_text_fk IN (SELECT produced_text_pk FROM md_produced_text WHERE user_id = :user)",
    **{
        what: f"UPDATE md_todo SET {column} = :at WHERE description = 'Old' AND user_task_execution_fk IN"
        " (SELECT user_task_execution_pk FROM md_user_task_execution JOIN md_user_task"
        " ON user_task_pk = user_task_fk WHERE user_id = :user)"
        for what, column in (
            ("ticks a to-do off", "completed"),
            ("deletes a to-do", "deleted_by_user"),
            ("reads a to-do", "read_by_user"),
        )
    },
}


def does(mojodex: Mojodex, user_id: str, sign: str, at: datetime) -> None:
    mojodex.run(SIGNS[sign], user=user_id, at=at)


def user_silent_since(mojodex: Mojodex, last_sign: datetime, *, planned: date, language: str = "en") -> str:
    """Add a user with one open to-do, whose last activities of all kinds are at that moment."""
    user_id = mojodex.user(language=language)
    execution = mojodex.execution("I will call Bob", user_id=user_id, extracted=True)
    mojodex.todo(execution, "Old")
    mojodex.scheduled(execution, "Call Bob", planned)
    for sign in SIGNS:
        does(mojodex, user_id, sign, last_sign)
    return user_id


def overdue_todo(mojodex: Mojodex) -> int:
    return int(mojodex.run("SELECT max(todo_pk) FROM md_todo WHERE description = 'Call Bob'"))


@pytest.fixture
def at_night() -> Iterator[None]:
    with time_machine.travel(NIGHT):
        yield


@pytest.fixture
def moves(make_bundle: Callable[..., Bundle], model: FakeModel) -> Bundle:
    model.answers(Reply({"pros": "", "cons": "", "argument": "Quiet.", "date": "2026-12-03"}))
    return make_bundle("reschedule_todo", dormant_after_days=DAYS)


@pytest.fixture
def mails(make_bundle: Callable[..., Bundle], model: FakeModel, ses: FakeSes) -> Bundle:
    model.answers(Reply({"subject": "S", "greeting": "Hi", "intro": "I", "lines": [], "closing": "C"}))
    return make_bundle("events", dormant_after_days=DAYS)


def day_of_mails(bundle: Bundle, day: date) -> int:
    """Run a day's schedule and worker and return the number of published mails."""
    with time_machine.travel(datetime(day.year, day.month, day.day, 8, 30, tzinfo=UTC)):
        published = bundle.schedule()
        if bodies := bundle.queued():
            assert bundle.work(*bodies)["batchItemFailures"] == []
        return published


def pauses_in(ses: FakeSes) -> list[bool]:
    """Return for each mail whether it announces the pause."""
    said = squeeze(WORDS["en"].pause)
    return [said in squeeze(part(check_mail(mail), "plain")) for _, mail in ses.mails]


@pytest.mark.usefixtures("at_night")
@pytest.mark.parametrize("sign", SIGNS)
def test_each_activity_of_a_user_counts(mojodex: Mojodex, sign: str) -> None:
    user_id = user_silent_since(mojodex, NIGHT - timedelta(days=DAYS, seconds=5), planned=TODAY)
    since = "CAST(:since AS timestamptz)"
    is_alive = f"SELECT {sign_of_life(':user', since)}"
    moment = NIGHT - timedelta(days=DAYS)
    assert not mojodex.run(is_alive, user=user_id, since=moment)

    does(mojodex, user_id, sign, moment + timedelta(seconds=5))

    assert mojodex.run(is_alive, user=user_id, since=moment)
    assert not mojodex.run(is_alive, user=mojodex.user(), since=NIGHT + timedelta(days=365))


@pytest.mark.usefixtures("at_night")
def test_activities_of_mojo_do_not_count(mojodex: Mojodex) -> None:
    long_ago = NIGHT - timedelta(days=100)
    user_id = user_silent_since(mojodex, long_ago, planned=TODAY)
    mojodex.run("UPDATE md_message SET sender = 'mojo', message_date = now()")
    mojodex.run("UPDATE md_todo SET deleted_by_mojo = now(), creation_date = now()")
    # Mojo also opens sessions in advance and stores pages.
    mojodex.run("UPDATE md_session SET creation_date = now()")
    mojodex.run(
        "INSERT INTO md_document (name, author_user_id, creation_date, document_type)"
        " VALUES ('https://example.com', :user, now(), 'webpage')",
        user=user_id,
    )

    query = f"SELECT {sign_of_life(':user', 'CAST(:since AS timestamptz)')}"

    assert not mojodex.run(query, user=user_id, since=long_ago + timedelta(days=1))


@pytest.mark.parametrize("language", ["en", "fr", "de", "es"])
def test_a_dormant_users_todo_is_moved_by_a_rule_once_a_week_without_a_model(
    mojodex: Mojodex, moves: Bundle, model: FakeModel, language: str
) -> None:
    user_silent_since(
        mojodex, NIGHT - timedelta(days=DAYS + 1), planned=TODAY - timedelta(days=1), language=language
    )
    todo_pk = overdue_todo(mojodex)
    nights = []

    for n in range(22):
        with time_machine.travel(NIGHT + timedelta(days=n)):
            if moves.schedule():
                nights.append(n)
                moves.work(*moves.queued())

    assert nights == [0, 7, 14, 21]
    assert model.calls == []
    _, first, *others = mojodex.schedulings(todo_pk)
    monday = date(2026, 12, 7)
    assert first == (monday.isoformat(), dormant_wording(language, monday))
    assert len(others) == 3
    job = mojodex.rows("SELECT outcome FROM md_background_job ORDER BY occasion LIMIT 1")[0]
    assert (job.outcome["chosen_by"], job.outcome["reason"]) == ("rule", "the user is dormant")


@pytest.mark.usefixtures("at_night")
@pytest.mark.parametrize(("days", "dormant_after", "asked"), [(29, 30, 1), (31, 30, 0), (31, 0, 1)])
def test_a_model_is_called_only_for_users_who_are_not_dormant(
    make_bundle: Callable[..., Bundle],
    mojodex: Mojodex,
    moves: Bundle,
    model: FakeModel,
    days: int,
    dormant_after: int,
    asked: int,
) -> None:
    bundle = make_bundle("reschedule_todo", dormant_after_days=dormant_after)
    user_silent_since(mojodex, NIGHT - timedelta(days=days), planned=TODAY - timedelta(days=1))

    assert bundle.schedule() == 1
    bundle.work(*bundle.queued())

    assert len(model.calls) == asked


@pytest.mark.usefixtures("at_night")
def test_a_user_who_returns_gets_the_model_again(mojodex: Mojodex, moves: Bundle, model: FakeModel) -> None:
    user_id = user_silent_since(mojodex, NIGHT - timedelta(days=60), planned=TODAY - timedelta(days=1))
    does(mojodex, user_id, "writes a message", NIGHT - timedelta(hours=1))

    moves.schedule()
    moves.work(*moves.queued())

    assert len(model.calls) == 1


def test_the_mail_pauses_after_two_weeks_with_a_last_line_and_resumes(
    mojodex: Mojodex, mails: Bundle, model: FakeModel, ses: FakeSes
) -> None:
    user_id = user_silent_since(mojodex, MORNING - timedelta(days=12, hours=1), planned=TODAY)

    sent = [day_of_mails(mails, TODAY + timedelta(days=n)) for n in (0, 1, 2, 3, 6)]

    # Without activity for 12, 13 and 14 days and an hour, and then for longer.
    assert sent == [1, 1, 1, 0, 0]
    assert pauses_in(ses) == [False, False, True]
    assert len(model.calls) == 3
    outcomes = [
        row.outcome for row in mojodex.rows("SELECT outcome FROM md_background_job ORDER BY occasion")
    ]
    assert [outcome.get("pauses") for outcome in outcomes] == [None, None, True]

    does(mojodex, user_id, "ticks a to-do off", MORNING + timedelta(days=7))
    back = [day_of_mails(mails, TODAY + timedelta(days=n)) for n in (7, 8)]

    assert back == [1, 1]
    assert pauses_in(ses)[3:] == [False, False]


def test_a_second_pause_is_announced_too(mojodex: Mojodex, mails: Bundle, ses: FakeSes) -> None:
    user_id = user_silent_since(mojodex, MORNING - timedelta(days=40), planned=TODAY)
    assert day_of_mails(mails, TODAY) == 1
    does(mojodex, user_id, "edits a result", MORNING + timedelta(hours=1))

    sent = [day_of_mails(mails, TODAY + timedelta(days=n)) for n in (20, 21)]

    assert sent == [1, 0]
    assert pauses_in(ses) == [True, True]


def test_an_activity_while_the_last_mail_is_written_counts(
    mojodex: Mojodex, mails: Bundle, model: FakeModel
) -> None:
    user_id = user_silent_since(mojodex, MORNING - timedelta(days=40), planned=TODAY)
    answer = model.script({})

    def meanwhile(_request: object) -> Reply:
        does(mojodex, user_id, "ticks a to-do off", datetime.now(UTC))
        return answer

    model.script = meanwhile

    assert [day_of_mails(mails, TODAY + timedelta(days=n)) for n in (0, 1)] == [1, 1]


def test_a_mail_requested_by_hand_does_not_announce_the_pause_again(
    mojodex: Mojodex, mails: Bundle, ses: FakeSes
) -> None:
    user_id = user_silent_since(mojodex, MORNING - timedelta(days=40), planned=TODAY)
    assert day_of_mails(mails, TODAY) == 1

    with time_machine.travel(MORNING + timedelta(days=1)):
        mails.work({"event_type": "todo_daily_emails", "user_id": user_id})

    assert pauses_in(ses) == [True, False]
    assert day_of_mails(mails, TODAY + timedelta(days=2)) == 0


def test_a_pause_that_was_not_announced_does_not_begin(mojodex: Mojodex, mails: Bundle, ses: FakeSes) -> None:
    user_silent_since(mojodex, MORNING - timedelta(days=40), planned=TODAY)
    ses.does(Answer(400, "MessageRejected"), TAKEN)

    assert [day_of_mails(mails, TODAY + timedelta(days=n)) for n in (0, 1)] == [1, 1]

    assert pauses_in(ses) == [True]


def test_without_dormancy_no_mail_pauses(
    make_bundle: Callable[..., Bundle], mojodex: Mojodex, mails: Bundle, ses: FakeSes
) -> None:
    user_silent_since(mojodex, MORNING - timedelta(days=40), planned=TODAY)
    # The pause was announced before the setting changed.
    assert day_of_mails(mails, TODAY) == 1
    always = make_bundle("events", dormant_after_days=0)

    assert day_of_mails(always, TODAY + timedelta(days=1)) == 1

    assert pauses_in(ses) == [True, False]


def test_the_last_line_is_in_both_parts_of_the_mail_and_in_four_languages(
    mojodex: Mojodex, mails: Bundle, ses: FakeSes
) -> None:
    for language in WORDS:
        user_silent_since(mojodex, MORNING - timedelta(days=40), planned=TODAY, language=language)

    assert day_of_mails(mails, TODAY) == len(WORDS)

    parsed = [check_mail(mail) for _, mail in ses.mails]
    for words in WORDS.values():
        said = squeeze(words.pause)
        (mail,) = [mail for mail in parsed if said in squeeze(part(mail, "plain"))]
        assert said in squeeze(Html(part(mail, "html")).text)
