"""Find overdue to-dos whose users have night, claim them in the ledger, and publish a message for each."""

from datetime import date, datetime
from functools import partial
from typing import Any, NamedTuple

from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import Field, model_validator
from sqlalchemy import (
    ColumnElement,
    Date,
    Integer,
    Row,
    Select,
    Text,
    cast,
    column,
    func,
    select,
    true,
    tuple_,
    values,
)
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased

from mojodex import jobs
from mojodex.clock import DAY, Deadline, LocalWindow, local_windows, previous_working_day, utc_now
from mojodex.database import Database
from mojodex.observability import logger
from mojodex.reads import is_open, newest_scheduling
from mojodex.schedule import Rows, ScheduleSettings, publish_due
from mojodex.schema import BackgroundJob, MdTodo, MdTodoScheduling, MdUser, MdUserTask, MdUserTaskExecution
from reschedule_todo.message import PROCESS, RescheduleTodo

# To-dos that one statement looks at, so that none takes long, however few of them are due.
TODOS_PER_PAGE = 2000

# Where a page ended: a row's key in the index that is walked.
type Place = tuple[Any, ...]


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
database = Database(settings)


@logger.inject_lambda_context
def handler(_event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """EventBridge Scheduler's target. The event does not matter: due is a state of the database."""
    claim_page = partial(_claim_page, settings, utc_now())
    deadline = Deadline(context.get_remaining_time_in_millis)
    return {"published": publish_due(database, settings.queue_url, claim_page, _message, deadline)}


class Walk(NamedTuple):
    """A way through an index on which overdue to-dos are found.

    Attributes:
        key: columns of the index, which order it.
        rows: which of its rows are looked at.
        todos: the open to-dos with these rows: todo_pk, user_task_execution_fk, and of their newest
            scheduling scheduled_date and creation_date. Its joins are lookups, so it begins with the index.
    """

    key: tuple[InstrumentedAttribute[Any], ...]
    rows: ColumnElement[bool]
    todos: Select[int, int, Any, Any]


def _claim_page(
    settings: Settings, now: datetime, session: Session, after: Place | None
) -> tuple[Rows, Place | None]:
    windows = local_windows(now, settings.night_from_hour, settings.night_until_hour)
    if not windows:
        return [], None
    # Of the hours at which everything is looked at, one is in each zone's night.
    everything = now.hour % (settings.night_until_hour - settings.night_from_hour) == 0
    walk = all_open() if everything else planned_lately(windows)
    last = session.execute(_last_of_page(walk, after)).one_or_none()
    query = due(windows, settings.default_timezone_offset, walk, after, last, now)
    return jobs.claim(session, PROCESS, query, now=now), None if last is None else tuple(last)


def _message(row: Row[*tuple[Any, ...]]) -> str:
    message = RescheduleTodo(todo_pk=int(row.subject), local_date=row.local_date)
    return message.model_dump_json()


def all_open() -> Walk:
    """All open to-dos, by their keys. So nothing is too old to be found; but it follows what is open."""
    todo = MdTodo
    its_date = newest_scheduling(
        todo.todo_pk, MdTodoScheduling.scheduled_date, MdTodoScheduling.creation_date
    )
    todos = select(
        todo.todo_pk, todo.user_task_execution_fk, its_date.c.scheduled_date, its_date.c.creation_date
    ).join(its_date, true())
    return Walk((todo.todo_pk,), is_open(), todos)


def planned_lately(windows: list[LocalWindow]) -> Walk:
    """The to-dos that were planned for the last working day or since, in the order of these dates.

    What is overdue is moved every night, so this is nearly all that is due; and it follows what was planned
    for a day or two, and neither what is open nor what was moved or done in former times.
    """
    scheduling, todo = aliased(MdTodoScheduling), MdTodo
    newest = newest_scheduling(scheduling.todo_fk, MdTodoScheduling.todo_scheduling_pk)
    its_todo = (
        select(todo.todo_pk, todo.user_task_execution_fk)
        .where(todo.todo_pk == scheduling.todo_fk, is_open())
        .limit(1)
        .correlate(scheduling)
        .lateral("its_todo")
    )
    todos = (
        select(
            its_todo.c.todo_pk,
            its_todo.c.user_task_execution_fk,
            scheduling.scheduled_date,
            scheduling.creation_date,
        )
        .join(newest, newest.c.todo_scheduling_pk == scheduling.todo_scheduling_pk)
        .join(its_todo, true())
    )
    first = min(previous_working_day(window.local_date) for window in windows)
    return Walk(
        (scheduling.scheduled_date, scheduling.todo_scheduling_pk),
        scheduling.scheduled_date.between(first, _latest(windows) - DAY),
        todos,
    )


def _latest(windows: list[LocalWindow]) -> date:
    return max(window.local_date for window in windows)


def _last_of_page(walk: Walk, after: Place | None) -> Select[*tuple[Any, ...]]:
    """Key of the row with which the page behind `after` ends; none for the last page."""
    return (
        select(*walk.key)
        .where(walk.rows, *_between(walk, after, None))
        .order_by(*walk.key)
        .offset(TODOS_PER_PAGE - 1)
        .limit(1)
    )


def _between(walk: Walk, after: Place | None, last: Place | None) -> list[ColumnElement[bool]]:
    key = tuple_(*walk.key)
    found = [] if after is None else [key > after]
    return found if last is None else [*found, key <= last]


def due(
    windows: list[LocalWindow],
    default_timezone_offset: int,
    walk: Walk,
    after: Place | None,
    last: Place | None,
    now: datetime,
) -> Select[str, str, Any]:
    """The overdue to-dos of one page: open, and dated before the local day of a user who has night.

    A to-do whose move has failed for good is left alone until it is moved or its job is deleted; one that was
    given up on gets another night.

    Args:
        windows: where it is night now, on a working day.
        default_timezone_offset: minutes, for users whose offset is not known.
        walk: on which way they are looked for.
        after, last: keys between which the page lies; `last` is included, None is the beginning and the end.
        now: the present moment (aware).

    Returns:
        A query of (subject, occasion, local_date).
    """
    execution, user_task, user = MdUserTaskExecution, MdUserTask, MdUser
    night = values(
        column("local_date", Date),
        column("first_offset", Integer),
        column("last_offset", Integer),
        name="night",
    ).data([(window.local_date, window.first_offset, window.last_offset) for window in windows])
    # OFFSET keeps it a query of its own: first the dates, and then, for the few that are overdue anywhere,
    # the user and the ledger.
    its_date = walk.todos.selected_columns.scheduled_date
    overdue = (
        walk.todos.where(walk.rows, *_between(walk, after, last), its_date < _latest(windows))
        .offset(0)
        .subquery("overdue")
    )
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
