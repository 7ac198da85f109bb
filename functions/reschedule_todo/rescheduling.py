"""Move an overdue to-do: collect what matters, ask a model for a better day, check it, save it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import Field
from sqlalchemy import Select, bindparam, literal, select
from sqlalchemy.orm import Session

from mojodex import jobs
from mojodex.clock import (
    DAY,
    Deadline,
    is_working_day,
    local_time,
    next_working_day,
    previous_working_day,
    utc_now,
)
from mojodex.database import Database
from mojodex.errors import InvalidMessageError, NothingToDoError
from mojodex.model import Answer, Model, ModelSettings, Question
from mojodex.observability import count
from mojodex.prompts import read_prompt
from mojodex.queries import (
    HAS_SIGN_OF_LIFE,
    User,
    as_user,
    is_open,
    newest_scheduling,
    newest_version,
    offset_of,
    open_todos,
    user_lock,
)
from mojodex.schema import MdTask, MdTodo, MdTodoScheduling, MdUser, MdUserTask, MdUserTaskExecution
from mojodex.text import well_formed
from reschedule_todo.wording import dormant_wording, keeps_slipping_wording, names_day, rule_wording

PROMPT = read_prompt(Path(__file__).with_name("reschedule_todo.mpt"))
FURTHEST = timedelta(days=365)
WEEK = timedelta(days=7)
DORMANT = "the user is dormant"
# Days of the agenda in a prompt.
AGENDA_DAYS = 14
# Working days among which the rule chooses.
RULE_DAYS = 5
# A lighter day must be this near to a crowded one.
NEAR_DAYS = 3
# Bounds of a prompt's content, so that neither long texts nor years of moves cost more each night.
DESCRIPTION_CHARS = 2000
RESULT_CHARS = 8000
MOVES_SHOWN = 10
OPEN_TODOS_SHOWN = 100
OPEN_TODO_CHARS = 300
# Three sentences. Nobody reads more.
ARGUMENT_CHARS = 1000


class ReschedulingSettings(ModelSettings):
    """Settings of the rescheduling.

    Attributes:
        load_cap: a day with this many to-dos gets no other while a lighter day is near.
        slipping_after_moves: after this many moves, the argument says that the to-do keeps slipping.
        night_until_hour: hour of the user's wall clock, 1 to 24, at which the night ends.
        dormant_after_days: a user without a sign of life for this many days is dormant; 0 for never.
        default_timezone_offset: minutes, for users without an offset (see `clock.local_time`).
    """

    load_cap: int = Field(ge=1)
    slipping_after_moves: int = Field(ge=1)
    night_until_hour: int = Field(ge=1, le=24)
    dormant_after_days: int = Field(default=0, ge=0)
    default_timezone_offset: int = 0


@dataclass(frozen=True)
class Scheduling:
    """One date of the to-do; `made_on` is the user's local day. The first one has no justification."""

    scheduled_date: date
    made_on: date
    justification: str


@dataclass(frozen=True)
class Todo:
    """The overdue to-do, its schedulings (oldest first), and the key of the last one."""

    todo_pk: int
    description: str
    schedulings: list[Scheduling]
    newest_scheduling_pk: int
    keeps_slipping: bool

    @property
    def moves(self) -> int:
        """Return the number of moves so far."""
        return len(self.schedulings) - 1

    @property
    def history(self) -> list[Scheduling]:
        """Return the schedulings for the prompt: the first one, and the newest moves."""
        return self.schedulings[:1] + self.schedulings[1:][-MOVES_SHOWN:]


@dataclass(frozen=True)
class Task:
    """The task that the to-do comes from, with its result ('' if there is none)."""

    name: str
    definition: str
    result_title: str
    result: str


@dataclass(frozen=True)
class Day:
    """A day of the agenda, and the number of other to-dos on it."""

    day: date
    todos: int


