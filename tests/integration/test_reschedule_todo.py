"""reschedule_todo on a real database: due to-dos, the model's choice, and the saved move."""

import json
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import time_machine
from sqlalchemy import text

from local.standin.answers.prompts import section
from mojodex import jobs
from mojodex.queues import MAX_RECEIVES
from tests.fake_model import FakeModel, Reply, prompt_of
from tests.integration.conftest import Bundle
from tests.lambda_events import failed_ids, sqs_event, sqs_record
from tests.mojodex import Mojodex

# A Tuesday, 02:30 UTC.
NOW = datetime(2026, 12, 1, 2, 30, tzinfo=UTC)
TODAY, YESTERDAY = NOW.date(), NOW.date() - timedelta(days=1)
THURSDAY, SATURDAY = date(2026, 12, 3), date(2026, 12, 5)
MOVE_IT = (
    "INSERT INTO md_todo_scheduling (todo_fk, scheduled_date, creation_date)"
    " SELECT todo_pk, '2026-12-09', '2026-12-01T02:30:10Z' FROM md_todo"
)
WHY = "Thursday is quiet, and Bob is back by then."


def move(day: date | str | None = THURSDAY, argument: Any = WHY, **more: Any) -> Reply:
    """Return an answer of the model."""
    said = day.isoformat() if isinstance(day, date) else day
    return Reply({"pros": "Quiet.", "cons": "Late.", "argument": argument, "date": said, **more})


@pytest.fixture(autouse=True)
def night() -> Iterator[None]:
    with time_machine.travel(NOW):
        yield


@pytest.fixture
def bundle(make_bundle: Any) -> Bundle:
    return make_bundle("reschedule_todo")


@pytest.fixture
def model(model: FakeModel) -> FakeModel:
    model.answers(move())
    return model


def overdue(mojodex: Mojodex, *dates: date, description: str = "Call Bob", **user: Any) -> int:
    """Add an open to-do of a new user, planned for yesterday unless dates are given."""
    execution = mojodex.execution("x", user_id=mojodex.user(**user), extracted=True)
    return mojodex.scheduled(
        execution, description, *(dates or (YESTERDAY,)), moved_at=NOW - timedelta(days=2)
    )


def work(bundle: Bundle, *pks: int) -> Any:
    return bundle.work(*({"todo_pk": pk, "local_date": TODAY.isoformat()} for pk in pks))


def job(mojodex: Mojodex, pk: int) -> Any:
    return mojodex.job(pk, "reschedule_todo")


# Due to-dos.


def test_an_overdue_todo_is_due_once_a_night(bundle: Bundle, mojodex: Mojodex) -> None:
    pk = overdue(mojodex)

    assert bundle.schedule() == 1
    assert bundle.queued() == [{"todo_pk": pk, "local_date": "2026-12-01"}]
    assert bundle.schedule() == 0
    assert (job(mojodex, pk).state, job(mojodex, pk).occasion) == ("queued", "2026-12-01")


def test_todos_that_are_settled_planned_or_outside_of_the_night_are_not_due(
    bundle: Bundle, mojodex: Mojodex
) -> None:
    overdue(mojodex, TODAY)
    overdue(mojodex, YESTERDAY, THURSDAY)
    completed, deleted, by_mojo, undated = (overdue(mojodex) for _ in range(4))
    mojodex.run("UPDATE md_todo SET completed = now() WHERE todo_pk = :t", t=completed)
    mojodex.run("UPDATE md_todo SET deleted_by_user = now() WHERE todo_pk = :t", t=deleted)
    mojodex.run("UPDATE md_todo SET deleted_by_mojo = now() WHERE todo_pk = :t", t=by_mojo)
    mojodex.run("DELETE FROM md_todo_scheduling WHERE todo_fk = :t", t=undated)
    # In the evening and at noon of their users.
    overdue(mojodex, timezone_offset=300)
    overdue(mojodex, timezone_offset=-600)

    assert bundle.schedule() == 0


