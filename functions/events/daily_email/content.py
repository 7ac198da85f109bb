"""Write the daily to-do e-mail: collect to-dos, ask a model for words, check and compose them."""

from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import Field
from sqlalchemy import Select, Text, and_, bindparam, func, or_, select, text, type_coerce
from sqlalchemy.orm import Session, undefer

from events.daily_email.rendering import Content, MovedLine, TodoLine, render
from events.daily_email.wording import words_for
from events.mail.delivery import SECONDS_NEEDED as SENDING_SECONDS
from events.mail.delivery import Mail
from events.mail.mime import EmailSettings, check_address, unsubscribe
from events.mail.plain_text import plain
from events.message import PROCESS, SendEvent
from mojodex import jobs
from mojodex.clock import Deadline, local_time, previous_working_day, start_of_day, utc_now
from mojodex.database import Database
from mojodex.errors import InvalidMessageError, NothingToDoError, PermanentError, TransientError
from mojodex.feedback import Kind
from mojodex.mail_ledger import mail_block
from mojodex.model import Answer, Model, ModelSettings
from mojodex.observability import count, logger
from mojodex.prompts import read_prompt
from mojodex.queries import HAS_SIGN_OF_LIFE, User, as_user, newest_version, offset_of, open_todos
from mojodex.schema import BackgroundJob, BackgroundPause, MdUser
from mojodex.text import well_formed

PROMPT = read_prompt(Path(__file__).with_name("todo_daily_emails.mpt"))
# Mojodex's name of the event in md_event.
MD_EVENT_TYPE = "todo_daily_email"
# To-dos in the prompt; the others get a line of ours.
TODOS_SHOWN = 40
# Characters of a description, title or reason in the prompt; the mail shows fewer.
TEXT_CHARS = 500
# How long after its job was queued a mail waits for an unavailable model. Then it uses our own words: a mail
# about today is useless tomorrow.
LONGEST_WAIT = timedelta(minutes=5)
# The mail tells the moves since the last mail, unless that is longer ago.
LONGEST_SILENCE = timedelta(days=14)
# After this time without a sign of life, one mail announces the pause.
PAUSES_AFTER = timedelta(days=14)
# Reasons in the ledger.
WHY_BLOCKED: dict[Kind, str] = {
    "complaint": "the user has marked a mail as spam",
    "bounce": "mails to the user's address bounce",
    "soft bounces": "the user's address refused the last mails, so there is a pause",
}


class TodoDailyEmailsSettings(ModelSettings, EmailSettings):
    """Settings of the generator.

    Attributes:
        default_timezone_offset: minutes, for users without an offset (see `clock.local_time`).
        send_empty_todo_emails: whether users without to-dos get a mail, too.
        dormant_after_days: with 0 the mail never pauses.
    """

    default_timezone_offset: int = 0
    send_empty_todo_emails: bool = False
    dormant_after_days: int = Field(default=0, ge=0)


@dataclass(frozen=True)
class Todo:
    """An open to-do for today. `id` names it to the model; `planned_for` is set if it is overdue."""

    todo_pk: int
    id: str
    description: str
    task_title: str
    planned_for: date | None


@dataclass(frozen=True)
class Moved:
    """An open to-do that was moved to a later day, with the reason."""

    todo_pk: int
    description: str
    task_title: str
    date: date
    reason: str


@dataclass(frozen=True)
class Today:
    """A user's day. `address` and `name` are as the user gave them.

    `paused_at`: when the pause begins, if this is the last mail until a sign of life.
    """

    user: User
    name: str | None
    address: str
    language_code: str | None
    todos: list[Todo]
    moved: list[Moved]
    paused_at: datetime | None = None

    @property
    def about(self) -> list[int]:
        """Return the keys of all its to-dos. Kept words of the model are valid for exactly these."""
        return [todo.todo_pk for todo in self.todos] + [todo.todo_pk for todo in self.moved]


# The model's answer. The model gets the JSON schema of these classes, docstrings included.


class Line(Answer):
    """One sentence about one to-do."""

    id: str | None
    line: str | None


class DailyEmail(Answer):
    """The words of the daily to-do e-mail."""

    subject: str | None
    greeting: str | None
    intro: str | None
    lines: list[Line] | None
    closing: str | None


