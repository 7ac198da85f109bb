"""The content of a language file: words, and rules made of them."""

from dataclasses import dataclass
from typing import Literal

type Kind = Literal[
    "neutral",  # Names no time, and hides its words from later rules ("guten Morgen").
    "vague",  # A time, but no single day. Then the text names no day.
    "ahead",  # `step` days from today, times {n} if the pattern has it.
    "weekday",  # The next one.
    "this_weekday",  # The one of this week.
    "coming_weekday",
    "next_weekday",  # "next Friday": speakers disagree.
    "weekday_next_week",
    "weekday_and_week",  # The next one, and a week later.
    "date",  # A day and a month, and optionally a year and a weekday.
    "day_of_month",
    # Dates in digits, see `rules.DIGITS`.
    "dots",
    "dots_no_year",
    "slashes",
    "slashes_no_year",
]


@dataclass(frozen=True)
class Rule:
    """A pattern and its meaning.

    A pattern matches whole words in lower case, without accents and with single spaces. Its placeholders are
    {w} a weekday, {m} a month, {d} a day of the month, {y} an optional year, {n} a number of days or weeks,
    and {w?} an optional weekday before a date. At each place in a text, the first matching rule wins.

    Attributes:
        step: days, for `ahead`.
    """

    kind: Kind
    pattern: str
    step: int = 1


@dataclass(frozen=True)
class Words:
    """The words of one language. Each field but `next_is_nearest` is a pattern, or words with spaces between.

    Attributes:
        common: frequent words, to recognise the language.
        weekdays: Monday first. `weekdays_short` count only beside a date.
        months: January first, with abbreviations.
        shy_months: months that are also other words. They count only with support; see `scanner.Scanner`.
        numbers: from one on.
        days: ordinal or cardinal numbers of days in spoken dates, from the first on.
        year: what may stand between a date and its year.
        on: words directly before digits that make them a date ("am 3.4").
        article: what may stand between a weekday and its date.
        rules: see `Rule`. The rules for dates in digits are the same in all languages; see `rules.DIGITS`.
        not_after_these: directly before a day, these change its meaning ("before Friday").
        not_before_these: directly after a day, these change its meaning ("Friday or").
        past: marks a text about the past. It is matched with accents.
        dotted: whether 24.12. is a date.
        day_first: whether 3/4 is in April.
        next_is_nearest: whether "next Monday", said on a Friday, is the coming one for every speaker.
    """

    common: str
    weekdays: tuple[str, ...]
    weekdays_short: tuple[str, ...]
    months: tuple[str, ...]
    shy_months: str
    numbers: str
    days: str
    year: str
    on: str
    article: str
    rules: tuple[Rule, ...]
    not_after_these: str
    not_before_these: str
    past: str
    dotted: bool = False
    day_first: bool = True
    next_is_nearest: bool = True
