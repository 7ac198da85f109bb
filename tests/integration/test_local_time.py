"""The user's local day: in every offset of a quarter hour, at every half hour of a week.

The week crosses a month, a year and a weekend. The schedules must find the users that the wall clock gives.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import time_machine

from mojodex.clock import is_working_day, local_time, local_windows
from tests.integration.conftest import Bundle
from tests.mojodex import Mojodex

QUARTER_HOURS = range(-14 * 60, 14 * 60 + 1, 15)
# Tuesday to Monday; every zone has all seven days between these two moments.
DAYS = [date(2026, 12, 29) + timedelta(days=n) for n in range(7)]
FIRST = datetime(2026, 12, 28, 10, tzinfo=UTC)
LAST = datetime(2027, 1, 5, 14, tzinfo=UTC)
DEFAULT_OFFSET = -345


def half_hours() -> Iterator[datetime]:
    moment = FIRST
    while moment < LAST:
        yield moment
        moment += timedelta(minutes=30)


def a_user_in_every_zone(mojodex: Mojodex) -> dict[str, int]:
    """Add a user for each offset, with one long overdue to-do. Return their offsets."""
    offsets: dict[str, int] = {}
    for offset in [*QUARTER_HOURS, None]:
        user_id = mojodex.user(timezone_offset=offset)
        offsets[user_id] = DEFAULT_OFFSET if offset is None else offset
    first = mojodex.execution("x", user_id=next(iter(offsets)), extracted=True)
    mojodex.run(
        "WITH u AS (INSERT INTO md_user_task (user_id, task_fk) SELECT user_id, task_pk FROM md_user, md_task"
        "  RETURNING user_task_pk),"
        " e AS (INSERT INTO md_user_task_execution (user_task_fk, session_id, json_input_values,"
        "  todos_extracted) SELECT user_task_pk, session_id, '{}', now() FROM u, md_session"
        "  RETURNING user_task_execution_pk),"
        " t AS (INSERT INTO md_todo (user_task_execution_fk, description)"
        "  SELECT user_task_execution_pk, 'Call Bob' FROM e RETURNING todo_pk)"
        " INSERT INTO md_todo_scheduling (todo_fk, scheduled_date, creation_date)"
        " SELECT todo_pk, '2026-12-01', '2026-12-01' FROM t"
    )
    assert mojodex.run("SELECT count(*) FROM md_todo") == len(offsets), first
    return offsets


def claimed_at_every_half_hour(
    bundle: Bundle, subject: str, before: Callable[[datetime], None] = lambda _: None
) -> dict[datetime, list[Any]]:
    """Return the schedule's messages at each half hour of the week. Call `before` with each moment."""
    found = {}
    for moment in half_hours():
        before(moment)
        with time_machine.travel(moment, tick=False):
            bundle.schedule()
            found[moment] = [(str(body[subject]), body["local_date"]) for body in bundle.queued()]
    return found


def expected_at_every_half_hour(
    offsets: dict[str, int], from_hour: int, until_hour: int
) -> dict[datetime, set[tuple[str, str]]]:
    """Return the same by the wall clock: the first half hour of these hours on each working day."""
    seen: set[tuple[str, str]] = set()
    expected = {}
    for moment in half_hours():
        expected[moment] = set()
        for user_id, offset in offsets.items():
            local = local_time(moment, offset)
            cell = (user_id, local.date().isoformat())
            if from_hour <= local.hour < until_hour and local.weekday() < 5 and cell not in seen:
                seen.add(cell)
                expected[moment].add(cell)
    return expected


def test_one_mail_a_weekday_in_every_zone_and_none_at_the_weekend(make_bundle: Any, mojodex: Mojodex) -> None:
    offsets = a_user_in_every_zone(mojodex)
    bundle = make_bundle("events", default_timezone_offset=DEFAULT_OFFSET)

    found = claimed_at_every_half_hour(bundle, "user_id")

    expected = expected_at_every_half_hour(offsets, 8, 11)
    assert {moment: set(cells) for moment, cells in found.items()} == expected
    mails = Counter(cell for cells in found.values() for cell in cells)
    for user_id in offsets:
        for day in DAYS:
            assert mails[user_id, day.isoformat()] == (1 if is_working_day(day) else 0)