def todo_daily_emails(
    database: Database,
    model: Model,
    settings: TodoDailyEmailsSettings,
    message: SendEvent,
    job: jobs.Job,
    deadline: Deadline,
) -> Mail:
    """Write the mail of one user and day.

    Args:
        database, model, settings: the worker's.
        message: names the user.
        job: its occasion is the day.
        deadline: when the invocation ends.

    Raises:
        InvalidMessageError: there is no such user.
        NothingToDoError: the user does not want it, it would be empty, the address is blocked, or the day is
            over.
        PermanentError: the user's address is not valid.
        TransientError: as `Database.session`; the model is unavailable, and there is time to wait.
    """
    now = utc_now()
    day = date.fromisoformat(job.occasion)
    today = database.with_db_session(collect, message, day, now, settings)
    # First, because a model costs money.
    check_address(today.address)
    unsubscribing = unsubscribe(settings, message.user_id, message.event_type)
    link = unsubscribing.link if unsubscribing else None
    answer = think(model, today, job, deadline)
    return Mail(
        user_id=message.user_id,
        md_event_type=MD_EVENT_TYPE,
        to_name=today.name,
        to_address=today.address,
        event_type=message.event_type,
        unsubscribe=unsubscribing,
        rendered=render(compose(answer, today, settings.mojodex_webapp_uri, link)),
        outcome={
            "todos": len(today.todos),
            "moved": len(today.moved),
            "worded_by": "model" if answer else "rule",
        },
        paused_at=today.paused_at,
        kept={"answer": answer.model_dump(), "about": today.about} if answer else None,
    )


def local_date(session: Session, user_id: str, moment: datetime, default_timezone_offset: int) -> date:
    """Return the user's local day at `moment` (aware).

    Raises:
        InvalidMessageError: there is no such user.
    """
    row = session.execute(select(MdUser.timezone_offset).where(MdUser.user_id == user_id)).one_or_none()
    if row is None:
        raise InvalidMessageError("there is no such user")
    (offset,) = row
    return local_time(moment, offset_of(offset, default_timezone_offset)).date()


def collect(
    session: Session, message: SendEvent, day: date, now: datetime, settings: TodoDailyEmailsSettings
) -> Today:
    """Read the user's day as plain data.

    Args:
        session: the caller's.
        message: names the user.
        day: the user's local day that the mail is for.
        now: the present moment (aware).
        settings: the default offset, whether a mail may be empty, and whether it may pause.

    Raises:
        InvalidMessageError, NothingToDoError: as `todo_daily_emails`.
    """
    user_id = message.user_id
    found_user = session.execute(
        _user(),
        {
            "user_id": user_id,
            "subject": message.subject,
            "earliest": (day - LONGEST_SILENCE).isoformat(),
            "today": day.isoformat(),
            "sign_of_life_since": now - PAUSES_AFTER,
            "now": now,
        },
    ).one_or_none()
    if found_user is None:
        raise InvalidMessageError("there is no such user")
    row, last_mail, has_sign_of_life, block = found_user
    if not row.todo_email_reception:
        raise NothingToDoError("the user does not want it")
    if block:
        raise NothingToDoError(WHY_BLOCKED[block])
    user = as_user(row, now, settings.default_timezone_offset)
    if user.today != day:
        raise NothingToDoError(f"it is not {day.isoformat()} where the user is")

    since = last_mail or start_of_day(
        previous_working_day(day), offset_of(row.timezone_offset, settings.default_timezone_offset)
    )
    found = session.execute(_todos_to_tell(), {"user_id": user_id, "day": day, "since": since}).all()
    todos: list[Todo] = []
    moved: list[Moved] = []
    titles: dict[int, str] = {}
    for todo, title, _, scheduled, _, justification in found:
        execution = todo.user_task_execution_fk
        if execution not in titles:
            titles[execution] = _short(title or _result_title(session, execution))
        description = _short(todo.description)
        if scheduled <= day:
            overdue = scheduled if scheduled < day else None
            todos.append(Todo(todo.todo_pk, f"t{len(todos) + 1}", description, titles[execution], overdue))
        else:
            moved.append(
                Moved(todo.todo_pk, description, titles[execution], scheduled, _short(justification))
            )
    if not todos and not moved and not settings.send_empty_todo_emails:
        raise NothingToDoError("there is nothing to tell")
    is_silent = settings.dormant_after_days > 0 and not has_sign_of_life
    paused_at = now if is_silent and not _was_told(session, user_id) else None
    return Today(user, row.name, row.email, row.language_code, todos, moved, paused_at)


def _was_told(session: Session, user_id: str) -> bool:
    """Tell whether a mail announced the pause, and the user has given no sign of life since."""
    paused_at = session.scalar(select(BackgroundPause.paused_at).filter_by(user_id=user_id))
    has_sign = select(HAS_SIGN_OF_LIFE).where(MdUser.user_id == user_id)
    return paused_at is not None and not session.scalar(has_sign, {"sign_of_life_since": paused_at})


