"""The labelled cases, as plain data: `evals/data/*.toml`. docs/evaluation.md says how to add one."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from evals import ROOT
from extract_todos.task import Line, Result, Task

DATA = ROOT / "evals" / "data"
LANGUAGES = ("en", "fr", "de", "es", "ja")


@dataclass(frozen=True)
class Label:
    """A to-do that the user has.

    Attributes:
        places: quotations that prove it, letter by letter; the first is the best.
        words: regular expressions that a right description matches.
        earliest, latest: the range of right days; None if the words name no day.
        agreed_to: words of Mojo that the user only agreed to; '' if the words are the user's own.
    """

    places: tuple[str, ...]
    words: tuple[str, ...]
    earliest: date | None
    latest: date | None
    agreed_to: str


@dataclass(frozen=True)
class TaskCase:
    """A finished task and its to-dos. `trap` names the difficulty, or is ''."""

    id: str
    language: str
    trap: str
    user: str
    now: datetime
    task: Task
    labels: tuple[Label, ...]


@dataclass(frozen=True)
class Planned:
    """One earlier date of a to-do: `made_on` it was planned for `day`."""

    day: date
    made_on: date
    why: str


@dataclass(frozen=True)
class MoveCase:
    """An overdue to-do, and the days that a sensible colleague would accept.

    Attributes:
        open_todos: the user's other to-dos, with their days.
        invented: regular expressions of claims that an argument must not make.
    """

    id: str
    language: str
    user: str
    goal: str
    now: datetime
    todo: str
    schedulings: tuple[Planned, ...]
    task: str
    definition: str
    title: str
    result: str
    open_todos: tuple[tuple[date, str], ...]
    earliest: date
    latest: date
    without: tuple[date, ...]
    invented: tuple[str, ...]

    def is_plausible(self, day: date) -> bool:
        """Tell whether a sensible colleague would accept the day."""
        return self.earliest <= day <= self.latest and day not in self.without


@dataclass(frozen=True)
class MailTodo:
    """A to-do of today, or one that was moved to `day` for a `reason`."""

    text: str
    task: str
    day: date | None
    reason: str


@dataclass(frozen=True)
class MailCase:
    """A user's day. `forbidden` holds regular expressions that the mail's wording must not match."""

    id: str
    language: str
    name: str
    goal: str
    now: datetime
    todos: tuple[MailTodo, ...]
    moved: tuple[MailTodo, ...]
    forbidden: tuple[str, ...]


type Case = TaskCase | MoveCase | MailCase


def load_tasks(languages: Sequence[str] = LANGUAGES, folder: Path = DATA) -> list[TaskCase]:
    """Load the finished tasks of some languages."""
    return [_task(entry) for code in languages for entry in _entries(folder / f"{code}.toml", "task")]


def load_moves(languages: Sequence[str] = LANGUAGES, folder: Path = DATA) -> list[MoveCase]:
    """Load the overdue to-dos of some languages."""
    moves = [_move(entry) for entry in _entries(folder / "moves.toml", "move")]
    return [move for move in moves if move.language in languages]


def load_mails(languages: Sequence[str] = LANGUAGES, folder: Path = DATA) -> list[MailCase]:
    """Load the mails of some languages."""
    mails = [_mail(entry) for entry in _entries(folder / "mails.toml", "mail")]
    return [mail for mail in mails if mail.language in languages]


def _entries(path: Path, kind: str) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = tomllib.loads(path.read_text(encoding="utf-8"))[kind]
    return entries


def _task(entry: dict[str, Any]) -> TaskCase:
    return TaskCase(
        id=entry["id"],
        language=entry["language"],
        trap=entry["trap"],
        user=entry["user"],
        now=entry["now"],
        task=Task(
            name=entry["name"],
            definition=entry["definition"],
            conversation=[Line(line["sender"], line["text"]) for line in entry["conversation"]],
            result=Result(entry["title"], entry["result"].strip()),
            open_todos=entry["open_todos"],
        ),
        labels=tuple(_label(label) for label in entry.get("todo", [])),
    )


def _label(entry: dict[str, Any]) -> Label:
    return Label(
        places=(entry["evidence"], *entry.get("also", [])),
        words=tuple(entry["words"]),
        earliest=entry.get("due", entry.get("earliest")),
        latest=entry.get("due", entry.get("latest")),
        agreed_to=entry.get("agreed_to", ""),
    )


def _move(entry: dict[str, Any]) -> MoveCase:
    return MoveCase(
        id=entry["id"],
        language=entry["language"],
        user=entry["user"],
        goal=entry.get("goal", ""),
        now=entry["now"],
        todo=entry["todo"],
        schedulings=tuple(
            Planned(each["day"], each["made_on"], each.get("why", "")) for each in entry["schedulings"]
        ),
        task=entry["task"],
        definition=entry["definition"],
        title=entry["title"],
        result=entry["result"].strip(),
        open_todos=tuple(sorted((other["day"], other["text"]) for other in entry["open_todos"])),
        earliest=entry["earliest"],
        latest=entry["latest"],
        without=tuple(entry.get("not", [])),
        invented=tuple(entry.get("invented", [])),
    )


def _mail(entry: dict[str, Any]) -> MailCase:
    return MailCase(
        id=entry["id"],
        language=entry["language"],
        name=entry["name"],
        goal=entry.get("goal", ""),
        now=entry["now"],
        todos=tuple(
            MailTodo(todo["text"], todo["task"], todo.get("planned_for"), "") for todo in entry["todos"]
        ),
        moved=tuple(
            MailTodo(todo["text"], todo["task"], todo["day"], todo["reason"]) for todo in entry["moved"]
        ),
        forbidden=tuple(entry["forbidden"]),
    )
