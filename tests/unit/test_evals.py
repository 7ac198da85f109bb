"""The evaluation: its labels, the rules that it scores by, the bootstrap, the proxy, the scripted models."""

import json
import re
from collections import Counter
from dataclasses import replace
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import pytest

from evals import intervals, languages, mails, moves, results, todos
from evals.__main__ import deeds_done
from evals.ami import Utterance, found_in
from evals.cases import Case, Label, MailCase, MoveCase, TaskCase, load_mails, load_moves, load_tasks
from evals.proxy import caching_proxy
from evals.scripted import deeds, key_of, right_answer, scripted
from evals.work import Made, run
from extract_todos.checking import Todo
from extract_todos.evidence import Said
from extract_todos.task import Line, Result, Task
from reschedule_todo.rescheduling import Move

TASKS, MOVES, MAILS = load_tasks(), load_moves(), load_mails()
CASES: list[Case] = [*TASKS, *MOVES, *MAILS]
# One of each language and kind, and each trap.
FEW: list[Case] = [case for case in CASES if case.id.endswith(("-05", "-m02", "-e03"))]
NOW = datetime.combine(date(2026, 11, 26), time(14, 30))
FRIDAY = date(2026, 11, 27)
SAID = "I'll send Martin the new price list by Friday, and I'll call Ann."
BEFORE_TYPOGRAPHY = str.maketrans({"'": "\u2019", '"': "\u201c", "-": "\u2013", " ": "\u00a0"})


def label(place: str = "I'll send Martin the new price list", **changes: Any) -> Label:
    found = Label((place,), ("price list|prices", "Martin"), FRIDAY, FRIDAY, "")
    return replace(found, **changes)


def case(*labels: Label) -> TaskCase:
    task = Task("recap", "A recap.", [Line("user", SAID)], Result("Recap", "Ann is on leave until May."), [])
    return TaskCase("en-00", "en", "wish", "Claire", NOW, task, labels)


def todo(evidence: str = SAID, description: str = "Send Martin the prices", due: date = FRIDAY) -> Todo:
    return Todo(description, due, evidence)


def answered(cases: list[Case], answers: dict[str, Any], folder: Path) -> tuple[list[Made], int]:
    """Run cases against a scripted model and return the results and its number of calls."""
    with scripted(answers) as url, caching_proxy(url, folder) as proxy:
        return run("scripted", proxy.url, cases), proxy.calls


# The labels.


def test_ids_and_keys_are_unique() -> None:
    assert max(Counter(each.id for each in CASES).values()) == 1
    assert max(Counter(map(key_of, CASES)).values()) == 1


def test_the_set_has_the_promised_size() -> None:
    traps = [each for each in TASKS if each.trap]

    assert len(TASKS) >= 120
    assert len(MOVES) >= 40
    assert len(MAILS) >= 40
    assert {each.language for each in TASKS} == {"en", "fr", "de", "es", "ja"}
    assert 0.25 <= len(traps) / len(TASKS) <= 0.5


def test_each_evidence_is_in_its_text_verbatim() -> None:
    for each in TASKS:
        for place in (place for its_label in each.labels for place in its_label.places):
            assert any(place in text for text in each.task.said), (each.id, place)


def test_an_agreed_offer_is_in_mojos_words() -> None:
    for each in TASKS:
        mojo = "\n".join(line.text for line in each.task.conversation if line.sender == "mojo")
        assert all(its_label.agreed_to in mojo for its_label in each.labels), each.id


@pytest.mark.parametrize(
    "change",
    [
        str,
        lambda text: text.translate(BEFORE_TYPOGRAPHY),
        str.upper,
        lambda text: f"«{text}»…",
        lambda text: re.sub(r"\s+", "  ", text),
    ],
    ids=["as it is", "typographic", "capitals", "quoted", "spaces"],
)
def test_99_of_100_evidences_are_accepted_also_with_other_typography(change: Any) -> None:
    places = [
        (each, place)
        for each in TASKS
        for its_label in each.labels
        for place in its_label.places
        if not its_label.agreed_to
    ]

    refused = [place for each, place in places if Said(each.task.said).source(change(place)) is None]

    assert len(refused) <= len(places) / 100, refused