def test_yesterday_is_the_users_local_day(bundle: Bundle, mojodex: Mojodex) -> None:
    """At 02:30 UTC, it is night on the same day between UTC-1:30 and UTC+3:29."""
    west = overdue(mojodex, YESTERDAY, timezone_offset=60)
    east = overdue(mojodex, YESTERDAY, timezone_offset=-180)
    still_yesterday = overdue(mojodex, YESTERDAY, timezone_offset=180)

    bundle.schedule()

    assert {body["todo_pk"] for body in bundle.queued()} == {west, east}
    with time_machine.travel(NOW + timedelta(hours=3)):
        bundle.schedule()
        assert [body["todo_pk"] for body in bundle.queued()] == [still_yesterday]


def test_the_newest_scheduling_counts_even_if_two_have_the_same_time(
    bundle: Bundle, mojodex: Mojodex
) -> None:
    moved_away, moved_back = overdue(mojodex, YESTERDAY, THURSDAY), overdue(mojodex, THURSDAY, YESTERDAY)
    mojodex.run("UPDATE md_todo_scheduling SET creation_date = '2026-11-30'")

    bundle.schedule()

    assert [body["todo_pk"] for body in bundle.queued()] == [moved_back]
    assert moved_away != moved_back


@pytest.mark.parametrize("due", [1, 10, 11, 19, 20, 21, 40, 59])
def test_all_due_todos_are_published_whatever_their_number(
    bundle: Bundle, mojodex: Mojodex, monkeypatch: pytest.MonkeyPatch, due: int
) -> None:
    monkeypatch.setattr(bundle.scheduler, "TODOS_PER_PAGE", 20)
    overdue(mojodex)
    mojodex.run(
        "WITH t AS (INSERT INTO md_todo (user_task_execution_fk, description)"
        "  SELECT user_task_execution_fk, 'x' FROM md_todo, generate_series(2, :n) RETURNING todo_pk)"
        " INSERT INTO md_todo_scheduling (todo_fk, scheduled_date) SELECT todo_pk, '2026-11-30' FROM t",
        n=due,
    )

    assert bundle.schedule() == due
    bodies = bundle.queued()
    assert len({body["todo_pk"] for body in bodies}) == len(bodies) == due


def test_a_todo_that_failed_permanently_is_not_tried_until_it_is_moved(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel
) -> None:
    pk = overdue(mojodex)
    model.answers(Reply(refusal="No."))
    bundle.schedule()
    bundle.work(*bundle.queued())
    assert job(mojodex, pk).state == "failed"
    assert len(model.calls) == 1

    with time_machine.travel(NOW + timedelta(days=1)):
        assert bundle.schedule() == 0
    # The user moves it, and it becomes overdue again.
    mojodex.run(
        "INSERT INTO md_todo_scheduling (todo_fk, scheduled_date, creation_date)"
        " VALUES (:t, '2026-12-02', '2026-12-01T12:00Z')",
        t=pk,
    )
    with time_machine.travel(NOW + timedelta(days=2)):
        assert bundle.schedule() == 1


def test_after_an_outage_of_an_hour_the_todo_is_moved_in_the_same_night(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel
) -> None:
    pk = overdue(mojodex)
    model.answers(Reply(status=500))
    bundle.schedule()
    (message,) = bundle.queued()
    for receives in range(1, MAX_RECEIVES + 1):
        event = {"Records": [sqs_record(json.dumps(message), receive_count=receives)]}
        assert len(bundle.work_on(event)["batchItemFailures"]) == 1

    model.answers(move())
    mojodex.close_circuits()
    with time_machine.travel(NOW + timedelta(hours=1)):
        # Its message is a dead letter, which the redrive returns.
        assert bundle.schedule() == 0
        bundle.work(message)

    assert mojodex.schedulings(pk)[-1] == ("2026-12-03", WHY)


def test_a_todo_that_waits_in_the_queue_is_not_published_again(bundle: Bundle, mojodex: Mojodex) -> None:
    overdue(mojodex)
    assert bundle.schedule() == 1

    with time_machine.travel(NOW + timedelta(hours=2)):
        assert bundle.schedule() == 0


