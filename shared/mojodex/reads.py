"""What several processes read the same way: a user and their day, a task's result, to-dos and their dates."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, ColumnExpressionArgument, FromClause, Select, and_, select, true
from sqlalchemy.orm import InstrumentedAttribute

from mojodex.clock import local_time
from mojodex.schema import (
    MdProducedText,
    MdProducedTextVersion,
    MdTodo,
    MdTodoScheduling,
    MdUser,
    MdUserTask,
    MdUserTaskExecution,
)


@dataclass(frozen=True)
class User:
    """A user as prompts know them; `today` and `time` (HH:MM) are local."""

    name: str
    language: str
    goal: str
    company: str
    today: date
    time: str


def as_user(row: MdUser, now: datetime, default_timezone_offset: int) -> User:
    """The user of a row of `md_user` at `now` (aware); one without an offset gets the default (minutes)."""
    local = local_time(now, offset_of(row.timezone_offset, default_timezone_offset))
    return User(
        name=row.name or "the user",
        language=row.language_code or "en",
        goal=row.goal or "",
        company=row.company_description or "",
        today=local.date(),
        time=local.strftime("%H:%M"),
    )


def offset_of(timezone_offset: int | None, default: int) -> int:
    """A user's offset in minutes; the default when it is not known."""
    return default if timezone_offset is None else timezone_offset


def newest_version(user_task_execution_pk: int) -> Select[MdProducedTextVersion]:
    """The result of a task execution: its newest version that the user did not delete, if there is one."""
    version, text = MdProducedTextVersion, MdProducedText
    return (
        select(version)
        .join(text, text.produced_text_pk == version.produced_text_fk)
        .where(text.user_task_execution_fk == user_task_execution_pk, text.deleted_by_user.is_(None))
        .order_by(version.creation_date.desc(), version.produced_text_version_pk.desc())
        .limit(1)
    )


def is_open() -> ColumnElement[bool]:
    """The condition that a row of `md_todo` is neither completed nor deleted."""
    return and_(
        MdTodo.completed.is_(None), MdTodo.deleted_by_user.is_(None), MdTodo.deleted_by_mojo.is_(None)
    )


def newest_scheduling(
    todo_pk: ColumnExpressionArgument[int], *columns: InstrumentedAttribute[Any]
) -> FromClause:
    """The scheduling that holds for a to-do, to be joined to it: a lookup in an index.

    Args:
        todo_pk: column of the to-do's key, in the query that this is joined to.
        columns: of `MdTodoScheduling`, what is wanted.
    """
    scheduling = MdTodoScheduling
    return (
        select(*columns)
        .where(scheduling.todo_fk == todo_pk)
        .order_by(scheduling.creation_date.desc(), scheduling.todo_scheduling_pk.desc())
        .limit(1)
        .lateral("newest_scheduling")
    )


def open_todos(user_id: str | ColumnExpressionArgument[str]) -> tuple[Select[MdTodo], FromClause]:
    """A user's open to-dos that have a date.

    Returns:
        A query of them, in the order of their dates, and what it joins, to select and filter by:
        `todo_scheduling_pk`, `scheduled_date`, `creation_date`, `reschedule_justification` of their newest
        scheduling.
    """
    scheduling = MdTodoScheduling
    newest = newest_scheduling(
        MdTodo.todo_pk,
        scheduling.todo_scheduling_pk,
        scheduling.scheduled_date,
        scheduling.creation_date,
        scheduling.reschedule_justification,
    )
    query = (
        select(MdTodo)
        .join(
            MdUserTaskExecution, MdUserTaskExecution.user_task_execution_pk == MdTodo.user_task_execution_fk
        )
        .join(MdUserTask, MdUserTask.user_task_pk == MdUserTaskExecution.user_task_fk)
        .join(newest, true())
        .where(MdUserTask.user_id == user_id, is_open())
        .order_by(newest.c.scheduled_date, MdTodo.todo_pk)
    )
    return query, newest
