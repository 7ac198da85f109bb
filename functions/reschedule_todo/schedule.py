"""Find overdue to-dos of users whose local time is at night, claim them, and publish a message for each."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import Field, model_validator

from mojodex.clock import DAY, Deadline, local_windows, previous_working_day, utc_now
from mojodex.database import Database
from mojodex.observability import logger
from mojodex.schedule import DueWork, ScheduleSettings, publish_due
from mojodex.sql import read_sql
from reschedule_todo.message import PROCESS, RescheduleTodo

# To-dos per statement, so that none takes long, even if few of them are due.
TODOS_PER_PAGE = 2000
CLOCK_TOLERANCE = timedelta(minutes=5)
DUE, DUE_EVERYTHING = (read_sql(Path(__file__).with_name(name)) for name in ("due.sql", "due_everything.sql"))


class Settings(ScheduleSettings):
    """Settings of the schedule.

    Attributes:
        night_from_hour: hour of the user's wall clock, 0 to 23, at which the night begins.
        night_until_hour: hour, 1 to 24, at which the night ends. A night has several runs of the schedule, so
            that a later run finds what an earlier one missed before the user gets their e-mail.
        default_timezone_offset: minutes, for users without an offset.
    """

    night_from_hour: int = Field(ge=0, le=23)
    night_until_hour: int = Field(ge=1, le=24)
    default_timezone_offset: int = 0

    @model_validator(mode="after")
    def _night_has_hours(self) -> "Settings":
        if self.night_from_hour >= self.night_until_hour:
            raise ValueError("NIGHT_FROM_HOUR must be before NIGHT_UNTIL_HOUR, on the same day")
        return self


settings = Settings.from_environment()
database = Database(settings)


@logger.inject_lambda_context
def handler(_event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """Publish due work. EventBridge Scheduler invokes it; the event does not matter."""
    now, deadline = utc_now(), Deadline(context.get_remaining_time_in_millis)
    return publish_due(database, due_work(settings, now), now, deadline)


def due_work(settings: Settings, now: datetime) -> Iterator[DueWork]:
    """Describe the work due at `now` (aware); none if it is nowhere the night of a working day."""
    windows = local_windows(now, settings.night_from_hour, settings.night_until_hour)
    if not windows:
        return
    parameters = {
        "after_pk": 0,
        "last_date": max(window.local_date for window in windows) - DAY,
        "local_dates": [window.local_date for window in windows],
        "first_offsets": [window.first_offset for window in windows],
        "last_offsets": [window.last_offset for window in windows],
        "default_timezone_offset": settings.default_timezone_offset,
        "page_size": TODOS_PER_PAGE,
    }
    query = DUE_EVERYTHING
    if not is_hour_for_everything(settings, now):
        query = DUE
        parameters["after_date"] = min(previous_working_day(window.local_date) for window in windows)
    yield DueWork(PROCESS, query, parameters, settings.queue_url, _message)


def is_hour_for_everything(settings: Settings, now: datetime) -> bool:
    """Tell whether a run at `now` searches all open to-dos, and not only those that were planned lately.

    A night is N hours long. So each time zone's night has one of the UTC hours that N divides. The tolerance
    puts a run at the full hour into that hour, even if its clock is slow.
    """
    return (now + CLOCK_TOLERANCE).hour % (settings.night_until_hour - settings.night_from_hour) == 0


def _message(row: Any) -> RescheduleTodo:
    return RescheduleTodo(todo_pk=int(row.subject), local_date=row.local_date)