def test_a_todo_that_was_given_up_on_is_due_in_the_next_night(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel
) -> None:
    pk = overdue(mojodex)
    bundle.schedule()
    mojodex.run("UPDATE md_background_job SET attempts = 20")
    bundle.work(*bundle.queued())
    assert job(mojodex, pk).state == "failed"

    with time_machine.travel(NOW + timedelta(days=1, hours=3)):
        assert bundle.schedule() == 1


@pytest.mark.parametrize("timezone_offset", [0, 60, 300, -330, -720, 660])
def test_a_long_overdue_todo_is_found_once_each_night(
    bundle: Bundle, mojodex: Mojodex, timezone_offset: int
) -> None:
    pk = overdue(mojodex, YESTERDAY - timedelta(days=400), timezone_offset=timezone_offset)

    published = []
    for hour in range(22, 22 + 24):
        with time_machine.travel(NOW + timedelta(hours=hour)):
            published.append(bundle.schedule())

    assert sum(published) == 1
    assert [body["todo_pk"] for body in bundle.queued()] == [pk]


def test_a_long_overdue_todo_is_found_by_a_run_whose_clock_is_behind(
    bundle: Bundle, mojodex: Mojodex
) -> None:
    """Found by the simulation (`--outage schedules --hours 2`, seed 1): the run of 15:00 read 14:59:44."""
    overdue(mojodex, YESTERDAY - timedelta(days=400))

    with time_machine.travel(datetime(2026, 12, 1, 4, 59, 44, tzinfo=UTC)):
        assert bundle.schedule() == 1


@pytest.mark.parametrize("planned", ["2026-12-04", "2026-12-05", "2026-12-06"])
def test_a_todo_planned_since_friday_is_found_when_mondays_night_begins(
    bundle: Bundle, mojodex: Mojodex, planned: str
) -> None:
    overdue(mojodex, date.fromisoformat(planned))

    with time_machine.travel(datetime(2026, 12, 7, 1, 30, tzinfo=UTC)):
        assert bundle.schedule() == 1


def test_a_run_reads_only_recently_planned_todos(
    bundle: Bundle, mojodex: Mojodex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle.scheduler, "TODOS_PER_PAGE", 20)
    overdue(mojodex)
    mojodex.run(
        "WITH t AS (INSERT INTO md_todo (user_task_execution_fk, description)"
        "  SELECT user_task_execution_fk, 'x' FROM md_todo, generate_series(1, 200) RETURNING todo_pk)"
        " INSERT INTO md_todo_scheduling (todo_fk, scheduled_date, creation_date)"
        " SELECT todo_pk, date '2026-12-20' - 30 * n, timestamptz '2026-11-30' - n * interval '1 day'"
        " FROM t, generate_series(0, 2) n"
    )
    pages = []
    claim = jobs.claim
    monkeypatch.setattr(jobs, "claim", lambda *given, now: pages.append(given) or claim(*given, now=now))

    assert bundle.schedule() == 1

    assert len(pages) == 1


@pytest.mark.parametrize(("start", "end"), [(6, 6), (7, 6), (-1, 6), (1, 25)])
def test_a_night_without_hours_is_refused_at_the_start(make_bundle: Any, start: int, end: int) -> None:
    with pytest.raises(ValueError, match=r"(?i)night"):
        make_bundle("reschedule_todo", night_from_hour=start, night_until_hour=end)


# The saved move.


def test_the_models_day_is_saved_once_with_its_argument(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel
) -> None:
    pk = overdue(mojodex)

    for _ in range(3):
        assert work(bundle, pk) == {"batchItemFailures": []}

    assert mojodex.schedulings(pk) == [("2026-11-30", None), ("2026-12-03", WHY)]
    assert len(model.calls) == 1
    done = job(mojodex, pk)
    assert done.state == "done"
    new = mojodex.run("SELECT max(todo_scheduling_pk) FROM md_todo_scheduling")
    assert done.outcome == {
        "todo_scheduling_pk": new,
        "moved_from": "2026-11-30",
        "moved_to": "2026-12-03",
        "chosen_by": "model",
    }


