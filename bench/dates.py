"""`python -m bench.dates`: check the days that `named_day` finds against the test cases of other projects.

Their data is not in this repository. The folders are:

- `--recognizers`: `Specs/DateTime` of repository microsoft/Recognizers-Text. Cases without a reference
  time (most French ones) are left out.
- `--duckling`: a clone of facebook/duckling, for `Duckling/Time/{EN,FR,DE,ES}/Corpus.hs`.

A case is *single* if it names one day, today or later. Other cases name times, ranges, sets, past days or no
date. Their right answer is None, or the one day that contains everything they name. `--dateparser` also
measures that library, which is told the language. `named_day` is not.
"""

import argparse
import json
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from bench.results import write_json
from extract_todos.days import named_day

BAR = 0.99
LANGUAGES = {"en": ("English", "EN"), "fr": ("French", "FR"), "de": ("German", "DE"), "es": ("Spanish", "ES")}
DUCKLING_TODAY = date(2013, 2, 12)
TUPLE = r"\((\d+), *(\d+), *(\d+), *(\d+), *(\d+), *(\d+)\)"
EXAMPLES = re.compile(
    rf"examples\s+\((datetime\w*)\s+(?:Before |After )?\(*\s*{TUPLE}(?:\s*,\s*{TUPLE}\))?"
    r"\s*(\w+)[^\n]*\)\s*\[(.*?)\n\s*\]",
    re.DOTALL,
)
NEGATIVE = re.compile(
    r"^negativeCorpus = .*?\n\s+where\s+examples =\s*\[(.*?)\n\s*\]", re.MULTILINE | re.DOTALL
)
STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')
OTHER_REFERENCE = re.compile(
    r"^diffExamples =.*?^allExamples|^    diffExamples =.*?^allExamples", re.MULTILINE | re.DOTALL
)

type Reader = Callable[[str, date, str], date | None]


@dataclass(frozen=True)
class Case:
    """A text, the day it was said, and the day it names or None. `single` is explained at the top."""

    text: str
    today: date
    day: date | None
    single: bool


def recognizers(folder: Path, language: str) -> list[Case]:
    """Read the cases of a language that have a reference time."""
    path = folder / LANGUAGES[language][0] / "DateTimeModel.json"
    cases = json.loads(path.read_text(encoding="utf-8-sig"))
    return [_recognizers_case(case) for case in cases if "ReferenceDateTime" in case.get("Context", {})]


def _recognizers_case(case: dict[str, Any]) -> Case:
    today = date.fromisoformat(case["Context"]["ReferenceDateTime"][:10])
    days: set[date | None] = set()
    for result in case["Results"]:
        values = result.get("Resolution", {}).get("values", [])
        kind = result.get("TypeName", result.get("Typename", "")).removeprefix("datetimeV2.")
        if kind not in ("time", "timerange", "duration", "timezone"):
            each = {day for value in values if (day := _day_of(value))}
            future = {day for day in each if day >= today}
            # A date without a year means the next one.
            days |= {min(future) if future else max(each, default=None)} if kind != "set" else {None}
    day = next(iter(days)) if len(days) == 1 else None
    dates = [result.get("TypeName") == "datetimeV2.date" for result in case["Results"]]
    return Case(case["Input"], today, day, dates == [True] and day is not None and day >= today)


def _day_of(value: dict[str, str]) -> date | None:
    """Return the day that contains a value. For "by Friday" it is Friday."""
    try:
        if value["type"] in ("date", "datetime"):
            return date.fromisoformat(value["value"][:10])
        if "end" not in value and value["type"] == "datetimerange":
            return date.fromisoformat(value["start"][:10])
        if "start" not in value:
            return date.fromisoformat(value["end"][:10])
        return _only_day(datetime.fromisoformat(value["start"]), datetime.fromisoformat(value["end"]))
    except (KeyError, ValueError):
        return None


def _only_day(start: datetime, end: datetime) -> date | None:
    last = max(start, end - timedelta(seconds=1))
    return start.date() if start.date() == last.date() else None


def duckling(folder: Path, language: str) -> list[Case]:
    """Read the cases of a language that a regular expression can parse."""
    path = folder / "Duckling" / "Time" / LANGUAGES[language][1] / "Corpus.hs"
    return list(_duckling_cases(path.read_text()))


def _duckling_cases(source: str) -> Iterator[Case]:
    """Yield the negative cases, and the cases with duckling's usual reference time."""
    for texts in NEGATIVE.findall(source):
        for text in STRING.findall(texts):
            yield Case(text, DUCKLING_TODAY, None, False)
    for match in EXAMPLES.finditer(OTHER_REFERENCE.sub("allExamples", source)):
        kind, *numbers, grain, texts = match.groups()
        start = _datetime(numbers[:6])
        day: date | None = None
        if (
            kind != "datetimeInterval"
            and not numbers[6]
            and (grain == "Day") <= (kind != "datetimeOpenInterval")
            and grain in ("Day", "Hour", "Minute", "Second")
        ):
            day = start.date()
        elif kind.startswith("datetimeInterval") and numbers[6]:
            end = _datetime(numbers[6:])
            is_deadline = grain == "Second" and start.date() == DUCKLING_TODAY and start.hour == 4
            day = end.date() if is_deadline else _only_day(start, end)
        single = kind == "datetime" and grain == "Day" and day is not None and day >= DUCKLING_TODAY
        for text in STRING.findall(texts):
            yield Case(text, DUCKLING_TODAY, day, single)


