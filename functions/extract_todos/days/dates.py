"""Reckon with days: each function returns the days that words may mean, and none if there is no such day."""

from datetime import date, timedelta

type Days = frozenset[date]
NONE: Days = frozenset()
WEEK = 7
CENTURY = 2000
# A year of two digits that is later than this, in years, is of the last century.
LONGEST_PLAN = 10
# A date without a year that is no leap day recurs within one year, a leap day within eight.
YEARS_TO_LEAP_DAY = 8


def ahead(today: date, *days: int) -> Days:
    """Return the days so many days from today."""
    try:
        return frozenset(today + timedelta(count) for count in days)
    except OverflowError:
        return NONE


def weekday(today: date, index: int) -> Days:
    """Return the next such weekday; on that weekday, today and a week later."""
    distance = _distance(today, index)
    return ahead(today, distance, *([] if distance else [WEEK]))


def this_weekday(today: date, index: int) -> Days:
    """Return such a weekday of this week; none if it is over, which "this Monday" may mean or not."""
    return weekday(today, index) if index >= today.weekday() else NONE


def coming_weekday(today: date, index: int) -> Days:
    """Return the next such weekday but today; if it is tomorrow, also a week later, for one would say so."""
    distance = _distance(today, index) or WEEK
    return ahead(today, distance, *([distance + WEEK] if distance == 1 else []))


def next_weekday(today: date, index: int, *, nearest: bool) -> Days:
    """Return what "next Friday" may mean: the coming one, that of next week, or the second."""
    coming = _distance(today, index) or WEEK
    # On a Sunday, "next Monday" is hardly tomorrow.
    if not nearest or coming == 1:
        return ahead(today, coming, coming + WEEK)
    return ahead(today, coming, WEEK - today.weekday() + index)


def weekday_next_week(today: date, index: int) -> Days:
    """Return such a weekday of next week; none where it matters whether weeks begin on Sunday."""
    if index == 6 or today.weekday() == 6:
        return NONE
    return ahead(today, WEEK - today.weekday() + index)


def weekday_and_week(today: date, index: int) -> Days:
    """Return the next such weekday and a week; none on that weekday."""
    distance = _distance(today, index)
    return ahead(today, distance + WEEK) if distance else NONE


def date_of(today: date, year: str | None, month: int, day: int, weekday: int | None = None) -> Days:
    """Return a date; without a year, the next one that is not past. A past date is none.

    Args:
        today: the speaker's.
        year: "2026", "26", "'26" or None.
        month, day: any numbers.
        weekday: what is said beside it; if it is another one, there is no such day.
    """
    if year:
        number = int(year.removeprefix("'"))
        if number < 100:
            number += CENTURY
            if number > today.year + LONGEST_PLAN:
                return NONE
        return only_on(_valid(today, number, month, day), weekday)
    years = range(today.year, today.year + YEARS_TO_LEAP_DAY + 1)
    return only_on(next((days for each in years if (days := _valid(today, each, month, day))), NONE), weekday)


def _valid(today: date, year: int, month: int, day: int) -> Days:
    try:
        found = date(year, month, day)
    except ValueError:
        return NONE
    return frozenset([found]) if found >= today else NONE


def day_of_month(today: date, day: int) -> Days:
    """Return the next day with this number, in this month or the next; none if that month is too short."""
    month = today.year * 12 + today.month - 1 + (day < today.day)
    return _valid(today, month // 12, month % 12 + 1, day)


def only_on(days: Days, index: int | None) -> Days:
    """Keep the days that are on a weekday."""
    return days if index is None else frozenset(day for day in days if day.weekday() == index)


def _distance(today: date, index: int) -> int:
    return (index - today.weekday()) % WEEK