@dataclass(frozen=True)
class OpenTodo:
    """Another open to-do of the user."""

    scheduled_date: date
    description: str


@dataclass(frozen=True)
class Agenda:
    """The coming days and to-dos for the prompt. `load` is the number of other to-dos on any day."""

    days: list[Day]
    open_todos: list[OpenTodo]
    load: Counter[date]


@dataclass(frozen=True)
class Overdue:
    """An overdue to-do with all that the rescheduling needs. `is_dormant` is about its user."""

    user_id: str
    user: User
    todo: Todo
    task: Task
    agenda: Agenda
    is_dormant: bool = False


# The model's answer. The prompt contains its JSON schema, docstring included.


class Rescheduling(Answer):
    """A better day for an overdue to-do."""

    pros: str | None
    cons: str | None
    argument: str | None
    date: str | None


@dataclass(frozen=True)
class Move:
    """The new day and the argument for the user. `reason` explains why the model's day was not taken."""

    scheduled_date: date
    argument: str
    chosen_by: Literal["model", "rule"]
    reason: str = ""


def reschedule_todo(
    database: Database,
    model: Model,
    settings: ReschedulingSettings,
    todo_pk: int,
    job: jobs.Job,
    deadline: Deadline,
) -> None:
    """Move one overdue to-do, and end its job.

    Args:
        database, model, settings: the worker's.
        todo_pk: the to-do's primary key.
        job: its job, held by this invocation.
        deadline: when the invocation ends.

    Raises:
        InvalidMessageError: there is no such to-do.
        NothingToDoError: it is completed, deleted, has no date, or is not overdue; a later job waits.
        TransientError, PermanentError: as `Question.ask`, `Database.session`, `jobs.finish`.
    """
    if job.superseded:
        raise NothingToDoError("a later message moves it")
    overdue = database.with_db_session(collect, todo_pk, utc_now(), settings)
    about = overdue.todo.newest_scheduling_pk
    if overdue.is_dormant:
        answer = None
    elif kept := job.kept_answer(about):
        answer = Rescheduling.model_validate(kept)
    else:
        answer = think(model, settings, overdue, deadline)
    paid_for = {"answer": answer.model_dump(), "about": about} if answer else None
    with jobs.kept_until_saved(database, job, paid_for, deadline):
        move = database.with_db_session(save, overdue, job, answer, settings.load_cap, utc_now())
    count("TodosMoved")
    if move.chosen_by == "rule":
        count("TodosMovedByRule")


def think(model: Model, settings: ReschedulingSettings, overdue: Overdue, deadline: Deadline) -> Rescheduling:
    """Ask the model for a better day, and once more if it is not valid; raises as `Question.ask`."""
    variables = {
        "user": overdue.user,
        "todo": overdue.todo,
        "task": overdue.task,
        "agenda": overdue.agenda,
        "load_cap": settings.load_cap,
    }
    # From the last hour of the night on.
    is_late = int(overdue.user.time.partition(":")[0]) >= settings.night_until_hour - 1
    question = Question(model, PROMPT, variables, Rescheduling, deadline, urgent=is_late)
    answer = question.ask()
    if errors := objection(answer, overdue, settings.load_cap):
        return question.ask_again(errors) or answer
    return answer


def local_date(session: Session, todo_pk: int, moment: datetime, default_timezone_offset: int) -> date:
    """Return the local day at `moment` (aware) of the to-do's user.

    Raises:
        InvalidMessageError: there is no such to-do.
    """
    row = session.execute(
        select(MdUser.timezone_offset)
        .join(MdUserTask, MdUserTask.user_id == MdUser.user_id)
        .join(MdUserTaskExecution, MdUserTaskExecution.user_task_fk == MdUserTask.user_task_pk)
        .join(MdTodo, MdTodo.user_task_execution_fk == MdUserTaskExecution.user_task_execution_pk)
        .where(MdTodo.todo_pk == todo_pk)
    ).one_or_none()
    if row is None:
        raise InvalidMessageError(f"there is no todo {todo_pk}")
    (offset,) = row
    return local_time(moment, offset_of(offset, default_timezone_offset)).date()


