"""Attacks by the content of requests: SQL, cursors, ids, headers and malformed bodies."""

import base64
import json
from typing import Any
from urllib.parse import urlencode

import boto3
import pytest
from itsdangerous import URLSafeSerializer

from mojodex import unsubscribing
from mojodex.clock import utc_now
from operate import environment
from operate.jobs.job_id import JobKey, parse_job_id
from tests.api import Answer, answer, basic, event
from tests.integration.operate.attacker import FORM, GUARDED, RIGHTS, csrf_of, log_in, path_of, send
from tests.integration.operate.conftest import CREDENTIALS, Operated

OPERATOR = basic("operator", CREDENTIALS["operator"])
# Answers must never quote these parts of Python, PostgreSQL, AWS and the secret.
LEAKS = (
    *("Traceback", 'File "', ".py", "site-packages", "sqlalchemy", "pg8000", "CROSS JOIN"),
    *("md_background", "botocore", "arn:aws", *CREDENTIALS.values(), "a-session-key", "LIMIT :most"),
)
SQL = (
    "'",
    "''",
    "' OR '1'='1",
    "'; DELETE FROM md_user; --",
    "x'; SELECT pg_sleep(20); --",
    "1) UNION SELECT version() --",
    "/* */ -- #",
    "$$; DROP TABLE md_user; $$",
    "\\'; --",
    "\\",
    "E'\\x41'",
    "%",
    "_",
    "%%%",
    "{conditions}",
    "{0}",
    ":most",
    "%(most)s",
    "$1",
    "\u02bc OR 1=1",
    "\uff07 OR 1=1 --",
    "\u202e\u0000".replace("\0", ""),
    "😀",
    "x" * 512,
)
# Text that PostgreSQL cannot store, or that is too long.
NOT_TEXT = ("\0", "a\0b", "x" * 513)
MOMENTS = (
    *("infinity", "-infinity", "now", "epoch", "NaN", "1e400", "0", "2026-13-01T00:00:00Z", "'; --", "\0"),
    *("0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2026-01-01T00:00:00", "x" * 600),
    *("2026-01-01T00:00:00+99:99", "10000-01-01T00:00:00Z", "2026-01-01T00:00:00Z'"),
)


def is_clean(found: Answer, *statuses: int) -> bool:
    """Check that an answer has one of these statuses and reveals nothing."""
    assert found.status in statuses, found
    assert not [leak for leak in LEAKS if leak in found.body + str(found.headers)], found
    return True


def cursor(*place: Any) -> str:
    """Make a cursor with this content."""
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode()


# SQL.


@pytest.mark.parametrize("name", ["user", "subject", "reason", "url", "process", "state"])
def test_no_filter_is_sql(operated: Operated, name: str) -> None:
    """Filters are searched literally, wildcards included, and the ledger stays the same."""
    operated.add_job(user_id="user-1")
    closed = name in ("process", "state")

    for text in SQL:
        found = operated.client.get("/jobs", **{name: text})
        is_clean(found, *((422,) if closed else (200,)))
        assert closed or found.json()["jobs"] == [], text
        page = operated.client.get("/console", **{name: text})
        is_clean(page, 422 if closed else 200)
    for text in NOT_TEXT:
        is_clean(operated.client.get("/jobs", **{name: text}), 422)
        # The console has no filter for subjects.
        is_clean(operated.client.get("/console", **{name: text}), 200 if name == "subject" else 422)
    assert operated.mojodex.run("SELECT count(*) FROM md_background_job") == 1


def test_text_that_looks_like_sql_can_be_found(operated: Operated) -> None:
    """Without this, the test above could pass because nothing is found at all."""
    for n, text in enumerate(SQL):
        operated.add_job(subject=text, occasion=str(n), user_id=text[:255], outcome={"reason": f"a {text} b"})

    for text in SQL:
        if len(text) < 255:
            jobs = operated.client.get("/jobs", user=text, limit=200).json()["jobs"]
            assert [job["user_id"] for job in jobs] == [text]
        assert len(operated.client.get("/jobs", subject=text).json()["jobs"]) == 1
    for wildcard in ("%%%", "_"):
        jobs = operated.client.get("/jobs", reason=wildcard).json()["jobs"]
        assert {job["subject"] for job in jobs} <= {text for text in SQL if wildcard in text}


