"""Extract the to-dos of a finished task: collect what was said, ask a model, check its answer, save it."""

from collections import Counter
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from zlib import crc32

from sqlalchemy import Select, bindparam, func, literal, select, text, true, union_all, update
from sqlalchemy.orm import Session

from extract_todos.evidence import fold, is_quoted
from mojodex import jobs
from mojodex.clock import Deadline, next_working_day, utc_now
from mojodex.database import Database
from mojodex.errors import InvalidMessageError, NothingToDoError
from mojodex.model import Answer, Model, ModelSettings, Question
from mojodex.observability import count
from mojodex.prompts import read_prompt
from mojodex.reads import User, as_user, executions_of, is_open, newest_version, todos_of, user_lock
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
LATEST_DUE_DATE = timedelta(days=2 * 365)
# Open to-dos in the prompt, so that a long list does not crowd out the conversation. `check` knows all.
OPEN_TODOS_SHOWN = 100
# Why a step is left out that equals an open to-do.
ON_THE_LIST = "it is on the list already"


class ExtractionSettings(ModelSettings):
    """Settings of the extraction.

    Attributes:
        conversation_token_budget: the most tokens of conversation in a prompt; the oldest are left out.
        default_timezone_offset: minutes, for users whose offset is not known (see `clock.local_time`).
    """

    conversation_token_budget: int
    default_timezone_offset: int = 0


# What `collect` returns.


@dataclass(frozen=True)
class Line:
    """One message of the conversation; `sender` is user or mojo."""

    sender: str
    text: str


@dataclass(frozen=True)
class Result:
    """The newest version of what the task produced."""

    title: str
    text: str


@dataclass(frozen=True)
class Task:
    """A finished task: its definition, conversation (oldest first) and result, and the user's open to-dos."""

    name: str
    definition: str
    conversation: list[Line]
    result: Result
    open_todos: list[str]


# What the model answers. Its prompt has their JSON schema, docstrings included.


class Step(Answer):
    """A next step."""

    description: str | None
    due_date: str | None
    evidence: str | None


class Extraction(Answer):
    """The next steps of the user."""

    todos: list[Step] | None


# What `check` returns.


@dataclass(frozen=True)
class Todo:
    """A to-do to save; `evidence` is the user's own words."""

    description: str
    due_date: date
    evidence: str


@dataclass(frozen=True)
class LeftOut:
    """A step that is not saved, and the reason."""

    description: str
    reason: str


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
    wrong = date_errors(answer, task, user.today)
    if wrong and (second := question.ask_again(wrong)):
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
    # UNION, not UNION ALL, drops an execution that was found before, so a cycle ends.
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
    # An execution may be on both sides. A join, because IN … OR IN … reads every to-do of the database.
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
    """Return the text of an md_message; '' for one without text, such as an image."""
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


def check(answer: Extraction, task: Task, today: date) -> tuple[list[Todo], list[LeftOut]]:
    """Check a model's answer: which steps to save, and which to leave out.

    A step without a valid due date is due on the user's next working day.

    Args:
        answer: the model's.
        task: the whole task, not the shortened one.
        today: the user's local day.
    """
    kept, left_out = _check_steps(answer, task)
    todos = []
    for step in kept:
        try:
            due_date = _due_date(step, today)
        except ValueError:
            due_date = next_working_day(today)
        description, evidence = (
            well_formed(text or "").strip() for text in (step.description, step.evidence)
        )
        todos.append(Todo(description, due_date, evidence))
    return todos, left_out


def date_errors(answer: Extraction, task: Task, today: date) -> str:
    """Tell the model what is wrong with the due dates of the steps to save; '' if nothing is."""
    wrong = []
    for step in _check_steps(answer, task)[0]:
        try:
            _due_date(step, today)
        except ValueError as error:
            wrong.append(f'"{step.description}": {error}.')
    return " ".join(wrong)


def with_dates_of(first: Extraction, second: Extraction) -> Extraction:
    """Take the steps of the first answer and the due dates of the second.

    A model that was asked about a date may leave out steps that were right.
    """
    by_description = {fold(step.description or ""): step.due_date for step in second.todos or []}
    often = Counter(fold(step.evidence or "") for step in second.todos or [])
    by_evidence = {
        evidence: step.due_date
        for step in second.todos or []
        if often[evidence := fold(step.evidence or "")] == 1
    }
    return Extraction(
        todos=[
            step.model_copy(
                update={
                    "due_date": by_description.get(fold(step.description or ""))
                    or by_evidence.get(fold(step.evidence or ""))
                    or step.due_date
                }
            )
            for step in first.todos or []
        ]
    )


def _due_date(step: Step, today: date) -> date:
    """Parse a step's due date.

    Raises:
        ValueError: it is not valid. The text tells the model why.
    """
    try:
        due_date = date.fromisoformat(step.due_date or "")
    except ValueError:
        raise ValueError("its due_date is not a date in the form YYYY-MM-DD") from None
    if due_date < today:
        raise ValueError(f"its due_date is before today, {today.isoformat()}")
    if due_date > today + LATEST_DUE_DATE:
        raise ValueError("its due_date is more than two years away")
    return due_date


def _check_steps(answer: Extraction, task: Task) -> tuple[list[Step], list[LeftOut]]:
    """Split the steps into those that the user said and that are new, and the others."""
    # What Mojo proposed is no evidence: the user did not say that they would do it.
    said = [fold(line.text) for line in task.conversation if line.sender == "user"]
    said += [fold(task.result.title), fold(task.result.text)]
    known = {fold(description) for description in task.open_todos}
    kept, left_out = [], []
    for step in answer.todos or []:
        description, evidence = fold(step.description or ""), fold(step.evidence or "")
        reason = None
        if not description:
            reason = "it says nothing"
        elif not is_quoted(evidence, said):
            reason = "the user did not say so"
        elif description in known:
            reason = ON_THE_LIST
        if reason is None:
            known.add(description)
            kept.append(step)
        else:
            left_out.append(LeftOut(well_formed(step.description or ""), reason))
    return kept, left_out


def save(
    session: Session,
    pk: int,
    job: jobs.Job,
    todos: list[Todo],
    left_out: list[LeftOut],
    now: datetime,
) -> tuple[list[Todo], list[LeftOut]]:
    """Save to-dos with their first schedulings, mark the execution, and end the job, in one transaction.

    A to-do that came onto the user's list since `collect` is left out. The user's lock lets two executions of
    one user save one after the other, so the second sees the to-dos of the first.

    Args:
        session: the caller's; committed here.
        pk: the execution's primary key.
        job: held by this invocation.
        todos, left_out: from `check`; both go into the job's outcome.
        now: the present moment (aware).

    Returns:
        What was saved, and what was left out.

    Raises:
        NothingToDoError: it was extracted or deleted in the meantime, also by Mojodex's own Background.
        LeaseLostError: another invocation has the job.
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
    """Look at the user's list again: return the to-dos that are not on it, and those that are."""
    known = {
        fold(description) for description in session.scalars(_open_todos(), {"pk": pk, "user_id": user_id})
    }
    new = [todo for todo in todos if fold(todo.description) not in known]
    twins = [LeftOut(todo.description, ON_THE_LIST) for todo in todos if todo not in new]
    return new, twins


def _insert(session: Session, pk: int, todos: list[Todo], now: datetime) -> list[int]:
    """Insert to-dos with their first schedulings; return their keys, in order."""
    rows = {
        "pk": pk,
        "descriptions": [todo.description for todo in todos],
        "due_dates": [todo.due_date for todo in todos],
        "now": now,
    }
    return sorted(session.scalars(INSERT_TODOS, rows))
