"""Attacks on rights: each route without its right, and unintended ways to reach a route."""

import ast
from copy import deepcopy
from inspect import getsource
from pathlib import Path
from typing import Any

import pytest

from operate import access, api
from tests.api import Answer, answer, basic, event
from tests.integration.operate.attacker import (
    GUARDED,
    PUBLIC,
    RIGHTS,
    change_secret,
    csrf_of,
    log_in,
    name_of,
    path_of,
    routes,
    send,
)
from tests.integration.operate.conftest import CREDENTIALS, SECRET, Operated

ALL_RIGHTS = ("publish", "read", "read-content", "operate")


def with_rights(*rights: str) -> dict[str, str]:
    """Add a credential with only these rights to the secret and return its header."""
    secret: dict[str, Any] = deepcopy(SECRET)
    secret["credentials"]["some"] = {"secret": "s" * 20, "rights": list(rights)}
    change_secret(secret)
    return basic("some", "s" * 20)


def nothing_has_happened(operated: Operated) -> None:
    """Check that nothing was changed, invoked or published."""
    assert operated.calls == []
    assert operated.mojodex.rows("SELECT * FROM md_background_audit") == []
    assert operated.job().state == "failed"
    assert all(operated.queued(process) == [] for process in operated.queue_urls)


# Each route.


def test_every_route_has_an_expected_right() -> None:
    """A new route fails this test until its right is listed."""
    assert routes() - set(RIGHTS) == set()
    assert {path for (_, path), right in RIGHTS.items() if right == PUBLIC} <= api.PUBLIC
    assert {path for _, path in routes()} >= api.PUBLIC


def test_every_guarded_route_checks_its_right_first() -> None:
    """The first middleware of each guarded route is made by `needs`."""
    app = api.app
    for route in [*app._static_routes, *app._dynamic_routes]:
        if route.path not in api.PUBLIC:
            assert route.middlewares, route.path
            assert route.middlewares[0].__qualname__ == access.needs("read").__qualname__


@pytest.mark.parametrize("route", GUARDED, ids=name_of)
def test_nobody_gets_anything_without_credentials(operated: Operated, route: tuple[str, str]) -> None:
    operated.add_job()

    for headers in ({}, {"authorization": ""}, {"cookie": "a=b"}, {"x-live": "1"}, {"x-csrf-token": "x"}):
        found = send(route, headers)
        assert found.status == 401 or found.headers["location"].endswith("login"), found
    nothing_has_happened(operated)


@pytest.mark.parametrize("route", GUARDED, ids=name_of)
def test_a_route_accepts_only_the_right_that_it_needs(operated: Operated, route: tuple[str, str]) -> None:
    operated.add_job()
    needed = RIGHTS[route]
    others = [right for right in ALL_RIGHTS if right != needed]

    for rights in ([], *([right] for right in others), others):
        found = send(route, with_rights(*rights))
        assert (found.status, f"lacks the right {needed}" in found.body) == (403, True), rights
    nothing_has_happened(operated)
    assert send(route, with_rights(needed)).status not in (401, 403)


@pytest.mark.parametrize("route", [route for route in GUARDED if RIGHTS[route] == "operate"], ids=name_of)
def test_the_session_of_a_reader_operates_nothing(operated: Operated, route: tuple[str, str]) -> None:
    """The session sends its own token, as if its pages had the buttons."""
    operated.add_job()
    cookie = log_in(operated, "reader")

    assert send(route, {"x-csrf-token": csrf_of(cookie)}, cookie=cookie).status == 403
    nothing_has_happened(operated)


def test_a_public_route_reveals_nothing(operated: Operated) -> None:
    operated.add_job(user_id="user-1", outcome={"reason": "a reason"})

    for method, path in [route for route, right in RIGHTS.items() if right == PUBLIC]:
        found = send((method, path))
        # The page of a mail's link needs a token.
        assert found.status in (200, 204, 400, 401, 404), path
        assert not any(word in found.body for word in ("user-1", "a reason", "operator", "mapping-of"))


def test_rights_are_not_kept_from_the_previous_request(operated: Operated) -> None:
    """The resolver keeps its context between requests of one execution environment."""
    assert operated.client.get("/jobs").status == 200
    # An error in the route must not keep the caller, either.
    assert operated.client.get("/jobs", after="x").status == 422
    assert operated.client.as_("backend").get("/jobs").status == 403
    assert operated.client.as_(None).get("/jobs").status == 401
    assert send(("GET", "/healthz")).status == 200
    assert "caller" not in api.app.context


