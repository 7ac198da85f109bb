"""The work of extract_todos: collect what was said, think about it with a model, check what it found, save
it.
"""

import re
from collections import Counter
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from unicodedata import category, normalize

from sqlalchemy import Select, bindparam, func, literal, select, true, union_all, update
from sqlalchemy.orm import Session

from mojodex import jobs
from mojodex.clock import Deadline, next_working_day, utc_now
from mojodex.database import Database
from mojodex.errors import InvalidMessageError, NothingToDoError
from mojodex.model import Answer, Model, ModelSettings, Question
from mojodex.observability import count
from mojodex.prompts import read_prompt
from mojodex.reads import User, as_user, executions_of, is_open, newest_version, todos_of
from mojodex.schema import (
    MdMessage,
    MdTask,
    MdTodo,
    MdTodoScheduling,
    MdUser,
    MdUserTask,
    MdUserTaskExecution,
)
from mojodex.text import well_formed
from mojodex.tokens import keep_newest

PROMPT = read_prompt(Path(__file__).with_name("extract_todos.mpt"))
LATEST_DUE_DATE = timedelta(days=2 * 365)
# Shorter than this, a quotation ("ok", "I") is found anywhere and proves nothing; "我明天去" is a sentence.
SHORTEST_EVIDENCE = 4
# Open to-dos that the model is shown, so that a long list does not crowd out the conversation; `check` knows
# all of them.
OPEN_TODOS_SHOWN = 100
QUOTES = re.compile("[\"'`´‘’‚‛“”„‟«»‹›′″＇＂]")  # noqa: RUF001


class ExtractionSettings(ModelSettings):
    """Settings of the extraction.

    Attributes:
        conversation_token_budget: tokens of conversation that the model gets at most; the oldest messages
            give way.
        default_timezone_offset: minutes, for users whose offset is not known (see `clock.local_time`).
    """

    conversation_token_budget: int
    default_timezone_offset: int = 0


# What is collected.


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
    """A finished task: what it was, what was said (oldest first), what came out, and what is on the user's
    list already.
    """

    name: str
    definition: str
    conversation: list[Line]
    result: Result
    open_todos: list[str]


# What the model answers. It gets these models' JSON schema, docstrings included.


class Step(Answer):
    """A next step."""

    description: str | None
    due_date: str | None
    evidence: str | None


class Extraction(Answer):
    """The next steps of the user."""

    todos: list[Step] | None


# What is left after the check.


@dataclass(frozen=True)
class Todo:
    """A to-do to save; `evidence` is the user's own words."""

    description: str
    due_date: date
    evidence: str


@dataclass(frozen=True)
class LeftOut:
    """A step that is not saved, and why."""

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
        job: what the ledger says of it; held by this invocation.
        deadline: when the invocation ends.

    Raises:
        InvalidMessageError: there is no such execution.
        NothingToDoError: it is deleted, has no result, or was handled already.
        TransientError, PermanentError: as `Question.ask`, `Database.session`, `jobs.finish`.
    """
    user, task = database.with_db_session(collect, pk, utc_now(), settings.default_timezone_offset)
    shown = {"user": user, "task": shorten(task, settings.conversation_token_budget)}
    question = Question(model, PROMPT, shown, Extraction, deadline)
    answer = question.ask()
    wrong = wrong_dates(answer, task, user.today)
    if wrong and (second := question.ask_again(wrong)):
        answer = with_dates_of(answer, second)
    todos, left_out = check(answer, task, user.today)
    database.with_db_session(save, pk, job, todos, left_out, utc_now())
    count("TodosExtracted", len(todos))
    count("TodosLeftOut", len(left_out))


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
    """Open to-dos of the executions that this one (:pk) continues, then the user's others; newest first."""
    execution = MdUserTaskExecution
    earlier = (
        select(execution.predefined_action_from_user_task_execution_fk.label("pk"))
        .where(execution.user_task_execution_pk == bindparam("pk"))
        .cte("earlier", recursive=True)
    )
    # UNION, not UNION ALL: an execution that was met before adds nothing, so a cycle ends.
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
    # An execution may come from both sides. Joined, and not compared with IN … OR IN …, which reads every
    # to-do there is.
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
    """The text of an md_message; '' for one without, such as an image."""
    text = message.get("text") if isinstance(message, dict) else None
    return well_formed(text).strip() if isinstance(text, str) else ""


