"""Score moves by rules: the day is plausible, and the argument is true and in the user's language."""

import re
from dataclasses import dataclass

from evals.cases import MoveCase
from evals.languages import days_in, is_in, month_and_day
from evals.work import overdue_of
from reschedule_todo.rescheduling import Move
from reschedule_todo.wording import keeps_slipping_wording


@dataclass(frozen=True)
class MoveScore:
    """The rules that a move keeps. The field names are keys of the result files.

    Attributes:
        by_model: the move has the model's day, not our default day.
        is_plausible: a sensible colleague would accept the day.
        is_not_invented: the argument makes no claim that the case forbids.
        knows_days: the argument names only known days, see `unknown_days`.
        is_in_language: the argument is in the language of the user's account.
    """

    by_model: bool
    is_plausible: bool
    is_not_invented: bool
    knows_days: bool
    is_in_language: bool

    @property
    def is_right(self) -> bool:
        """Tell whether every rule is kept."""
        return all(vars(self).values())


def score(case: MoveCase, move: Move | None) -> MoveScore:
    """Score a move, or None if there is none."""
    if move is None:
        return MoveScore(*(False,) * 5)
    return MoveScore(
        by_model=move.chosen_by == "model",
        is_plausible=case.is_plausible(move.scheduled_date),
        is_not_invented=not any(re.search(pattern, move.argument) for pattern in case.invented),
        knows_days=not unknown_days(case, move),
        is_in_language=is_in(models_words(case, move), case.language),
    )


def models_words(case: MoveCase, move: Move) -> str:
    """Return the argument without our own sentence about how often the to-do was moved."""
    ours = keeps_slipping_wording(case.language, overdue_of(case).todo.moves)
    return move.argument.removesuffix(ours)


def unknown_days(case: MoveCase, move: Move) -> set[str]:
    """Return the days that the argument names although the prompt gives no reason to.

    Known days are the chosen day, today, the days of the history, days with other to-dos, and all days that
    the texts name. If the argument names the chosen day, it may name any day of the agenda as well. Naming
    another day alone would contradict the choice.
    """
    overdue = overdue_of(case)
    named = days_in(move.argument, case.language)
    chosen = move.scheduled_date
    days = {chosen, overdue.user.today}
    days |= {day for each in case.schedulings for day in (each.day, each.made_on)}
    days |= {day for day, _ in case.open_todos}
    texts = [case.todo, case.title, case.result, case.definition, case.goal]
    texts += [each.why for each in case.schedulings] + [text for _, text in case.open_todos]
    said = days_in("\n".join(texts), case.language)
    weekdays = {day.weekday() for day in days} | said.weekdays
    dates = {month_and_day(day) for day in days} | said.dates
    if chosen.weekday() in named.weekdays or month_and_day(chosen) in named.dates:
        agenda = [day.day for day in overdue.agenda.days]
        weekdays |= {day.weekday() for day in agenda}
        dates |= {month_and_day(day) for day in agenda}
    wrong = {f"weekday {day}" for day in named.weekdays - weekdays}
    return wrong | {f"{month}-{day}" for month, day in named.dates - dates}