def test_a_todo_is_moved_from_its_newest_date(bundle: Bundle, mojodex: Mojodex) -> None:
    pk = overdue(mojodex, date(2026, 11, 26), YESTERDAY)

    work(bundle, pk)

    assert job(mojodex, pk).outcome["moved_from"] == "2026-11-30"


def test_a_message_without_a_date_takes_the_day_of_its_sent_time(bundle: Bundle, mojodex: Mojodex) -> None:
    pk = overdue(mojodex, timezone_offset=600)
    event = sqs_event({"todo_pk": pk})
    mojodex.run("UPDATE md_todo_scheduling SET scheduled_date = '2026-11-28'")

    with time_machine.travel(NOW + timedelta(days=1)):
        assert bundle.work_on(event) == {"batchItemFailures": []}

    assert [row.occasion for row in mojodex.rows("SELECT occasion FROM md_background_job")] == ["2026-11-30"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("UPDATE md_todo SET completed = now()", "it is completed"),
        ("UPDATE md_todo SET deleted_by_user = now()", "it was deleted"),
        ("UPDATE md_todo SET deleted_by_mojo = now()", "it was deleted"),
        ("DELETE FROM md_todo_scheduling", "it has no date"),
        ("UPDATE md_todo_scheduling SET scheduled_date = '2026-12-01'", "it is not overdue"),
        (
            MOVE_IT,
            "it is not overdue",
        ),
    ],
)
def test_a_todo_that_is_no_longer_overdue_costs_nothing(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel, change: str, reason: str
) -> None:
    pk = overdue(mojodex)
    before = mojodex.schedulings(pk)
    mojodex.run(change)
    changed = mojodex.schedulings(pk)

    assert work(bundle, pk) == {"batchItemFailures": []}

    assert (job(mojodex, pk).state, job(mojodex, pk).outcome) == ("skipped", {"reason": reason})
    assert mojodex.schedulings(pk) == changed
    assert model.calls == []
    assert before


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            "UPDATE md_todo SET completed = now() WHERE todo_pk = (SELECT min(todo_pk) FROM md_todo)",
            "it was completed or deleted in the meantime",
        ),
        (
            MOVE_IT,
            "it was moved in the meantime",
        ),
    ],
)
def test_a_change_by_the_user_during_the_models_call_wins(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel, change: str, reason: str
) -> None:
    pk = overdue(mojodex)
    # Another user's to-do stays open.
    overdue(mojodex)

    def script(_request: dict[str, Any]) -> Reply:
        mojodex.run(change)
        return move()

    model.script = script

    work(bundle, pk)

    assert job(mojodex, pk).outcome == {"reason": reason}
    assert WHY not in [why for _, why in mojodex.schedulings(pk)]


def test_the_save_waits_for_a_user_who_moves_the_todo_at_the_same_moment(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel
) -> None:
    pk = overdue(mojodex)
    inserted, answered = threading.Event(), threading.Event()

    def script(_request: dict[str, Any]) -> Reply:
        inserted.wait(10)
        answered.set()
        return move()

    model.script = script
    with ThreadPoolExecutor() as threads, mojodex.engine.connect() as backend:
        working = threads.submit(work, bundle, pk)
        backend.execute(
            text(MOVE_IT),
        )
        inserted.set()
        assert answered.wait(10)
        while not mojodex.run("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"):
            assert not working.done()
        backend.commit()
        working.result()

    assert mojodex.schedulings(pk)[-1] == ("2026-12-09", None)
    assert len(mojodex.schedulings(pk)) == 2