def test_words_of_users_need_their_own_right(operated: Operated) -> None:
    words = "my doctor said so"
    outcome = {
        "reason": "the reason",
        "todos": [{"todo_pk": 1, "evidence": words}],
        "left_out": [{"description": words, "reason": "TOO_MANY"}],
        "answer": {"greeting": words, "lines": {"a": words, "b": [words, [words]]}},
        "about": words,
        "Reason": words,
        "a key of a later release": words,
    }
    job_id = operated.add_job(outcome=outcome, state="done", retry_message=None)
    with_words = with_rights("read", "read-content")
    pages = ("/jobs", "/jobs/" + job_id, "/console", "/console/jobs/" + job_id)

    assert words in answer(event("GET", f"/jobs/{job_id}", headers=with_words)).body
    assert words in answer(event("GET", f"/console/jobs/{job_id}", headers=with_words)).body
    # Lists never contain words.
    assert words not in answer(event("GET", "/jobs", headers=with_words)).body
    assert words not in answer(event("GET", "/console", headers=with_words)).body
    for rights in (["read"], ["read", "operate"], ["read", "operate", "publish"]):
        headers = with_rights(*rights)
        for path in pages:
            found = answer(event("GET", path, headers=headers))
            assert (found.status, words in found.body) == (200, False), path


def test_words_are_not_in_answers_about_a_website_or_user(operated: Operated) -> None:
    words = "my doctor said so"
    user_id = operated.mojodex.user(name=words, email="secret@example.com")
    job_id = operated.add_job(
        "create_from_website", f"{user_id} https://e.example/", "r", "done", user_id=user_id,
        outcome={"reason": "r", "found": 1, "waiting": 0, "summary": words},
    )  # fmt: skip

    for path in (f"/websites/{job_id}", f"/users/{user_id}/activity", "/jobs"):
        found = operated.client.get(path)
        assert found.status == 200
        assert words not in found.body
        assert "secret@example.com" not in found.body


def test_an_unknown_right_closes_the_api(operated: Operated) -> None:
    for right in ("admin", "READ", "*", "read "):
        assert send(("GET", "/jobs"), with_rights(right)).status == 503


# Methods.


@pytest.mark.parametrize(
    "name", ["X-HTTP-Method-Override", "X-Method-Override", "X-HTTP-Method", "_method", "X-Original-Method"]
)
def test_a_method_cannot_be_overridden(operated: Operated, name: str) -> None:
    operated.add_job()
    headers = basic("operator", CREDENTIALS["operator"]) | {name: "POST"}
    path = "/console/processes/events/pause"

    for query in ("", "_method=POST", "method=POST"):
        assert answer(event("GET", path, headers=headers, query=query)).status == 404
    nothing_has_happened(operated)


@pytest.mark.parametrize(
    "method", ["HEAD", "OPTIONS", "TRACE", "CONNECT", "PUT", "DELETE", "PATCH", "FOO", ""]
)
def test_other_methods_do_nothing(operated: Operated, method: str) -> None:
    operated.add_job()
    headers = basic("operator", CREDENTIALS["operator"])

    for path in {path_of(path) for _, path in RIGHTS}:
        found = answer(event(method, path, headers=headers))
        assert found.status == 404, path
        unknown = answer(event(method, path))
        assert unknown.status in (401, 404) or unknown.headers["location"].endswith("login"), path
    nothing_has_happened(operated)


def test_a_method_in_lower_case_is_guarded_like_any_other(operated: Operated) -> None:
    """The resolver accepts it, so any method except GET counts as a change."""
    operated.add_job()
    cookie = log_in(operated)

    for method in ("post", "Post", "pOST"):
        route = (method, "/console/jobs/<job_id>/retry")
        assert send(route, cookie=cookie).status == 403
        found = send(route, {"sec-fetch-site": "cross-site", "x-csrf-token": csrf_of(cookie)}, cookie=cookie)
        assert found.status == 403
    nothing_has_happened(operated)


def test_no_get_changes_anything(operated: Operated) -> None:
    """People and programs follow links without a token."""
    operated.add_job()
    cookie = log_in(operated)

    for route in [route for route in RIGHTS if route[0] == "GET"]:
        send(route, cookie=cookie)
        send(route, cookie=cookie, queryStringParameters={"confirm": "1", "process": "extract_todos"})
    nothing_has_happened(operated)


# Paths.