def collect(session: Session, todo_pk: int, now: datetime, settings: ReschedulingSettings) -> Overdue:
    """Read all that the rescheduling needs, as plain data.

    Args:
        session: the caller's.
        todo_pk: the to-do's key.
        now: the present moment (aware).
        settings: of the rescheduling.

    Raises:
        InvalidMessageError, NothingToDoError: as `reschedule_todo`.
    """
    dormant_since = now - timedelta(days=settings.dormant_after_days)
    row = session.execute(
        _todo_with_its_user(), {"todo_pk": todo_pk, "sign_of_life_since": dormant_since}
    ).one_or_none()
    if row is None:
        raise InvalidMessageError(f"there is no todo {todo_pk}")
    todo, task, its_user, has_sign_of_life = row
    if todo.completed is not None:
        raise NothingToDoError("it is completed")
    if todo.deleted_by_user is not None or todo.deleted_by_mojo is not None:
        raise NothingToDoError("it was deleted")
    offset = offset_of(its_user.timezone_offset, settings.default_timezone_offset)
    schedulings, newest_scheduling_pk = _schedulings(session, todo_pk, offset)
    user = as_user(its_user, now, settings.default_timezone_offset)
    if schedulings[-1].scheduled_date >= user.today:
        raise NothingToDoError("it is not overdue")

    is_dormant = settings.dormant_after_days > 0 and not has_sign_of_life
    # A dormant user's to-do needs no model, and so no result.
    result = None if is_dormant else newest_version(session, todo.user_task_execution_fk)
    return Overdue(
        its_user.user_id,
        user,
        Todo(
            todo_pk=todo_pk,
            description=well_formed(todo.description)[:DESCRIPTION_CHARS],
            schedulings=schedulings,
            newest_scheduling_pk=newest_scheduling_pk,
            keeps_slipping=len(schedulings) - 1 >= settings.slipping_after_moves,
        ),
        Task(
            task.name_for_system,
            task.definition_for_system,
            (result and result.title) or "",
            (result.production if result else "")[:RESULT_CHARS],
        ),
        agenda_of([], user.today) if is_dormant else _agenda(session, todo_pk, its_user.user_id, user.today),
        is_dormant,
    )


@cache
def _todo_with_its_user() -> Select[*tuple[Any, ...]]:
    """Select the to-do :todo_pk, its task, its user, and whether the user gave a sign of life."""
    return (
        select(MdTodo, MdTask, MdUser, HAS_SIGN_OF_LIFE)
        .join(
            MdUserTaskExecution, MdUserTaskExecution.user_task_execution_pk == MdTodo.user_task_execution_fk
        )
        .join(MdUserTask, MdUserTask.user_task_pk == MdUserTaskExecution.user_task_fk)
        .join(MdTask, MdTask.task_pk == MdUserTask.task_fk)
        .join(MdUser, MdUser.user_id == MdUserTask.user_id)
        .where(MdTodo.todo_pk == bindparam("todo_pk"))
    )


def _schedulings(session: Session, todo_pk: int, timezone_offset: int) -> tuple[list[Scheduling], int]:
    """Return the to-do's schedulings, oldest first, and the key of the newest.

    Raises:
        NothingToDoError: it has none.
    """
    rows = session.scalars(_schedulings_of(), {"todo_pk": todo_pk}).all()
    if not rows:
        raise NothingToDoError("it has no date")
    schedulings = [
        Scheduling(
            row.scheduled_date,
            local_time(row.creation_date, timezone_offset).date(),
            well_formed(row.reschedule_justification or ""),
        )
        for row in rows
    ]
    return schedulings, rows[-1].todo_scheduling_pk