def test_concurrent_jobs_of_two_days_move_the_todo_once(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel
) -> None:
    pk = overdue(mojodex)
    model.script = lambda _request: Reply(move().content, delay=0.5)

    bundle.work(*({"todo_pk": pk, "local_date": f"2026-12-0{n}"} for n in (1, 2)))

    assert len(mojodex.schedulings(pk)) == 2
    states = [row.state for row in mojodex.rows("SELECT state FROM md_background_job ORDER BY 1")]
    assert states == ["done", "skipped"]


def test_a_new_scheduling_is_newer_than_the_last_despite_different_clocks(
    bundle: Bundle, mojodex: Mojodex
) -> None:
    pk = overdue(mojodex)
    mojodex.run("UPDATE md_todo_scheduling SET creation_date = '2026-12-01T02:31:00Z'")

    work(bundle, pk)

    assert mojodex.schedulings(pk)[-1] == ("2026-12-03", WHY)


def test_an_unknown_todo_is_a_dead_letter(bundle: Bundle, mojodex: Mojodex) -> None:
    assert bundle.work({"todo_pk": 4711}, {"todo_pk": 4712, "local_date": "2026-12-01"}) == {
        "batchItemFailures": []
    }

    letters = dict(bundle.dead_letters())
    assert letters['{"todo_pk": 4711}'] == "there is no todo 4711"
    assert "there is no todo 4712" in letters.values()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({}, "todo_pk: Field required"),
        ({"todo_pk": "7"}, "todo_pk: Input should be a valid integer"),
        ({"todo_pk": 0}, "greater than or equal to 1"),
        ({"todo_pk": 7, "local_date": "tomorrow"}, "local_date"),
        ({"todo_pk": 7, "local_date": 1764547200}, "local_date"),
        ({"todo_pk": 7, "local_date": "2026-12-01T00:00:00Z"}, "local_date"),
        ({"todo_pk": 7, "user_id": "x"}, "user_id: Extra inputs are not permitted"),
    ],
)
def test_a_bad_message_is_a_dead_letter_with_its_reason(bundle: Bundle, body: Any, reason: str) -> None:
    bundle.work(body)

    ((_, found),) = bundle.dead_letters()
    assert reason in found


def test_the_message_is_retried_while_the_model_is_unavailable(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel
) -> None:
    pk = overdue(mojodex)
    model.answers(Reply(status=500))
    event = sqs_event({"todo_pk": pk, "local_date": "2026-12-01"})

    assert failed_ids(bundle.work_on(event)) == {event["Records"][0]["messageId"]}
    assert len(mojodex.schedulings(pk)) == 1
    model.answers(move())
    bundle.work_on(event)

    assert mojodex.schedulings(pk)[-1] == ("2026-12-03", WHY)


# The model's choice.


@pytest.mark.parametrize(
    ("day", "objection"),
    [
        (YESTERDAY, "before today"),
        ("2027-12-02", "more than a year"),
        ("tomorrow", "not a date"),
        (None, "not a date"),
        ("2026-12-03T09:00", "not a date"),
        (SATURDAY, "it is a Saturday"),
        (SATURDAY + timedelta(days=1), "it is a Sunday"),
    ],
)
def test_after_two_wrong_dates_the_rule_chooses_the_lightest_day(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel, day: Any, objection: str
) -> None:
    pk = overdue(mojodex)
    execution = mojodex.run("SELECT user_task_execution_fk FROM md_todo")
    for n, todos in ((1, 3), (2, 1), (3, 2), (6, 1), (7, 1)):
        for _ in range(todos):
            mojodex.scheduled(execution, "Other", TODAY + timedelta(days=n))
    model.answers(move(day))

    work(bundle, pk)

    assert len(model.calls) == 2
    assert objection in model.calls[1]["messages"][-1]["content"]
    day_chosen, why = mojodex.schedulings(pk)[-1]
    assert day_chosen == "2026-12-03"
    assert why is not None
    assert "lightest of your next five working days, Thursday, December 3" in why
    assert job(mojodex, pk).outcome["chosen_by"] == "rule"
    assert objection in job(mojodex, pk).outcome["reason"]


