"""Run the real workers' code on cases, without a database. The results are those that would be saved."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from time import monotonic
from typing import cast
from unittest.mock import patch

from evals.cases import Case, MailCase, MoveCase, TaskCase
from events.daily_email import content
from events.daily_email.rendering import Content
from extract_todos import extraction
from extract_todos.checking import LeftOut, Todo, check
from mojodex import provider
from mojodex.circuit import Circuits
from mojodex.clock import Deadline, utc_now
from mojodex.errors import MojodexError
from mojodex.jobs import Job
from mojodex.model import Model
from mojodex.observability import logger
from mojodex.prompts import Prompt
from mojodex.queries import User
from reschedule_todo import rescheduling

THREADS = 8
# A slow server on a laptop is judged by its answers, not by Lambda's timeouts.
CALL_SECONDS = 1200
CASE_SECONDS = 7200
# As in template.yaml.
LOAD_CAP = 8
SLIPPING_AFTER_MOVES = 5
NIGHT_UNTIL_HOUR = 6
CONVERSATION_TOKEN_BUDGET = 16000
WEBAPP = "https://app.example.com"


@dataclass(frozen=True)
class Made:
    """The result of a case. `failure` is the reason if there is none."""

    todos: tuple[Todo, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    move: rescheduling.Move | None = None
    mail: Content | None = None
    failure: str = ""


class _AllAllowed:
    """Circuits that never open."""

    def allows(self, _model: str) -> bool:
        return True

    def is_open(self, _model: str) -> bool:
        return False

    def succeeded(self, _model: str) -> None:
        """Do nothing: no circuit is open."""

    def failed(self, _model: str, _reason: str) -> None:
        """Do nothing: no circuit opens."""


def run[C: Case](model: str, base_url: str, cases: Sequence[C]) -> list[Made]:
    """Run cases of any kind, several at a time.

    Args:
        model: the name by which the server knows the model.
        base_url: the base URL of the server's API.
        cases: the cases.

    Returns:
        The result of each case, in order.
    """
    with _surroundings(), ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(lambda case: _made(model, base_url, case), cases))


@contextmanager
def _surroundings() -> Iterator[None]:
    """Give the workers an API key, and silence their metrics and log lines."""
    key = {"api_key": os.environ.get("OPENAI_API_KEY") or "none"}
    level = logger.log_level
    logger.setLevel("CRITICAL")
    names = {"POWERTOOLS_METRICS_NAMESPACE": "evals", "POWERTOOLS_SERVICE_NAME": "evals"}
    try:
        with (
            patch.dict(os.environ, names),
            patch.object(provider, "read_secret", lambda _arn, **_force: key),
            redirect_stdout(StringIO()),
        ):
            yield
    finally:
        logger.setLevel(level)


def _made(model: str, base_url: str, case: Case) -> Made:
    try:
        match case:
            case TaskCase():
                return _make_todos(model, base_url, case)
            case MoveCase():
                return _make_move(model, base_url, case)
            case MailCase():
                return _make_mail(model, base_url, case)
    except MojodexError as error:
        return Made(failure=f"{type(error).__name__}: {error}")


def _make_todos(model: str, base_url: str, case: TaskCase) -> Made:
    settings = extraction.ExtractionSettings.from_environment(
        _environment(model, base_url, extraction.PROMPT)
    )
    asked = Model(settings, _circuits())
    user = user_of(case)
    answer = extraction.think(asked, settings, user, case.task, _deadline())
    todos, left_out = check(answer, case.task, user.today)
    return Made(todos=tuple(todos), left_out=tuple(left_out))


def _make_move(model: str, base_url: str, case: MoveCase) -> Made:
    settings = rescheduling.ReschedulingSettings.from_environment(
        _environment(model, base_url, rescheduling.PROMPT)
    )
    overdue = overdue_of(case)
    answer = rescheduling.think(Model(settings, _circuits()), settings, overdue, _deadline())
    return Made(move=rescheduling.check(answer, overdue, settings.load_cap))


def _make_mail(model: str, base_url: str, case: MailCase) -> Made:
    settings = content.TodoDailyEmailsSettings.from_environment(_environment(model, base_url, content.PROMPT))
    today = today_of(case)
    # The job is so old that the worker does not wait for an unavailable model but sends our default wording.
    job = Job("events", case.id, "", utc_now(), 1, utc_now() - 2 * content.LONGEST_WAIT)
    answer = content.think(Model(settings, _circuits()), today, job, _deadline())
    failure = "" if answer else "no answer was usable"
    return Made(mail=content.compose(answer, today, WEBAPP, None), failure=failure)


def _environment(model: str, base_url: str, prompt: Prompt) -> dict[str, str]:
    """Return a worker's environment that lets its prompt use the model, whatever its name is."""
    return {
        "LLM_SECRET_ARN": "evals",
        "LLM_MODELS": model if model in prompt.models else f"{next(iter(prompt.models))}={model}",
        "LLM_BASE_URL": base_url,
        "LLM_TIMEOUT_SECONDS": str(CALL_SECONDS),
        "CONVERSATION_TOKEN_BUDGET": str(CONVERSATION_TOKEN_BUDGET),
        "LOAD_CAP": str(LOAD_CAP),
        "SLIPPING_AFTER_MOVES": str(SLIPPING_AFTER_MOVES),
        "NIGHT_UNTIL_HOUR": str(NIGHT_UNTIL_HOUR),
        "EMAIL_SENDER": "mojo@example.com",
        "SES_CONFIGURATION_SET": "evals",
        "MOJODEX_WEBAPP_URI": WEBAPP,
    }