@cache
def _schedulings_of() -> Select[MdTodoScheduling]:
    """Select the schedulings of :todo_pk, oldest first."""
    scheduling = MdTodoScheduling
    return (
        select(scheduling)
        .where(scheduling.todo_fk == bindparam("todo_pk"))
        .order_by(scheduling.creation_date, scheduling.todo_scheduling_pk)
    )


def _agenda(session: Session, todo_pk: int, user_id: str, today: date) -> Agenda:
    others = [
        OpenTodo(scheduled, well_formed(todo.description)[:OPEN_TODO_CHARS])
        for todo, scheduled in session.execute(_open_todos(), {"user_id": user_id})
        if todo.todo_pk != todo_pk
    ]
    return agenda_of(others, today)


def agenda_of(others: Sequence[OpenTodo], today: date) -> Agenda:
    """Return the agenda of a user.

    Args:
        others: the other open to-dos, in the order of the prompt.
        today: the user's local day.
    """
    load = Counter(other.scheduled_date for other in others)
    coming = [today + n * DAY for n in range(AGENDA_DAYS)]
    return Agenda(
        [Day(day, load[day]) for day in coming],
        # Coming to-dos tell more about a good day than other overdue ones.
        [other for other in others if other.scheduled_date >= today][:OPEN_TODOS_SHOWN],
        load,
    )


@cache
def _open_todos() -> Select[MdTodo, date]:
    """Select the open to-dos of :user_id, each with its date."""
    query, _, newest = open_todos(bindparam("user_id"))
    return query.add_columns(newest.c.scheduled_date)


def check(answer: Rescheduling | None, overdue: Overdue, load_cap: int) -> Move:
    """Return a move to the model's day if it is valid, otherwise to the day of a rule.

    The rule takes the lightest of the next five working days, and the first if several are equal. A dormant
    user's to-do moves so that it is overdue again in a week.

    Args:
        answer: the model's last one; None for a dormant user.
        overdue: from `collect`.
        load_cap: see the settings.
    """
    if answer is None:
        day = previous_working_day(overdue.user.today + WEEK)
        return Move(day, dormant_wording(overdue.user.language, day), "rule", DORMANT)
    try:
        day = _date(answer, overdue, load_cap)
        argument = _argument(answer)
    except ValueError as error:
        return _by_rule(overdue, str(error))
    return Move(day, _with_moves(argument, overdue), "model")


def objection(answer: Rescheduling, overdue: Overdue, load_cap: int) -> str | None:
    """Return the errors in an answer, as sentences for the model; None if there are none."""
    errors = []
    try:
        _date(answer, overdue, load_cap)
    except ValueError as error:
        errors.append(f"The date is no use: {error}.")
    try:
        _argument(answer)
    except ValueError as error:
        errors.append(f"{error}.".capitalize())
    return " ".join(errors) or None


def _date(answer: Rescheduling, overdue: Overdue, load_cap: int) -> date:
    """Parse and check the answer's day.

    Raises:
        ValueError: the day is not valid. The text tells the model why.
    """
    today, load = overdue.user.today, overdue.agenda.load
    try:
        day = date.fromisoformat((answer.date or "").strip())
    except ValueError:
        raise ValueError("it is not a date in the form YYYY-MM-DD") from None
    if day < today:
        raise ValueError(f"it is before today, {today.isoformat()}")
    if day > today + FURTHEST:
        raise ValueError("it is more than a year away")
    if not is_working_day(day) and not _asks_for_weekend(overdue, day):
        raise ValueError(f"it is a {day:%A}, and nothing asks for a weekend")
    if load[day] >= load_cap:
        near = (day + n * DAY for n in range(-NEAR_DAYS, NEAR_DAYS + 1))
        lighter = [
            other for other in near if other >= today and is_working_day(other) and load[other] < load_cap
        ]
        if lighter:
            best = min(lighter, key=lambda other: load[other])
            raise ValueError(
                f"{day.isoformat()} has {load[day]} to-dos already, while {best.isoformat()} has {load[best]}"
            )
    return day


