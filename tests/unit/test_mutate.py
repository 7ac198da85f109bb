"""`make mutate`: the mutants of a piece of code, and the reasons for which a run fails."""

from typing import Any

import pytest

from tools.mutate.__main__ import Result, complaints
from tools.mutate.python_mutants import Mutant, mutants
from tools.mutate.sql_mutants import changes
from tools.mutate.targets import TARGETS


def made(*lines: str) -> set[tuple[str, str]]:
    """Changes (before, after) that the mutants of a function with these lines make."""
    source = "\n".join(["def f(a, b):", *(f"    {line}" for line in lines)])
    return {(mutant.before, mutant.after) for mutant in mutants(source, "f.py")}


@pytest.mark.parametrize(
    ("line", "before", "after"),
    [
        ("a(b < 1)", "b < 1", "b <= 1"),
        ("a(b is None)", "b is None", "b is not None"),
        ("a(b and c)", "b and c", "b or c"),
        ("a(b and c)", "b and c without b", "c"),
        ("a(not b)", "not b", "b"),
        ("a(b + 7)", "b + 7", "b - 7"),
        ("a(b + 7)", "7", "8"),
        ("a('text')", "'text'", "''"),
        ("a.b(c=d)", "b(c=d)", "b()"),
        ("a.where(b, c)", "where(b)", "where()"),
        ("a.with_for_update()", "….with_for_update(…)", "…"),
        ("a({'b': c})", "{'b': c}", "{}"),
        ("a.commit()", "a.commit()", "pass"),
        ("raise a", "raise a", "pass"),
        ("a[0] = b", "a[0] = b", "pass"),
        ("return a.b()", "return a.b()", "return None"),
        ("return [c for c in a if c]", "… if c", "…"),
        ("return b if a else c", "b if a else c", "b"),
        ("with suppress(a): b()", "with suppress(a): …", "…"),
    ],
)
def test_a_plausible_mistake_is_a_mutant(line: str, before: str, after: str) -> None:
    assert (before, after) in made(line)


@pytest.mark.parametrize(
    "lines",
    [
        ("logger.info('text', extra={'a': 1})",),
        ("about = {'a': 1}",),
        ('"""Text."""',),
        ("c: Literal['a']",),
    ],
)
def test_a_change_that_cannot_lose_or_double_work_is_not_a_mutant(lines: tuple[str, ...]) -> None:
    assert made(*lines) == set()


def test_a_raise_is_mutated_and_its_message_is_not() -> None:
    assert made("raise TransientError('text')") == {("raise TransientError('text')", "pass")}


def test_except_and_finally_clauses_are_mutated() -> None:
    lines = ("try: a()", "except KeyError: b()", "finally: c()")

    assert {("except KeyError: …", "…"), ("finally: …", "…")} <= made(*lines)


def test_mutants_have_unique_keys_and_come_only_from_the_named_functions() -> None:
    source = "def f(a):\n    return a + 1 + 1\ndef g(a):\n    return a + 1\n"

    keys = [mutant.key for mutant in mutants(source, "f.py", ["f"])]

    assert len(keys) == len(set(keys))
    assert "f: 1 → 2" in keys
    assert "f: 1 → 2 (2)" in keys
    assert not [key for key in keys if key.startswith("g")]


@pytest.mark.parametrize("mutant", mutants("def f(a):\n    return a + 1\n", "f.py"), ids=lambda m: str(m.key))
def test_a_mutant_runs_and_behaves_differently(mutant: Mutant) -> None:
    names: dict[str, Any] = {}
    assert not isinstance(mutant.code, str)
    exec(mutant.code, names)

    assert names["f"](5) != 6
    assert mutant.lines == range(2, 3)


SQL = (
    "UPDATE t SET a = 1, b = COALESCE(:b, 'x') WHERE c = :c AND (d < :d OR NOT e)"
    " AND f IN ('g', 'h') RETURNING i"
)


@pytest.mark.parametrize(
    "changed",
    [
        "SET b = COALESCE(:b, 'x') WHERE",
        "SET a = 1 WHERE",
        "b = :b WHERE",
        "WHERE (d < :d OR NOT e) AND f",
        "AND ( NOT e) AND",
        "AND (d < :d ) AND",
        "AND (d < :d AND NOT e)",
        "d <= :d",
        "OR e)",
        "c <> :c",
        "AND f IN ('h') RETURNING",
        "AND f NOT IN ('g', 'h')",
        "NOT e) RETURNING",
        "a = 2",
    ],
)
def test_a_statement_loses_each_condition_and_each_assignment(changed: str) -> None:
    assert [text for text in (" ".join(change.text.split()) for change in changes(SQL)) if changed in text]


def test_a_comment_is_not_part_of_a_statement() -> None:
    commented = list(changes(SQL.replace(" WHERE", " -- It is 1, AND so on.\n WHERE")))

    assert len(commented) == len(list(changes(SQL)))
    assert not [change for change in commented if "so on" in change.text]


def result(*keys: str, made: int = 100) -> Result:
    survivors = [Mutant(key, 1, None, "", "", "") for key in keys]
    return Result(TARGETS[0], [*survivors, *survivors[:1] * (made - len(keys))], survivors, 1.0)


def test_a_run_passes_when_each_survivor_has_its_reason() -> None:
    assert complaints([result("a", "b")], {"jobs": {"a": "why", "b": "why"}}) == []


def test_a_survivor_without_a_reason_and_a_reason_without_a_survivor_fail_the_run() -> None:
    assert complaints([result("a")], {"jobs": {"b": "why"}}) == [
        'jobs: not explained: "a"',
        "jobs: does not survive: b",
    ]


def test_too_many_survivors_fail_the_run_whatever_their_reasons() -> None:
    keys = [str(number) for number in range(6)]

    assert complaints([result(*keys)], {"jobs": dict.fromkeys(keys, "why")}) == [
        "only 94 of 100 mutants were killed"
    ]