@cache
def _user() -> Select[*tuple[Any, ...]]:
    """Select a user, the end of their last mail's job between :earliest and :today, whether they gave a sign
    of life, and the kind of their mail block at :now.
    """
    job = BackgroundJob
    last_mail = (
        select(func.max(job.finished_at))
        .where(job.process == PROCESS, job.subject == bindparam("subject"), job.state == "done")
        .where(job.occasion >= bindparam("earliest"), job.occasion < bindparam("today"))
        .scalar_subquery()
    )
    return (
        select(
            MdUser,
            last_mail,
            HAS_SIGN_OF_LIFE,
            type_coerce(text(mail_block("md_user.user_id", ":now")), Text),
        )
        .options(undefer(MdUser.email))
        .where(MdUser.user_id == bindparam("user_id"))
    )


@cache
def _todos_to_tell() -> Select[*tuple[Any, ...]]:
    """Select the open to-dos of :user_id until :day, and those that were moved since :since."""
    query, executions, newest = open_todos(bindparam("user_id"))
    return query.add_columns(executions.c.title, newest).where(
        or_(
            newest.c.scheduled_date <= bindparam("day"),
            and_(
                newest.c.creation_date >= bindparam("since"), newest.c.reschedule_justification.is_not(None)
            ),
        )
    )


def _short(text: str) -> str:
    return well_formed(text)[:TEXT_CHARS]


def _result_title(session: Session, user_task_execution_pk: int) -> str:
    """Return the title of the task's result, for an execution without a title; '' if it has none."""
    result = newest_version(session, user_task_execution_pk)
    return (result and result.title) or ""


def think(model: Model, today: Today, job: jobs.Job, deadline: Deadline) -> DailyEmail | None:
    """Ask the model for words, or reuse those of an earlier attempt; None if the mail uses our own.

    Raises:
        TransientError: the model is unavailable, and there is time to wait.
    """
    if kept := job.kept_answer(today.about):
        return DailyEmail.model_validate(kept)
    variables = {
        "user": today.user,
        "todos": today.todos[:TODOS_SHOWN],
        "moved": today.moved[:TODOS_SHOWN],
    }
    try:
        # Our own words replace any bad ones, so nothing is asked and paid for twice.
        return model.ask(
            PROMPT,
            variables,
            DailyEmail,
            deadline.sooner(SENDING_SECONDS),
            urgent=utc_now() > job.queued_at + LONGEST_WAIT / 2,
        )
    except PermanentError as error:
        reason = str(error)
    except TransientError as error:
        again_at = utc_now() + timedelta(seconds=error.retry_after or 0)
        if again_at <= job.queued_at + LONGEST_WAIT:
            raise
        reason = str(error)
    logger.warning("mail without the model's words", extra={"subject": job.subject, "reason": reason})
    count("EmailsWithoutModel")
    return None


def compose(answer: DailyEmail | None, today: Today, webapp_uri: str, link: str | None) -> Content:
    """Compose the mail's content: the model's words where they are usable, ours elsewhere.

    Each to-do appears once, with its own description. The model's line only follows it.

    Args:
        answer: the model's words, None if there are none.
        today: from `collect`.
        webapp_uri: where the button leads.
        link: to unsubscribe, None for none.
    """
    words = words_for(today.language_code)
    said = answer or DailyEmail(subject=None, greeting=None, intro=None, lines=None, closing=None)
    lines = _lines(said, today)

    def ours(position: int, todo: Todo) -> str:
        return words.overdue_line(position) if todo.planned_for else words.line(position)

    return Content(
        language_code=today.language_code,
        today=today.user.today,
        subject=_said(said.subject) or words.subject(len(today.todos), len(today.moved)),
        greeting=_said(said.greeting) or words.greeting(today.name),
        intro=_said(said.intro) or words.intro(len(today.todos), len(today.moved)),
        closing=_said(said.closing) or words.closing,
        pause=words.pause if today.paused_at else "",
        todos=tuple(
            TodoLine(
                description=todo.description,
                line=lines.get(todo.id) or ours(position, todo),
                task_title=todo.task_title,
                planned_for=todo.planned_for,
            )
            for position, todo in enumerate(today.todos)
        ),
        moved=tuple(
            MovedLine(moved.description, moved.task_title, moved.date, moved.reason) for moved in today.moved
        ),
        webapp_uri=webapp_uri,
        unsubscribe_link=link,
    )


def _lines(answer: DailyEmail, today: Today) -> dict[str, str]:
    """Return the model's lines by the to-do's id. A to-do with two lines gets none."""
    given = [(line.id, said) for line in answer.lines or [] if line.id and (said := _said(line.line))]
    often = Counter(name for name, _ in given)
    known = {todo.id for todo in today.todos}
    return {name: said for name, said in given if name in known and often[name] == 1}


def _said(text: str | None) -> str:
    """Clean a text of the model for the mail; '' if nothing is left."""
    return plain(text or "", TEXT_CHARS)