def test_a_wrong_date_that_is_corrected_is_saved(bundle: Bundle, mojodex: Mojodex, model: FakeModel) -> None:
    pk = overdue(mojodex)
    model.answers(move(YESTERDAY), move(THURSDAY))

    work(bundle, pk)

    assert mojodex.schedulings(pk)[-1] == ("2026-12-03", WHY)


@pytest.mark.parametrize("day", [TODAY, TODAY + timedelta(days=365)])
def test_the_model_may_choose_a_day_from_today_to_a_year_ahead(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel, day: date
) -> None:
    pk = overdue(mojodex)
    model.answers(move(day))

    work(bundle, pk)

    assert mojodex.schedulings(pk)[-1] == (day.isoformat(), WHY)
    assert len(model.calls) == 1


@pytest.mark.parametrize(
    ("language", "description", "dates", "allowed"),
    [
        ("en", "Go to the market on Saturday", (YESTERDAY,), True),
        ("fr", "Aller au marché samedi", (YESTERDAY,), True),
        ("de", "Am Wochenende den Stand aufbauen", (YESTERDAY,), True),
        ("en", "Visit the fair on 5 December", (YESTERDAY,), True),
        ("en", "Go to the market", (date(2026, 11, 28), YESTERDAY), True),
        ("en", "Go to the market on Sunday", (YESTERDAY,), False),
        ("en", "Send the invoice by 25 December", (YESTERDAY,), False),
        ("en", "Send the invoice by December 51", (YESTERDAY,), False),
        ("en", "Go to the market", (date(2026, 11, 27), YESTERDAY), False),
    ],
)
def test_a_weekend_is_allowed_only_if_the_todo_or_its_history_names_one(
    bundle: Bundle,
    mojodex: Mojodex,
    model: FakeModel,
    language: str,
    description: str,
    dates: tuple[date, ...],
    allowed: bool,
) -> None:
    pk = overdue(mojodex, *dates, description=description, language=language)
    model.answers(move(SATURDAY))

    work(bundle, pk)

    assert (mojodex.schedulings(pk)[-1][0] == "2026-12-05") is allowed
    assert len(model.calls) == (1 if allowed else 2)


def test_a_full_day_is_not_taken_while_a_lighter_one_is_near(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel
) -> None:
    pk = overdue(mojodex)
    execution = mojodex.run("SELECT user_task_execution_fk FROM md_todo")
    for _ in range(8):
        mojodex.scheduled(execution, "Other", THURSDAY)
    model.answers(move(THURSDAY), move(THURSDAY + timedelta(days=1)))

    work(bundle, pk)

    assert "2026-12-03 has 8 to-dos already, while 2026-12-01 has 0" in str(model.calls[1]["messages"])
    assert mojodex.schedulings(pk)[-1][0] == "2026-12-04"


def test_a_full_day_is_taken_when_all_days_near_it_are_full(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel
) -> None:
    pk = overdue(mojodex)
    execution = mojodex.run("SELECT user_task_execution_fk FROM md_todo")
    for n in range(8):
        for _ in range(8):
            mojodex.scheduled(execution, "Other", TODAY + timedelta(days=n))

    work(bundle, pk)

    assert mojodex.schedulings(pk)[-1][0] == "2026-12-03"
    assert len(model.calls) == 1


def test_todos_that_are_moved_at_the_same_time_do_not_fill_up_one_day(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel
) -> None:
    """Each found an empty Thursday in its agenda."""
    first = overdue(mojodex)
    execution = mojodex.run("SELECT user_task_execution_fk FROM md_todo")
    pks = [first, *(mojodex.scheduled(execution, f"Call {n}", YESTERDAY) for n in range(9))]
    mojodex.run("UPDATE md_todo_scheduling SET creation_date = '2026-11-29'")
    together = threading.Barrier(10)

    def script(_request: dict[str, Any]) -> Reply:
        together.wait(20)
        return move(THURSDAY)

    model.script = script

    assert work(bundle, *pks) == {"batchItemFailures": []}

    days = Counter(mojodex.schedulings(pk)[-1][0] for pk in pks)
    assert days["2026-12-03"] == 8
    assert sum(days.values()) == 10
    assert "2026-11-30" not in days