def test_days_are_not_before_now_and_patterns_compile() -> None:
    for each in TASKS:
        for its_label in each.labels:
            assert (its_label.earliest is None) == (its_label.latest is None), each.id
            assert its_label.earliest is None or its_label.earliest >= each.now.date(), each.id
            assert all(map(re.compile, its_label.words)), each.id
    for move in MOVES:
        assert move.now.date() <= move.earliest <= move.latest, move.id
        assert move.schedulings[-1].day < move.now.date(), move.id
        assert all(map(re.compile, move.invented)), move.id
    for mail in MAILS:
        assert all(map(re.compile, mail.forbidden)), mail.id


def test_a_weekday_beside_a_date_matches_it() -> None:
    for each in TASKS:
        for its_label in each.labels:
            named = languages.days_in(its_label.places[0], each.language)
            # People check texts that also name a date or several days.
            if its_label.latest and its_label.earliest == its_label.latest and len(named.weekdays) == 1:
                assert its_label.latest.weekday() in named.weekdays, (each.id, its_label.places[0])


# The rules for to-dos.


@pytest.mark.parametrize(
    "evidence",
    ["I'll send Martin the new price list by Friday", "“i’LL SEND martin the NEW price-list”", SAID],
)
def test_a_todo_is_right_if_evidence_overlaps_and_the_words_are_there(evidence: str) -> None:
    assert todos.score(case(label()), [todo(evidence)]).is_right


@pytest.mark.parametrize(
    "wrong",
    [
        todo(evidence="and I'll call Ann"),
        todo(evidence="Ann is on leave"),
        todo(description="Send Paul the prices"),
        todo(description="Send it to Martin"),
    ],
)
def test_a_todo_with_other_evidence_or_other_words_is_false_and_its_label_missing(wrong: Todo) -> None:
    score = todos.score(case(label()), [wrong])

    assert (len(score.matched), len(score.false), len(score.missing)) == (0, 1, 1)


def test_a_second_todo_for_one_promise_is_false() -> None:
    assert len(todos.score(case(label()), [todo(), todo()]).false) == 1


def test_as_many_as_possible_are_matched() -> None:
    anything, martin = label(words=("send",)), label()
    either, only_the_first = todo(), todo(description="Send the letter")

    score = todos.score(case(anything, martin), [either, only_the_first])

    assert len(score.matched) == 2


def test_a_day_is_judged_only_if_labelled_and_any_day_of_a_range_is_right() -> None:
    late = todo(due=date(2026, 12, 3))

    assert len(todos.score(case(label()), [late]).wrong_dates) == 1
    assert todos.score(case(label(latest=date(2026, 12, 4))), [late]).is_right
    score = todos.score(case(label(earliest=None, latest=None)), [late])
    assert (score.is_right, score.judged_dates) == (True, 0)


def test_an_agreed_offer_is_neither_missing_nor_false() -> None:
    agreed = label(agreed_to="You could send Martin the price list.")

    taken, left = todos.score(case(agreed), [todo()]), todos.score(case(agreed), [])

    assert (taken.is_right, taken.agreed, taken.agreed_labels) == (True, 1, 1)
    assert (left.is_right, left.agreed, left.agreed_labels) == (True, 0, 1)


# The rules for moves and mails.


def move_of(argument: str, day: date) -> tuple[MoveCase, Move]:
    found = next(each for each in MOVES if each.id == "en-m01")
    return found, Move(day, argument, "model")


@pytest.mark.parametrize(
    ("argument", "unknown"),
    [
        ("Wednesday has room, and Thursday is freer still.", 0),
        ("You have time on 2 December.", 0),
        ("The insurer needs it before Friday 4 December.", 0),
        ("It has to be ready for the visit on 19 March.", 1),
        ("A quiet Sunday is best.", 1),
    ],
)
def test_days_that_the_model_was_not_given_are_counted(argument: str, unknown: int) -> None:
    assert len(moves.unknown_days(*move_of(argument, date(2026, 12, 2)))) == unknown


def test_a_failed_move_passes_no_rule() -> None:
    assert not any(vars(moves.score(MOVES[0], None)).values())


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("You have the time for it on Tuesday.", "en"),
        ("Vous avez le temps de le faire mardi.", "fr"),
        ("Am Dienstag haben Sie Zeit für die Liste.", "de"),
        ("El martes tiene tiempo para la lista.", "es"),
        ("火曜日なら時間があります。", "ja"),
    ],
)
def test_a_text_is_in_its_own_language_only(text: str, language: str) -> None:
    assert [code for code in ("en", "fr", "de", "es", "ja") if languages.is_in(text, code)] == [language]