@pytest.mark.parametrize("name", ["user", "reason"])
def test_no_filter_of_a_retry_is_sql(operated: Operated, name: str) -> None:
    job_id = operated.add_job(user_id="user-1", outcome={"reason": "a reason"})

    for text in SQL:
        found = operated.client.post("/jobs/retry", {name: text})
        assert (found.status, found.json()) == (200, {"matching": 0, "retried": 0}), text
        is_clean(operated.client.get("/console/retry", **{name: text}), 200)
    for text in NOT_TEXT:
        is_clean(operated.client.post("/jobs/retry", {name: text}), 422)
    is_clean(operated.client.post("/jobs/retry", {name: "\ud800"}), 422)
    assert operated.client.get(f"/jobs/{job_id}").json()["state"] == "failed"


def test_no_moment_is_sql_or_breaks_the_database(operated: Operated) -> None:
    for moment in MOMENTS:
        if not moment.isdecimal():
            is_clean(operated.client.get("/jobs", since=moment), 422)
            is_clean(operated.client.post("/jobs/retry", {"since": moment}), 422)
        is_clean(operated.client.get("/console/retry", since=moment), 422)
        is_clean(operated.client.send("POST", "/console/retry", form={"since": moment, "confirm": "0"}), 422)


def test_no_tampered_cursor_is_sql_or_breaks_the_database(operated: Operated) -> None:
    operated.add_job()
    now = "2026-01-01T00:00:00+00:00"
    tampered = [
        *(cursor(moment, "events", "s", "o") for moment in MOMENTS),
        *(cursor(now, "events", bad, "o") for bad in ("\ud800", "\0", None, 1, [], {}, True)),
        *(cursor(bad, "events", "s", "o") for bad in (None, 1, 1e308, [], {}, True)),
        *("", "x", "!", "\0", "ö", "%00", "=", "A", "AAAA=", "null", cursor(), cursor(now), cursor(*"abcde")),
        *(base64.urlsafe_b64encode(raw).decode() for raw in (b"\xff", b"{}", b"null", b"[", b"NaN")),
        *(base64.urlsafe_b64encode(b"[" * size).decode() for size in (100, 4000)),
        base64.urlsafe_b64encode(b"[" * 500_000).decode(),
    ]

    for after in tampered:
        for path in ("/jobs", "/console", "/users/{user}/activity"):
            user = operated.mojodex.user() if "{user}" in path else ""
            found = operated.client.get(path.format(user=user), after=after)
            # An empty cursor counts as none.
            is_clean(found, *((200, 422) if not after else (422,)))
    # A well-formed cursor is only a position.
    for text in SQL:
        is_clean(operated.client.get("/jobs", after=cursor(now, text, text, text)), 200)


def test_no_cursor_of_website_pages_is_sql(operated: Operated) -> None:
    job_id = operated.add_job("create_from_website", "u https://e.example/", "r", "done", user_id="u")

    for text in SQL:
        is_clean(operated.client.get(f"/websites/{job_id}", after=text), 200)
    for text in ("\0", "x" * 6001):
        is_clean(operated.client.get(f"/websites/{job_id}", after=text), 422)


def test_no_limit_exceeds_a_page(operated: Operated) -> None:
    for limit in ("0", "-1", "201", "1e9", "9" * 30, "9" * 5000, "1;", "0x10", "١", " ", "1,2", "inf"):
        is_clean(operated.client.get("/jobs", limit=limit), *((200, 422) if limit == "١" else (422,)))


