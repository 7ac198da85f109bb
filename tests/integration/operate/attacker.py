"""Shared parts of attacks on the API: its routes, raw events, sessions, and other secrets."""

import json
import re
from collections.abc import Mapping
from copy import deepcopy
from datetime import datetime
from typing import Any

import boto3

from mojodex import secrets
from mojodex.clock import utc_now
from operate import access, api
from operate.access import Caller
from tests.api import ADDRESS, Answer, answer, event
from tests.integration.operate.conftest import SECRET, Operated

COOKIE = access.COOKIE
FORM = "application/x-www-form-urlencoded"
PUBLIC = "public"
# The right that each route needs. A test fails if a new route is missing here.
RIGHTS: dict[tuple[str, str], str] = {
    ("GET", "/"): PUBLIC,
    ("GET", "/healthz"): PUBLIC,
    ("GET", "/login"): PUBLIC,
    ("POST", "/login"): PUBLIC,
    ("GET", "/console.css"): PUBLIC,
    ("GET", "/console.js"): PUBLIC,
    ("GET", "/favicon.ico"): PUBLIC,
    # Readers of a mail have its token and no credentials.
    ("GET", "/unsubscribe"): PUBLIC,
    ("POST", "/unsubscribe"): PUBLIC,
    ("POST", "/create_document_from_website"): "publish",
    ("POST", "/update_document"): "publish",
    ("POST", "/extract_todos"): "publish",
    ("POST", "/reschedule_todo"): "publish",
    ("POST", "/events_generation"): "publish",
    ("GET", "/openapi.json"): "read",
    ("GET", "/jobs"): "read",
    ("GET", "/jobs/<job_id>"): "read",
    ("GET", "/websites/<job_id>"): "read",
    ("GET", "/users/<user_id>/activity"): "read",
    ("GET", "/console"): "read",
    ("GET", "/console/jobs/<job_id>"): "read",
    ("POST", "/logout"): "read",
    ("POST", "/jobs/<job_id>/retry"): "operate",
    ("POST", "/jobs/<job_id>/cancel"): "operate",
    ("POST", "/jobs/retry"): "operate",
    ("POST", "/processes/<name>/pause"): "operate",
    ("POST", "/processes/<name>/resume"): "operate",
    ("DELETE", "/users/<user_id>/mail-block"): "operate",
    ("GET", "/console/retry"): "operate",
    ("POST", "/console/retry"): "operate",
    ("POST", "/console/jobs/<job_id>/retry"): "operate",
    ("POST", "/console/jobs/<job_id>/cancel"): "operate",
    ("POST", "/console/processes/<name>/<change>"): "operate",
    ("POST", "/console/users/<user_id>/lift"): "operate",
}
GUARDED = [route for route, right in RIGHTS.items() if right != PUBLIC]
# Mail clients post to a mail's link from any origin; only its token counts.
CHANGING = [route for route in RIGHTS if route[0] != "GET" and route[1] != "/unsubscribe"]
# Routes that a browser's session may use.
OF_A_SESSION = [route for route in CHANGING if RIGHTS[route] != PUBLIC]
PARTS = {"job_id": "extract_todos.MQ", "user_id": "user-1", "name": "events", "change": "pause"}


def name_of(route: tuple[str, str]) -> str:
    """Name a route in the id of a test."""
    return " ".join(route)


def routes() -> set[tuple[str, str]]:
    """Return all routes of the app."""
    app = api.app
    return {(route.method, str(route.path)) for route in [*app._static_routes, *app._dynamic_routes]}


def path_of(route: str) -> str:
    """Return a path that leads to a route."""
    return re.sub(r"<(\w+)>", lambda part: PARTS[part[1]], route)


def send(
    route: tuple[str, str],
    headers: Mapping[str, str] | None = None,
    *,
    body: bytes = b"{}",
    content_type: str = "application/json",
    cookie: str | None = None,
    address: str = ADDRESS,
    **changes: Any,
) -> Answer:
    """Send a request that is correct except for the given changes."""
    method, path = route
    sent = dict(headers or {})
    if method not in ("GET", "HEAD", "OPTIONS"):
        sent.setdefault("content-type", content_type)
    else:
        body = b""
    if cookie is not None:
        sent["cookie"] = f"{COOKIE}={cookie}"
    made = event(method, path_of(path), headers=sent, body=body, address=address)
    return answer(made | changes)


def cookie_of(answer: Answer) -> str:
    """Return the value of the cookie that an answer sets."""
    (cookie,) = answer.cookies
    found = re.fullmatch(rf"{COOKIE}=([^;]*); .*", cookie)
    assert found, cookie
    return found[1]


def log_in(operated: Operated, name: str = "operator", **more: Any) -> str:
    """Begin a session as a browser does and return the cookie's value."""
    form = {"name": name, "secret": operated.client.credentials[name]}
    found = operated.client.as_(None).send("POST", "/login", form=form, **more)
    assert found.status == 303
    return cookie_of(found)


def minted(now: datetime | None = None, name: str = "operator", keys: list[str] | None = None) -> str:
    """Make a cookie as the API would at this time with these keys."""
    credentials = access.Credentials.model_validate(SECRET | {"session_keys": keys or SECRET["session_keys"]})
    caller = Caller(name, credentials.credentials[name].rights)
    return access.begin_session(credentials, caller, now or utc_now())


def csrf_of(cookie: str) -> str:
    """Return the CSRF token from the pages of a session."""
    page = send(("GET", "/console"), cookie=cookie)
    found = re.search(r'name="csrf" value="([^"]+)"', page.body)
    assert found, page
    return found[1]


def is_let_in(cookie: str) -> bool:
    """Return whether a cookie opens the console."""
    found = send(("GET", "/console"), cookie=cookie)
    assert found.status in (200, 303), found
    assert found.status == 200 or found.headers["location"].endswith("login")
    return found.status == 200


def change_secret(secret: Any) -> None:
    """Replace the secret with the credentials."""
    text = secret if isinstance(secret, str) else json.dumps(secret)
    boto3.client("secretsmanager").update_secret(SecretId="operate", SecretString=text)
    secrets._provider.cache_clear()


def changed(*path: str, **values: Any) -> dict[str, Any]:
    """Return the tests' secret with changed values at one place. None removes a field."""
    secret: dict[str, Any] = deepcopy(SECRET)
    place = secret
    for name in path:
        place = place[name]
    for name, value in values.items():
        if value is None:
            del place[name]
        else:
            place[name] = value
    return secret
