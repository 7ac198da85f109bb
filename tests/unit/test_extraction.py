"""What extract_todos does without a database: folding, checking, shortening."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extract_todos.extraction import (
    PROMPT,
    Extraction,
    Line,
    Result,
    Step,
    Task,
    User,
    check,
    date_errors,
    fold,
    shorten,
)

FRIDAY = date(2026, 11, 27)
SAID = "I'll send the offer to Bob."


def task(*said: str, result: str = "", open_todos: list[str] | None = None) -> Task:
    return Task("name", "definition", [Line("user", s) for s in said], Result("", result), open_todos or [])


def answer(*steps: tuple[str | None, str | None, str | None]) -> Extraction:
    return Extraction(todos=[Step(description=d, due_date=on, evidence=e) for d, on, e in steps])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("I'll  call\n Bob", "i’ll call bob"),
        ("the “offer”", 'THE "offer"'),
        ("«devis»", "devis"),
        ("tomorrow – maybe", "tomorrow - maybe"),
        ("a\u00a0b", "a b"),
        ("co\u00adoperate", "cooperate"),
        ("ﬁnal", "final"),
        ("Straße", "STRASSE"),
        ("wait…", "wait..."),
        ("e\u0301", "é"),
        ("Call Bob.", "call bob"),
    ],
)
def test_variants_of_the_same_words_fold_to_the_same(one: str, other: str) -> None:
    assert fold(one) == fold(other)


@pytest.mark.parametrize(("one", "other"), [("call Bob", "call Rob"), ("1000", "100"), ("now", "not")])
def test_other_words_stay_different(one: str, other: str) -> None:
    assert fold(one) != fold(other)


@given(st.text())
def test_folding_again_changes_nothing(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@given(st.text(min_size=1), st.text(), st.text())
def test_words_that_were_said_are_found_whatever_is_around_them(words: str, before: str, after: str) -> None:
    if len(fold(words)) < 4:
        return
    todos, _ = check(answer(("x", "2026-11-27", words)), task(f"{before} {words} {after}"), FRIDAY)

    assert len(todos) == 1


def test_evidence_may_be_in_the_result() -> None:
    todos, left_out = check(answer(("Send it", "2026-11-27", SAID)), task(result=f"Dear Bob, {SAID}"), FRIDAY)

    assert len(todos) == 1
    assert left_out == []


@pytest.mark.parametrize("evidence", [None, "", " ", "I", "...", "'I'"])
def test_too_little_is_no_evidence(evidence: str | None) -> None:
    todos, left_out = check(answer(("Send it", "2026-11-27", evidence)), task(SAID), FRIDAY)

    assert todos == []
    assert left_out[0].reason == "the user did not say so"


def test_the_same_step_twice_is_one_todo() -> None:
    todos, left_out = check(
        answer(("Send it", "2026-11-27", SAID), ("send it.", "2026-11-28", SAID)), task(SAID), FRIDAY
    )

    assert len(todos) == 1
    assert left_out[0].reason == "it is on the list already"


@pytest.mark.parametrize("due", ["2026-11-27", "2028-11-26"])
def test_dates_from_today_to_two_years_are_right(due: str) -> None:
    got = answer(("Send it", due, SAID))

    assert date_errors(got, task(SAID), FRIDAY) == ""
    assert check(got, task(SAID), FRIDAY)[0][0].due_date.isoformat() == due


@pytest.mark.parametrize("due", ["2026-11-26", "2028-11-27", "27/11/2026", "Monday", "", None])
def test_another_date_falls_on_the_next_working_day(due: str | None) -> None:
    got = answer(("Send it", due, SAID))

    assert date_errors(got, task(SAID), FRIDAY)
    assert check(got, task(SAID), FRIDAY)[0][0].due_date == date(2026, 11, 30)


def test_the_date_of_a_step_that_is_left_out_is_not_asked_again() -> None:
    assert date_errors(answer(("Invented", "soon", "I'll invent.")), task(SAID), FRIDAY) == ""


def test_a_null_list_is_an_empty_list() -> None:
    assert check(Extraction(todos=None), task(SAID), FRIDAY) == ([], [])


def test_an_open_todo_beyond_those_shown_still_counts_as_known() -> None:
    many = task(SAID, open_todos=[f"To-do {i}" for i in range(500)])

    _, left_out = check(answer(("to-do 499", "2026-11-27", SAID)), many, FRIDAY)

    assert len(shorten(many, 1000).open_todos) == 100
    assert left_out[0].reason == "it is on the list already"


def test_the_prompt_renders_for_a_user_of_whom_little_is_known() -> None:
    user = User("the user", "en", goal="", company="", today=FRIDAY, time="09:00")

    text = PROMPT.render(user=user, task=task(SAID))

    assert "Today is 2026-11-27 (Friday), 09:00" in text
    assert "goal" not in text