def test_repeated_fields_and_lists_are_refused(operated: Operated) -> None:
    """API Gateway joins repeated values with commas."""
    operated.add_job(user_id="user-1")
    for query in ("state=failed&state=done", "process=events&process=events", "limit=1&limit=200"):
        name = query.partition("=")[0]
        joined = ",".join(part.partition("=")[2] for part in query.split("&"))
        made = event("GET", "/jobs", headers=OPERATOR, query=query)
        is_clean(answer(made | {"queryStringParameters": {name: joined}}), 422)
    for body in ({"user": ["user-1"]}, {"user": {"$ne": ""}}, {"process": ["events"]}, {"confirm": [1]}):
        is_clean(operated.client.post("/jobs/retry", body), 422)
    is_clean(operated.client.post("/jobs/retry", {"users": "user-1"}), 422)


def test_nobody_retries_more_than_they_have_confirmed(operated: Operated) -> None:
    """A misspelt filter matches everything, but its count differs."""
    for n in range(3):
        operated.add_job(subject=str(n))

    for confirm in (0, 1, 2, 4, 10**30):
        assert operated.client.post("/jobs/retry", {"confirm": confirm}).status == 409
    for confirm in ("", "x", "-1", "٣x", "3.0", "9" * 400, "9" * 5000):
        found = operated.client.send("POST", "/console/retry", form={"confirm": confirm})
        is_clean(found, 409, 422)
    assert all(job.state == "failed" for job in operated.mojodex.rows("SELECT state FROM md_background_job"))


# Ids.


IDS = (
    *("", ".", "..", "...", "extract_todos", "extract_todos.", ".MQ", "extract_todos.MQ."),
    *("extract_todos..MQ", "extract_todos.MQ==", "extract_todos.MQ=", "extract_todos.MR", "extract_todos.M"),
    *("extract_todos.MQMQ!", "extract_todos. MQ", "extract_todos.M Q", "extract_todos.MQ%3D"),
    *("EXTRACT_TODOS.MQ", "extract_todos.MQ.MQ.MQ", "no_process.MQ", "extract_todos.\u041cQ"),
    # NUL bytes or invalid UTF-8: truncated, half a surrogate pair, overlong.
    *("extract_todos.AA", "extract_todos.gA", "extract_todos.7aCA", "extract_todos.wIA"),
    *("extract_todos.//8", "extract_todos.__8", "extract_todos.+w", "__class__.MQ", "extract_todos'.MQ"),
    *("extract_todos.JzsgLS0" + "x" * 20_000, "../../etc/passwd", "%2e%2e"),
)


def test_a_job_has_exactly_one_id(operated: Operated) -> None:
    """With a second id, a blocked job could still be reached."""
    operated.add_job()
    assert operated.client.get("/jobs/extract_todos.MQ").status == 200

    for job_id in IDS:
        for method, path in (
            ("GET", f"/jobs/{job_id}"),
            ("GET", f"/websites/{job_id}"),
            ("GET", f"/console/jobs/{job_id}"),
            ("POST", f"/jobs/{job_id}/retry"),
            ("POST", f"/jobs/{job_id}/cancel"),
            ("POST", f"/console/jobs/{job_id}/retry"),
        ):
            found = answer(event(method, path, headers=OPERATOR))
            is_clean(found, 404)
    assert operated.mojodex.rows("SELECT * FROM md_background_audit") == []


def test_an_id_can_contain_text_that_looks_like_sql(operated: Operated) -> None:
    for text in SQL:
        job_id = JobKey("update_document", text, text).job_id
        assert parse_job_id(job_id) == ("update_document", text, text)
        is_clean(operated.client.get(f"/jobs/{job_id}"), 404)
        is_clean(operated.client.send("POST", f"/jobs/{job_id}/cancel"), 404)
        is_clean(operated.client.get(f"/users/{text.replace('/', '')}/activity"), 404)


def test_a_very_long_id_is_not_found(operated: Operated) -> None:
    for size in (1_000, 100_000):
        job_id = JobKey("events", "x" * size, "").job_id
        is_clean(operated.client.get(f"/jobs/{job_id}"), 404)
        is_clean(operated.client.get(f"/users/{'x' * size}/activity"), 404)


