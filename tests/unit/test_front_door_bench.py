import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bench.front_door import fixture
from bench.front_door.calls import CALLS, Answer, parsed
from mojodex.clock import is_working_day, local_time

RECORDED = json.loads((Path(__file__).parent.parent / "mojodex_calls.json").read_text())
MONDAY = datetime(2026, 11, 23, 0, 1, tzinfo=UTC)


def test_the_recorded_answers_are_to_the_requests_of_the_bench() -> None:
    answers = ("status", "body", "sent_by_mojodex")

    requests = [{name: call[name] for name in call if name not in answers} for call in RECORDED["calls"]]

    assert requests == [call.described() for call in CALLS]
    assert RECORDED["fixture"] == fixture.described()


@pytest.mark.parametrize("hours", range(0, 7 * 24, 3))
@pytest.mark.parametrize("local_hour", [fixture.NIGHT_HOUR, 8, 15])
def test_a_user_has_the_wanted_local_hour_on_a_weekday_whenever_the_bench_runs(
    hours: int, local_hour: int
) -> None:
    now = MONDAY + timedelta(hours=hours)

    clock = local_time(now, fixture.timezone_offset(now, local_hour))

    assert (clock.hour, clock.minute) == (local_hour, 30)
    assert is_working_day(clock.date())


@pytest.mark.parametrize("hours", range(0, 7 * 24, 3))
def test_a_user_at_night_is_never_east_of_greenwich(hours: int) -> None:
    assert fixture.timezone_offset(MONDAY + timedelta(hours=hours), fixture.NIGHT_HOUR) >= 0


@pytest.mark.parametrize(
    ("body", "is_expected"),
    [
        ({"error": "Error updating document : (psycopg2.errors.Whatever) words"}, True),
        ({"error": "Error updating document : it is no number"}, True),
        ({"error": "invalid inputs"}, False),
        ({"error": "Error updating document : it is no number", "more": 1}, False),
        ("Error updating document : it is no number", False),
    ],
)
def test_the_wording_of_a_library_is_not_compared(body: object, is_expected: bool) -> None:
    expected = Answer(404, parsed('{"error": "Error updating document : (psycopg2.errors.Other) words"}'))

    assert expected.body == {"error": "Error updating document : …"}
    assert Answer(404, body).matches(expected) == is_expected
    assert not Answer(400, body).matches(expected)


def test_only_the_order_of_todos_is_not_compared() -> None:
    assert parsed('{"todo_pks": [2, 1]}') == parsed('{"todo_pks": [1, 2]}')
    assert parsed('{"user_ids": ["b", "a"]}') != parsed('{"user_ids": ["a", "b"]}')
