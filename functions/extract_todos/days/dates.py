"""Calendar arithmetic: each function returns the days that words may mean, or none."""

from datetime import date, timedelta

type Days = frozenset[date]
NONE: Days = frozenset()
WEEK = 7
CENTURY = 2000
# Years. A two-digit year further ahead is in the past century.
LONGEST_PLAN = 10
# A leap day recurs within eight years, any other date within one.
YEARS_TO_LEAP_DAY = 8


def ahead(today: date, *days: int) -> Days:
    """Return the days that are these numbers of days from today."""
    try:
        return frozenset(today + timedelta(count) for count in days)
    except OverflowError:
        return NONE


def weekday(today: date, index: int) -> Days:
    """Return the next such weekday. If today is one, return today and a week later."""
    distance = _distance(today, index)
    return ahead(today, distance, *([] if distance else [WEEK]))


def this_weekday(today: date, index: int) -> Days:
    """Return such a weekday of this week; none if it is over, since "this Monday" is then ambiguous."""
    return weekday(today, index) if index >= today.weekday() else NONE


def coming_weekday(today: date, index: int) -> Days:
    """Return the next such weekday after today. If that is tomorrow, add the one a week later."""
    distance = _distance(today, index) or WEEK
    return ahead(today, distance, *([distance + WEEK] if distance == 1 else []))


def next_weekday(today: date, index: int, *, nearest: bool) -> Days:
    """Return the readings of "next Friday": the coming one, next week's, or the second one."""
    coming = _distance(today, index) or WEEK
    # On a Sunday, "next Monday" hardly means tomorrow.
    if not nearest or coming == 1:
        return ahead(today, coming, coming + WEEK)
    return ahead(today, coming, WEEK - today.weekday() + index)


def weekday_next_week(today: date, index: int) -> Days:
    """Return such a weekday of next week; none if that depends on whether weeks begin on Sunday."""
    if index == 6 or today.weekday() == 6:
        return NONE
    return ahead(today, WEEK - today.weekday() + index)


def weekday_and_week(today: date, index: int) -> Days:
    """Return the day a week after the next such weekday; none if today is one."""
    distance = _distance(today, index)
    return ahead(today, distance + WEEK) if distance else NONE


def date_of(today: date, year: str | None, month: int, day: int, weekday: int | None = None) -> Days:
    """Return a date unless it is past; without a year, its next occurrence.

    Args:
        today: the speaker's.
        year: "2026", "26", "'26" or None.
        month, day: any numbers.
        weekday: named beside the date; if it contradicts the date, there is no such day.
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
    """Keep the days on this weekday; all days for None."""
    return days if index is None else frozenset(day for day in days if day.weekday() == index)


def _distance(today: date, index: int) -> int:
    return (index - today.weekday()) % WEEK
