"""Find the users who are due for the daily to-do e-mail. The schedule imports only this."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import Field

from events.message import PROCESS, SendEvent
from mojodex.clock import local_windows, previous_working_day
from mojodex.mail_ledger import mail_block
from mojodex.queries import sign_of_life
from mojodex.schedule import DueWork, ScheduleSettings
from mojodex.sql import read_sql

# Hours after its hour in which a mail that an outage delayed is still sent.
HOURS_LATE = 2
# Users per statement, so that none takes long, even if few of them are due.
USERS_PER_PAGE = 1000
# A paused user gets mails again after a sign of life.
DUE = read_sql(Path(__file__).with_name("due.sql")).format(
    sign_of_life=sign_of_life("willing.user_id", "pause.paused_at"),
    mail_block=mail_block("willing.user_id", ":now"),
)


class AudienceSettings(ScheduleSettings):
    """Settings of the audience.

    Attributes:
        daily_todo_email_time: hour of the user's wall clock, 0 to 21, at which it is sent.
        send_empty_todo_emails: whether users without to-dos get it, too.
        dormant_after_days: 0 if the e-mail never pauses.
        default_timezone_offset: minutes, for users without an offset.
    """

    daily_todo_email_time: int = Field(ge=0, le=23 - HOURS_LATE)
    send_empty_todo_emails: bool = False
    dormant_after_days: int = Field(default=0, ge=0)
    default_timezone_offset: int = 0


def due_work(settings: AudienceSettings, now: datetime) -> Iterator[DueWork]:
    """Describe the users who are due at `now` (aware), by time window, with an offset and without."""
    hour, default = settings.daily_todo_email_time, settings.default_timezone_offset
    for window in local_windows(now, hour, hour + 1 + HOURS_LATE):
        parameters = {
            "after_offset": window.first_offset,
            "after_user_id": "",
            "last_offset": window.last_offset,
            "local_date": window.local_date,
            # Monday's mail also tells the moves since Friday's.
            "previous_working_day": previous_working_day(window.local_date),
            "default_timezone_offset": default,
            "send_empty": settings.send_empty_todo_emails,
            "may_pause": settings.dormant_after_days > 0,
            "page_size": USERS_PER_PAGE,
        }
        for without_offset in (False, True):
            if not without_offset or window.first_offset <= default <= window.last_offset:
                yield DueWork(
                    PROCESS,
                    DUE,
                    parameters | {"without_offset": without_offset},
                    settings.queue_url,
                    _message,
                )


def _message(row: Any) -> SendEvent:
    return SendEvent(event_type="todo_daily_emails", user_id=row.user_id, local_date=row.local_date)