PATHS = (
    *("//console", "/console//", "/./console", "/console/.", "/console/../jobs", "/login/../console"),
    *("/healthz/../jobs", "/console.css/../console", "/console.css/console", "/login/console", "/%63onsole"),
    *("/%2e%2e/console", "/%2e%2e%2fconsole", "/console%2f..%2fjobs", "/login%2f..%2fconsole", "/console%00"),
    *(
        "/console.",
        "/console./",
        "/jobs.json",
        "/jobs.css",
        "/console;x=console.css",
        "/console%3b",
        "\\console",
    ),
    *("/console\\..\\jobs", "/login\0/../console", "/console?x", "/console#x", "/CONSOLE", "/Login/../jobs"),
    *("/healthz/", "/login/", "/login\n", "/healthz\n", "/\n", "/console.css\n", "/healthz ", " /healthz"),
    *(
        "/cons\u200bole",
        "/\uff4cogin",
        "/healthz\u2028",
        "console",
        "login",
        "",
        "https://evil.example/login",
    ),
    *("/$default/healthz", "/prod/healthz", "/jobs/..", "/jobs/../healthz", "/jobs/.%2e/healthz"),
)


def test_no_spelling_of_a_path_bypasses_the_check(operated: Operated) -> None:
    operated.add_job(user_id="user-1")

    for path in PATHS:
        for method in ("GET", "POST"):
            found = answer(event(method, path))
            assert found.status == 401 or found.headers["location"].endswith("login"), path
            assert "user-1" not in found.body, path


def test_the_stage_of_a_path_does_not_make_it_public(operated: Operated) -> None:
    """The resolver removes the stage, and the rest is not compared with the public paths."""
    for path in ("/login/console", "/healthz/jobs", "//jobs", "/console.css/jobs"):
        made = event("GET", path)
        made["requestContext"]["stage"] = path.split("/")[1]
        found = answer(made)
        assert found.status == 401 or found.headers["location"].endswith("login"), found


def test_no_path_redirects_to_another_host(operated: Operated) -> None:
    """The Location of an answer is relative and contains no input."""
    evil = {"host": "evil.example", "x-forwarded-host": "evil.example", "forwarded": "host=evil"}
    for path in (*PATHS, "/console/" + "../" * 50, "/console//evil.example/..", "/console/\r\nx: y"):
        for headers in ({}, evil):
            location = answer(event("GET", path, headers=headers)).headers.get("location", "login")
            assert set(location.removesuffix("login")) <= {".", "/"}, path
            assert not location.startswith("/"), path


def test_after_login_no_browser_is_redirected_to_another_host(operated: Operated) -> None:
    form = {"name": "operator", "secret": CREDENTIALS["operator"]}
    for name in ("next", "url", "redirect", "return_to", "continue"):
        for more in (form | {name: "https://evil.example"}, form | {name: "//evil.example"}):
            found: Answer = operated.client.as_(None).send("POST", "/login", form=more, **{name: "//evil"})
            assert (found.status, found.headers["location"]) == (303, "console")


# Rules for the code.


def test_secrets_are_only_compared_in_constant_time() -> None:
    """An unknown name takes the same steps: one look-up and one comparison of hashes."""
    tree = ast.parse(Path(access.__file__).read_text())
    check = next(n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name == "check_secret")
    calls = [ast.unparse(n.func) for n in ast.walk(check) if isinstance(n, ast.Call)]

    assert calls.count("hmac.compare_digest") == 1
    assert calls.count("_digest") == 2
    # No early return before the comparison.
    assert [type(step) for step in check.body][-1] is ast.Return
    assert not any(isinstance(n, ast.If | ast.Raise | ast.Try) for n in ast.walk(check))
    assert sum(isinstance(n, ast.Return) for n in ast.walk(check)) == 1
    compared = [n for n in ast.walk(tree) if isinstance(n, ast.Compare) and "secret" in ast.unparse(n.left)]
    assert compared == []


def test_an_unknown_name_takes_the_same_steps(operated: Operated, monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of comparisons is the same; the test does not measure time."""
    compared: list[tuple[int, int]] = []

    def compare(first: bytes, second: bytes) -> bool:
        compared.append((len(first), len(second)))
        return first == second

    monkeypatch.setattr(access.hmac, "compare_digest", compare)
    steps = []
    wrong = (("operator", "x" * 20), ("nobody", "x" * 20), ("n" * 5000, ""), ("operator", "x" * 5000))
    for name, secret in wrong:
        compared.clear()
        found = send(("GET", "/jobs"), basic(name, secret))
        steps.append((found.status, found.body, list(compared)))

    assert len({str(step) for step in steps}) == 1
    assert steps[0][2] == [(32, 32)]


def test_no_answer_allows_another_origin() -> None:
    assert "cors" not in getsource(api).lower()
    assert api.app._cors is None
    assert not api.app._debug