OWNERS = (
    "SELECT todo_pk, user_id FROM md_todo JOIN md_user_task_execution"
    " ON user_task_execution_pk = user_task_execution_fk JOIN md_user_task ON user_task_pk = user_task_fk"
)
# Plan every to-do for the last working day before the user's today.
PLAN_FOR_THE_LAST_WORKING_DAY = (
    "UPDATE md_todo_scheduling SET scheduled_date = today"
    " - CASE extract(isodow FROM today) WHEN 1 THEN 3 WHEN 7 THEN 2 ELSE 1 END"
    f" FROM ({OWNERS}) owners JOIN (SELECT user_id, CAST(CAST(:moment AS timestamp)"
    "  - make_interval(mins => coalesce(timezone_offset, :default)) AS date) AS today FROM md_user) days"
    " USING (user_id) WHERE todo_fk = todo_pk"
)


def chances_to_be_moved(
    mojodex: Mojodex, bundle: Bundle, before: Callable[[datetime], None] = lambda _: None
) -> dict[datetime, list[tuple[str, str]]]:
    """Return the users and days of the schedule's messages at each half hour."""
    owners = {str(row.todo_pk): row.user_id for row in mojodex.rows(OWNERS)}
    found = claimed_at_every_half_hour(bundle, "todo_pk", before)
    return {moment: [(owners[pk], day) for pk, day in claims] for moment, claims in found.items()}


def test_one_chance_a_night_to_be_moved_in_every_zone_and_none_at_the_weekend(
    make_bundle: Any, mojodex: Mojodex
) -> None:
    offsets = a_user_in_every_zone(mojodex)
    bundle = make_bundle("reschedule_todo", default_timezone_offset=DEFAULT_OFFSET)

    def plan(moment: datetime) -> None:
        naive = moment.replace(tzinfo=None)
        mojodex.run(PLAN_FOR_THE_LAST_WORKING_DAY, moment=naive, default=DEFAULT_OFFSET)

    found = chances_to_be_moved(mojodex, bundle, plan)

    assert {moment: set(cells) for moment, cells in found.items()} == expected_at_every_half_hour(
        offsets, 1, 6
    )
    assert_one_chance_a_working_day(found, offsets)


def test_a_long_overdue_todo_has_one_chance_a_night_too(make_bundle: Any, mojodex: Mojodex) -> None:
    offsets = a_user_in_every_zone(mojodex)
    bundle = make_bundle("reschedule_todo", default_timezone_offset=DEFAULT_OFFSET)

    found = chances_to_be_moved(mojodex, bundle)

    assert_one_chance_a_working_day(found, offsets)
    for moment, cells in found.items():
        for user_id, _ in cells:
            assert 1 <= local_time(moment, offsets[user_id]).hour < 6


def assert_one_chance_a_working_day(
    found: dict[datetime, list[tuple[str, str]]], offsets: dict[str, int]
) -> None:
    chances = Counter(cell for cells in found.values() for cell in cells)
    for user_id in offsets:
        for day in DAYS:
            assert chances[user_id, day.isoformat()] == (1 if is_working_day(day) else 0)


@pytest.mark.parametrize(("from_hour", "until_hour"), [(0, 24), (8, 11), (1, 6), (23, 24), (0, 1)])
def test_a_window_holds_exactly_the_offsets_whose_wall_clock_is_in_it(
    from_hour: int, until_hour: int
) -> None:
    """This also holds at the seconds around an edge."""
    for moment in half_hours():
        for seconds in (-1, 0, 1, 59):
            now = moment + timedelta(seconds=seconds)
            windows = local_windows(now, from_hour, until_hour)
            for offset in QUARTER_HOURS:
                local = local_time(now, offset)
                inside = from_hour <= local.hour < until_hour and is_working_day(local.date())
                dates = [w.local_date for w in windows if w.first_offset <= offset <= w.last_offset]
                assert dates == ([local.date()] if inside else [])