def shorten(task: Task, token_budget: int) -> Task:
    """The task as the model gets it: the newest messages within the budget, all of the result, the first open
    to-dos.
    """
    kept = keep_newest([line.text for line in task.conversation], token_budget)
    lines = task.conversation[len(task.conversation) - len(kept) :]
    return replace(
        task,
        conversation=[Line(line.sender, text) for line, text in zip(lines, kept, strict=True)],
        open_todos=task.open_todos[:OPEN_TODOS_SHOWN],
    )


def check(answer: Extraction, task: Task, today: date) -> tuple[list[Todo], list[LeftOut]]:
    """Sort out what the model may be trusted with.

    A due date that is no use falls on the user's next working day.

    Args:
        answer: what the model said.
        task: all of it, not what was shortened for the model.
        today: the user's local day.
    """
    kept, left_out = _sort_out(answer, task)
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


def wrong_dates(answer: Extraction, task: Task, today: date) -> str | None:
    """What to tell the model about the due dates of the steps that it would save; None when all are right."""
    wrong = []
    for step in _sort_out(answer, task)[0]:
        try:
            _due_date(step, today)
        except ValueError as error:
            wrong.append(f'"{step.description}": {error}.')
    return " ".join(wrong) or None


def with_dates_of(first: Extraction, second: Extraction) -> Extraction:
    """The steps of the first answer with the due dates of the second: asked about a date, a model may leave
    out steps that were right.
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
    """The step's due date.

    Raises:
        ValueError: it is no use; the text says why, for the model.
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


def _sort_out(answer: Extraction, task: Task) -> tuple[list[Step], list[LeftOut]]:
    """The steps that the user did say and that are new; and the others."""
    # The user's own words only: what Mojo proposed is not what the user said they would do.
    said = [fold(line.text) for line in task.conversation if line.sender == "user"]
    said += [fold(task.result.title), fold(task.result.text)]
    known = {fold(description) for description in task.open_todos}
    kept, left_out = [], []
    for step in answer.todos or []:
        description, evidence = fold(step.description or ""), fold(step.evidence or "")
        reason = None
        if not description:
            reason = "it says nothing"
        elif len(evidence) < SHORTEST_EVIDENCE or not any(evidence in text for text in said):
            reason = "the user did not say so"
        elif description in known:
            reason = "it is on the list already"
        if reason is None:
            known.add(description)
            kept.append(step)
        else:
            left_out.append(LeftOut(well_formed(step.description or ""), reason))
    return kept, left_out


def fold(text: str) -> str:
    """The text without what does not change its words: letter case, white space, quotation marks, typographic
    variants.
    """
    text = QUOTES.sub("", well_formed(text))
    text = normalize("NFKC", text).casefold()
    # Of each letter once: a conversation has thousands, and some eighty different ones.
    kinds = {ord(letter): category(letter) for letter in set(text)}
    text = text.translate(
        {letter: "-" if kind == "Pd" else "" for letter, kind in kinds.items() if kind in ("Pd", "Cf")}
    )
    return " ".join(text.split()).strip(" .,;:!?-")


def save(
    session: Session,
    pk: int,
    job: jobs.Job,
    todos: list[Todo],
    left_out: list[LeftOut],
    now: datetime,
) -> None:
    """Write to-dos, their first schedulings, the mark on the execution and the end of the job: all, once, or
    nothing.

    Args:
        session: the caller's; committed here.
        pk: the execution's primary key.
        job: held by this invocation.
        todos, left_out: from `check`; both go into the job's outcome.
        now: the present moment (aware).

    Raises:
        NothingToDoError: it was extracted or deleted in the meantime, also by Mojodex's own Background.
        LeaseLostError: another invocation has the job.
    """
    execution = MdUserTaskExecution
    marked = session.execute(
        update(execution)
        .where(
            execution.user_task_execution_pk == pk,
            execution.todos_extracted.is_(None),
            execution.deleted_by_user.is_(None),
        )
        .values(todos_extracted=now)
        .returning(execution.user_task_execution_pk)
    ).scalar()
    if marked is None:
        raise NothingToDoError("it was extracted or deleted in the meantime")
    rows = [
        MdTodo(user_task_execution_fk=pk, description=todo.description, creation_date=now) for todo in todos
    ]
    session.add_all(rows)
    session.flush()
    session.add_all(
        MdTodoScheduling(todo_fk=row.todo_pk, scheduled_date=todo.due_date, creation_date=now)
        for row, todo in zip(rows, todos, strict=True)
    )
    outcome = {
        "todos": [
            {"todo_pk": row.todo_pk, "evidence": todo.evidence} for row, todo in zip(rows, todos, strict=True)
        ],
        "left_out": [asdict(step) for step in left_out],
    }
    jobs.finish(session, job, "done", outcome, now=now)
    session.commit()
