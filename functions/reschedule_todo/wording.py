"""Fixed sentences of this process, in English, French, German and Spanish.

Other languages get English with local dates.
"""

import re
from dataclasses import dataclass
from datetime import date

from mojodex.localized_dates import FALLBACK, locale_for, long_day

WEEKEND = re.compile(
    r"week-?\s?end|wochenende|fin de semana|fine settimana|fim de semana|weekeinde|helg\b|周末|週末|주말",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Words:
    """Sentences of one language.

    Attributes:
        rule: explains a rule's day; with {day} and {others}.
        dormant: explains the move of a dormant user's to-do; with {day}.
        others: number of other to-dos on that day: none, one, {n}.
        slips: number of moves of a to-do, and advice; with {times}.
        times: once, {n} times.
    """

    rule: str
    dormant: str
    others: tuple[str, str, str]
    slips: str
    times: tuple[str, str]


ENGLISH = Words(
    "Mojo did not find a date that fits. So this to-do goes to the lightest of your next five working days,"
    " {day}, on which you have {others}.",
    "We have not seen you in Mojodex for a while, so Mojo has moved this to-do to {day}.",
    ("no other to-do", "one other to-do", "{n} other to-dos"),
    "It has been moved {times} already: maybe it is time to split it, to ask somebody, to block time for it,"
    " or to let it go.",
    ("once", "{n} times"),
)
FRENCH = Words(
    "Mojo n'a pas trouvé de date qui convienne. Cette tâche passe donc au plus léger de vos cinq prochains"
    " jours ouvrés, {day}, où vous avez {others}.",
    "Cela fait un moment que nous ne vous avons pas vu sur Mojodex. Mojo a donc reporté cette tâche à une"
    " autre date, {day}.",
    ("aucune autre tâche", "une seule autre tâche", "{n} autres tâches"),
    "Elle a déjà été reportée {times} : peut-être faut-il la découper, la confier à quelqu'un, lui réserver"
    " un moment, ou y renoncer.",
    ("{n} fois", "{n} fois"),
)
GERMAN = Words(
    "Mojo hat kein passendes Datum gefunden. Deshalb liegt diese Aufgabe nun auf dem ruhigsten Ihrer nächsten"
    " fünf Arbeitstage, {day}, mit {others}.",
    "Wir haben Sie länger nicht in Mojodex gesehen. Deshalb hat Mojo diese Aufgabe verschoben: {day}.",
    ("keiner anderen Aufgabe", "einer anderen Aufgabe", "{n} anderen Aufgaben"),
    "Sie wurde schon {times} verschoben: Vielleicht hilft es, sie zu teilen, jemanden zu fragen, sich Zeit"
    " dafür freizuhalten oder sie aufzugeben.",
    ("einmal", "{n}-mal"),
)
SPANISH = Words(
    "Mojo no ha encontrado una fecha adecuada. Por eso esta tarea pasa al más tranquilo de sus próximos cinco"
    " días laborables, {day}, en el que tiene {others}.",
    "Hace tiempo que no le vemos en Mojodex. Por eso Mojo ha aplazado esta tarea: {day}.",
    ("ninguna otra tarea", "otra tarea", "otras {n} tareas"),
    "Ya se ha aplazado {times}: quizá convenga dividirla, pedírsela a alguien, reservarle un rato o dejarla.",
    ("una vez", "{n} veces"),
)
WORDS = {"en": ENGLISH, "fr": FRENCH, "de": GERMAN, "es": SPANISH}


def rule_wording(language: str, day: date, todos: int) -> str:
    """Give the argument for a day that the rule chose; `todos` is how many other to-dos it has."""
    words = _words_for(language)
    others = words.others[min(todos, 2)].format(n=todos)
    return words.rule.format(day=long_day(day, language), others=others)


def dormant_wording(language: str, day: date) -> str:
    """Give the argument for the move of a dormant user's to-do."""
    return _words_for(language).dormant.format(day=long_day(day, language))


def keeps_slipping_wording(language: str, moves: int) -> str:
    """Say how often a to-do was moved already, and what to do about it."""
    words = _words_for(language)
    return words.slips.format(times=words.times[min(moves, 2) - 1].format(n=moves))


def _words_for(language: str) -> Words:
    return WORDS.get(locale_for(language).language, ENGLISH)


def names_day(text: str, day: date, language: str) -> bool:
    """Tell whether a text names this day or the weekend, in English or in the user's language."""
    from babel.dates import format_date

    if WEEKEND.search(text) or day.isoformat() in text:
        return True
    names = (
        format_date(day, form, locale)
        for locale in (locale_for(FALLBACK), locale_for(language))
        for form in ("EEEE", "d MMMM", "MMMM d")
    )
    # Whole numbers only: "5 December" is not in "25 December".
    return any(re.search(rf"(?<!\d){re.escape(name)}(?!\d)", text, re.IGNORECASE) for name in names)
