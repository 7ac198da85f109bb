"""Find the day that words such as "by Friday" or "le 3 décembre" name, if they have only one reading."""

import re
from datetime import date
from functools import cache
from unicodedata import combining, normalize

from extract_todos.days.english import ENGLISH
from extract_todos.days.french import FRENCH
from extract_todos.days.german import GERMAN
from extract_todos.days.scanner import Scanner, Text
from extract_todos.days.spanish import SPANISH

# Longer texts hardly ever name exactly one day.
MAX_CHARS = 1000
TYPOGRAPHY = str.maketrans({"’": "'", "‘": "'", "`": "'", "´": "'", "–": "-", "—": "-", "º": "", "°": ""})  # noqa: RUF001
TOKEN = re.compile(r"(\w+'?)(\w*)")


def named_day(text: str, today: date) -> date | None:
    """Return the day that a text names, in English, French, German or Spanish.

    Args:
        text: what somebody said today.
        today: their local day. Days before it are never named.

    Returns:
        None if the text names no day, more than one, a vague time, or can be read in two ways.
    """
    if len(text) > MAX_CHARS:
        return None
    folded = _fold(text)
    scanners = _likely(folded.plain)
    named = [
        found
        for scanner in scanners
        if (found := scanner.days(folded, today, settled=len(scanners) == 1)) is not None
    ]
    days = frozenset.intersection(*named) if named else frozenset()
    return next(iter(days)) if len(days) == 1 else None


def _fold(text: str) -> Text:
    """Return a text in lower case with plain spaces and typography, with accents and without."""
    lower = " ".join(normalize("NFC", text).translate(TYPOGRAPHY).casefold().split())
    plain = "".join(letter for letter in normalize("NFD", lower) if not combining(letter))
    return Text(plain, lower)


def _likely(plain: str) -> list[Scanner]:
    """Return the scanners of the languages whose common words occur most often; all if none occurs."""
    words = [word for pair in TOKEN.findall(plain) for word in {pair[0], "".join(pair)}]
    scores = [(sum(word in scanner.common for word in words), scanner) for scanner in _scanners()]
    best = max(score for score, _ in scores)
    return [scanner for score, scanner in scores if score == best]


@cache
def _scanners() -> tuple[Scanner, ...]:
    return tuple(Scanner(words) for words in (ENGLISH, FRENCH, GERMAN, SPANISH))
