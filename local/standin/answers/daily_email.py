"""DailyEmail: friendly words for the daily to-do e-mail, in English or French."""

# Typographic apostrophes are intended.
# ruff: noqa: RUF001

import re
from dataclasses import dataclass
from typing import Any

from local.standin.answers.prompts import is_french, line, section

# A to-do extends from its id to the next id.
TODO = re.compile(r"^\[(\w+)\] (.*?)(?=^\[\w+\] |\Z)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class _Words:
    """The phrases of one language.

    Attributes:
        greeting, greeting_name: the salutation, without and with {name}.
        subjects, intros: for no to-do, for one, and for {n}.
        about: lines for to-dos that begin with certain words.
        others: lines for other to-dos, in turn.
        overdue: lines for overdue to-dos, in turn.
        closing: the last sentence.
    """

    greeting: str
    greeting_name: str
    subjects: tuple[str, str, str]
    intros: tuple[str, str, str]
    about: tuple[tuple[str, str], ...]
    others: tuple[str, ...]
    overdue: tuple[str, ...]
    closing: str


_ENGLISH = _Words(
    greeting="Good morning!",
    greeting_name="Good morning {name},",
    subjects=("A free day on your list", "One thing for today", "{n} things for today"),
    intros=(
        "Nothing has to be done today, so the day is yours.",
        "Only one thing is on your list today, so it can have your best hour.",
        "{n} things are on your list today, and none of them needs the whole day.",
    ),
    about=(
        ("call|ring|phone", "A short call before lunch, and it is off your mind."),
        ("send|share|forward", "Half of the work is pressing “send”."),
        ("write|draft|prepare", "Begin with a bad first sentence; the good ones follow."),
        ("book|order|reserve", "Five minutes now save a week of waiting."),
        ("brief|meet|ask", "Three bullet points beforehand, and the talk will be short."),
    ),
    others=(
        "A good one to begin with, while the morning is fresh.",
        "A first small step is enough to get going.",
    ),
    overdue=("It has waited long enough: ten minutes today would move it.", "Today could be its day."),
    closing="One thing after the other. Have a good day!",
)
# French typography has a narrow no-break space (U+202F) before ! ? : and inside quotation marks.
_FRENCH = _Words(
    greeting="Bonjour\u202f!",
    greeting_name="Bonjour {name},",
    subjects=("Une journée libre", "Une chose à faire aujourd’hui", "{n} choses à faire aujourd’hui"),
    intros=(
        "Rien ne presse aujourd’hui\u202f: la journée est à vous.",
        "Une seule chose vous attend aujourd’hui\u202f: offrez-lui votre meilleure heure.",
        "{n} choses vous attendent aujourd’hui, et aucune ne prendra la journée entière.",
    ),
    about=(
        ("appeler|rappeler|téléphoner", "Un petit appel avant midi, et c’est fait."),
        ("envoyer|transmettre|partager", "La moitié du travail, c’est d’appuyer sur «\u202fenvoyer\u202f»."),
        ("écrire|rédiger|préparer", "Commencez par une phrase imparfaite, les bonnes suivront."),
        ("réserver|commander", "Cinq minutes maintenant évitent une semaine d’attente."),
        ("demander|rencontrer|relire", "Trois points notés d’avance, et ce sera vite réglé."),
    ),
    others=(
        "Idéal pour commencer, tant que la matinée est calme.",
        "Un premier petit pas suffit pour se lancer.",
    ),
    overdue=("Dix minutes aujourd’hui suffiraient pour avancer.", "Et si c’était son jour\u202f?"),
    closing="Une chose après l’autre. Belle journée\u202f!",
)


def daily_email(prompt: str) -> dict[str, Any]:
    """Return the words for a rendered `todo_daily_emails` prompt.

    Args:
        prompt: holds `<today>`, whose to-dos begin with an id in brackets, `<moved>`, a line `Language: …`,
            and the user's name.

    Returns:
        `{"subject", "greeting", "intro", "lines", "closing"}`, with one line for each id.

    Raises:
        PromptError: the prompt lacks one of these.
    """
    words = _FRENCH if is_french(prompt) else _ENGLISH
    name = line(prompt, r"Name: (\S.*)", "line 'Name: …'").split()[0]
    todos = TODO.findall(section(prompt, "today"))
    forms = min(len(todos), 2)
    return {
        "subject": words.subjects[forms].format(n=len(todos)),
        # The prompt says "the user" for an unknown name.
        "greeting": words.greeting if name == "the" else words.greeting_name.format(name=name),
        "intro": words.intros[forms].format(n=len(todos)),
        "lines": [
            {"id": short_id, "line": _line(words, todo, position)}
            for position, (short_id, todo) in enumerate(todos)
        ],
        "closing": words.closing,
    }


def _line(words: _Words, todo: str, position: int) -> str:
    if re.search(r"^    was planned for ", todo, re.MULTILINE):
        return words.overdue[position % len(words.overdue)]
    for beginnings, said in words.about:
        if re.match(rf"(?:{beginnings})\b", todo, re.IGNORECASE):
            return said
    return words.others[position % len(words.others)]
