"""Attacks on secrets: guessing them, and reading them in answers and logs. Malformed secrets."""

import base64
import json
import logging
from collections.abc import Iterator
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
import time_machine
from pydantic import ValidationError

from mojodex.clock import utc_now
from mojodex.database import Database
from mojodex.observability import logger
from operate import access, environment, refusals
from tests.api import Answer, answer, basic, event
from tests.integration.operate.attacker import (
    COOKIE,
    FORM,
    GUARDED,
    RIGHTS,
    change_secret,
    changed,
    csrf_of,
    log_in,
    path_of,
    send,
)
from tests.integration.operate.conftest import CREDENTIALS, SECRET, Operated

JOBS, OPENAPI = ("GET", "/jobs"), ("GET", "/openapi.json")
RIGHT = basic("operator", CREDENTIALS["operator"])
WRONG = basic("operator", "not-the-secret-of-operator")
OTHER_ADDRESS = "198.51.100.9"


def guess(times: int, headers: dict[str, str] = WRONG, **more: Any) -> list[int]:
    """Send wrong credentials and return the statuses."""
    return [send(JOBS, headers, **more).status for _ in range(times)]


def log_in_with(name: str, secret: str) -> Answer:
    """Fill in the form."""
    body = f"name={name}&secret={secret}".encode()
    return send(("POST", "/login"), body=body, content_type=FORM)


# HTTP Basic.


NOT_BASIC = (
    "",
    "Basic",
    "Basic ",
    "Basic  ",
    "Bearer x",
    "Digest username=operator",
    # No colon, not Base64, or not ASCII.
    "Basic " + base64.b64encode(b"operator").decode(),
    "Basic operator:operators-secret-0123456789",
    "Basic " + base64.b64encode("opérator:x".encode()).decode(),
    "Basic " + base64.b64encode("opérator:x".encode("latin-1")).decode(),
    "Basic \ud800",
    "Basic ö",
    "Basic " + base64.urlsafe_b64encode(b"\xff\xfe:\xff").decode(),
    "Basic " + "A" * 100_000,
    # API Gateway joins two headers.
    RIGHT["Authorization"] + "," + RIGHT["Authorization"],
    RIGHT["Authorization"] + ", Basic x",
    "Basic x, " + RIGHT["Authorization"],
    RIGHT["Authorization"] + " " + RIGHT["Authorization"],
    "Basic\n" + RIGHT["Authorization"].partition(" ")[2],
)


def test_credentials_that_are_not_http_basic_are_refused(operated: Operated) -> None:
    for authorization in NOT_BASIC:
        found = send(JOBS, {"authorization": authorization})
        assert (found.status, found.headers["www-authenticate"].partition(" ")[0]) == (401, "Basic")
        assert "not HTTP Basic" in found.body, authorization
    # None counts as a guess, so they lock nobody out.
    assert operated.mojodex.rows("SELECT * FROM md_background_refusal") == []


WRONG_PAIRS = (
    ("operator", ""),
    ("", ""),
    ("", CREDENTIALS["operator"]),
    ("operator", CREDENTIALS["reader"]),
    ("OPERATOR", CREDENTIALS["operator"]),
    ("operator ", CREDENTIALS["operator"]),
    (" operator", CREDENTIALS["operator"]),
    ("operator\0", CREDENTIALS["operator"]),
    ("operator", CREDENTIALS["operator"] + " "),
    ("operator", CREDENTIALS["operator"] + "\0"),
    ("operator", CREDENTIALS["operator"][:-1]),
    ("operator", CREDENTIALS["operator"].upper()),
    ("operator", "operator:" + CREDENTIALS["operator"]),
    # An unknown name is compared with this key.
    ("nobody", SECRET["session_keys"][0]),
    ("__class__", "x" * 20),
    ("n" * 50_000, "s" * 50_000),
)


def test_a_wrong_name_and_a_wrong_secret_get_the_same_answer(operated: Operated) -> None:
    """Neither the answer nor its steps reveal the existing names."""
    known = send(JOBS, basic("reader", "not-the-secret"), address=OTHER_ADDRESS)

    for n, (name, secret) in enumerate(WRONG_PAIRS):
        found = send(JOBS, basic(name, secret), address=f"10.0.0.{n}")
        assert found.status == 401
        assert (found.status, found.body, found.headers) == (known.status, known.body, known.headers), name