def test_an_unknown_process_is_refused(operated: Operated) -> None:
    for name in (
        "x",
        "Events",
        "events\n",
        "events;",
        "*",
        "..",
        "events%00",
        "purge",
        "redrive",
        "x" * 9000,
    ):
        for path in (f"/processes/{name}/pause", f"/console/processes/{name}/pause"):
            is_clean(answer(event("POST", path, headers=OPERATOR)), 404, 422)
    is_clean(answer(event("POST", "/console/processes/events/delete", headers=OPERATOR)), 404)
    assert operated.calls == []


# Headers.

CR_LF = "x\r\nSet-Cookie: a=b\r\n\r\n<script>alert(1)</script>"


def test_no_input_becomes_a_header(operated: Operated) -> None:
    """Ids, filters, forms, cookies, headers and paths contain CR LF."""
    cookie = log_in(operated)
    job_id = operated.add_job(
        "events", f"todo_daily_emails:{CR_LF}", CR_LF, user_id=CR_LF, outcome={"reason": CR_LF}
    )
    token = {"x-csrf-token": csrf_of(cookie)}
    found = [
        operated.client.get(f"/jobs/{job_id}"),
        operated.client.get(f"/console/jobs/{job_id}"),
        operated.client.send("POST", f"/console/jobs/{job_id}/retry"),
        operated.client.get("/console", user=CR_LF, reason=CR_LF),
        operated.client.get("/jobs", after=CR_LF),
        operated.client.as_(None).send("POST", "/login", form={"name": CR_LF, "secret": CR_LF}),
        answer(event("GET", f"/console/{CR_LF}")),
        answer(event("GET", f"/console/{CR_LF}", headers=OPERATOR)),
        answer(event("GET", "/console", headers={"authorization": CR_LF})),
        answer(event("GET", "/console", headers={"origin": CR_LF, "host": CR_LF, "accept": CR_LF})),
        send(("GET", "/console"), token, cookie=cookie + CR_LF),
        send(("GET", "/console"), token, cookies=[f"{CR_LF}={CR_LF}", f"a={CR_LF}"]),
    ]

    for each in found:
        assert each.status < 500, each
        for text in (*each.headers, *each.headers.values(), *each.cookies):
            assert not set("\r\n") & set(text), each
            assert "a=b" not in text, each
        if "html" in each.headers["content-type"]:
            assert "<script>alert" not in each.body, each


# Bodies.


def test_a_huge_body_is_refused_by_its_size(operated: Operated) -> None:
    """It is refused before any look-up, even without credentials."""
    for route in [route for route in RIGHTS if route[0] == "POST"]:
        for body in (b"x" * 1_000_001, "\u20ac".encode() * 400_000):
            for headers in ({}, OPERATOR):
                found = send(route, headers, body=body)
                is_clean(found, 413)
        assert send(route, body=b"x" * 900_000).status != 413


@pytest.mark.parametrize("route", [route for route in GUARDED if route[0] == "POST"], ids=" ".join)
def test_no_body_breaks_a_route(operated: Operated, route: tuple[str, str]) -> None:
    operated.add_job()
    bodies = (
        b"",
        b"[" * 400_000,
        b'{"a":' * 100_000,
        b"[" * 900 + b"]" * 900,
        b"{",
        b"nul",
        b"null",
        b"[]",
        b'"datetime"',
        b"1",
        b"9" * 5000,
        b"1e999",
        b"NaN",
        b"\xff\xfe\x00",
        b"\xed\xa0\x80",
        b'{"datetime": "\\ud800", "user_id": "\\ud800", "user": "\\ud800"}',
        b'{"datetime": 1, "datetime": 2, "confirm": 1, "confirm": 0}',
        b'{"__proto__": {"confirm": 0}, "constructor": 1}',
        b'{"confirm": -1}',
        b'{"confirm": 1e999}',
        b'{"confirm": true}',
        b"csrf=x&csrf=y&confirm=1&confirm=x",
        b"%00=%00&confirm=%FF",
        b"&" * 400_000,
    )
    kinds = (
        *("application/json", "application/json; charset=utf-16", "application/json-patch+json", FORM),
        *("text/plain", "text/xml", "", "x" * 99, "multipart/form-data", "multipart/form-data; boundary=x"),
    )
    cases = [(body, "application/json") for body in bodies]
    cases += [(body, kind) for body in bodies[4:12:3] for kind in kinds] + [
        (bodies[-1], FORM),
        (bodies[-2], FORM),
    ]

    for body, kind in cases:
        found = send(route, OPERATOR, body=body, content_type=kind)
        assert found.status < 500, (body[:30], kind, found)
        is_clean(found, found.status)
    jobs = operated.mojodex.rows("SELECT state FROM md_background_job")
    assert all(job.state in ("failed", "queued") for job in jobs)