def test_days_are_read_in_each_language() -> None:
    assert languages.days_in("le mardi 1er décembre", "fr").dates == {(12, 1)}
    assert languages.days_in("am 3. Dezember", "de").dates == {(12, 3)}
    assert languages.days_in("el 3 de diciembre", "es").dates == {(12, 3)}
    assert languages.days_in("12月3日(木曜)", "ja") == languages.NamedDays(
        frozenset({3}), frozenset({(12, 3)})
    )
    assert languages.days_in("on December 3 and 2026-12-04", "en").dates == {(12, 3), (12, 4)}


# The bootstrap.


def test_an_interval_contains_its_value_and_is_reproducible() -> None:
    rows = [[1, 0, 0, 0, 0, 1, 1], [0, 1, 1, 0, 0, 0, 1]] * 20

    found = intervals.interval(rows, results.f1)

    assert found == intervals.interval(rows, results.f1)
    assert found.value == 0.5
    assert found.low is not None
    assert found.high is not None
    assert 0.3 < found.low < 0.5 < found.high < 0.7


def test_a_share_of_zero_cases_is_none() -> None:
    assert intervals.interval([[0, 0, 1, 0, 0, 0, 1]] * 3, results.precision).value is None


def test_two_similar_runs_differ_by_chance_and_different_ones_by_more() -> None:
    right, wrong = [[1, 0, 0, 0, 0, 1, 1]] * 20, [[0, 1, 1, 0, 0, 0, 1]] * 20

    same = intervals.paired(right, right, results.f1)
    other = intervals.paired(right, wrong, results.f1)

    assert (same.low, same.value, same.high) == (0, 0, 0)
    assert other.low == 1


# From end to end, with scripted models.


def test_answers_from_the_labels_score_fully_and_a_second_run_makes_no_call(tmp_path: Path) -> None:
    answers = {key_of(each): right_answer(each) for each in FEW}

    made, calls = answered(FEW, answers, tmp_path)
    again, no_calls = answered(FEW, {}, tmp_path)

    found = results.results_of("scripted", FEW, made)
    assert (calls, no_calls) == (len(FEW), 0)
    assert found == results.results_of("scripted", FEW, again)
    assert not found.failures
    assert found.figures()["F1"].value == 1
    assert all(all(rules.values()) for rules in found.rules.values())


def test_no_wrong_answer_is_saved_that_a_check_can_catch(tmp_path: Path) -> None:
    some: list[Case] = [*TASKS[:40], *MOVES[:10], *MAILS[:10]]
    wrong = deeds(some)

    made, _ = answered(some, {key_of(each): wrong[each.id].answer for each in some}, tmp_path)

    found = deeds_done(some, made)
    # The tables name the faults that the checks catch, and those that only the score shows.
    saved = {way: kept for way, (_, kept, can_be_caught) in deeds_done(some, made).items() if can_be_caught}
    assert len(found) >= 15
    assert not any(saved.values()), saved
    assert any(kept for _, kept, can_be_caught in found.values() if not can_be_caught)


def test_an_error_of_the_server_is_passed_on_and_not_kept(tmp_path: Path) -> None:
    one: list[Case] = [TASKS[0]]

    (made,), calls = answered(one, {}, tmp_path)
    (again,), calls_again = answered(one, {}, tmp_path)

    assert "404" in made.failure
    assert calls == calls_again > 0
    assert again.failure
    assert not list(tmp_path.iterdir())


def test_results_are_read_as_they_were_written(tmp_path: Path) -> None:
    found = results.results_of("a/model", [TASKS[0]], [Made()])

    path = results.write(found, tmp_path)

    assert path.name == "a-model.json"
    assert json.loads(path.read_text())["figures"]["all"]["recall"][0] == 0
    assert results.read(str(path)).counts == found.counts


def test_evidence_is_traced_to_its_utterances() -> None:
    turn = [
        Utterance("1", "A", 0, "Okay."),
        Utterance("2", "A", 1, "I will draw it."),
        Utterance("3", "A", 2, "Yes."),
    ]

    assert found_in([turn], "okay I will draw") == {"1", "2"}
    assert found_in([turn], "I will paint it") == set()


def test_a_mail_without_an_answer_is_not_right() -> None:
    mail = next(each for each in MAILS if each.todos)

    assert not mails.score(mail, None).is_right
    assert isinstance(mail, MailCase)