ENGLISH = (
    "It has been moved 5 times already: maybe it is time to split it, to ask somebody, to block time for it,"
    " or to let it go."
)
FRENCH = (
    "Elle a déjà été reportée 5 fois : peut-être faut-il la découper, la confier à quelqu'un, "
    "lui réserver un moment, ou y renoncer."
)


@pytest.mark.parametrize(
    ("language", "argument", "ours"),
    [
        ("en", WHY, ENGLISH),
        ("en", "Split it into 5 parts, at 5 pm on 5 December.", ENGLISH),
        ("fr", "Reportée cinq fois : découpez-la.", FRENCH),
        ("fr-CA", "Jeudi est plus calme.", FRENCH),
        ("ar", "تم تأجيلها ٥ مرات.", ENGLISH),
    ],
)
def test_a_todo_that_keeps_slipping_gets_the_number_of_moves_once_in_our_words(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel, language: str, argument: str, ours: str
) -> None:
    days = [date(2026, 11, 23) + timedelta(days=n) for n in range(6)]
    five = overdue(mojodex, *days, language=language)
    model.answers(move(argument=argument))

    work(bundle, five)

    (call,) = model.calls
    assert "It keeps slipping." in section(prompt_of(call), "history")
    assert mojodex.schedulings(five)[-1][1] == f"{argument} {ours}"


def test_a_todo_that_slips_less_often_does_not_get_the_number(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel
) -> None:
    days = [date(2026, 11, 23) + timedelta(days=n) for n in range(5)]
    four = overdue(mojodex, *days)

    work(bundle, four)

    (call,) = model.calls
    assert "It keeps slipping." not in prompt_of(call)
    assert mojodex.schedulings(four)[-1][1] == WHY


def test_a_todo_moved_by_the_rule_gets_the_number_of_moves_too(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel
) -> None:
    days = [date(2026, 11, 23) + timedelta(days=n) for n in range(6)]
    five = overdue(mojodex, *days)
    model.answers(move(YESTERDAY))

    work(bundle, five)

    _, why = mojodex.schedulings(five)[-1]
    assert why is not None
    assert "lightest" in why
    assert why.endswith(f" {ENGLISH}")


@pytest.mark.parametrize("argument", [None, "", " \n", 7, True])
def test_without_an_argument_the_rule_decides(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel, argument: Any
) -> None:
    pk = overdue(mojodex)
    model.answers(move(argument=argument))

    work(bundle, pk)

    assert len(model.calls) == 2
    assert job(mojodex, pk).outcome["chosen_by"] == "rule"
    assert "lightest" in str(mojodex.schedulings(pk)[-1][1])


def test_the_prompt_holds_the_todo_its_history_its_task_and_the_agenda(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel
) -> None:
    pk = overdue(mojodex, date(2026, 11, 20), YESTERDAY, timezone_offset=-60)
    execution = mojodex.run("SELECT user_task_execution_fk FROM md_todo")
    for n in (2, 2, 13, 14):
        mojodex.scheduled(execution, f"Other {n}", TODAY + timedelta(days=n))
    mojodex.scheduled(execution, "Done", TODAY + timedelta(days=2), completed=True)
    strangers = mojodex.execution("x", extracted=True)
    mojodex.scheduled(strangers, "Not theirs", TODAY + timedelta(days=2))

    work(bundle, pk)

    prompt = prompt_of(model.calls[0])
    assert "Today is 2026-12-01 (Tuesday), 03:30" in prompt
    assert section(prompt, "todo") == "Call Bob\n"
    assert "First planned for 2026-11-20 (Friday), on 2026-11-28." in prompt
    assert "Moved to 2026-11-30 (Monday), on 2026-11-29: Reason 1." in prompt
    assert "Moved 1 time until now; this will be move number 2." in prompt
    assert '"meeting_minutes": Write the minutes of a meeting' in prompt
    assert "The minutes." in prompt
    agenda = section(prompt, "agenda").splitlines()
    assert len(agenda) == 14
    assert agenda[0] == "2026-12-01 (Tuesday): 0 to-dos"
    assert agenda[2] == "2026-12-03 (Thursday): 2 to-dos"
    assert agenda[13] == "2026-12-14 (Monday): 1 to-do"
    assert prompt.count("- 2026-12-03: Other 2") == 2
    assert "- 2026-12-15: Other 14" in prompt
    assert "Done" not in prompt
    assert "Not theirs" not in prompt