def _asks_for_weekend(overdue: Overdue, day: date) -> bool:
    """Tell whether the to-do's text names this day, or it was planned for a weekend before."""
    todo = overdue.todo
    if any(not is_working_day(scheduling.scheduled_date) for scheduling in todo.schedulings):
        return True
    return names_day(todo.description, day, overdue.user.language)


def _argument(answer: Rescheduling) -> str:
    """Return the argument as one paragraph.

    Raises:
        ValueError: it is missing.
    """
    argument = " ".join(well_formed(answer.argument or "").split())
    if not argument:
        raise ValueError("the argument is missing")
    return argument[:ARGUMENT_CHARS]


def _by_rule(overdue: Overdue, reason: str) -> Move:
    days = [next_working_day(overdue.user.today)]
    while len(days) < RULE_DAYS:
        days.append(next_working_day(days[-1]))
    load = overdue.agenda.load
    day = min(days, key=lambda day: load[day])
    argument = rule_wording(overdue.user.language, day, load[day])
    return Move(day, _with_moves(argument, overdue), "rule", reason)


def _with_moves(argument: str, overdue: Overdue) -> str:
    """Append our own, always correct sentence on the number of moves if the to-do keeps slipping."""
    if not overdue.todo.keeps_slipping:
        return argument
    return f"{argument} {keeps_slipping_wording(overdue.user.language, overdue.todo.moves)}"


def save(
    session: Session,
    overdue: Overdue,
    job: jobs.Job,
    answer: Rescheduling | None,
    load_cap: int,
    now: datetime,
) -> Move:
    """Check the answer, save the new scheduling and end the job, in one transaction.

    Args:
        session: the caller's; committed here.
        overdue: from `collect`.
        job: held by this invocation.
        answer: see `check`.
        load_cap: see the settings.
        now: the present moment (aware).

    Returns:
        The move that was saved.

    Raises:
        NothingToDoError: it was completed, deleted or moved in the meantime.
        LeaseLostError: another invocation holds the job.
    """
    todo = overdue.todo
    # One move at a time for each user, so that concurrent moves do not crowd one day.
    session.execute(select(user_lock(literal(overdue.user_id))))
    agenda = _agenda(session, todo.todo_pk, overdue.user_id, overdue.user.today)
    move = check(answer, replace(overdue, agenda=agenda), load_cap)
    # Blocks other inserts of schedulings: their foreign key needs a lock that conflicts with this one.
    held = select(MdTodo.todo_pk).where(MdTodo.todo_pk == todo.todo_pk, is_open()).with_for_update()
    if session.execute(held).scalar() is None:
        raise NothingToDoError("it was completed or deleted in the meantime")
    newest = newest_scheduling(
        literal(todo.todo_pk), MdTodoScheduling.todo_scheduling_pk, MdTodoScheduling.creation_date
    )
    newest_pk, newest_date = session.execute(select(newest)).one()
    if newest_pk != todo.newest_scheduling_pk:
        raise NothingToDoError("it was moved in the meantime")
    row = MdTodoScheduling(
        todo_fk=todo.todo_pk,
        scheduled_date=move.scheduled_date,
        # The newest scheduling counts, so it must be newer even if the clocks of two machines differ.
        creation_date=max(now, newest_date + timedelta.resolution),
        reschedule_justification=move.argument,
    )
    session.add(row)
    session.flush()
    outcome = {
        "todo_scheduling_pk": row.todo_scheduling_pk,
        "moved_from": todo.schedulings[-1].scheduled_date.isoformat(),
        "moved_to": move.scheduled_date.isoformat(),
        "chosen_by": move.chosen_by,
    }
    if move.reason:
        outcome["reason"] = move.reason
    jobs.finish(session, job, "done", outcome, now=now)
    session.commit()
    return move
