"""Time: UTC inside, the user's local day at the edges. "Now" is an argument, read once by a handler."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

FRIDAY = 4
# Kept back of an invocation's time for saving and answering.
RESERVE_SECONDS = 5


@dataclass(frozen=True)
class Deadline:
    """The end of an invocation, less a reserve for saving.

    Attributes:
        remaining_millis: the Lambda context's `get_remaining_time_in_millis`.
    """

    remaining_millis: Callable[[], int]

    def seconds_left(self) -> float:
        """Seconds that a slow call may take now; can be negative."""
        return self.remaining_millis() / 1000 - RESERVE_SECONDS


def utc_now() -> datetime:
    """The present moment, aware, in UTC."""
    return datetime.now(UTC)


def local_time(now: datetime, timezone_offset: int) -> datetime:
    """The user's wall clock at `now`, as a naive datetime.

    Args:
        now: an aware moment.
        timezone_offset: minutes, with JavaScript's sign as Mojodex stores it: local = UTC - offset (Paris in
            summer: -120).
    """
    return now.astimezone(UTC).replace(tzinfo=None) - timedelta(minutes=timezone_offset)


def next_working_day(day: date) -> date:
    """The first Monday to Friday after `day`."""
    following = day + timedelta(days=1)
    while following.weekday() > FRIDAY:
        following += timedelta(days=1)
    return following
