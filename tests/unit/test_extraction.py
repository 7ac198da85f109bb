"""The parts of extract_todos without a database: folding, checking, shortening."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extract_todos.checking import Extraction, Step, check, date_errors, with_dates_of
from extract_todos.evidence import Said, fold, words
from extract_todos.extraction import PROMPT, shorten
from extract_todos.task import Line, Result, Task
from mojodex.queries import User

FRIDAY = date(2026, 11, 27)
SAID = "I'll send the offer to Bob."
OTHER = "I'll call Ann about it."


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
def test_words_that_the_user_said_are_found_in_any_context(said: str, before: str, after: str) -> None:
    if len(words(said)) < 6:
        return
    todos, _ = check(answer(("x", "2026-11-27", said)), task(f"{before} {said} {after}"), FRIDAY)

    assert len(todos) == 1


def test_evidence_may_be_in_the_result() -> None:
    todos, left_out = check(answer(("Send it", "2026-11-27", SAID)), task(result=f"Dear Bob, {SAID}"), FRIDAY)

    assert len(todos) == 1
    assert left_out == []


@pytest.mark.parametrize("evidence", [None, "", " ", "I", "...", "'I'", "the offer", "offer to", ". - , !"])
def test_too_few_words_are_no_evidence(evidence: str | None) -> None:
    todos, left_out = check(answer(("Send it", "2026-11-27", evidence)), task(SAID), FRIDAY)

    assert todos == []
    assert left_out[0].reason == "the user did not say so"


@pytest.mark.parametrize(
    ("said", "evidence"),
    [
        (SAID, "I'll send the offer"),
        (SAID, "send the offer to Bob"),
        (SAID, "“I’ll  send\u00a0the offer …”"),
        ("First, I’ll call Ann – tomorrow – about it.", "I'll call Ann, tomorrow"),
        ("I will follow-up with Ann.", "will follow up with"),
        ("我明天去买票。", "我明天去买票"),
        ("明日までに見積書をABC社に送ります。", "見積書をABC社に"),
        ("내일까지 보고서를 보낼게요", "내일까지 보고서를 보낼게요"),
        ("मैं कल उन्हें फ़ोन करूँगा", "कल उन्हें फ़ोन"),
        ("พรุ่งนี้ฉันจะโทรหาลูกค้า", "ฉันจะโทรหา"),
    ],
)
def test_a_run_of_whole_words_is_evidence(said: str, evidence: str) -> None:
    assert Said([said]).source(evidence) == said


@pytest.mark.parametrize(
    ("said", "evidence"),
    [
        # Inside words, with a gap, in another order, from two texts, too short.
        ("Our customer will become too tome-like.", "tome r will be"),
        ("The customer says so.", "he customer say"),
        ("I'll send the offer to Bob by Friday.", "I'll send the offer by Friday"),
        ("I'll send the offer to Bob by Friday.", "I'll send … by Friday"),
        ("I'll send the offer.", "the offer I'll send"),
        ("I'll send", "I'll send the offer"),
        ("我明天去买票。", "明天去买"),
        ("I'll call 10000 people", "call 1000 people"),
    ],
)
def test_words_that_the_user_did_not_say_in_this_order_are_no_evidence(said: str, evidence: str) -> None:
    assert Said([said, "the offer"]).source(evidence) is None


def test_an_answer_with_302_todos_whose_evidence_is_one_word_makes_none() -> None:
    """Each has evidence such as "with", or "tome" from inside "customer"."""
    said = "I talked with the customer. We agreed on the price."
    steps = [(f"Step {n}", "2026-11-30", ("with", "tome", "date", "name")[n % 4]) for n in range(302)]

    todos, left_out = check(answer(*steps), task(said), FRIDAY)

    assert todos == []
    assert {step.reason for step in left_out} == {"the user did not say so"}


def test_one_task_makes_at_most_20_todos() -> None:
    steps = [(f"Step {n}", "2026-11-30", SAID) for n in range(25)]
    invented = ("Invented", "2026-11-30", "I'll invent.")

    todos, left_out = check(answer(*steps, invented), task(SAID), FRIDAY)

    assert [todo.description for todo in todos] == [f"Step {n}" for n in range(20)]
    assert [step.reason for step in left_out] == ["there are 20 others"] * 5 + ["the user did not say so"]


FOREIGN_ADDRESS = "its description has an address that the user's text lacks"


@pytest.mark.parametrize(
    ("description", "reason"),
    [
        ("a" * 501, "its description is longer than 500 characters"),
        ("a" * 200_000, "its description is longer than 500 characters"),
        ("Send\x07 it", "its description holds control characters"),
        ("Send \u202eti", "its description holds control characters"),
        (
            "Pay at https://evil.example/pay",
            "its description has an address that the user's text lacks",
        ),
        ("Pay at evil.com", FOREIGN_ADDRESS),
        ("Write to bob@evil.example", FOREIGN_ADDRESS),
        (" \n ", "it says nothing"),
        (None, "it says nothing"),
    ],
)
def test_a_bad_description_is_left_out_with_its_reason(description: str | None, reason: str) -> None:
    other = "Have a look at https://evil.example/pay, evil.com and bob@evil.example."

    todos, left_out = check(answer((description, "2026-11-30", SAID)), task(SAID, other), FRIDAY)

    assert todos == []
    assert left_out[0].reason == reason
    assert len(left_out[0].description) <= 500


@pytest.mark.parametrize("address", ["https://a.example/x?y=1", "shop.com", "bob@a.example", "www.a.example"])
def test_an_address_within_the_evidence_may_stay(address: str) -> None:
    said = f"I'll look at {address.upper()} tomorrow."

    todos, _ = check(answer((f"Look at {address}", "2026-11-30", said)), task(said), FRIDAY)

    assert [todo.description for todo in todos] == [f"Look at {address}"]


@pytest.mark.parametrize(
    "description", ["Send report.pdf to Mr. Smith, e.g. by 5.30", "Try Node.js 2.0\tnow"]
)
def test_text_that_only_looks_like_an_address_may_stay(description: str) -> None:
    todos, _ = check(answer((description, "2026-11-30", SAID)), task(SAID), FRIDAY)

    assert [todo.description for todo in todos] == [" ".join(description.split())]


def test_a_description_may_have_the_longest_allowed_length() -> None:
    todos, _ = check(answer(("a" * 500, "2026-11-30", SAID)), task(SAID), FRIDAY)

    assert [len(todo.description) for todo in todos] == [500]


def test_the_same_step_twice_is_one_todo() -> None:
    todos, left_out = check(
        answer(("Send it", "2026-11-27", SAID), ("send it.", "2026-11-28", SAID)), task(SAID), FRIDAY
    )

    assert len(todos) == 1
    assert left_out[0].reason == "it is on the list already"


@pytest.mark.parametrize("due", ["2026-11-27", "2028-11-26"])
def test_dates_from_today_to_two_years_are_accepted(due: str) -> None:
    got = answer(("Send it", due, SAID))

    assert date_errors(got, task(SAID), FRIDAY) == ""
    assert check(got, task(SAID), FRIDAY)[0][0].due_date.isoformat() == due


@pytest.mark.parametrize("due", ["2026-11-26", "2028-11-27", "27/11/2026", "Monday", "", None])
def test_another_date_falls_on_the_next_working_day(due: str | None) -> None:
    got = answer(("Send it", due, SAID))

    assert date_errors(got, task(SAID), FRIDAY)
    assert check(got, task(SAID), FRIDAY)[0][0].due_date == date(2026, 11, 30)


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ("I'll send the offer to Bob by Tuesday.", "2026-12-01"),
        ("J'envoie l'offre à Bob le 3 décembre.", "2026-12-03"),
        ("Ich schicke Bob das Angebot übermorgen.", "2026-11-29"),
        ("Mañana le mando la oferta a Bob.", "2026-11-28"),
        ("I'll send the offer to Bob on 26 November 2028.", "2028-11-26"),
    ],
)
def test_a_date_that_contradicts_the_users_words_is_asked_again_and_the_words_win(
    said: str, named: str
) -> None:
    wrong, right = answer(("Send it", "2026-12-24", said)), answer(("Send it", named, said))

    assert "its due_date is 2026-12-24, while its evidence names" in date_errors(wrong, task(said), FRIDAY)
    assert named in date_errors(wrong, task(said), FRIDAY)
    assert date_errors(right, task(said), FRIDAY) == ""
    for each in (wrong, right, answer(("Send it", None, said))):
        assert check(each, task(said), FRIDAY)[0][0].due_date.isoformat() == named


@pytest.mark.parametrize(
    "said",
    [
        SAID,
        "I'll send the offer to Bob next week.",
        "I'll send it on Monday or on Tuesday.",
        # This is more than two years away.
        "I'll send the offer to Bob on 27 November 2028.",
    ],
)
def test_words_that_name_no_single_usable_day_contradict_no_date(said: str) -> None:
    got = answer(("Send it", "2026-12-24", said))

    assert date_errors(got, task(said), FRIDAY) == ""
    assert check(got, task(said), FRIDAY)[0][0].due_date.isoformat() == "2026-12-24"


def test_the_date_of_an_omitted_step_is_not_asked_again() -> None:
    assert date_errors(answer(("Invented", "soon", "I'll invent.")), task(SAID), FRIDAY) == ""


def test_each_wrong_date_is_named_to_the_model() -> None:
    got = answer(("Send it", "2026-11-26", SAID), ("Call Ann", "soon", OTHER))

    assert date_errors(got, task(SAID, OTHER), FRIDAY) == (
        '"Send it": its due_date is before today, 2026-11-27.'
        ' "Call Ann": its due_date is not a date in the form YYYY-MM-DD.'
    )


@pytest.mark.parametrize(
    ("second", "due"),
    [
        # The same description, or the same evidence: either is the same step.
        ([("send IT.", "2026-12-01", "I'll send all of it")], "2026-12-01"),
        ([("Send the offer", "2026-12-01", SAID.upper())], "2026-12-01"),
        ([("Send the offer", "2026-12-01", SAID), ("Send it", "2026-12-02", OTHER)], "2026-12-02"),
        # Two steps with this evidence: neither is known to be the same one.
        ([("Write it", "2026-12-01", SAID), ("Sign it", "2026-12-02", SAID)], "2020-01-01"),
        ([("Call Ann", "2026-12-01", OTHER)], "2020-01-01"),
        ([(None, "2026-12-01", None)], "2020-01-01"),
        ([("Send it", None, SAID)], "2020-01-01"),
        ([], "2020-01-01"),
    ],
)
def test_a_second_answer_gives_dates_to_the_steps_of_the_first(
    second: list[tuple[str | None, str | None, str | None]], due: str
) -> None:
    first = answer(("Send it", "2020-01-01", SAID), (None, None, None))

    got = with_dates_of(first, answer(*second)).todos or []

    assert [(step.description, step.evidence) for step in got] == [("Send it", SAID), (None, None)]
    assert got[0].due_date == due


def test_a_null_list_is_an_empty_list() -> None:
    none = Extraction(todos=None)

    assert check(none, task(SAID), FRIDAY) == ([], [])
    assert with_dates_of(none, none) == answer()


def test_an_open_todo_beyond_those_shown_still_counts_as_known() -> None:
    many = task(SAID, open_todos=[f"To-do {i}" for i in range(500)])

    _, left_out = check(answer(("to-do 499", "2026-11-27", SAID)), many, FRIDAY)

    assert len(shorten(many, 1000).open_todos) == 100
    assert left_out[0].reason == "it is on the list already"


def test_the_prompt_renders_for_a_user_without_goal_and_company() -> None:
    user = User("the user", "en", goal="", company="", today=FRIDAY, time="09:00")

    text = PROMPT.render(user=user, task=task(SAID))

    assert "Today is 2026-11-27 (Friday), 09:00" in text
    assert "goal" not in text
