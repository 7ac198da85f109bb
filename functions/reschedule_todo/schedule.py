"""Find overdue to-dos whose users have night, claim them in the ledger, and publish a message for each."""

from datetime import datetime
from functools import partial
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import Field, model_validator
from sqlalchemy import Date, Integer, Row, Select, Text, cast, column, func, select, true, values
from sqlalchemy.orm import Session, aliased

from mojodex import jobs
from mojodex.clock import Deadline, LocalWindow, local_windows, utc_now
from mojodex.observability import logger
from mojodex.reads import is_open, newest_scheduling
from mojodex.schedule import Rows, ScheduleSettings, publish_due
from mojodex.schema import BackgroundJob, MdTodo, MdTodoScheduling, MdUser, MdUserTask, MdUserTaskExecution
from reschedule_todo.message import PROCESS, RescheduleTodo

# Open to-dos that one statement looks at, so that none takes long, however few of them are due.
TODOS_PER_PAGE = 2000


class Settings(ScheduleSettings):
    """Settings of the schedule.

    Attributes:
        night_from_hour: hour of the user's wall clock, 0 to 23, from which on to-dos are moved.
        night_until_hour: hour, 1 to 24, until which they are. The night is several runs of the schedule long,
            so that what one run missed is found before the user gets their e-mail.
        default_timezone_offset: minutes, for users whose offset is not known.
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


@logger.inject_lambda_context
def handler(_event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """EventBridge Scheduler's target. The event does not matter: due is a state of the database."""
    claim_page = partial(_claim_page, settings, utc_now())
    deadline = Deadline(context.get_remaining_time_in_millis)
    return {"published": publish_due(settings, settings.queue_url, claim_page, _message, deadline)}


def _claim_page(
    settings: Settings, now: datetime, session: Session, after: int | None
) -> tuple[Rows, int | None]:
    windows = local_windows(now, settings.night_from_hour, settings.night_until_hour)
    if not windows:
        return [], None
    last = session.execute(_last_of_page(after or 0)).scalar()
    query = due(windows, settings.default_timezone_offset, after or 0, last, now)
    return jobs.claim(session, PROCESS, query, now=now), last


def _message(row: Row[*tuple[Any, ...]]) -> str:
    message = RescheduleTodo(todo_pk=int(row.subject), local_date=row.local_date)
    return message.model_dump_json()


def _last_of_page(after: int) -> Select[int]:
    """Key of the open to-do with which the page behind `after` ends; no row for the last page."""
    return (
        select(MdTodo.todo_pk)
        .where(is_open(), MdTodo.todo_pk > after)
        .order_by(MdTodo.todo_pk)
        .offset(TODOS_PER_PAGE - 1)
        .limit(1)
    )


def due(
    windows: list[LocalWindow],
    default_timezone_offset: int,
    after: int,
    last: int | None,
    now: datetime,
) -> Select[str, str, Any]:
    """The overdue to-dos of one page: open, and dated before the local day of a user who has night.

    It walks the index of open to-dos, so its cost follows these and neither what was done nor what was moved
    in former times. A to-do whose move has failed for good is left alone until it is moved or its job is
    deleted; one that was given up on gets another night.

    Args:
        windows: where it is night now, on a working day.
        default_timezone_offset: minutes, for users whose offset is not known.
        after, last: keys of open to-dos between which the page lies; `last` is included, None is the end.
        now: the present moment (aware).

    Returns:
        A query of (subject, occasion, local_date).
    """
    todo, execution, user_task, user = MdTodo, MdUserTaskExecution, MdUserTask, MdUser
    night = values(
        column("local_date", Date),
        column("first_offset", Integer),
        column("last_offset", Integer),
        name="night",
    ).data([(window.local_date, window.first_offset, window.last_offset) for window in windows])
    its_date = newest_scheduling(
        todo.todo_pk, MdTodoScheduling.scheduled_date, MdTodoScheduling.creation_date
    )
    latest = max(window.local_date for window in windows)
    # OFFSET keeps it a query of its own: first the dates, and then, for the few that are overdue anywhere,
    # the user and the ledger.
    of_page = (
        select(todo.todo_pk, todo.user_task_execution_fk, its_date.c.scheduled_date, its_date.c.creation_date)
        .join(its_date, true())
        .where(is_open(), todo.todo_pk > after, its_date.c.scheduled_date < latest)
        .offset(0)
    )
    overdue = (of_page if last is None else of_page.where(todo.todo_pk <= last)).subquery("overdue")
    its_user = (
        select(user.timezone_offset)
        .join(user_task, user_task.user_id == user.user_id)
        .join(execution, execution.user_task_fk == user_task.user_task_pk)
        .where(execution.user_task_execution_pk == overdue.c.user_task_execution_fk)
        .limit(1)
        .correlate(overdue)
        .lateral("its_user")
    )
    subject, occasion = cast(overdue.c.todo_pk, Text), cast(night.c.local_date, Text)
    claimed = jobs.claimed(PROCESS, subject, occasion, now).correlate(overdue, night).exists()
    failed = aliased(BackgroundJob)
    has_failed = (
        select(failed.state)
        .where(
            failed.process == PROCESS,
            failed.subject == subject,
            failed.state == "failed",
            ~func.coalesce(failed.outcome["reason"].astext, "").startswith(jobs.GAVE_UP),
            failed.finished_at > overdue.c.creation_date,
        )
        .offset(0)
        .correlate(overdue)
        .exists()
    )
    return (
        select(subject.label("subject"), occasion.label("occasion"), cast(night.c.local_date, Date))
        .select_from(overdue)
        .join(its_user, true())
        .join(
            night,
            func.coalesce(its_user.c.timezone_offset, default_timezone_offset).between(
                night.c.first_offset, night.c.last_offset
            ),
        )
        .where(
            overdue.c.scheduled_date < night.c.local_date,
            ~claimed,
            ~has_failed,
        )
        .order_by(overdue.c.todo_pk)
    )
