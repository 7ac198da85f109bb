"""The requests that a Background gets, and the answers."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import requests

from bench.front_door import fixture

# The present moment as isoformat() writes it. A Background only checks that it is there.
MOMENT = "2026-11-27T08:30:00.123456"
JSON = {"Content-Type": "application/json"}
SECONDS = 30
# Stands for words of a library, which do not count.
ELLIPSIS = "…"
LIBRARY_WORDS = re.compile(r"(?s)(\((?:psycopg2|builtins)\.|(?<=<!doctype html>)).*")
# Lists that Mojodex does not order.
UNORDERED = ("todo_pks",)
ABSENT = object()


@dataclass(frozen=True)
class Call:
    """One request.

    Attributes:
        name: its special feature.
        json: sent as JSON; with `ABSENT`, `data` is sent instead.
        sent_by_mojodex: whether Mojodex's own backend or scheduler may send it.
    """

    name: str
    path: str
    json: Any = ABSENT
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict)
    data: str = ""
    sent_by_mojodex: bool = False

    def described(self) -> dict[str, Any]:
        """Return it as JSON values, without empty fields."""
        request = {"json": self.json} if self.json is not ABSENT else {"data": self.data} if self.data else {}
        headers = {"headers": dict(self.headers)} if self.headers else {}
        return {"name": self.name, "method": self.method, "path": self.path, **headers, **request}


@dataclass(frozen=True)
class Answer:
    """An answer: the status, and the body, parsed if it is JSON."""

    status: int
    body: Any

    def matches(self, expected: "Answer") -> bool:
        """Return whether it is the expected answer. A final `ELLIPSIS` in a text stands for anything."""
        return self.status == expected.status and _matches(self.body, expected.body)


def _matches(body: Any, expected: Any) -> bool:
    if isinstance(body, dict) and isinstance(expected, dict):
        return body.keys() == expected.keys() and all(_matches(body[key], expected[key]) for key in body)
    if isinstance(body, str) and isinstance(expected, str) and expected.endswith(ELLIPSIS):
        return body.startswith(expected.removesuffix(ELLIPSIS))
    return bool(body == expected)


def send(call: Call, url: str) -> Answer:
    """Send a request.

    Args:
        call: the request.
        url: the URL of a Background, with name and secret if it needs them.

    Raises:
        requests.RequestException: there was no answer.
    """
    with requests.Session() as session:
        session.trust_env = False
        answer = session.request(
            call.method,
            url + call.path,
            json=None if call.json is ABSENT else call.json,
            data=call.data or None,
            headers=dict(call.headers),
            timeout=SECONDS,
            allow_redirects=False,
        )
    return Answer(answer.status_code, parsed(answer.text))


def parsed(text: str) -> Any:
    """Return a body as JSON if possible, without the words of libraries."""
    try:
        body = json.loads(text)
    except ValueError:
        body = text
    if isinstance(body, dict):
        return {key: _in_order(key, _shortened(value)) for key, value in body.items()}
    return _shortened(body)


def _in_order(key: str, value: Any) -> Any:
    return sorted(value) if key in UNORDERED and isinstance(value, list) else value


def _shortened(value: Any) -> Any:
    return LIBRARY_WORDS.sub(ELLIPSIS, value) if isinstance(value, str) else value


def _without(payload: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in payload.items() if key != name}


def _websites() -> Iterator[Call]:
    path = "/create_document_from_website"
    payload = {"datetime": MOMENT, "website_url": "https://shop.example", "user_id": fixture.NIGHT}
    yield Call("a website, as the resources ask for it", path, payload, sent_by_mojodex=True)
    yield Call(
        "a website, as the company asks for it", path, payload | {"company_pk": 1}, sent_by_mojodex=True
    )
    space = payload | {"website_url": "https://shop.example/our prices"}
    yield Call("a website with a space in it", path, space, sent_by_mojodex=True)
    # Longer than a document's name may be.
    long = payload | {"website_url": f"https://shop.example/{'long/' * 50}"}
    yield Call("a website with 271 characters", path, long, sent_by_mojodex=True)
    for name in payload:
        yield Call(f"a website, no {name}", path, _without(payload, name))
    yield Call("a website, all fields null", path, dict.fromkeys(payload))
    yield Call("a website, of an unknown user", path, payload | {"user_id": fixture.UNKNOWN})
    yield Call("a website that is a number", path, payload | {"website_url": 7})


def _documents() -> Iterator[Call]:
    path = "/update_document"
    payload = {
        "datetime": MOMENT,
        "document_pk": fixture.LEARNED,
        "user_id": fixture.NIGHT,
        "edition": "The shop opens at nine.",
    }
    page = payload | {"document_pk": fixture.WEBPAGE, "edition": None}
    yield Call("a text with its edition", path, payload, sent_by_mojodex=True)
    yield Call(
        "a text, its key as text", path, payload | {"document_pk": str(fixture.LEARNED)}, sent_by_mojodex=True
    )
    yield Call("a text with an empty edition", path, payload | {"edition": ""}, sent_by_mojodex=True)
    yield Call("a page", path, page, sent_by_mojodex=True)
    yield Call("a text, no edition", path, _without(payload, "edition"))
    yield Call("a text, its edition is a number", path, payload | {"edition": 7})
    for name in ("datetime", "document_pk", "user_id"):
        yield Call(f"a text, no {name}", path, _without(payload, name))
    yield Call("a document, its key null", path, payload | {"document_pk": None})
    yield Call("a document, user_id a number", path, payload | {"user_id": 7})
    yield Call("a document of another user", path, payload | {"document_pk": fixture.OF_ANOTHER})
    yield Call("a document that is deleted", path, page | {"document_pk": fixture.DELETED})
    yield Call("a document that does not exist", path, payload | {"document_pk": fixture.MISSING})
    yield Call("a document of an unknown user", path, payload | {"user_id": fixture.UNKNOWN})
    yield Call("a document, its key is no number", path, payload | {"document_pk": "learned"})
    yield Call("a document, its key 7001.0", path, payload | {"document_pk": 7001.0})
    yield Call("a document, its key beyond 2147483647", path, payload | {"document_pk": 2**31})


def _todos() -> Iterator[Call]:
    payload = {"datetime": MOMENT}
    yield Call("to-dos to extract", "/extract_todos", payload, headers=JSON, sent_by_mojodex=True)
    yield Call("to-dos to extract, no datetime", "/extract_todos", {})
    yield Call("to-dos to move", "/reschedule_todo", payload, headers=JSON, sent_by_mojodex=True)
    yield Call("to-dos to move, no datetime", "/reschedule_todo", {})


def _events() -> Iterator[Call]:
    path = "/events_generation"
    bare = {"datetime": MOMENT, "event_type": "todo_daily_emails"}
    payload = bare | {"n_events": 50, "offset": 0}
    headers = JSON | {"Authorization": "a secret of the scheduler"}
    yield Call("e-mails", path, payload, headers=headers, sent_by_mojodex=True)
    yield Call("e-mails, second page", path, payload | {"offset": 50}, headers=headers, sent_by_mojodex=True)
    yield Call("e-mails, no n_events and offset", path, bare)
    yield Call("e-mails, two from the third on", path, bare | {"n_events": 2, "offset": 2})
    yield Call("e-mails, n_events and offset as text", path, bare | {"n_events": "2", "offset": "1"})
    yield Call("e-mails, n_events 1000", path, bare | {"n_events": 1000})
    yield Call("e-mails, n_events 0", path, bare | {"n_events": 0})
    yield Call("e-mails, n_events negative", path, bare | {"n_events": -1})
    yield Call("e-mails, n_events null", path, bare | {"n_events": None})
    yield Call("e-mails, n_events is no number", path, bare | {"n_events": "many"})
    yield Call("e-mails, offset negative", path, bare | {"offset": -1})
    for name in bare:
        yield Call(f"e-mails, no {name}", path, _without(bare, name))
    yield Call("an unknown event", path, bare | {"event_type": "birthdays"})
    yield Call("an event that is null", path, bare | {"event_type": None})


def _bodies() -> Iterator[Call]:
    path = "/extract_todos"
    text = f'{{"datetime": "{MOMENT}"}}'
    yield Call("no body", path)
    yield Call("an empty body", path, headers=JSON)
    yield Call("no JSON", path, headers=JSON, data="datetime=now")
    yield Call("JSON that ends too early", path, headers=JSON, data=text[:-1])
    yield Call("JSON with another content type", path, headers={"Content-Type": "text/plain"}, data=text)
    yield Call(
        "JSON with a charset", path, headers={"Content-Type": "application/json; charset=utf-8"}, data=text
    )
    yield Call("an array", path, ["datetime"])
    yield Call("null", path, headers=JSON, data="null")


def _routes() -> Iterator[Call]:
    yield Call("the greeting", "/", method="GET")
    yield Call("an unknown path", "/nothing", method="GET")
    yield Call("a path with a slash behind it", "/extract_todos/", {"datetime": MOMENT})
    yield Call("the wrong method", "/extract_todos", method="GET")
    yield Call("POST of the greeting", "/", {"datetime": MOMENT})


CALLS = (*_websites(), *_documents(), *_todos(), *_events(), *_bodies(), *_routes())
