"""Render the daily mail as HTML and text. Users and the model supply words only; all markup is ours."""

from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from pathlib import Path
from textwrap import fill
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from events.daily_email.wording import words_for
from events.mail.mime import LONGEST_SUBJECT, Rendered
from events.mail.plain_text import plain
from mojodex.localized_dates import locale_for, long_day

# Characters that read well at their font size. One or two sentences fit into 400.
LONGEST_GREETING = 100
LONGEST_SENTENCES = 400
LONGEST_DESCRIPTION = 300
LONGEST_TITLE = 120
# Of each list. The web app has the rest.
MOST_SHOWN = 40
# Gmail truncates a mail at 102 kB. As base64 this is 99 kB.
MOST_BYTES = 72_000
TEXT_COLUMNS = 76

_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    undefined=StrictUndefined,
    autoescape=select_autoescape(["html"]),
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True)
class TodoLine:
    """A to-do of today.

    Attributes:
        description: of the to-do.
        line: a friendly sentence; may be empty.
        task_title: of its task; may be empty.
        planned_for: its day, if it is overdue.
    """

    description: str
    line: str
    task_title: str
    planned_for: date | None


@dataclass(frozen=True)
class MovedLine:
    """A to-do that was moved.

    Attributes:
        description, task_title: as of a `TodoLine`.
        date: its new day.
        reason: for the move; may be empty.
    """

    description: str
    task_title: str
    date: date
    reason: str


@dataclass(frozen=True)
class Content:
    """A mail's content: untrusted plain text of users and a model; the links are ours.

    `pause` is our sentence in the last mail before a pause; '' in all others.
    """

    language_code: str | None
    today: date
    subject: str
    greeting: str
    intro: str
    closing: str
    todos: tuple[TodoLine, ...]
    moved: tuple[MovedLine, ...]
    webapp_uri: str
    unsubscribe_link: str | None
    pause: str = ""


def render(content: Content) -> Rendered:
    """Render the mail, clean all untrusted text, and shorten it to what mail clients show."""
    content = _cleaned(content)
    words = words_for(content.language_code)
    locale = locale_for(content.language_code)
    variables: dict[str, Any] = {
        "content": content,
        "words": words,
        "lang": "-".join(filter(None, (locale.language, locale.script, locale.territory))),
        # No mail client writes Mongolian from top to bottom.
        "direction": "rtl" if locale.text_direction == "rtl" else "ltr",
        "day": partial(long_day, language_code=content.language_code),
        "wrap": _wrap,
    }
    # One entry of each list always fits.
    for most in range(MOST_SHOWN, 0, -1):
        variables |= {
            "todos": content.todos[:most],
            "todos_left_out": len(content.todos[most:]),
            "moved": content.moved[:most],
            "moved_left_out": len(content.moved[most:]),
        }
        html = _TEMPLATES.get_template("todo_daily_emails.html").render(variables)
        if len(html.encode()) <= MOST_BYTES:
            break
    text = _TEMPLATES.get_template("todo_daily_emails.txt").render(variables)
    return Rendered(content.subject, html, text)


def _cleaned(content: Content) -> Content:
    sentences = partial(plain, most=LONGEST_SENTENCES)
    title = partial(plain, most=LONGEST_TITLE)

    def description(text: str) -> str:
        return plain(text, LONGEST_DESCRIPTION) or "…"

    words = words_for(content.language_code)
    return replace(
        content,
        # A mail needs a subject, even if nothing is left of the given one.
        subject=plain(content.subject, LONGEST_SUBJECT)
        or words.subject(len(content.todos), len(content.moved)),
        greeting=plain(content.greeting, LONGEST_GREETING),
        intro=sentences(content.intro),
        closing=sentences(content.closing),
        todos=tuple(
            replace(
                todo,
                description=description(todo.description),
                line=sentences(todo.line),
                task_title=title(todo.task_title),
            )
            for todo in content.todos
        ),
        moved=tuple(
            replace(
                todo,
                description=description(todo.description),
                reason=sentences(todo.reason),
                task_title=title(todo.task_title),
            )
            for todo in content.moved
        ),
    )


def _wrap(text: str, first: str = "", indent: str = "") -> str:
    """Wrap a text for the text part. `first` begins the first line, `indent` the others."""
    return fill(text, TEXT_COLUMNS, initial_indent=first, subsequent_indent=indent, break_on_hyphens=False)