def _circuits() -> Circuits:
    return cast(Circuits, _AllAllowed())


def _deadline() -> Deadline:
    end = monotonic() + CASE_SECONDS
    return Deadline(lambda: int((end - monotonic()) * 1000))


def user_of(case: Case) -> User:
    """Return the user of a case, as `queries.as_user` would."""
    name = case.name if isinstance(case, MailCase) else case.user
    return User(
        name=name or "the user",
        language=case.language,
        goal="" if isinstance(case, TaskCase) else case.goal,
        company="",
        today=case.now.date(),
        time=case.now.strftime("%H:%M"),
    )


def overdue_of(case: MoveCase) -> rescheduling.Overdue:
    """Return the overdue to-do of a case, as `rescheduling.collect` would."""
    user = user_of(case)
    schedulings = [rescheduling.Scheduling(each.day, each.made_on, each.why) for each in case.schedulings]
    others = [
        rescheduling.OpenTodo(day, text[: rescheduling.OPEN_TODO_CHARS]) for day, text in case.open_todos
    ]
    return rescheduling.Overdue(
        case.id,
        user,
        rescheduling.Todo(
            todo_pk=1,
            description=case.todo[: rescheduling.DESCRIPTION_CHARS],
            schedulings=schedulings,
            newest_scheduling_pk=1,
            keeps_slipping=len(schedulings) - 1 >= SLIPPING_AFTER_MOVES,
        ),
        rescheduling.Task(case.task, case.definition, case.title, case.result[: rescheduling.RESULT_CHARS]),
        rescheduling.agenda_of(others, user.today),
    )


def today_of(case: MailCase) -> content.Today:
    """Return a user's day, as `content.collect` would."""

    def short(text: str) -> str:
        return text[: content.TEXT_CHARS]

    todos = [
        content.Todo(n, f"t{n}", short(todo.text), short(todo.task), todo.day)
        for n, todo in enumerate(case.todos, 1)
    ]
    moved = [
        content.Moved(1000 + n, short(todo.text), short(todo.task), todo.day or case.now.date(), todo.reason)
        for n, todo in enumerate(case.moved)
    ]
    return content.Today(user_of(case), case.name or None, "user@example.com", case.language, todos, moved)
