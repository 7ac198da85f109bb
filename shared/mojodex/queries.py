"""Queries that several processes share: a user and their day, a task's result, to-dos and their dates."""

from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import (
    BindParameter,
    Boolean,
    ColumnElement,
    ColumnExpressionArgument,
    FromClause,
    Select,
    and_,
    bindparam,
    func,
    select,
    text,
    true,
    type_coerce,
)
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased

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
from mojodex.sql import read_sql

SIGN_OF_LIFE = read_sql(Path(__file__).with_name("sign_of_life.sql"))


@dataclass(frozen=True)
class User:
    """The fields of a user for prompts. `today` and `time` (HH:MM) are local."""

    name: str
    language: str
    goal: str
    company: str
    today: date
    time: str


def as_user(row: MdUser, now: datetime, default_timezone_offset: int) -> User:
    """Convert a row at the moment `now` (aware). A user without an offset gets the default (minutes)."""
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
    """Return a user's offset in minutes, or the default if it is not known."""
    return default if timezone_offset is None else timezone_offset


def sign_of_life(user_id: str, since: str) -> str:
    """Return the SQL of the condition that a user has given a sign of life.

    Args:
        user_id: SQL expression of the user's id.
        since: SQL expression of the moment; a bind parameter is written as `:name`.
    """
    return f"({SIGN_OF_LIFE.format(user_id=user_id, since=since)})"


# Whether the user in `md_user` has given a sign of life since :sign_of_life_since.
HAS_SIGN_OF_LIFE: ColumnElement[bool] = type_coerce(
    text(sign_of_life("md_user.user_id", ":sign_of_life_since")), Boolean
)


# The planner can neither merge subqueries with OFFSET 0 into joins nor reorder them. Without statistics, it
# began with an index of all open to-dos or of all versions, which it took for nearly empty.

# Large statements are cached, because building one costs more than running it.


def newest_version(session: Session, user_task_execution_pk: int) -> MdProducedTextVersion | None:
    """Return the result of a task execution: its newest version that the user did not delete, or None."""
    return session.scalars(_newest_version(), {"pk": user_task_execution_pk}).first()


@cache
def _newest_version() -> Select[MdProducedTextVersion]:
    text = MdProducedText
    its_text = (
        select(text.produced_text_pk)
        .where(text.user_task_execution_fk == bindparam("pk"), text.deleted_by_user.is_(None))
        .offset(0)
        .subquery("its_text")
    )
    version = aliased(
        MdProducedTextVersion,
        select(MdProducedTextVersion)
        .where(MdProducedTextVersion.produced_text_fk == its_text.c.produced_text_pk)
        .offset(0)
        .lateral("its_version"),
    )
    return (
        select(version)
        .select_from(its_text)
        .join(version, true())
        .order_by(version.creation_date.desc(), version.produced_text_version_pk.desc())
        .limit(1)
    )


def is_open(todo: type[MdTodo] = MdTodo) -> ColumnElement[bool]:
    """Return the condition that a row of `md_todo`, or of an alias, is neither completed nor deleted."""
    return and_(todo.completed.is_(None), todo.deleted_by_user.is_(None), todo.deleted_by_mojo.is_(None))


def todos_of(user_task_execution_pk: ColumnElement[int]) -> type[MdTodo]:
    """Return the to-dos of an execution, open or not, to join to a query that has its key.

    The caller selects the open ones, outside of OFFSET, so the planner cannot use the index of open to-dos.
    """
    todos = select(MdTodo).where(MdTodo.user_task_execution_fk == user_task_execution_pk).offset(0)
    return aliased(MdTodo, todos.lateral("its_todo"))


def executions_of(user_id: BindParameter[str]) -> tuple[FromClause, FromClause]:
    """Return a user's tasks, and the executions (`user_task_execution_pk`, `title`) to join to them."""
    its_task = (
        select(MdUserTask.user_task_pk).where(MdUserTask.user_id == user_id).offset(0).subquery("its_task")
    )
    its_execution = (
        select(MdUserTaskExecution.user_task_execution_pk, MdUserTaskExecution.title)
        .where(MdUserTaskExecution.user_task_fk == its_task.c.user_task_pk)
        .offset(0)
        .lateral("its_execution")
    )
    return its_task, its_execution


def user_lock(user_id: ColumnExpressionArgument[str]) -> ColumnElement[Any]:
    """Return the call that waits for a user's lock and holds it until the transaction ends.

    Transactions that write or move to-dos take it, so none decides by a list that is about to change.
    """
    return func.pg_advisory_xact_lock(func.hashtextextended(user_id, 0))


def newest_scheduling(
    todo_pk: ColumnExpressionArgument[int], *columns: InstrumentedAttribute[Any]
) -> FromClause:
    """Return the newest scheduling of a to-do, to join to it: one index lookup.

    Args:
        todo_pk: column of the to-do's key, in the query that this is joined to.
        columns: the columns of `MdTodoScheduling` to select.
    """
    scheduling = MdTodoScheduling
    return (
        select(*columns)
        .where(scheduling.todo_fk == todo_pk)
        .order_by(scheduling.creation_date.desc(), scheduling.todo_scheduling_pk.desc())
        .limit(1)
        .lateral("newest_scheduling")
    )


def open_todos(user_id: BindParameter[str]) -> tuple[Select[MdTodo], FromClause, FromClause]:
    """Select a user's open to-dos that have a date.

    Returns:
        The query, in the order of their dates, and two parts to select and filter by: their executions
        (`title`), and their newest scheduling (`todo_scheduling_pk`, `scheduled_date`, `creation_date`,
        `reschedule_justification`).
    """
    scheduling = MdTodoScheduling
    its_task, its_execution = executions_of(user_id)
    todo = todos_of(its_execution.c.user_task_execution_pk)
    newest = newest_scheduling(
        todo.todo_pk,
        scheduling.todo_scheduling_pk,
        scheduling.scheduled_date,
        scheduling.creation_date,
        scheduling.reschedule_justification,
    )
    query = (
        select(todo)
        .select_from(its_task)
        .join(its_execution, true())
        .join(todo, true())
        .join(newest, true())
        .where(is_open(todo))
        .order_by(newest.c.scheduled_date, todo.todo_pk)
    )
    return query, its_execution, newest
