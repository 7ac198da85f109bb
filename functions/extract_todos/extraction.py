"""Extract the to-dos of a finished task: collect its texts, ask a model, check the answer, save it."""

from dataclasses import asdict, replace
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from zlib import crc32

from sqlalchemy import Select, bindparam, func, literal, select, text, true, union_all, update
from sqlalchemy.orm import Session

from extract_todos.checking import (
    ON_THE_LIST,
    Extraction,
    LeftOut,
    Todo,
    check,
    date_errors,
    with_dates_of,
)
from extract_todos.evidence import fold
from extract_todos.task import Line, Result, Task
from mojodex import jobs
from mojodex.clock import Deadline, utc_now
from mojodex.database import Database
from mojodex.errors import InvalidMessageError, NothingToDoError
from mojodex.model import Model, ModelSettings, Question
from mojodex.observability import count
from mojodex.prompts import read_prompt
from mojodex.queries import User, as_user, executions_of, is_open, newest_version, todos_of, user_lock
from mojodex.schema import (
    MdMessage,
    MdTask,
    MdUser,
    MdUserTask,
    MdUserTaskExecution,
)
from mojodex.sql import read_sql
from mojodex.text import well_formed
from mojodex.tokens import keep_newest

PROMPT = read_prompt(Path(__file__).with_name("extract_todos.mpt"))
INSERT_TODOS = text(read_sql(Path(__file__).with_name("insert_todos.sql")))
# Open to-dos in the prompt. A long list would crowd out the conversation; `check` knows the whole list.
OPEN_TODOS_SHOWN = 100


class ExtractionSettings(ModelSettings):
    """Settings of the extraction.

    Attributes:
        conversation_token_budget: maximum tokens of conversation in a prompt; the oldest are left out.
        default_timezone_offset: minutes, for users without an offset (see `clock.local_time`).
    """

    conversation_token_budget: int
    default_timezone_offset: int = 0


def extract_todos(
    database: Database,
    model: Model,
    settings: ExtractionSettings,
    pk: int,
    job: jobs.Job,
    deadline: Deadline,
) -> None:
    """Extract the to-dos of one execution, and end its job.

    Args:
        database, model, settings: the worker's.
        pk: the execution's primary key.
        job: its job, held by this invocation.
        deadline: when the invocation ends.

    Raises:
        InvalidMessageError: there is no such execution.
        NothingToDoError: it is deleted, has no result, or was handled already.
        TransientError, PermanentError: as `Question.ask`, `Database.session`, `jobs.finish`.
    """
    user, task = database.with_db_session(collect, pk, utc_now(), settings.default_timezone_offset)
    about = f"{crc32(repr((task.conversation, task.result)).encode()):08x}"
    if kept := job.kept_answer(about):
        answer = Extraction.model_validate(kept)
    else:
        answer = think(model, settings, user, task, deadline)
    with jobs.kept_until_saved(database, job, {"answer": answer.model_dump(), "about": about}, deadline):
        todos, left_out = check(answer, task, user.today)
        todos, left_out = database.with_db_session(save, pk, job, todos, left_out, utc_now())
    count("TodosExtracted", len(todos))
    count("TodosLeftOut", len(left_out))


def think(
    model: Model, settings: ExtractionSettings, user: User, task: Task, deadline: Deadline
) -> Extraction:
    """Ask the model for the next steps, and once more if dates are not valid; raises as `Question.ask`."""
    variables = {"user": user, "task": shorten(task, settings.conversation_token_budget)}
    question = Question(model, PROMPT, variables, Extraction, deadline)
    answer = question.ask()
    errors = date_errors(answer, task, user.today)
    if errors and (second := question.ask_again(errors)):
        return with_dates_of(answer, second)
    return answer


def collect(session: Session, pk: int, now: datetime, default_timezone_offset: int) -> tuple[User, Task]:
    """Read all that the extraction needs, as plain data.

    Args:
        session: the caller's.
        pk: the execution's primary key.
        now: the present moment (aware).
        default_timezone_offset: minutes, for a user without one.

    Raises:
        InvalidMessageError, NothingToDoError: as `extract_todos`.
    """
    execution, task, user = MdUserTaskExecution, MdTask, MdUser
    row = session.execute(
        select(execution, task, user)
        .join(MdUserTask, MdUserTask.user_task_pk == execution.user_task_fk)
        .join(task, task.task_pk == MdUserTask.task_fk)
        .join(user, user.user_id == MdUserTask.user_id)
        .where(execution.user_task_execution_pk == pk)
    ).one_or_none()
    if row is None:
        raise InvalidMessageError(f"there is no user_task_execution {pk}")
    found, its_task, its_user = row
    if found.deleted_by_user is not None:
        raise NothingToDoError("the user deleted it")
    if found.todos_extracted is not None:
        raise NothingToDoError("its to-dos were extracted already")
    result = newest_version(session, pk)
    if result is None:
        raise NothingToDoError("it has no result")

    messages = session.execute(
        select(MdMessage.sender, MdMessage.message)
        .where(MdMessage.session_id == found.session_id, MdMessage.sender.in_(("user", "mojo")))
        .order_by(MdMessage.message_date, MdMessage.message_pk)
    )
    return (
        as_user(its_user, now, default_timezone_offset),
        Task(
            name=its_task.name_for_system,
            definition=its_task.definition_for_system,
            conversation=[Line(sender, text) for sender, message in messages if (text := _text(message))],
            result=Result(result.title or "", result.production),
            open_todos=list(session.scalars(_open_todos(), {"pk": pk, "user_id": its_user.user_id})),
        ),
    )


