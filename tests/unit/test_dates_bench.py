"""The bench of dates reads others' test cases and counts each wrong day."""

import json
from datetime import date
from pathlib import Path

import pytest

from bench import dates

MONDAY = date(2026, 11, 23)
HASKELL = """
negativeCorpus = (testContext, testOptions, examples)
  where
    examples =
      [ "rien"
      ]
allExamples = concat
  [ examples (datetime (2013, 2, 14, 0, 0, 0) Day)
             [ "a"
             , "b"
             ]
  , examples (datetimeInterval ((2013, 2, 14, 0, 0, 0), (2013, 2, 16, 0, 0, 0)) Day)
             [ "c"
             ]
  ]
"""


def result(kind: str, *values: dict[str, str]) -> dict[str, object]:
    return {"TypeName": f"datetimeV2.{kind}", "Resolution": {"values": list(values)}}


def day(value: str) -> dict[str, str]:
    return {"type": "date", "value": value}


@pytest.mark.parametrize(
    ("results", "named", "single"),
    [
        ([result("date", day("2025-12-03"), day("2026-12-03"))], date(2026, 12, 3), True),
        ([result("date", day("2026-11-20"))], date(2026, 11, 20), False),
        ([result("date", day("2026-12-03")), result("date", day("2026-12-04"))], None, False),
        ([result("set", {"type": "set", "value": "not resolved"})], None, False),
        (
            [result("daterange", {"type": "daterange", "start": "2026-12-01", "end": "2026-12-08"})],
            None,
            False,
        ),
        ([], None, False),
    ],
)
def test_a_case_of_recognizers_names_one_day_or_none(
    tmp_path: Path, results: list[object], named: date | None, single: bool
) -> None:
    (tmp_path / "English").mkdir()
    case = {"Input": "x", "Context": {"ReferenceDateTime": "2026-11-23T00:00:00"}, "Results": results}
    text = json.dumps([case, {"Input": "no reference time", "Results": []}])
    (tmp_path / "English" / "DateTimeModel.json").write_text(text)

    assert dates.recognizers(tmp_path, "en") == [dates.Case("x", MONDAY, named, single)]


def test_cases_of_duckling_are_read_from_haskell(tmp_path: Path) -> None:
    folder = tmp_path / "Duckling" / "Time" / "FR"
    folder.mkdir(parents=True)
    (folder / "Corpus.hs").write_text(HASKELL)

    cases = dates.duckling(tmp_path, "fr")

    valentine = date(2013, 2, 14)
    assert [(case.text, case.day, case.single) for case in cases] == [
        ("rien", None, False),
        ("a", valentine, True),
        ("b", valentine, True),
        ("c", None, False),
    ]


def test_a_wrong_day_is_counted_and_printed() -> None:
    cases = [dates.Case("a", MONDAY, MONDAY, True), dates.Case("b", MONDAY, None, False)]

    figures, wrong = dates.measure(cases, "en", lambda _text, today, _language: today)

    assert (figures["decided"], figures["right"], figures["share_of_single_found"]) == (2, 1, 1)
    assert [line[:3] for line in wrong] == ["'b'"]
