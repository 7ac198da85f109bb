"""Check a model's answer, and decide which steps become to-dos."""

import re
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, timedelta
from unicodedata import category

from extract_todos.days import named_day
from extract_todos.evidence import Said, fold
from extract_todos.task import Task
from mojodex.clock import next_working_day
from mojodex.model import Answer
from mojodex.text import well_formed

LATEST_DUE_DATE = timedelta(days=2 * 365)
# Per execution. Nobody promises more in one conversation.
MOST_TODOS = 20
# Two sentences, with room for names.
DESCRIPTION_CHARS = 500
# Web and e-mail addresses. Without a scheme, only common top-level domains match.
ADDRESS = re.compile(
    r"[a-z][a-z0-9+.-]*://\S+|www\.\S+|[^\s@<>]+@[^\s@<>]+\.\w+|(?:[\w-]+\.)+(?:com|org|net|info|biz|io|co|app|dev|ai|me"
    r"|eu|de|fr|es|it|nl|be|ch|at|uk|us|ca|au|in|br|ru|cn|jp|xyz|top|site|online|shop|link|click)\b(?:/\S*)?",
    re.IGNORECASE,
)
# They reverse the writing direction, which can disguise a text.
DIRECTIONS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
# Reasons to leave out a step.
SAYS_NOTHING = "it says nothing"
TOO_LONG = f"its description is longer than {DESCRIPTION_CHARS} characters"
CONTROL_CHARACTERS = "its description holds control characters"
NOT_SAID = "the user did not say so"
FOREIGN_ADDRESS = "its description has an address that the user's text lacks"
ON_THE_LIST = "it is on the list already"
TOO_MANY = f"there are {MOST_TODOS} others"


# The model's answer. The prompt contains its JSON schema, docstrings included.


class Step(Answer):
    """A next step."""

    description: str | None
    due_date: str | None
    evidence: str | None


class Extraction(Answer):
    """The next steps of the user."""

    todos: list[Step] | None


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


def check(answer: Extraction, task: Task, today: date) -> tuple[list[Todo], list[LeftOut]]:
    """Return the steps to save and the steps to leave out.

    A step whose evidence names a day is due on that day, whatever the model answered. A step without a valid
    due date is due on the user's next working day.

    Args:
        answer: the model's.
        task: the whole task, not the shortened one.
        today: the user's local day.
    """
    kept, left_out = _check_steps(answer, task)
    todos = []
    for step in kept:
        try:
            due_date = _named_day(step, today) or _due_date(step, today)
        except ValueError:
            due_date = next_working_day(today)
        todos.append(Todo(_description(step), due_date, well_formed(_evidence(step)).strip()))
    return todos, left_out


def date_errors(answer: Extraction, task: Task, today: date) -> str:
    """Return the errors in due dates of steps to save, as sentences for the model; '' if there are none."""
    errors = []
    for step in _check_steps(answer, task)[0]:
        named = _named_day(step, today)
        try:
            due_date = _due_date(step, today)
            if named and due_date != named:
                raise ValueError(
                    f"its due_date is {due_date.isoformat()}, while its evidence names {named:%A},"
                    f" {named.isoformat()}"
                )
        except ValueError as error:
            errors.append(f'"{step.description}": {error}.')
    return " ".join(errors)


def with_dates_of(first: Extraction, second: Extraction) -> Extraction:
    """Return the steps of the first answer with the due dates of the second.

    A model that is asked again about a date may leave out correct steps.
    """
    steps = second.todos or []
    by_description = {fold(_description(step)): step.due_date for step in steps}
    often = Counter(fold(_evidence(step)) for step in steps)
    by_evidence = {evidence: step.due_date for step in steps if often[evidence := fold(_evidence(step))] == 1}
    return Extraction(
        todos=[
            step.model_copy(
                update={
                    "due_date": by_description.get(fold(_description(step)))
                    or by_evidence.get(fold(_evidence(step)))
                    or step.due_date
                }
            )
            for step in first.todos or []
        ]
    )


def _named_day(step: Step, today: date) -> date | None:
    """Return the day that a step's evidence names, if it has only one reading; see `named_day`."""
    named = named_day(_evidence(step), today)
    return named if named and named <= today + LATEST_DUE_DATE else None


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
    """Split the steps into those to save and those to leave out."""
    said = Said(task.said)
    known = {fold(description) for description in task.open_todos}
    kept: list[Step] = []
    left_out = []
    for step in answer.todos or []:
        reason = _reason_against(step, said, known)
        if reason is None and len(kept) == MOST_TODOS:
            reason = TOO_MANY
        if reason is None:
            known.add(fold(_description(step)))
            kept.append(step)
        else:
            left_out.append(LeftOut(_description(step)[:DESCRIPTION_CHARS], reason))
    return kept, left_out


def _reason_against(step: Step, said: Said, known: Collection[str]) -> str | None:
    """Return the reason to leave out a step, or None."""
    description = _description(step)
    folded = fold(description)
    if not folded:
        return SAYS_NOTHING
    if len(description) > DESCRIPTION_CHARS:
        return TOO_LONG
    if any(category(letter) == "Cc" or letter in DIRECTIONS for letter in description):
        return CONTROL_CHARACTERS
    source = said.source(_evidence(step))
    if source is None:
        return NOT_SAID
    if any(address.lower() not in source.lower() for address in ADDRESS.findall(description)):
        return FOREIGN_ADDRESS
    return ON_THE_LIST if folded in known else None


def _description(step: Step) -> str:
    """Return a step's description as one line."""
    return " ".join(well_formed(step.description or "").split())


def _evidence(step: Step) -> str:
    """Return a step's evidence; '' if it has none."""
    return step.evidence or ""