def test_the_login_form_reveals_no_names(operated: Operated) -> None:
    pages = [log_in_with(name, "x" * 20) for name in ("operator", "nobody", "", "%00", "x" * 9000)]

    assert {page.status for page in pages} == {401}
    assert len({page.body for page in pages}) == 1
    assert all(page.cookies == [] for page in pages)


def test_credentials_in_other_places_are_ignored(operated: Operated) -> None:
    """Proxies log addresses, and with them credentials in a query."""
    query = {"name": "operator", "secret": CREDENTIALS["operator"], "authorization": RIGHT["Authorization"]}
    assert send(JOBS, queryStringParameters=query).status == 401
    for header in ("x-authorization", "proxy-authorization", "x-api-key", "x-forwarded-authorization"):
        assert send(JOBS, {header: RIGHT["Authorization"]}).status == 401
    assert send(JOBS, cookie=RIGHT["Authorization"]).status == 401
    assert send(("GET", "/login"), queryStringParameters=query).cookies == []


# Guessing.


def test_after_wrong_guesses_even_the_right_secret_must_wait(operated: Operated) -> None:
    with time_machine.travel(utc_now(), tick=False):
        assert guess(refusals.FREE_REFUSALS) == [401] * refusals.FREE_REFUSALS
        found = send(JOBS, RIGHT)

        assert found.status == 429
        assert int(found.headers["retry-after"]) == found.json()["retry_after"] > 0
        assert send(JOBS, WRONG).status == 429
        # Guesses in the console's form and in HTTP Basic count together.
        page = log_in_with("operator", CREDENTIALS["operator"])
        assert (page.status, page.cookies) == (429, [])
        assert int(page.headers["retry-after"]) > 0


def test_guesses_in_the_form_count(operated: Operated) -> None:
    with time_machine.travel(utc_now(), tick=False):
        statuses = [log_in_with("operator", "wrong").status for _ in range(refusals.FREE_REFUSALS + 1)]

        assert statuses == [401] * refusals.FREE_REFUSALS + [429]
        assert send(JOBS, RIGHT).status == 429


def test_the_wait_grows_and_no_guess_is_checked_during_it(operated: Operated) -> None:
    """This allows about a hundred guesses a day."""
    now = utc_now()
    guesses, seconds = 0, 0
    while seconds < 86_400:
        with time_machine.travel(now + timedelta(seconds=seconds), tick=False):
            found = send(JOBS, WRONG)
        if found.status == 401:
            guesses += 1
        seconds += int(found.headers.get("retry-after", 1))

    assert guesses < 120
    assert refusals.wait_after(10**6) == refusals.LONGEST_WAIT


def test_a_wait_ends_at_the_announced_time(operated: Operated) -> None:
    now = utc_now()
    with time_machine.travel(now, tick=False):
        guess(refusals.FREE_REFUSALS)
        wait = int(send(JOBS, RIGHT).headers["retry-after"])

    with time_machine.travel(now + timedelta(seconds=wait), tick=False):
        assert send(JOBS, RIGHT).status == 200
        # A right secret resets the count.
        assert operated.mojodex.rows("SELECT * FROM md_background_refusal") == []


def test_others_need_not_wait(operated: Operated) -> None:
    """Guesses do not lock out other addresses or other names."""
    here = "203.0.113.7"
    names = [f"name-{n}" for n in range(100)]
    other = next(n for n in names if refusals.hashed(here, n) != refusals.hashed(here, "operator"))
    change_secret(changed("credentials", **{other: {"secret": "s" * 20, "rights": ["read"]}}))
    with time_machine.travel(utc_now(), tick=False):
        guess(refusals.FREE_REFUSALS)

        assert send(JOBS, RIGHT).status == 429
        assert send(JOBS, RIGHT, address=OTHER_ADDRESS).status == 200
        assert send(JOBS, basic(other, "s" * 20)).status == 200
        assert send(JOBS, RIGHT).status == 429


def test_a_session_outlives_the_guesses_of_others(operated: Operated) -> None:
    cookie = log_in(operated)
    with time_machine.travel(utc_now(), tick=False):
        guess(refusals.FREE_REFUSALS)

        assert send(JOBS, cookie=cookie).status == 200


def test_addresses_of_one_ipv6_network_count_together(operated: Operated) -> None:
    """A household gets a /64, which is 18 trillion million addresses."""
    with time_machine.travel(utc_now(), tick=False):
        for n in range(refusals.FREE_REFUSALS):
            assert guess(1, address=f"2001:db8:1:2:{n}::{n}") == [401]

        assert send(JOBS, RIGHT, address="2001:db8:1:2:ffff::1").status == 429
        assert send(JOBS, RIGHT, address="2001:0DB8:0001:0002::").status == 429
        assert send(JOBS, RIGHT, address="2001:db8:1:3::1").status == 200