def _datetime(numbers: Sequence[str]) -> datetime:
    """Return a time of duckling's. Its month or day may be 0, where only the year or month counts."""
    year, month, day, *clock = map(int, numbers)
    hour, minute, second = clock
    return datetime(year, month or 1, day or 1, hour, minute, second)  # noqa: DTZ001 - the text's own local time


def ours(text: str, today: date, _language: str) -> date | None:
    """Find a day as the bundle does."""
    return named_day(text, today)


def by_dateparser(text: str, today: date, language: str) -> date | None:
    """Find a day with dateparser: it must find exactly one day, today or later."""
    from dateparser.search import search_dates

    base = datetime(today.year, today.month, today.day)  # noqa: DTZ001 - the speaker's local time
    settings = {"RELATIVE_BASE": base, "PREFER_DATES_FROM": "future"}
    try:
        found = search_dates(text, languages=[language], settings=settings) or []
    except (ValueError, OverflowError, TypeError, AttributeError):
        return None
    days = {when.date() for _, when in found}
    day = next(iter(days)) if len(days) == 1 else None
    return day if day is not None and day >= today else None


def measure(cases: Sequence[Case], language: str, read: Reader) -> tuple[dict[str, float], list[str]]:
    """Read all cases. Return the figures and a line for each wrong answer."""
    wrong, decided, found = [], 0, 0
    for case in cases:
        day = read(case.text, case.today, language)
        decided += day is not None
        if day is not None and day != case.day:
            wrong.append(f"{case.text!r} on {case.today:%a %Y-%m-%d}: {day}, not {case.day}")
        found += case.single and day is not None and day == case.day
    single = sum(case.single for case in cases)
    figures = {
        "cases": len(cases),
        "single": single,
        "decided": decided,
        "right": decided - len(wrong),
        "wrong": len(wrong),
        "precision": round(1 - len(wrong) / decided, 4) if decided else 1.0,
        "share_of_single_found": round(found / single, 3) if single else 1.0,
    }
    return figures, wrong


def main() -> int:
    """Print the figures. Return 1 if under 99 % of the answers in any language are right."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.dates",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--recognizers", type=Path, metavar="DIR")
    parser.add_argument("--duckling", type=Path, metavar="DIR")
    parser.add_argument("--dateparser", action="store_true", help="measure dateparser too")
    parser.add_argument("--missed", action="store_true", help="list single days that were not found")
    parser.add_argument("--write", action="store_true", help="write bench/results/dates.json")
    arguments = parser.parse_args()
    corpora = [
        (name, read_cases, folder)
        for name, read_cases, folder in (
            ("recognizers", recognizers, arguments.recognizers),
            ("duckling", duckling, arguments.duckling),
        )
        if folder
    ]
    if not corpora:
        parser.print_help()
        return 2
    readers: dict[str, Reader] = {"ours": ours}
    if arguments.dateparser:
        readers["dateparser"] = by_dateparser
    written: dict[str, dict[str, dict[str, float]]] = {name: {} for name in readers}
    over_bar = True
    print(f"{'':24}cases  single  decided  right  wrong  precision  found of single")
    for reader, read in readers.items():
        for language in LANGUAGES:
            decided = right = 0.0
            for corpus, read_cases, folder in corpora:
                cases = read_cases(folder, language)
                started = time.perf_counter()
                figures, wrong = measure(cases, language, read)
                figures["ms_a_case"] = round((time.perf_counter() - started) * 1000 / len(cases), 2)
                written[reader][f"{language} {corpus}"] = figures
                decided, right = decided + figures["decided"], right + figures["right"]
                _print(f"{reader} {language} {corpus}", figures, wrong if read is ours else [])
                if arguments.missed and read is ours:
                    for case in cases:
                        if case.single and read(case.text, case.today, language) is None:
                            print(f"    missed: {case.text!r} on {case.today:%a %Y-%m-%d}: {case.day}")
            if read is ours:
                over_bar = over_bar and (not decided or right / decided >= BAR)
    if arguments.write:
        write_json("dates", written)
    return int(not over_bar)


def _print(name: str, figures: dict[str, float], wrong: Sequence[str]) -> None:
    print(
        f"{name:24}{figures['cases']:5}{figures['single']:8}{figures['decided']:9}{figures['right']:7}"
        f"{figures['wrong']:7}{figures['precision']:11.1%}{figures['share_of_single_found']:17.0%}"
    )
    for line in wrong:
        print(f"    wrong: {line}")


if __name__ == "__main__":
    sys.exit(main())