@cache
def _open_todos() -> Select[str]:
    """Select the open to-dos of the executions that :pk continues, then the user's others; newest first."""
    execution = MdUserTaskExecution
    earlier = (
        select(execution.predefined_action_from_user_task_execution_fk.label("pk"))
        .where(execution.user_task_execution_pk == bindparam("pk"))
        .cte("earlier", recursive=True)
    )
    # UNION, not UNION ALL: it drops executions that were already found, so a cycle ends.
    earlier = earlier.union(
        select(execution.predefined_action_from_user_task_execution_fk).join(
            earlier, execution.user_task_execution_pk == earlier.c.pk
        )
    )
    its_task, its_execution = executions_of(bindparam("user_id"))
    executions = union_all(
        select(earlier.c.pk, literal(True).label("in_chain")).where(earlier.c.pk.is_not(None)),
        select(its_execution.c.user_task_execution_pk, literal(False))
        .select_from(its_task)
        .join(its_execution, true()),
    ).subquery()
    # An execution may be on both sides. A join, because IN … OR IN … reads all to-dos in the database.
    each = (
        select(executions.c.pk, func.bool_or(executions.c.in_chain).label("in_chain"))
        .group_by(executions.c.pk)
        .subquery()
    )
    todo = todos_of(each.c.pk)
    return (
        select(todo.description)
        .select_from(each)
        .join(todo, true())
        .where(is_open(todo))
        .order_by(each.c.in_chain.desc(), todo.todo_pk.desc())
    )


def _text(message: Any) -> str:
    """Return the text of an md_message; '' if it has none, such as an image."""
    text = message.get("text") if isinstance(message, dict) else None
    return well_formed(text).strip() if isinstance(text, str) else ""


def shorten(task: Task, token_budget: int) -> Task:
    """Shorten a task for the prompt: the newest messages within the budget, and the first open to-dos."""
    kept = keep_newest([line.text for line in task.conversation], token_budget)
    lines = task.conversation[len(task.conversation) - len(kept) :]
    return replace(
        task,
        conversation=[Line(line.sender, text) for line, text in zip(lines, kept, strict=True)],
        open_todos=task.open_todos[:OPEN_TODOS_SHOWN],
    )


def save(
    session: Session,
    pk: int,
    job: jobs.Job,
    todos: list[Todo],
    left_out: list[LeftOut],
    now: datetime,
) -> tuple[list[Todo], list[LeftOut]]:
    """Save to-dos with their first schedulings, mark the execution, and end the job, in one transaction.

    A to-do that was added to the user's list since `collect` is left out. The user's lock makes executions of
    one user save one after the other, so the second sees the to-dos of the first.

    Args:
        session: the caller's; committed here.
        pk: the execution's primary key.
        job: held by this invocation.
        todos, left_out: from `check`; both go into the job's outcome.
        now: the present moment (aware).

    Returns:
        The saved to-dos, and the steps that were left out.

    Raises:
        NothingToDoError: it was extracted or deleted in the meantime, also by Mojodex's own Background.
        LeaseLostError: another invocation holds the job.
    """
    execution = MdUserTaskExecution
    user_id = (
        select(MdUserTask.user_id).where(MdUserTask.user_task_pk == execution.user_task_fk).scalar_subquery()
    )
    marked = session.execute(
        update(execution)
        .where(
            execution.user_task_execution_pk == pk,
            execution.todos_extracted.is_(None),
            execution.deleted_by_user.is_(None),
        )
        .values(todos_extracted=now)
        .returning(user_id, user_lock(user_id))
    ).one_or_none()
    if marked is None:
        raise NothingToDoError("it was extracted or deleted in the meantime")
    if todos:
        todos, twins = _without_twins(session, pk, marked[0], todos)
        left_out = left_out + twins
    todo_pks = _insert(session, pk, todos, now) if todos else []
    outcome = {
        "todos": [
            {"todo_pk": todo_pk, "evidence": todo.evidence}
            for todo_pk, todo in zip(todo_pks, todos, strict=True)
        ],
        "left_out": [asdict(step) for step in left_out],
    }
    jobs.finish(session, job, "done", outcome, now=now)
    session.commit()
    return todos, left_out


def _without_twins(
    session: Session, pk: int, user_id: str, todos: list[Todo]
) -> tuple[list[Todo], list[LeftOut]]:
    """Split to-dos into those that are not on the user's list now, and those that are."""
    known = {
        fold(description) for description in session.scalars(_open_todos(), {"pk": pk, "user_id": user_id})
    }
    new = [todo for todo in todos if fold(todo.description) not in known]
    twins = [LeftOut(todo.description, ON_THE_LIST) for todo in todos if todo not in new]
    return new, twins


def _insert(session: Session, pk: int, todos: list[Todo], now: datetime) -> list[int]:
    """Insert to-dos with their first schedulings, and return their keys in the same order."""
    rows = {
        "pk": pk,
        "descriptions": [todo.description for todo in todos],
        "due_dates": [todo.due_date for todo in todos],
        "now": now,
    }
    return sorted(session.scalars(INSERT_TODOS, rows))
