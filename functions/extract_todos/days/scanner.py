"""Find the days that the mentions of time in a text may mean, in one language."""

import re
from dataclasses import dataclass
from datetime import date

from extract_todos.days import dates
from extract_todos.days.dates import NONE, Days
from extract_todos.days.rules import Found, Rules
from extract_todos.days.words import Words

# Next to a day, these make it part of a file name, an address, a number or a range.
GLUE_BEFORE = re.compile(r"(?:[@#_/\\.+]|\w-|\d[,:]|\d ?[-/&+~] ?)$")
GLUE_AFTER = re.compile(r"[@_/\\]|-\w|\.\w|,\d| ?[-/&+~] ?\d")
# Several numbers: "3 and 4 December", "December 3 to 5", and "3 December 26", which may be 26 people.
LINKS = r"(?:,|/|&|-|\+|and|or|to|und|oder|bis|et|ou|au|y|o|al|a)"
NUMBER_BEFORE = re.compile(rf"\d(?:st|nd|rd|th|t?e[rn]?|\.)? ?{LINKS} ?(?:(?:the|le|el|den|dem|zum) )?$")
TIME = r"(?:[:h]\d?|\.\d\d(?![.\d])| ?(?:am|pm|a\.m|p\.m|uhr|h|heures?|horas?|o'clock)(?!\w))"
NUMBER_AFTER = re.compile(rf" ?(?:{LINKS} ?(?:the )?)?'?\d\d?(?!\d|{TIME})")
YEAR_WORDS = (
    r"(?:two thousand|(?:seven|eigh|nine)teen|twenty|deux mille|mille|mil|dos mil|zweitausend\w*)(?!\w)"
)
YEAR_AFTER = re.compile(rf",? ?(?:de )?(?:(?:19|20)\d\d(?!\d|{TIME})|{YEAR_WORDS})")
# Beside "3rd", "3.", "1er" or "of", a shy month is a month.
DATE_MARKS = re.compile(r"\d(?:st|nd|rd|th|er|\.)| of ")
NEED_SUPPORT = ("dots_no_year", "slashes_no_year")
# Characters before a mention that are searched.
NEARBY = 40


@dataclass(frozen=True)
class Text:
    """A text in lower case: `plain` is without accents, `lower` has them."""

    plain: str
    lower: str