def test_a_body_in_base64_is_decoded_first(operated: Operated) -> None:
    cookie = log_in(operated)
    token = csrf_of(cookie)

    def post(body: str) -> Answer:
        made = event(
            "POST", "/logout", headers={"content-type": FORM, "cookie": f"__Host-mojodex-session={cookie}"}
        )
        return answer(made | {"body": body, "isBase64Encoded": True})

    for body in ("!", "A", "AAAAA", "\xff", "=", "A=B", "csrf"):
        is_clean(post(body), 400, 403)
    # A body that is not encoded has no valid token.
    is_clean(post(urlencode({"csrf": token})), 400, 403)
    assert post(base64.b64encode(urlencode({"csrf": token}).encode()).decode()).status == 303


FIELDS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("/create_document_from_website", {"user_id": "a\0b"}),
    ("/create_document_from_website", {"user_id": "\ud800"}),
    ("/create_document_from_website", {"user_id": ["a"]}),
    ("/create_document_from_website", {"user_id": True}),
    ("/create_document_from_website", {"user_id": {}}),
    ("/create_document_from_website", {"website_url": "https://e.example/\0"}),
    ("/create_document_from_website", {"website_url": ["https://e.example"]}),
    ("/create_document_from_website", {"website_url": None}),
    ("/update_document", {"user_id": "a\0b"}),
    ("/update_document", {"user_id": "\ud800"}),
    ("/update_document", {"user_id": "' OR 1=1 --"}),
    ("/update_document", {"document_pk": "1 OR 1=1"}),
    ("/update_document", {"document_pk": "9" * 5000}),
    ("/update_document", {"document_pk": 2**63}),
    ("/update_document", {"document_pk": -1}),
    ("/update_document", {"document_pk": 1.5}),
    ("/update_document", {"document_pk": [1]}),
    ("/events_generation", {"event_type": "'; --"}),
    ("/events_generation", {"event_type": {"x": "<script>"}}),
    ("/events_generation", {"n_events": float("inf")}),
    ("/events_generation", {"n_events": float("nan")}),
    ("/events_generation", {"n_events": "9" * 5000}),
    ("/events_generation", {"n_events": [1]}),
    ("/events_generation", {"offset": -1}),
    ("/events_generation", {"offset": float("inf")}),
)


def test_no_field_of_a_backends_request_breaks_a_route(operated: Operated) -> None:
    good = {"datetime": "x", "user_id": "u", "document_pk": 1, "website_url": "https://e.example"}
    for path, bad in FIELDS:
        body = json.dumps(good | {"event_type": "todo_daily_emails"} | bad).encode()
        found = send(("POST", path), OPERATOR, body=body)
        assert is_clean(found, 400, 404), (path, bad)
        assert set(found.json()) == {"error"}
        assert found.headers["content-type"] == "application/json"
    assert operated.queued("create_from_website") == operated.queued("update_document") == []