def test_no_header_changes_the_address(operated: Operated) -> None:
    """The client's address comes from API Gateway, because anybody can send any header."""
    with time_machine.travel(utc_now(), tick=False):
        for n in range(refusals.FREE_REFUSALS):
            headers = dict.fromkeys(("x-forwarded-for", "x-real-ip", "forwarded", "via"), f"10.0.0.{n}")
            assert guess(1, WRONG | headers) == [401]

        assert send(JOBS, RIGHT | {"x-forwarded-for": "10.9.9.9"}).status == 429


def test_guesses_from_an_invalid_address_count_too(operated: Operated) -> None:
    with time_machine.travel(utc_now(), tick=False):
        for address in ("", "x", "203.0.113.7, 10.0.0.1", "1.2.3.4:80", "\ud800"):
            guess(1, address=address)

        assert send(JOBS, RIGHT, address="y").status == 429


def test_guesses_are_forgotten_after_a_day(operated: Operated) -> None:
    now = utc_now()
    with time_machine.travel(now, tick=False):
        guess(refusals.FREE_REFUSALS - 1)
    with time_machine.travel(now + refusals.FORGOTTEN_AFTER + timedelta(seconds=1), tick=False):
        assert guess(refusals.FREE_REFUSALS) == [401] * refusals.FREE_REFUSALS
        assert send(JOBS, RIGHT).status == 429


