"""Score mails by rules: each to-do appears once, with the model's own line, and nothing forbidden appears."""

import re
from collections import Counter
from dataclasses import dataclass

from evals.cases import MailCase
from evals.languages import is_in
from evals.work import WEBAPP, today_of
from events.daily_email.content import compose
from events.daily_email.rendering import Content

SUBJECT_WORDS = 8


@dataclass(frozen=True)
class MailScore:
    """The rules that a mail keeps. The field names are keys of the result files.

    Attributes:
        by_model: subject, intro and closing are not our default wording.
        has_each_once: each of today's and of the moved to-dos appears once, with its own description.
        has_own_lines: each of today's to-dos has a line by the model.
        is_clean: the wording holds nothing forbidden.
        is_in_language: the wording is in the language of the user's account.
        is_short: the subject has at most eight words, counted by spaces.
    """

    by_model: bool
    has_each_once: bool
    has_own_lines: bool
    is_clean: bool
    is_in_language: bool
    is_short: bool

    @property
    def is_right(self) -> bool:
        """Tell whether every rule is kept."""
        return all(vars(self).values())


def words_of(mail: Content) -> list[str]:
    """Return the texts of a mail that a model may have written."""
    return [mail.subject, mail.greeting, mail.intro, *(todo.line for todo in mail.todos), mail.closing]


def score(case: MailCase, mail: Content | None) -> MailScore:
    """Score a mail, or None if there is none."""
    if mail is None:
        return MailScore(*(False,) * 6)
    ours = compose(None, today_of(case), WEBAPP, None)
    said = words_of(mail)
    there = Counter(todo.description for todo in mail.todos) + Counter(
        todo.description for todo in mail.moved
    )
    wanted = Counter(todo.text for todo in case.todos) + Counter(todo.text for todo in case.moved)
    return MailScore(
        by_model=(mail.subject, mail.intro, mail.closing) != (ours.subject, ours.intro, ours.closing),
        has_each_once=there == wanted,
        has_own_lines=all(a.line != b.line for a, b in zip(mail.todos, ours.todos, strict=True)),
        is_clean=not any(re.search(pattern, text) for pattern in case.forbidden for text in said),
        is_in_language=is_in("\n".join(said), case.language),
        is_short=len(mail.subject.split()) <= SUBJECT_WORDS,
    )
