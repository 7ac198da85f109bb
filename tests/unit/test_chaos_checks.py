"""The checker of `make chaos` finds each planted violation and names its job."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from chaos.checks import NONSENSE, NOT_KNOWN, REFUSES, Chunks, Found, Job, Wanted, broken
from chaos.plan import Fate, Plan
from chaos.run import TIMES
from local.runtime.stack import PREFIXES

DAY = "2026-11-25"
CHUNKS: Chunks = [(0, "The mill is open.", "[1]"), (1, "It is old.", "[2]")]
REFUSED: Mapping[str, list[Fate]] = {
    "extract_todos 2": [Fate.TOO_MANY, Fate.REFUSAL],
    "reschedule_todo 12": [Fate.NONSENSE, Fate.ERROR, Fate.NONSENSE, Fate.NONSENSE],
}
JOBS = {
    "extracted": Job("extract_todos", "1", "", "done"),
    "refused": Job("extract_todos", "2", "", "failed", reason=REFUSES),
    "moved": Job("reschedule_todo", "11", DAY, "done", attempts=3),
    "nonsense": Job("reschedule_todo", "12", DAY, "failed", reason=NONSENSE),
    "mailed": Job("events", "todo_daily_emails:ann", DAY, "done"),
    "not known": Job("events", "todo_daily_emails:bob", DAY, "failed", reason=f"{NOT_KNOWN}: it died"),
    "website": Job("create_from_website", "ann http://a/", "1", "done"),
    "page": Job("ingest_page", "5", "", "done"),
    "updated": Job("update_document", "21", f"{DAY} 1", "done"),
    "updated again": Job("update_document", "21", f"{DAY} 2", "skipped", reason="it has not changed"),
    "nobody": Job("reschedule_todo", "99", DAY, "skipped", reason="there is no todo 99"),
}
BAD = {"{": "message: Invalid JSON", '{"todo_pk": 99}': "there is no todo"}


def error_text(job: Job) -> str:
    return f"background {job.process} {job.subject} {job.occasion}: {job.reason}"


WANTED = Wanted(
    executions={1: ("Call Ann", "Write to Bob"), 2: ("Fly home",)},
    moves=frozenset({11, 12}),
    mails=frozenset({"ann", "bob"}),
    websites=frozenset({"ann http://a/"}),
    updates={21: 2},
    bad=BAD,
)
FOUND = Found(
    jobs=list(JOBS.values()),
    todos={1: [("Call Ann", 1), ("Write to Bob", 1)]},
    extracted=frozenset({1}),
    moves=[(11, DAY)],
    mails=[("ann", DAY), ("bob", DAY)],
    events=[("ann", DAY)],
    documents={"http://a/": CHUNKS},
    undisturbed={"http://a/": CHUNKS},
    errors=[error_text(job) for job in JOBS.values() if job.state == "failed"],
    waiting={"events": 0},
    dead=[("{", "message: Invalid JSON: EOF"), ('{"todo_pk": 99}', "there is no todo 99")],
    said=lambda subject: REFUSED.get(subject, []),
    mailers_killed=1,
)


def without(*names: str, **instead: Job) -> dict[str, Any]:
    """The ledger without some jobs or with replaced ones, and the errors that its jobs reported."""
    kept = {**{name: job for name, job in JOBS.items() if name not in names}, **instead}
    return {
        "jobs": list(kept.values()),
        "errors": [error_text(job) for job in kept.values() if job.state == "failed"],
    }


def test_given_only_planned_failures_when_checked_then_nothing_is_broken() -> None:
    assert broken(WANTED, FOUND) == []


@pytest.mark.parametrize(
    ("planted", "check", "named"),
    [
        ({"todos": {1: [("Call Ann", 1), ("Call Ann", 1), ("Write to Bob", 1)]}}, "todos_exactly_once", "1:"),
        ({"todos": {1: [("Call Ann", 1)]}}, "todos_exactly_once", "extract_todos 1:"),
        ({"todos": {1: [("Call Ann", 2), ("Write to Bob", 1)]}}, "todos_exactly_once", "extract_todos 1:"),
        ({"todos": {**FOUND.todos, 2: [("Fly home", 1)]}}, "todos_exactly_once", "extract_todos 2:"),
        ({"extracted": frozenset()}, "todos_exactly_once", "extract_todos 1:"),
        ({"extracted": frozenset({1, 2})}, "todos_exactly_once", "extract_todos 2:"),
        ({"moves": [(11, DAY), (11, DAY)]}, "moved_once_a_day", "reschedule_todo 11:"),
        ({"moves": []}, "moved_once_a_day", "reschedule_todo 11:"),
        ({"moves": [(11, DAY), (12, DAY)]}, "moved_once_a_day", "reschedule_todo 12:"),
        ({"mails": [("ann", DAY), ("ann", DAY)]}, "one_mail_a_day", "todo_daily_emails:ann"),
        ({"mails": [("ann", DAY), ("bob", DAY), ("bob", DAY)]}, "one_mail_a_day", "todo_daily_emails:bob"),
        ({"mails": []}, "one_mail_a_day", "todo_daily_emails:ann"),
        ({"events": []}, "one_mail_a_day", "todo_daily_emails:ann"),
        ({"events": [("ann", DAY), ("bob", DAY)]}, "one_mail_a_day", "todo_daily_emails:bob"),
        (without("extracted"), "nothing_lost", "extract_todos 1:"),
        (without("moved"), "nothing_lost", "reschedule_todo 11:"),
        (without("mailed"), "nothing_lost", "todo_daily_emails:ann"),
        (without("website"), "nothing_lost", "create_from_website ann http://a/"),
        (without("updated again"), "nothing_lost", "update_document 21:"),
        (without(page=replace(JOBS["page"], state="running")), "nothing_stuck", "ingest_page 5"),
        (without(page=replace(JOBS["page"], state="queued")), "nothing_stuck", "ingest_page 5"),
        (
            without(page=replace(JOBS["page"], state="failed", reason="gave up after 20 attempts")),
            "failures_explained",
            "ingest_page 5",
        ),
        (
            without(extracted=replace(JOBS["extracted"], state="failed", reason=REFUSES)),
            "failures_explained",
            "extract_todos 1",
        ),
        (
            without(refused=replace(JOBS["refused"], state="done", reason="")),
            "failures_explained",
            "extract_todos 2",
        ),
        (
            without(refused=replace(JOBS["refused"], reason=NONSENSE)),
            "failures_explained",
            "extract_todos 2",
        ),
        ({"mailers_killed": 0}, "failures_explained", "todo_daily_emails:bob"),
        (
            without(page=replace(JOBS["page"], state="skipped", reason="it has no text")),
            "skips_explained",
            "ingest_page 5",
        ),
        (
            without(website=replace(JOBS["website"], state="failed", reason=REFUSES)),
            "websites_complete",
            "create_from_website ann http://a/",
        ),
        ({"documents": {"http://a/": CHUNKS[:1]}}, "documents_equal", "http://a/"),
        ({"documents": {"http://a/": CHUNKS[::-1]}}, "documents_equal", "http://a/"),
        ({"documents": {"http://a/": [CHUNKS[0], (1, "It is old.", "[3]")]}}, "documents_equal", "http://a/"),
        ({"documents": {"http://a/": [*CHUNKS, CHUNKS[1]]}}, "documents_equal", "http://a/"),
        ({"documents": {}}, "documents_equal", "http://a/"),
        ({"documents": {**FOUND.documents, "http://b/": CHUNKS}}, "documents_equal", "http://b/"),
        ({"errors": FOUND.errors[1:]}, "errors_told_once", "extract_todos 2"),
        ({"errors": FOUND.errors + FOUND.errors[:1]}, "errors_told_once", "extract_todos 2"),
        ({"waiting": {"events": 1}}, "queues_empty", "events"),
        ({"dead": FOUND.dead[:1]}, "dead_letters_exact", '{"todo_pk": 99}'),
        ({"dead": [*FOUND.dead, ('{"todo_pk": 11}', "there is no todo 11")]}, "dead_letters_exact", "11"),
        ({"dead": [FOUND.dead[0], ('{"todo_pk": 99}', "")]}, "dead_letters_exact", '{"todo_pk": 99}'),
    ],
)
def test_given_a_violation_when_checked_then_it_is_found_and_named(
    planted: dict[str, Any], check: str, named: str
) -> None:
    found = replace(FOUND, **planted)

    wrong = broken(WANTED, found)

    assert any(line.startswith(f"{check}: ") and named in line for line in wrong), wrong


def test_given_a_seed_when_requests_come_in_another_order_then_the_plan_is_the_same() -> None:
    subjects = [f"extract_todos {number}" for number in range(50)] * 3
    first, second, other = Plan(7, on=True), Plan(7, on=True), Plan(8, on=True)

    for subject in subjects:
        first.question(subject)
        other.question(subject)
    for subject in reversed(subjects):
        second.question(subject)

    assert first.fates == second.fates
    assert first.fates != other.fates


def test_given_many_requests_when_planned_then_the_stated_shares_fail() -> None:
    plan = Plan(1, on=True)

    fates = [plan.question(f"extract_todos {number}") for number in range(20_000)]

    shares = {fate: 100 * fates.count(fate) / len(fates) for fate in Fate}
    assert shares[Fate.TOO_MANY] == pytest.approx(10, abs=1)
    assert shares[Fate.ERROR] == pytest.approx(10, abs=1)
    assert shares[Fate.HANG] == pytest.approx(5, abs=1)
    assert shares[Fate.NONSENSE] == pytest.approx(5, abs=1)
    assert shares[Fate.REFUSAL] == pytest.approx(2 * 0.7, abs=0.5)


def test_given_the_faults_are_off_when_asked_then_only_refusals_of_the_model_remain() -> None:
    plan = Plan(1)

    fates = {plan.question(f"extract_todos {number}") for number in range(2000)}

    assert fates == {Fate.GOOD, Fate.REFUSAL, Fate.NONSENSE}


def test_every_worker_has_short_times() -> None:
    """With the template's, the message of a killed worker is hidden for longer than the run waits."""
    assert TIMES.keys() == set(PREFIXES.values())
