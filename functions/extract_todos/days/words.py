"""What a language file holds: its words, and rules made of them."""

from dataclasses import dataclass
from typing import Literal

type Kind = Literal[
    "neutral",  # Means nothing here, and hides the words in it from the rules below ("guten Morgen").
    "vague",  # Speaks of time, but not of one day: the text names none.
    "ahead",  # `step` days from today, times {n} if the pattern has it.
    "weekday",  # The next one.
    "this_weekday",  # The one of this week.
    "coming_weekday",
    "next_weekday",  # "next Friday": speakers disagree.
    "weekday_next_week",
    "weekday_and_week",  # The next one, and a week later.
    "date",  # A day and a month, maybe a year, maybe a weekday.
    "day_of_month",
    # Dates in digits, see `rules.DIGITS`.
    "dots",
    "dots_no_year",
    "slashes",
    "slashes_no_year",
]


@dataclass(frozen=True)
class Rule:
    """A pattern, and its meaning.

    A pattern stands for whole words without accents, in lower case, with one space between them. It may hold
    {w} a weekday, {m} a month, {d} a day of the month, {y} a year or nothing, {n} a number of days or weeks,
    and {w?} a weekday before a date or nothing. At one place in a text the first rule that matches wins.

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
        common: words by which the language is known.
        weekdays: Monday first. `weekdays_short` count only beside a date.
        months: January first, abbreviations too.
        shy_months: months that are also other words. They count only with support: see `scanner.Scanner`.
        numbers: from one on.
        days: ordinal or cardinal numbers of days, as dates are spoken; from the first on.
        year: between a date and its year, or nothing.
        on: words directly before a date in digits that make it one ("am 3.4").
        article: between a weekday and its date.
        rules: as at `Rule`; those for dates in digits are the same everywhere, see `rules.DIGITS`.
        not_after_these: directly before a day, these make it something else ("before Friday").
        not_before_these: the same directly after it ("Friday or").
        past: says that a thing is over. It is matched with accents.
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
