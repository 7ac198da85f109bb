"""Detect the language of a text and the days it names, by simple rules for five languages."""

import re
from dataclasses import dataclass
from datetime import date
from functools import cache
from unicodedata import name

STOP_WORDS = {
    "en": "the a an and or of to in is are you your it for on with that this so have has be can will not"
    " before at from one today",
    "fr": "le la les un une des et ou de du à au aux en est sont vous votre vos il elle pour sur avec que qui"
    " ce cette dans pas plus ne se par avant aujourd hui d l c j n s",
    "de": "der die das den dem des ein eine einen einem einer und oder von zu im in ist sind sie ihr ihre"
    " ihren du dein deine es für auf mit dass so hat haben wird nicht vor am bei heute noch",
    "es": "el la los las un una unos y o de del a al en es son usted su sus tu tus lo para por con que se no"
    " más antes hoy esta este está",
}
# Least share of Japanese letters in a Japanese text; names and numbers may be the rest.
LEAST_JAPANESE = 0.4


def is_in(text: str, language: str) -> bool:
    """Tell whether a text's script and stop words fit a language.

    A text without any stop words, such as "OK, Ann", fits every language.
    """
    letters = [letter for letter in text if letter.isalpha()]
    japanese = sum(name(letter, "").startswith(("CJK", "HIRAGANA", "KATAKANA")) for letter in letters)
    if language == "ja":
        return japanese >= LEAST_JAPANESE * len(letters)
    found = re.findall(r"[^\W\d_]+", text.lower())
    counts = {code: sum(word in some.split() for word in found) for code, some in STOP_WORDS.items()}
    return japanese < LEAST_JAPANESE * len(letters) + 1 and counts[language] == max(counts.values())


@dataclass(frozen=True)
class NamedDays:
    """The days that a text names: weekdays (Monday is 0) and dates as (month, day)."""

    weekdays: frozenset[int]
    dates: frozenset[tuple[int, int]]


@cache
def _names(language: str) -> tuple[dict[str, int], dict[str, int]]:
    """Return the names of weekdays and months, in a language and in English."""
    from babel.dates import get_day_names, get_month_names

    weekdays: dict[str, int] = {}
    months: dict[str, int] = {}
    for code in dict.fromkeys((language, "en")):
        weekdays |= {text.lower(): day for day, text in get_day_names("wide", "format", code).items()}
        months |= {text.lower(): month for month, text in get_month_names("wide", "format", code).items()}
    if language == "ja":
        weekdays |= {text.removesuffix("日"): day for text, day in weekdays.items() if text.endswith("曜日")}
    return weekdays, months


def days_in(text: str, language: str) -> NamedDays:
    """Return the days that a text names, in the language or in English."""
    weekdays, months = _names(language)
    text = text.lower()
    each = "|".join(map(re.escape, sorted(months, key=len, reverse=True)))
    before = rf"(?<!\d)(\d{{1,2}})(?:st|nd|rd|th|er|º|\.)?\s+(?:of\s+|de\s+)?({each})\b"
    found = [(months[month], int(day)) for day, month in re.findall(before, text)]
    found += [
        (months[month], int(day)) for month, day in re.findall(rf"\b({each})\s+(\d{{1,2}})(?!\d)", text)
    ]
    found += [(int(month), int(day)) for month, day in re.findall(r"\b\d{4}-(\d\d)-(\d\d)\b", text)]
    found += [(int(month), int(day)) for month, day in re.findall(r"(\d{1,2})月(\d{1,2})日", text)]
    bounded = (
        (lambda word: re.escape(word)) if language == "ja" else (lambda word: rf"\b{re.escape(word)}s?\b")
    )
    return NamedDays(
        frozenset(day for word, day in weekdays.items() if re.search(bounded(word), text)), frozenset(found)
    )


def month_and_day(day: date) -> tuple[int, int]:
    """Return a day in the form of `NamedDays.dates`."""
    return day.month, day.day