def test_guesses_count_across_execution_environments(
    operated: Operated, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lambda runs one environment for each request at the same time."""
    databases = []
    with time_machine.travel(utc_now(), tick=False):
        for _ in range(refusals.FREE_REFUSALS):
            databases.append(Database(operated.settings))
            monkeypatch.setattr(environment, "database", databases[-1])
            assert guess(1) == [401]

        assert send(JOBS, RIGHT).status == 429
    for database in databases[:-1]:
        database.close()


def test_only_the_right_secret_is_accepted_while_guesses_cannot_be_counted(
    operated: Operated, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backend can publish without the database. Wrong secrets are still refused."""
    away = operated.settings.model_copy(update={"database_secret_arn": "none"})
    database = Database(away)
    monkeypatch.setattr(environment, "database", database)

    assert send(OPENAPI, RIGHT).status == 200
    assert send(OPENAPI, WRONG).status == 503
    assert send(JOBS, RIGHT).status == 503
    database.close()


def test_no_table_contains_a_tried_secret_name_or_address(operated: Operated) -> None:
    guess(3, basic("somebody", "a-secret-that-is-wrong"), address="198.51.100.77")

    (row,) = operated.mojodex.rows("SELECT * FROM md_background_refusal")
    assert not any(word in str(row) for word in ("somebody", "a-secret", "198.51.100.77"))


# Logs and answers.


@pytest.fixture
def logged() -> Iterator[StringIO]:
    """Collect all log lines of our logger, and of libraries at the lowest level."""
    lines = StringIO()
    handler = logging.StreamHandler(lines)
    handler.setFormatter(logger.registered_formatter)
    root, ours = logging.getLogger(), logging.getLogger(logger.name)
    levels = root.level, ours.level
    for each in (root, ours):
        each.addHandler(handler)
        each.setLevel(logging.DEBUG)
    yield lines
    for each, level in zip((root, ours), levels, strict=True):
        each.removeHandler(handler)
        each.setLevel(level)


def test_no_secret_cookie_or_word_is_logged_or_answered(
    operated: Operated, logged: StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every route is called with right and wrong credentials of every kind, at level DEBUG."""
    words, tried = "my doctor said so", "a-wrong-secret-that-was-tried"
    history = [{"started": "2026-11-24T01:00:00+00:00", "error": "X", "reason": "r"}]
    operated.add_job(user_id="user-1", outcome={"reason": "r", "evidence": words}, history=history)
    cookie = log_in(operated)
    token = csrf_of(cookie)
    tells: list[Answer] = []
    for route in RIGHTS:
        bodies = (
            json.dumps({"datetime": "x", "user_id": "u", "edition": words, "website_url": words}).encode(),
            b'{"confirm": 1, "x": "' + words.encode() + b'"}',
            words.encode(),
        )
        for body in bodies:
            tells += [
                send(route, RIGHT, body=body),
                send(route, {"x-csrf-token": token}, body=body, cookie=cookie),
                send(route, {"x-csrf-token": tried}, body=body, cookie=cookie),
                send(route, basic("reader", CREDENTIALS["reader"]), body=body),
                send(route, basic(tried, tried), body=body, address="2001:db8::1"),
                send(route, {"authorization": f"Basic {tried}"}, body=body),
                send(route, cookie=cookie[:-2] + "xx", body=body),
            ]
    tells += [log_in_with("operator", tried), log_in_with(tried, tried)]
    change_secret(changed("credentials", "operator", secret="short-secret"))
    tells += [send(JOBS, RIGHT), log_in_with("operator", "short-secret")]

    secrets = (*CREDENTIALS.values(), *SECRET["session_keys"], tried, "short-secret", cookie[:20], token)
    secrets += tuple(RIGHT.values())
    text = logged.getvalue() + capsys.readouterr().out
    assert "unknown error" not in text
    assert len(text) > 1000
    for secret in (*secrets, words):
        assert secret not in text, secret
    for found in tells:
        told = found.body + str(found.headers)
        # Pages contain their own token, words for callers with the right, and the searched text.
        assert not [secret for secret in secrets if secret in told and secret != token], found


# The secret itself.

TOO_SHORT, NOT_ASCII = "x" * 19, "ö" * 30
OF_OPERATOR = SECRET["credentials"]["operator"]
MALFORMED: dict[str, tuple[Any, str]] = {
    "not JSON": ("{", "secret cannot be read"),
    "a list": ("[]", "not a JSON object"),
    "a text": ('"operators-secret-0123456789"', "not a JSON object"),
    "nothing in it": ({}, "session_keys"),
    "no keys": (changed(session_keys=None), "session_keys"),
    "an empty list of keys": (changed(session_keys=[]), "session_keys"),
    "a key that is no list": (changed(session_keys="a" * 30), "session_keys"),
    "a short key": (changed(session_keys=["a" * 30, TOO_SHORT]), "session_keys.*"),
    "a key that is not ASCII": (changed(session_keys=[NOT_ASCII]), "session_keys.*"),
    "a key that is a number": (changed(session_keys=[10**30]), "session_keys.*"),
    "no credentials": (changed(credentials=None), "credentials"),
    "credentials in a list": (changed(credentials=[{"name": "ops"}]), "credentials"),
    "a credential that is a text": (changed("credentials", ops="o" * 30), "credentials.*"),
    "no secret": (changed("credentials", "operator", secret=None), "credentials.*.secret"),
    "a short secret": (changed("credentials", "operator", secret=TOO_SHORT), "credentials.*.secret"),
    "a long secret": (changed("credentials", "operator", secret="x" * 201), "credentials.*.secret"),
    "a secret with a space": (changed("credentials", "operator", secret="x " * 15), "credentials.*.secret"),
    "a secret that is not ASCII": (
        changed("credentials", "operator", secret=NOT_ASCII),
        "credentials.*.secret",
    ),
    "a secret that is no text": (changed("credentials", "operator", secret=[1]), "credentials.*.secret"),
    "no rights": (changed("credentials", "operator", rights=None), "credentials.*.rights"),
    "rights in a text": (changed("credentials", "operator", rights="read"), "credentials.*.rights"),
    "an unknown right": (changed("credentials", "operator", rights=["admin"]), "credentials.*.rights"),
    "another field": (changed("credentials", "operator", admin=True), "credentials.*.*"),
    "another field beside": (changed(debug="x" * 30), "*"),
    "a name with a colon": (
        changed("credentials", **{"a:b": OF_OPERATOR}),
        "credentials.*",
    ),
    "a name that is empty": (
        changed("credentials", **{"": OF_OPERATOR}),
        "credentials.*",
    ),
    "name and secret mixed up": (
        changed("credentials", **{"Mistyped-secret-0123456789": {"secret": "ops", "rights": ["read"]}}),
        "credentials.*.secret",
    ),
}


@pytest.mark.parametrize("how", MALFORMED)
def test_a_malformed_secret_closes_the_api_and_the_answer_names_only_the_field(
    operated: Operated, how: str
) -> None:
    """Anybody can read the answer, so it contains no value and no name of a credential."""
    secret, field = MALFORMED[how]
    change_secret(secret)
    values = ("operator", "Mistyped", TOO_SHORT, "x x", "ops", "admin", "debug", *CREDENTIALS.values())
    by_form = log_in_with("operator", CREDENTIALS["operator"])

    for found in (send(JOBS, RIGHT), send(("GET", "/console")), by_form):
        assert found.status == 503
        assert int(found.headers["retry-after"]) > 0
        assert field in found.body
        for word in values:
            assert word not in found.body.replace("operate secret", ""), word
        assert NOT_ASCII not in found.body
        assert found.cookies == []


def test_no_secret_is_weak() -> None:
    """A secret that can be tried a hundred times a day needs at least 20 characters."""
    for weak in ("", "x" * 19, "password password password", "x" * 19 + "\n", "x" * 19 + "ö", None):
        with pytest.raises(ValidationError):
            access.Credentials.model_validate(changed("credentials", "operator", secret=weak or ""))
        with pytest.raises(ValidationError):
            access.Credentials.model_validate(changed(session_keys=[weak]))


def test_a_removed_credential_is_refused_at_once(operated: Operated) -> None:
    change_secret(changed("credentials", operator=None))

    assert send(JOBS, RIGHT).status == 401


# Headers of answers.


def answers(operated: Operated) -> Iterator[Answer]:
    """Yield answers of each route and kind."""
    operated.add_job()
    cookie = log_in(operated)
    for route in RIGHTS:
        yield send(route)
        yield send(route, RIGHT)
        yield send(route, {"x-csrf-token": csrf_of(cookie)}, cookie=cookie)
        yield send(route, basic("backend", CREDENTIALS["backend"]))
        yield send(route, {"sec-fetch-site": "cross-site"}, cookie=cookie)
        yield send(route, RIGHT, body=b"x" * 1_000_001)
        yield send(route, RIGHT, body=b"{")
        yield send(route, RIGHT, body=b"x", content_type="text/plain")
    yield send(JOBS, RIGHT, queryStringParameters={"limit": "0"})
    for method in ("OPTIONS", "HEAD", "PUT", "GET"):
        origin = {"origin": "https://evil.example", "access-control-request-method": "POST"}
        for path in ("/jobs", "/console", "/login", "/nothing", "/console/nothing", "/favicon.ico", "//"):
            yield answer(event(method, path, headers=origin))
            yield answer(event(method, path, headers=origin | RIGHT))
    change_secret("{")
    yield send(JOBS)
    yield send(("GET", "/console"))
    yield log_in_with("operator", "x")


def test_every_answer_has_the_security_headers(operated: Operated) -> None:
    statuses = set()
    for found in answers(operated):
        statuses.add(found.status)
        headers = found.headers
        parts = headers["content-security-policy"].split("; ")
        policy = dict(part.split(" ", 1) for part in parts)
        assert policy.pop("default-src") == policy.pop("base-uri") == "'none'"
        # No site may frame us, forms go only to us, and only our script file runs.
        assert policy.pop("frame-ancestors") == "'none'"
        assert set(policy.values()) == {"'self'"}
        assert int(headers["strict-transport-security"].removeprefix("max-age=")) >= 31_536_000
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["cross-origin-opener-policy"] == "same-origin"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        # No other website can read an answer.
        assert not [name for name in headers if name.startswith("access-control")]
        assert headers["content-type"].partition(";")[0] in (
            *("text/html", "text/css", "text/javascript", "application/json", "application/problem+json"),
        )

    assert statuses >= {200, 202, 303, 400, 401, 403, 404, 409, 413, 415, 422, 503}


def test_no_answer_with_content_may_be_cached(operated: Operated) -> None:
    for route in GUARDED:
        for headers in (RIGHT, {}):
            assert send(route, headers).headers["cache-control"] == "no-store"
    for path in ("/console.css", "/console.js"):
        found = send(("GET", path))
        assert "immutable" in found.headers["cache-control"]
        assert found.cookies == []


def test_no_preflight_allows_another_website(operated: Operated) -> None:
    """A preflight is answered like any unknown request."""
    for path in (path_of(path) for _, path in RIGHTS):
        asked = {"origin": "https://evil.example", "access-control-request-method": "POST"}
        found = answer(event("OPTIONS", path, headers=asked | {"host": "api.example"}))
        # The page of a mail's link accepts any origin, but has no such method.
        assert found.status in ((404,) if path == "/unsubscribe" else (403, 303)), path
        assert not [name for name in found.headers if name.startswith("access-control")]


def test_no_answer_names_the_software_behind_it(operated: Operated) -> None:
    for route in RIGHTS:
        found = send(route, RIGHT)
        assert not {"server", "x-powered-by", "via"} & set(found.headers)
        assert COOKIE not in found.body