def test_only_the_author_of_a_document_updates_it(operated: Operated) -> None:
    author, other = operated.mojodex.user(), operated.mojodex.user()
    pk = operated.mojodex.run(
        "INSERT INTO md_document (name, author_user_id, creation_date, document_type)"
        " VALUES ('Notes', :u, now(), 'learned_by_mojo') RETURNING document_pk",
        u=author,
    )

    for user_id in (other, "", f"{author}' OR '1'='1", author.upper()):
        body = {"datetime": "x", "user_id": user_id, "document_pk": pk, "edition": "x"}
        assert operated.client.as_("backend").post("/update_document", body).status == 404
    assert operated.queued("update_document") == []


def test_an_internal_error_reveals_nothing(operated: Operated, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_args: object, **_more: object) -> None:
        raise RuntimeError("SELECT words FROM md_background_job -- operators-secret-0123456789")

    for name in (
        "jobs.listing.find",
        "jobs.retry.matching",
        "front_door.queues.publish",
        "jobs.cancel.cancel",
    ):
        monkeypatch.setattr(f"operate.{name}", broken)
    monkeypatch.setattr("operate.jobs.routes.cancel", broken)
    job_id = operated.add_job()
    website = {"datetime": "x", "user_id": "u", "website_url": "https://e.example"}
    found = [
        operated.client.get("/jobs"),
        operated.client.get("/console"),
        operated.client.get("/console/retry"),
        operated.client.send("POST", f"/jobs/{job_id}/cancel"),
        operated.client.post("/create_document_from_website", website),
    ]
    # The same for an error before a route is found.
    monkeypatch.setattr("operate.access.basic", broken)
    found += [operated.client.get(path_of(path)) for method, path in GUARDED if method == "GET"]

    for each in found:
        assert is_clean(each, 500)
        assert "words" not in each.body


# The link in a mail.


def test_no_link_unsubscribes_another_user(operated: Operated, monkeypatch: pytest.MonkeyPatch) -> None:
    """The token is the only credential, so nobody can make or change one, or use it for anything else."""
    key, event_type = "a-key-that-signs-links", "todo_daily_emails"
    secret = json.dumps({"signing_keys": [key]})
    boto3.client("secretsmanager").create_secret(Name="unsubscribe", SecretString=secret)
    settings = operated.settings.model_copy(update={"unsubscribe_secret_arn": "unsubscribe"})
    monkeypatch.setattr(environment, "settings", settings)
    user_id = operated.mojodex.user()
    token = unsubscribing.make_token([key], user_id, event_type)
    unknown = unsubscribing.make_token([key], "somebody else", event_type).text
    with environment.database.session() as session:
        unsubscribing.remember(session, token.id, user_id, event_type, utc_now())
        session.commit()
    external = URLSafeSerializer(key, salt="unsubscribe").dumps(
        {"user_id": user_id, "event_type": event_type}
    )
    forged = (
        *(
            token.id,
            f"{token.id}.",
            token.text[:-1],
            token.text + "A",
            f" {token.text}",
            token.text.swapcase(),
        ),
        *(unsubscribing.make_token(["another-key"], user_id, event_type).text, unknown, external, user_id),
        *SQL,
        *("\0", "\ud800", "x" * 100_000, f"{token.text},{token.text}"),
    )

    for bad in forged:
        for method in ("GET", "POST"):
            made = event(
                method, "/unsubscribe", headers={"content-type": FORM}, body=b"List-Unsubscribe=One-Click"
            )
            found = answer(made | {"queryStringParameters": {"token": bad}})
            is_clean(found, 400)
            assert user_id not in found.body
    wants = "SELECT todo_email_reception FROM md_user WHERE user_id = :u"
    assert is_clean(answer(event("GET", "/unsubscribe", query=f"token={token.text}")), 200)
    assert operated.mojodex.run(wants, u=user_id) is True
    for body in ("A", "AAAAA"):
        made = event("POST", "/unsubscribe", headers={"content-type": FORM}, body=b"x")
        broken = {"queryStringParameters": {"token": token.text}, "body": body, "isBase64Encoded": True}
        is_clean(answer(made | broken), 400)