def test_the_prompt_is_bounded(bundle: Bundle, mojodex: Mojodex, model: FakeModel) -> None:
    pk = overdue(mojodex, *(date(2026, 10, 1) + timedelta(days=n) for n in range(61)))
    mojodex.run("UPDATE md_todo SET description = repeat('x', 100000)")

    work(bundle, pk)

    prompt = prompt_of(model.calls[0])
    assert "First planned for 2026-10-01" in prompt
    assert "… moved 50 times in between …\nMoved to 2026-11-21" in prompt
    assert prompt.count("Moved to ") == 10
    assert "Moved 60 times until now" in prompt
    assert len(prompt) < 10_000


def test_a_todo_of_a_task_with_a_deleted_result_is_moved(bundle: Bundle, mojodex: Mojodex) -> None:
    pk = overdue(mojodex)
    mojodex.run("UPDATE md_produced_text SET deleted_by_user = now()")

    work(bundle, pk)

    assert mojodex.schedulings(pk)[-1] == ("2026-12-03", WHY)


def test_an_argument_is_one_bounded_paragraph(bundle: Bundle, mojodex: Mojodex, model: FakeModel) -> None:
    pk = overdue(mojodex)
    model.answers(Reply(json.dumps(move(argument="One.\r\n\r\nTwo.\x00" + " x" * 5000).content)))

    work(bundle, pk)

    _, why = mojodex.schedulings(pk)[-1]
    assert why is not None
    assert why.startswith("One. Two. x")
    assert len(why) <= 1000


def test_after_an_outage_of_two_nights_only_the_later_message_moves_the_todo(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel
) -> None:
    pk = overdue(mojodex)
    nights = [{"todo_pk": pk, "local_date": day.isoformat()} for day in (YESTERDAY, TODAY)]
    mojodex.run("UPDATE md_todo_scheduling SET scheduled_date = '2026-11-29'")
    # The run at five reads all overdue to-dos, however old.
    for days in (1, 0):
        with time_machine.travel(NOW.replace(hour=5) - timedelta(days=days)):
            assert bundle.schedule() == 1
    assert bundle.queued() == nights

    bundle.work(*nights)

    states = {each.occasion: (each.state, each.outcome["reason"]) for each in _jobs(mojodex, pk, "skipped")}
    assert states == {"2026-11-30": ("skipped", "a later message moves it")}
    assert [each.occasion for each in _jobs(mojodex, pk, "done")] == ["2026-12-01"]
    assert len(model.calls) == 1


def _jobs(mojodex: Mojodex, pk: int, state: str) -> list[Any]:
    return mojodex.rows(
        "SELECT * FROM md_background_job WHERE subject = :s AND state = :state", s=str(pk), state=state
    )


@pytest.mark.parametrize(
    ("time", "tier"), [("03:00", "flex"), ("04:59", "flex"), ("05:00", "default"), ("14:00", "default")]
)
def test_a_move_takes_the_default_tier_when_the_night_ends(
    make_bundle: Any, mojodex: Mojodex, model: FakeModel, time: str, tier: str
) -> None:
    bundle = make_bundle("reschedule_todo", llm_service_tier="flex")
    pk = overdue(mojodex)

    with time_machine.travel(f"2026-12-01T{time}:00+00:00"):
        work(bundle, pk)

    assert [call["service_tier"] for call in model.calls] == [tier]