class Scanner:
    """Scans texts in one language."""

    def __init__(self, words: Words) -> None:
        """Compile the language's patterns, which takes some milliseconds."""
        self._words = words
        self.common = frozenset(words.common.split())
        self._rules = Rules(words)
        self._weekdays = [
            re.compile(f"{full}|{short}")
            for full, short in zip(words.weekdays, words.weekdays_short, strict=True)
        ]
        self._months = [re.compile(month) for month in words.months]
        self._shy_months = re.compile(words.shy_months)
        self._numbers = [re.compile(number) for number in words.numbers.split()]
        self._days = [re.compile(number) for number in words.days.split()]
        numbers = "|".join(words.days.split())
        self._number_after = re.compile(
            rf"[ ,(]*(?:(?:{'|'.join(words.months)})(?!\w)"
            rf"|(?:{words.article})(?:\d\d?(?!\d|{TIME})|(?:{numbers})(?!\w)))"
        )
        self._number_before = re.compile(rf"(?<!\w)(?:\d\d?(?:st|nd|rd|th|\.)?|{numbers}),? $")
        weekdays = "|".join(words.weekdays + words.weekdays_short)
        self._weekday_after = re.compile(rf"[ ,(]+(?P<w>{weekdays})(?!\w)")
        self._before = re.compile(rf"(?<![\w'])(?:{_joined(words.not_after_these)})[ -]$")
        self._after = re.compile(rf"[ -]?(?:{_joined(words.not_before_these)})(?!\w)")
        self._past = re.compile(rf"(?<![\w'])(?:{_joined(words.past)})(?!\w)")
        self._on = re.compile(rf"(?<!\w)(?:{words.on}) $")

    def days(self, text: Text, today: date, *, settled: bool) -> Days | None:
        """Return the days that fit all mentions of time in a text; None if all mentions are vague.

        Args:
            text: the speaker's words.
            today: the speaker's local day.
            settled: whether the text is known to be in this language.
        """
        days: Days | None = None
        end, kinds = 0, set()
        for found in self._rules.find(text.plain):
            if found.start < end:
                continue
            if found.rule.kind == "neutral" or self._is_no_date(found, text.plain):
                continue
            kinds.add(found.rule.kind)
            meant = self._meant(found, today, settled=settled)
            if found.has_month and (after := self._weekday_after.match(text.plain, found.end)):
                meant, end = dates.only_on(meant, _index(self._weekdays, after["w"])), after.end()
            if found.rule.kind in NEED_SUPPORT and not self._has_support(found, text.plain):
                # "3/4 of it". If the language is not settled, the word may belong to another one.
                if not meant or not settled:
                    continue
                meant = NONE
            if not self._stands_alone(found, text):
                meant = NONE
            days = meant if days is None else days & meant
        # Vague words alone name no day. In another language they may mean something else, such as "no".
        return days if kinds - {"vague"} else None

    def _is_no_date(self, found: Found, plain: str) -> bool:
        """Tell whether an apparent date lacks support: "we may 3", "we march 3 miles", "3.12"."""
        values, kind = found.values, found.rule.kind
        if kind == "dots_no_year" and not self._words.dotted:
            return True
        if kind != "date" or not self._shy_months.fullmatch(values["m"]):
            return False
        return not (
            "y" in values
            or DATE_MARKS.search(plain, found.start, found.end)
            or self._has_support(found, plain)
        )

    def _has_support(self, found: Found, plain: str) -> bool:
        """Tell whether a word introduces a date, or the text is nothing else."""
        whole = found.end - found.start >= len(plain.strip(" .,;:!?"))
        introduced = self._on.search(plain[: found.start]) or self._on.search(plain[: found.values_start])
        return "w" in found.values or whole or introduced is not None

    def _meant(self, found: Found, today: date, *, settled: bool) -> Days:
        """Return the days that a mention may mean; none if it is vague."""
        values, kind, words = found.values, found.rule.kind, self._words
        weekday = _index(self._weekdays, values["w"]) if "w" in values else None
        match kind:
            case "date":
                month = int(values["m"]) if values["m"].isdecimal() else _index(self._months, values["m"]) + 1
                day = _number(self._days, values["d"])
                return dates.date_of(today, values.get("y"), month, day, weekday)
            case "day_of_month":
                day = _number(self._days, values["d"])
                return dates.only_on(dates.day_of_month(today, day), weekday)
            case "dots" | "dots_no_year" | "slashes" | "slashes_no_year":
                # English puts the month first. Dots mean that the day is first, unless English is settled.
                day_first = words.day_first if settled else kind.startswith("dots")
                a, b, year = int(values["a"]), int(values["b"]), values.get("y")
                days = dates.date_of(today, year, b, a, weekday)
                if not day_first or (kind == "slashes" and not days):
                    days |= dates.date_of(today, year, a, b, weekday)
                return days
            case "ahead":
                return dates.ahead(today, found.rule.step * _number(self._numbers, values.get("n", "1")))
        if weekday is None:
            return NONE
        match kind:
            case "weekday":
                return dates.weekday(today, weekday)
            case "coming_weekday":
                return dates.coming_weekday(today, weekday)
            case "this_weekday":
                return dates.this_weekday(today, weekday)
            case "next_weekday":
                return dates.next_weekday(today, weekday, nearest=words.next_is_nearest)
            case "weekday_next_week":
                return dates.weekday_next_week(today, weekday)
            case "weekday_and_week":
                return dates.weekday_and_week(today, weekday)
        return NONE

    def _stands_alone(self, found: Found, text: Text) -> bool:
        """Tell whether no neighbouring word changes a mention, and the text is not about the past."""
        before, after = text.plain[max(0, found.start - NEARBY) : found.start], text.plain[found.end :]
        if GLUE_BEFORE.search(before) or GLUE_AFTER.match(after):
            return False
        if self._before.search(before) or self._after.match(after):
            return False
        if found.has_month and NUMBER_BEFORE.search(before):
            return False
        if found.has_month and "y" not in found.values and NUMBER_AFTER.match(after):
            return False
        is_weekday = found.values.keys() == {"w"}
        if is_weekday and (self._number_after.match(after) or self._number_before.search(before)):
            return False
        if "y" not in found.values and YEAR_AFTER.match(after):
            return False
        is_open = found.rule.kind != "ahead" or found.rule.step == 0
        return "y" in found.values or not (is_open and self._past.search(text.lower))


def _joined(pattern: str) -> str:
    """Join a pattern that is broken into lines."""
    return re.sub(r"\n\s*", "", pattern)


def _index(patterns: list[re.Pattern[str]], text: str) -> int:
    return next(index for index, pattern in enumerate(patterns) if pattern.fullmatch(text))


def _number(words: list[re.Pattern[str]], text: str) -> int:
    return int(text) if text.isdecimal() else _index(words, text) + 1
