"""The due queries match their comments."""

import re
from pathlib import Path

import pytest

from mojodex.sql import read_sql
from tests import ROOT

QUERIES = sorted((ROOT / "functions").rglob("due*.sql"))


@pytest.mark.parametrize("path", QUERIES, ids=lambda path: str(path.relative_to(ROOT / "functions")))
def test_every_parameter_and_column_is_explained(path: Path) -> None:
    comments = path.read_text().partition("WITH ")[0]
    query = read_sql(path)

    named = {*re.findall(r"(?<!:):(\w+)", query), "subject", "occasion", "user_id"}
    assert len(named) > 2
    assert named <= set(re.findall(r"\w+", comments))


def test_both_queries_of_reschedule_todo_have_the_same_second_half() -> None:
    halves = [
        re.search(r"^at_night AS .*?^\)\n(?=SELECT)", path.read_text(), re.MULTILINE | re.DOTALL)
        for path in QUERIES
        if path.parent.name == "reschedule_todo"
    ]

    first, second = (half and half[0] for half in halves)
    assert first == second
    assert first
