"""Time: UTC inside, the user's local day at the edges. A handler reads "now" once and passes it on."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from mojodex.runtime import is_local
from mojodex.settings import SettingsError

FRIDAY = 4
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
# Time zones reach from UTC-12 to UTC+14. Mojodex stores offsets with JavaScript's sign, so UTC+14 is -840.
OFFSETS = range(-14 * 60, 14 * 60 + 1)
# Reserved at the end of an invocation for saving and answering.
RESERVE_SECONDS = 5


def clock_offset(environment: Mapping[str, str]) -> timedelta:
    """Read how far `utc_now` runs ahead of the real time: `CLOCK_OFFSET_SECONDS`, for demos and tests.

    An offset and not a fixed time, because leases and durations need a running clock.

    Raises:
        SettingsError: the variable is set on AWS, or is not a number.
    """
    text = environment.get("CLOCK_OFFSET_SECONDS", "").strip()
    if not text:
        return timedelta()
    if not is_local(environment):
        raise SettingsError("CLOCK_OFFSET_SECONDS: the clock can be set in a local run only")
    try:
        return timedelta(seconds=float(text))
    except (ValueError, OverflowError):
        raise SettingsError("CLOCK_OFFSET_SECONDS: not a number of seconds") from None


_OFFSET = clock_offset(os.environ)


@dataclass(frozen=True)
class Deadline:
    """The end of an invocation, minus a reserve for saving.

    Attributes:
        remaining_millis: the Lambda context's `get_remaining_time_in_millis`.
    """

    remaining_millis: Callable[[], int]

    def seconds_left(self) -> float:
        """Return the seconds that a slow call may take now. The number can be negative."""
        return self.remaining_millis() / 1000 - RESERVE_SECONDS

    def sooner(self, seconds: int) -> "Deadline":
        """Return a deadline that is `seconds` earlier, to leave time for a later step."""
        return Deadline(lambda: self.remaining_millis() - seconds * 1000)


def utc_now() -> datetime:
    """Return the present moment, aware, in UTC."""
    return datetime.now(UTC) + _OFFSET


def sent_at(record: Mapping[str, Any]) -> datetime:
    """Return when the message of an SQS record was sent (aware), on the clock of `utc_now`.

    A redriven message has an attribute for it.
    """
    first = record["messageAttributes"].get("sent_at", {}).get("stringValue", "")
    # Any sender may set the attribute.
    return _from_millis(first) if first.isdecimal() else enqueued_at(record)


def enqueued_at(record: Mapping[str, Any]) -> datetime:
    """Return when the message of an SQS record entered its queue (aware), on the clock of `utc_now`."""
    return _from_millis(record["attributes"]["SentTimestamp"])


def _from_millis(millis: str) -> datetime:
    return datetime.fromtimestamp(int(millis) / 1000, UTC) + _OFFSET


def without_zone(moment: datetime) -> datetime:
    """Convert a moment (aware) for Mojodex's `timestamp` columns: UTC, without a time zone."""
    return moment.astimezone(UTC).replace(tzinfo=None)


def local_time(now: datetime, timezone_offset: int) -> datetime:
    """Return the user's wall clock at `now`, as a naive datetime.

    Args:
        now: a moment (aware).
        timezone_offset: minutes, with JavaScript's sign as Mojodex stores it: local time = UTC - offset
            (Paris in summer: -120).
    """
    return without_zone(now) - timedelta(minutes=timezone_offset)


def start_of_day(day: date, timezone_offset: int) -> datetime:
    """Return the moment (aware, UTC) at which a user's local day begins: the inverse of `local_time`."""
    return datetime.combine(day, datetime.min.time(), UTC) + timedelta(minutes=timezone_offset)


def is_working_day(day: date) -> bool:
    """Tell whether a day is from Monday to Friday."""
    return day.weekday() <= FRIDAY


def next_working_day(day: date) -> date:
    """Return the first Monday to Friday after `day`."""
    following = day + DAY
    while not is_working_day(following):
        following += DAY
    return following


def previous_working_day(day: date) -> date:
    """Return the last Monday to Friday before `day`."""
    before = day - DAY
    while not is_working_day(before):
        before -= DAY
    return before


@dataclass(frozen=True)
class LocalWindow:
    """Offsets (minutes, both ends included) with the local date `local_date`, between certain hours."""

    local_date: date
    first_offset: int
    last_offset: int


def local_windows(now: datetime, from_hour: int, until_hour: int) -> list[LocalWindow]:
    """Find the offsets whose local time is on a working day (Monday to Friday) and between two hours.

    The result is ranges, not a condition on each user's local time, so that an index on the offset can serve.

    Args:
        now: the present moment (aware).
        from_hour: 0 to 23, included.
        until_hour: 1 to 24, excluded; after `from_hour`.

    Returns:
        At most one window for each local date that exists on earth at `now`: up to three.
    """
    utc = without_zone(now)
    windows = []
    for day in (utc.date() - DAY, utc.date(), utc.date() + DAY):
        # from <= utc - offset < until, solved for the offset.
        since_midnight = utc - datetime.combine(day, datetime.min.time())
        first = max((since_midnight - timedelta(hours=until_hour)) // MINUTE + 1, OFFSETS[0])
        last = min((since_midnight - timedelta(hours=from_hour)) // MINUTE, OFFSETS[-1])
        if is_working_day(day) and first <= last:
            windows.append(LocalWindow(day, first, last))
    return windows
