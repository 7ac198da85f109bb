"""Compile the rules of one language into one regular expression, and find its matches."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from extract_todos.days.words import Rule, Words

# Dates in digits. {a} and {b} are a day and a month in either order.
DIGITS = (
    Rule("date", r"{w?}{yyyy}-{mm}-{dd}(?:t\d\d[\d:.,]*z?)?|{w?}{yyyy}/{mm}/{dd}"),
    Rule("date", r"{w?}{dd}[/-]{m}[/-]{yy}|{w?}{yyyy}[/-]{m}[/-]{dd}"),
    Rule("dots", r"{w?}{a}\. ?{b}\. ?{yy}(?![./-]?\d)"),
    Rule("dots_no_year", r"{w?}{a}\. ?{b}\.(?! ?\d)"),
    Rule(
        "dots_no_year", r"{w?}{a}\.{b}(?![.:,]?\d)(?! ?(?:uhr|h|euro|eur|€|%|prozent|k?m|kg|mio|std)(?!\w))"
    ),
    Rule("slashes", r"{w?}{a}/{b}/{yy}(?![./-]?\d)|{w?}{a}-{b}-{yy}(?![./-]?\d)"),
    Rule("slashes_no_year", r"{w?}{a}/{b}(?![./:,-]?\d|%)"),
)
PLACEHOLDER = re.compile(r"\{(?:w\?|[wsmdynab]|yy(?:yy)?|mm|dd)\}")
GROUP = re.compile(r"\(\?P<(\w+)>")


@dataclass(frozen=True)
class Found:
    """A match of a rule, with the text of each placeholder ("w", "m", …) that matched."""

    rule: Rule
    start: int
    end: int
    values: dict[str, str]
    # Where the first placeholder begins, after any article.
    values_start: int

    @property
    def has_month(self) -> bool:
        """Whether it is a date with a month."""
        return "m" in self.values or "a" in self.values


class Rules:
    """The rules of one language."""

    def __init__(self, words: Words) -> None:
        """Compile the rules, which takes some milliseconds."""
        weekdays = "|".join(words.weekdays)
        shorts = "|".join(words.weekdays_short)
        self._placeholders = {
            "{w?}": rf"(?:(?:(?:am|on|le|el) )?(?P<w>{weekdays}|{shorts})\.?[, ] ?{words.article})?",
            "{w}": rf"(?P<w>{weekdays})",
            "{s}": rf"(?P<w>{shorts})",
            "{m}": rf"(?P<m>{'|'.join(words.months)})(?!\w)",
            "{d}": rf"(?P<d>0?[1-9]|[12]\d|3[01]|{'|'.join(words.days.split())})(?!\d)",
            "{y}": rf"(?:(?:{words.year})(?P<y>(?:19|20)\d\d|'\d\d)(?![\d:]))?",
            "{n}": rf"(?P<n>\d{{1,3}}|{'|'.join(words.numbers.split())})",
            "{a}": r"(?P<a>\d\d?)",
            "{b}": r"(?P<b>\d\d?)",
            "{yy}": r"(?P<y>\d{4}|\d\d)",
            "{yyyy}": r"(?P<y>\d{4})",
            "{mm}": r"(?P<m>\d\d?)",
            "{dd}": r"(?P<d>\d\d?)",
        }
        self._groups: list[str] = []
        self._rules = (*DIGITS, *words.rules)
        alternatives = [self._compiled(index, rule) for index, rule in enumerate(self._rules)]
        self._pattern = re.compile(rf"(?<!\w)(?:{'|'.join(alternatives)})(?!\w)")

    def _compiled(self, index: int, rule: Rule) -> str:
        """Fill in a pattern's placeholders. Each group gets a unique name, as `re` requires."""
        pattern = PLACEHOLDER.sub(lambda match: self._placeholders[match[0]], rule.pattern)

        def named(match: re.Match[str]) -> str:
            self._groups.append(f"{match[1]}_{len(self._groups)}")
            return f"(?P<{self._groups[-1]}>"

        return f"(?P<rule_{index}>{GROUP.sub(named, pattern)})"

    def find(self, plain: str) -> Iterator[Found]:
        """Yield the matches in a text without accents, from left to right."""
        for match in self._pattern.finditer(plain):
            index = int(str(match.lastgroup).removeprefix("rule_"))
            groups = [name for name in self._groups if match[name] is not None]
            yield Found(
                self._rules[index],
                match.start(),
                match.end(),
                {name.partition("_")[0]: match[name] for name in groups},
                match.start(groups[0]) if groups else match.start(),
            )
