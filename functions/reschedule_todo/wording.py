"""Fixed sentences of this process, in English and French. Other languages get English with local dates."""

import re
from datetime import date

from mojodex.language import FALLBACK, locale_for, long_day

WEEKEND = re.compile(
    r"week-?\s?end|wochenende|fin de semana|fine settimana|fim de semana|weekeinde|helg\b|周末|週末|주말",
    re.IGNORECASE,
)


def rule_wording(language: str, day: date, todos: int) -> str:
    """Give the argument for a day that the rule chose; `todos` is how many other to-dos it has."""
    when = long_day(day, language)
    if locale_for(language).language == "fr":
        others = (
            ("aucune autre tâche", "une seule autre tâche")[todos] if todos < 2 else f"{todos} autres tâches"
        )
        return (
            "Mojo n'a pas trouvé de date qui convienne. Cette tâche passe donc au plus léger de vos cinq "
            f"prochains jours ouvrés, {when}, où vous avez {others}."
        )
    others = ("no other to-do", "one other to-do")[todos] if todos < 2 else f"{todos} other to-dos"
    return (
        "Mojo did not find a date that fits. So this to-do goes to the lightest of your next five working "
        f"days, {when}, on which you have {others}."
    )


def keeps_slipping_wording(language: str, moves: int) -> str:
    """Say how often a to-do was moved already, and what to do about it."""
    if locale_for(language).language == "fr":
        return (
            f"Elle a déjà été reportée {moves} fois : peut-être faut-il la découper, la confier à quelqu'un, "
            "lui réserver un moment, ou y renoncer."
        )
    times = "once" if moves == 1 else f"{moves} times"
    return (
        f"It has been moved {times} already: maybe it is time to split it, to ask somebody, to block time "
        "for it, or to let it go."
    )


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
