"""Rescheduling: choose a working day with room, and give the reason, in English or French."""

# Typographic apostrophes and quotation marks are intended.
# ruff: noqa: RUF001

import re
from datetime import date
from textwrap import shorten
from typing import Any

from babel.dates import format_date

from local.standin.answers.prompts import PromptError, is_french, line, section, today, unbroken

# Working days of the agenda to choose from.
DAYS = 5
FRIDAY = 4
# A day with at most this many other to-dos has room.
LIGHT = 1
# A to-do's first words name it.
TOPIC_CHARS = 40


def rescheduling(prompt: str) -> dict[str, Any]:
    """Return a better day for the to-do of a rendered `reschedule_todo` prompt.

    It is the first of the next five working days after today with at most one other to-do. Without such a
    day, or for a to-do that keeps slipping, it is the day with the fewest to-dos.

    Args:
        prompt: holds `<todo>`, `<history>`, `<agenda>`, and the lines `Today is …` and `Language: …`.

    Returns:
        `{"pros", "cons", "argument", "date"}`; the argument is addressed to the user.

    Raises:
        PromptError: the prompt lacks one of these.
    """
    now, history = today(prompt), section(prompt, "history")
    agenda = re.findall(r"^(\d{4}-\d\d-\d\d) \(\w+\): (\d+) ", section(prompt, "agenda"), re.MULTILINE)
    load = {date.fromisoformat(day): int(todos) for day, todos in agenda}
    working_days = [day for day in load if day > now and day.weekday() <= FRIDAY][:DAYS]
    if not working_days:
        raise PromptError("the stand-in finds no working day in the agenda")
    slips = "It keeps slipping." in history
    best = min(working_days, key=lambda day: load[day] if slips else max(load[day], LIGHT))
    topic = shorten(section(prompt, "todo"), TOPIC_CHARS, placeholder="…").rstrip(".")
    first = line(history, r"First planned for (\d{4}-\d\d-\d\d)", "line 'First planned for …'")
    say = _french if is_french(prompt) else _english
    said = say(
        topic,
        best,
        load[best],
        waiting_since=date.fromisoformat(first) if slips else None,
    )
    return {**said, "date": best.isoformat()}


def _english(topic: str, day: date, load: int, *, waiting_since: date | None) -> dict[str, str]:
    """Give the reason. `waiting_since` is set for a to-do that keeps slipping."""
    when = f"{day:%A}, {day:%B} {day.day}"
    others = (
        "nothing else is planned",
        "only one other to-do is planned",
        f"{load} other to-dos are planned",
    )[min(load, 2)]
    if waiting_since is None:
        argument = (
            f"You did not get round to “{topic}”, which happens. On {when}, {others}, so there is room to "
            "finish it in one go."
        )
    else:
        since = f"{waiting_since:%A}, {waiting_since:%B} {waiting_since.day}"
        argument = (
            f"“{topic}” has waited since {since}. On {when}, {others}: block half an hour for a first piece "
            "of it."
        )
    return {
        "argument": argument,
        "pros": f"On {when}, {others}.",
        "cons": "The to-do has to wait a little longer.",
    }


def _french(topic: str, day: date, load: int, *, waiting_since: date | None) -> dict[str, str]:
    """Give the reason. `waiting_since` is set for a to-do that keeps slipping."""
    when = _french_day(day)
    others = (
        "rien d’autre n’est prévu",
        "une seule autre tâche est prévue",
        f"{load} autres tâches sont prévues",
    )[min(load, 2)]
    if waiting_since is None:
        argument = (
            f"Vous n’avez pas eu le temps pour « {topic} », cela arrive. Le {when}, {others} : vous aurez la "
            "place de le terminer d’une traite."
        )
    else:
        argument = (
            f"« {topic} » attend depuis le {_french_day(waiting_since)}. Le {when}, {others} : réservez-lui "
            "une demi-heure pour un premier pas."
        )
    return {
        "argument": unbroken(argument),
        "pros": f"Le {when}, {others}.",
        "cons": "La tâche attend un peu plus longtemps.",
    }


def _french_day(day: date) -> str:
    return format_date(day, "EEEE d MMMM", "fr").replace(" 1 ", " 1er ")
