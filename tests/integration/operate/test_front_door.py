"""Each call of Mojodex's backend and scheduler is answered as Mojodex's own Background answers it.

The answers are in `tests/mojodex_calls.json`, recorded by `python -m bench.front_door`, which also runs
Mojodex's own code against this bundle.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from bench.front_door import fixture
from bench.front_door.calls import Answer, parsed
from mojodex import clock, queues
from mojodex.errors import TransientError
from operate import environment
from tests import ROOT
from tests.api import answer, basic, event
from tests.integration.conftest import Bundle
from tests.integration.operate.conftest import CREDENTIALS, Operated

CALLS = json.loads((ROOT / "tests" / "mojodex_calls.json").read_text())["calls"]
# On this day, each user of the fixture has a real time zone.
WEDNESDAY = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)
# Mojodex never sends these, and its own Background has no better answer.
OTHERWISE = {
    "a website, all fields null": 400,
    "a website that is a number": 400,
    "a text, its edition is a number": 400,
    "a document, its key 7001.0": 400,
    "a document, user_id a number": 404,
    "an unknown path": 404,
    "a path with a slash behind it": 404,
    "the wrong method": 404,
    "POST of the greeting": 404,
}


@pytest.fixture
def front_door(
    operated: Operated,
    make_bundle: Callable[..., Bundle],
    bundle: Bundle,
    schedules: dict[str, Callable[[], Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> Operated:
    monkeypatch.setattr(clock, "_OFFSET", WEDNESDAY - datetime.now(UTC))
    moves, mails = make_bundle("reschedule_todo"), make_bundle("events")
    schedules |= {
        "extract_todos": bundle.schedule,
        "reschedule_todo": moves.schedule,
        "events": mails.schedule,
    }
    fixture.restore(operated.mojodex.engine, WEDNESDAY)
    return operated


def ask(call: dict[str, Any], name: str | None = "backend") -> Answer:
    headers = dict(call.get("headers", {}))
    body = call.get("data", "").encode()
    if "json" in call:
        headers, body = {"Content-Type": "application/json"} | headers, json.dumps(call["json"]).encode()
    if name:
        headers |= basic(name, CREDENTIALS[name])
    found = answer(event(call["method"], call["path"], headers=headers, body=body))
    return Answer(found.status, parsed(found.body))


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call["name"])
def test_a_call_is_answered_as_by_mojodexs_own_background(front_door: Operated, call: dict[str, Any]) -> None:
    found = ask(call)

    if call["name"] in OTHERWISE:
        assert not call["sent_by_mojodex"]
        assert found.status == OTHERWISE[call["name"]]
        assert isinstance(found.body, dict)
    else:
        assert found.matches(Answer(call["status"], call["body"])), found


def test_each_call_that_is_answered_ok_is_published(front_door: Operated) -> None:
    for call in CALLS:
        if call["sent_by_mojodex"]:
            ask(call)

    websites = [m["website_url"] for m in front_door.queued("create_from_website")]
    assert websites == ["https://shop.example", "https://shop.example", "https://shop.example/our%20prices"]
    updates = [(m["document_pk"], m["edition"] is not None) for m in front_door.queued("update_document")]
    assert sorted(updates) == [(7001, True), (7001, True), (7001, True), (7002, False)]
    due = front_door.mojodex.rows("SELECT process, subject FROM md_background_job WHERE state = 'queued'")
    assert {(job.process, job.subject) for job in due} == {
        ("extract_todos", "9001"),
        ("extract_todos", "9002"),
        ("reschedule_todo", "8001"),
        ("reschedule_todo", "8002"),
        *(("events", f"todo_daily_emails:front-door-morning-{n}") for n in (1, 2, 3)),
    }


def test_an_address_that_is_too_long_becomes_a_failed_job_with_its_reason(front_door: Operated) -> None:
    call = next(call for call in CALLS if call["name"] == "a website with 271 characters")

    ask(call)

    (failed,) = front_door.client.get("/jobs", state="failed").json()["jobs"]
    assert failed["reason"] == "its address is longer than 255 characters"
    assert front_door.queued("create_from_website") == []


def test_later_pages_continue_the_first_page_of_users(front_door: Operated) -> None:
    call = next(call for call in CALLS if call["name"] == "e-mails")

    pages = [
        ask(call | {"json": call["json"] | {"n_events": 2, "offset": offset}}).body["user_ids"]
        for offset in (0, 2, 4)
    ]

    assert pages == [["front-door-morning-1", "front-door-morning-2"], ["front-door-morning-3"], []]
    queued = front_door.mojodex.rows("SELECT * FROM md_background_job WHERE process = 'events'")
    assert len(queued) == 3


@pytest.mark.parametrize("name", [None, "reader"])
def test_a_caller_without_the_right_gets_an_error_that_mojodex_can_read(
    front_door: Operated, name: str | None
) -> None:
    found = ask(CALLS[0], name)

    assert (found.status, list(found.body)) == (401 if name is None else 403, ["error"])
    assert front_door.queued("create_from_website") == []


def test_a_queue_that_is_away_causes_an_error_that_mojodex_can_read(
    front_door: Operated, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_args: object) -> None:
        raise TransientError("queue: away")

    monkeypatch.setattr(queues, "publish", away)

    found = ask(CALLS[0])

    assert (found.status, found.body) == (503, {"error": "Error parsing website : queue: away"})


def test_a_website_is_published_even_while_the_database_is_away(
    front_door: Operated, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away() -> None:
        raise TransientError("database: 57P01")

    monkeypatch.setattr(environment.database, "session", away)

    found = ask(CALLS[0])

    assert found.matches(Answer(200, {"success": "ok"}))
    assert len(front_door.queued("create_from_website")) == 1


def test_an_edition_that_is_too_large_for_a_queue_is_refused(front_door: Operated) -> None:
    call = next(call for call in CALLS if call["name"] == "a text with its edition")

    found = ask(call | {"json": call["json"] | {"edition": "x" * 1_000_000}})

    assert (found.status, list(found.body)) == (413, ["error"])
