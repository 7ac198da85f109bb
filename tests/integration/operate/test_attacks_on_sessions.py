"""Attacks on a browser's session: its cookie, its end, and requests that other websites cause."""

from datetime import timedelta

import pytest
import time_machine
from itsdangerous import URLSafeSerializer, URLSafeTimedSerializer

from mojodex.clock import utc_now
from operate import access
from tests.api import answer, basic, event
from tests.integration.operate.attacker import (
    CHANGING,
    COOKIE,
    FORM,
    OF_A_SESSION,
    change_secret,
    changed,
    cookie_of,
    csrf_of,
    is_let_in,
    log_in,
    minted,
    name_of,
    send,
)
from tests.integration.operate.conftest import CREDENTIALS, SECRET, Operated

(KEY,) = SECRET["session_keys"]
OTHER_KEY = "another-session-key-of-twenty"
FIRST_PAGE = ("GET", "/console")
PAUSE = ("POST", "/console/processes/<name>/<change>")


def content_of(cookie: str) -> object:
    """Return the content of a cookie, with any signature."""
    return URLSafeTimedSerializer(KEY, salt="session").loads_unsafe(cookie)[1]


# Cookies that the API has not made.


def test_a_cookie_of_the_api_opens_the_console(operated: Operated) -> None:
    """If this fails, the tests below prove nothing."""
    assert is_let_in(minted())
    assert is_let_in(log_in(operated))


FORGED = (
    "",
    "null",
    "operator",
    "e30.e30.e30",
    ".",
    "..",
    "." * 4000,
    "\ud800",
    "ö.ö.ö",
    "\0",
    "%00",
    "x" * 100_000,
    URLSafeTimedSerializer("x" * 20, salt="session").dumps({"name": "operator"}),
    # The signature is checked before the content is unpacked.
    ".eJw" + "A" * 4000 + ".x.x",
)


def test_a_forged_cookie_opens_nothing(operated: Operated) -> None:
    for forged in FORGED:
        assert not is_let_in(forged), forged[:40]


def test_no_byte_of_a_cookie_can_be_changed(operated: Operated) -> None:
    cookie = minted()

    for place in range(0, len(cookie), 7):
        other = "A" if cookie[place] != "A" else "B"
        assert not is_let_in(cookie[:place] + other + cookie[place + 1 :]), place


def test_a_truncated_cookie_opens_nothing(operated: Operated) -> None:
    cookie = minted()
    payload, signed_at, signature = cookie.rsplit(".", 2)

    for part in (
        cookie[:-1],
        cookie[:-10],
        payload,
        f"{payload}.{signed_at}",
        f"{payload}.{signature}",
        f"{payload}.{signed_at}.",
        f"{payload}..{signature}",
        f".{signed_at}.{signature}",
    ):
        assert not is_let_in(part), part


def test_a_cookie_signed_with_another_key_opens_nothing(operated: Operated) -> None:
    assert not is_let_in(minted(keys=[OTHER_KEY]))


def test_a_cookie_signed_with_another_salt_opens_nothing(operated: Operated) -> None:
    content = content_of(minted())

    for salt in ("csrf", "unsubscribe", "itsdangerous", "Session", ""):
        assert not is_let_in(URLSafeTimedSerializer(KEY, salt=salt).dumps(content)), salt
    assert not is_let_in(URLSafeSerializer(KEY, salt="session").dumps(content))


def test_a_csrf_token_is_not_a_cookie_and_a_cookie_is_not_a_token(operated: Operated) -> None:
    cookie = log_in(operated)
    token = csrf_of(cookie)

    assert not is_let_in(token)
    assert send(PAUSE, {"x-csrf-token": cookie}, cookie=cookie).status == 403


def test_a_key_that_is_not_in_the_secret_is_not_trusted(operated: Operated) -> None:
    """Only the secret's keys count, and not a key that a cookie brings."""
    content = content_of(minted())

    assert not is_let_in(URLSafeTimedSerializer([OTHER_KEY, "x" * 20], salt="session").dumps(content))


def test_only_the_exact_name_of_a_cookie_counts(operated: Operated) -> None:
    """Any site of our domain can set such a cookie, as its name does not exactly begin with __Host-."""
    cookie = minted()
    spaces = ("\t", "\x0b", "\x85", "\xa0", "\u2000", "\u3000")
    names = [COOKIE.upper(), COOKIE.removeprefix("__Host-")]

    for name in names + [f"{space}{COOKIE}" for space in spaces] + [f"{COOKIE}{space}" for space in spaces]:
        assert send(FIRST_PAGE, cookies=[f"{name}={cookie}"]).status == 303, name
        # The local emulator passes cookies in this form.
        in_header = {"headers": {"cookie": f"a=b;{name}={cookie}"}}
        assert answer(event("GET", "/console") | in_header).status == 303, name
    assert send(FIRST_PAGE, cookies=[f"={COOKIE}={cookie}"]).status == 303


def test_a_cookie_is_sent_over_tls_only_and_no_script_reads_it(operated: Operated) -> None:
    form = {"name": "operator", "secret": CREDENTIALS["operator"]}
    (cookie,) = operated.client.as_(None).send("POST", "/login", form=form).cookies

    name, _, rest = cookie.partition("=")
    attributes = rest.split("; ")[1:]
    assert name.startswith("__Host-")
    assert sorted(attributes) == ["HttpOnly", "Max-Age=3600", "Path=/", "SameSite=Strict", "Secure"]


def test_each_login_begins_a_new_session(operated: Operated) -> None:
    """Session fixation is impossible: a cookie that is sent with a login is not used."""
    planted = minted()
    begun = log_in(operated, headers={"cookie": f"{COOKIE}={planted}"})

    assert content_of(begun) != content_of(planted)
    assert csrf_of(begun) != csrf_of(planted) != csrf_of(log_in(operated))


# The end of sessions.


def test_a_cookie_is_refused_an_hour_later(operated: Operated) -> None:
    now = utc_now()
    with time_machine.travel(now, tick=False):
        cookie = log_in(operated)

    for minutes, taken in ((59, True), (61, False)):
        with time_machine.travel(now + timedelta(minutes=minutes), tick=False):
            assert is_let_in(cookie) == taken


def test_a_cookie_from_the_future_is_refused(operated: Operated) -> None:
    with time_machine.travel(utc_now() + timedelta(minutes=10), tick=False):
        cookie = minted()

    assert not is_let_in(cookie)


def test_a_session_ends_after_twelve_hours_however_it_is_used(operated: Operated) -> None:
    now = utc_now()
    with time_machine.travel(now, tick=False):
        cookie = log_in(operated)

    for minutes in range(50, 12 * 60, 50):
        with time_machine.travel(now + timedelta(minutes=minutes), tick=False):
            page = send(FIRST_PAGE, cookie=cookie)
            assert page.status == 200, minutes
            cookie = cookie_of(page)

    with time_machine.travel(now + timedelta(hours=12, seconds=1), tick=False):
        assert not is_let_in(cookie)


def test_a_renewed_cookie_does_not_prolong_its_session(operated: Operated) -> None:
    now = utc_now()
    with time_machine.travel(now, tick=False):
        cookie = log_in(operated)
    with time_machine.travel(now + timedelta(minutes=30), tick=False):
        renewed = cookie_of(send(FIRST_PAGE, cookie=cookie))

    assert renewed != cookie
    assert content_of(renewed) == content_of(cookie)


def test_automatic_requests_of_a_page_keep_no_session_alive(operated: Operated) -> None:
    now = utc_now()
    with time_machine.travel(now, tick=False):
        cookie = log_in(operated)

    with time_machine.travel(now + timedelta(minutes=30), tick=False):
        assert send(FIRST_PAGE, {"x-live": "1"}, cookie=cookie).cookies == []
        assert send(FIRST_PAGE, cookie=cookie).cookies


def test_a_refused_request_renews_no_cookie(operated: Operated) -> None:
    now = utc_now()
    with time_machine.travel(now, tick=False):
        cookie = log_in(operated)

    with time_machine.travel(now + timedelta(minutes=30), tick=False):
        found = send(PAUSE, {"x-csrf-token": "wrong"}, cookie=cookie)
        assert (found.status, found.cookies) == (403, [])


def test_logging_out_removes_the_cookie_even_when_it_would_be_renewed(operated: Operated) -> None:
    now = utc_now()
    with time_machine.travel(now, tick=False):
        cookie = log_in(operated)
        token = csrf_of(cookie)

    for minutes in (1, 30):
        with time_machine.travel(now + timedelta(minutes=minutes), tick=False):
            found = send(("POST", "/logout"), {"x-csrf-token": token}, cookie=cookie)
            (last,) = found.cookies
            assert last.startswith(f"{COOKIE}=; ")
            assert "Max-Age=0" in last


def test_the_session_of_a_removed_credential_ends(operated: Operated) -> None:
    cookie = log_in(operated)
    change_secret(changed("credentials", operator=None))

    assert not is_let_in(cookie)


def test_the_session_of_a_changed_secret_ends(operated: Operated) -> None:
    cookie = log_in(operated)
    rights = SECRET["credentials"]["operator"]["rights"]
    change_secret(changed("credentials", operator={"secret": "x" * 20, "rights": rights}))

    assert not is_let_in(cookie)


def test_a_session_has_the_current_rights_of_its_credential(operated: Operated) -> None:
    cookie = log_in(operated)
    token = csrf_of(cookie)
    change_secret(changed("credentials", "operator", rights=["read"]))

    assert is_let_in(cookie)
    assert send(PAUSE, {"x-csrf-token": token}, cookie=cookie).status == 403


def test_a_removed_key_ends_its_sessions_and_an_older_one_does_not_sign(operated: Operated) -> None:
    cookie = log_in(operated)
    change_secret(changed(session_keys=[KEY, OTHER_KEY]))
    newer = log_in(operated)
    assert is_let_in(cookie)

    change_secret(changed(session_keys=[OTHER_KEY]))

    assert not is_let_in(cookie)
    assert is_let_in(newer)


# Requests that another website causes.


@pytest.mark.parametrize("route", OF_A_SESSION, ids=name_of)
def test_a_session_changes_nothing_without_its_own_token(operated: Operated, route: tuple[str, str]) -> None:
    cookie = log_in(operated)
    other_session = csrf_of(log_in(operated))
    session_id = content_of(cookie)["id"]
    other_key = URLSafeSerializer(OTHER_KEY, salt="csrf").dumps(session_id)
    other_salt = URLSafeSerializer(KEY, salt="session").dumps(session_id)
    unsigned = URLSafeSerializer(KEY, salt="csrf").dump_payload(session_id).decode()

    for token in ("", "x", session_id, "\ud800", other_session, other_key, other_salt, unsigned):
        found = send(route, {"x-csrf-token": token}, cookie=cookie)
        assert (found.status, "does not belong to this session" in found.body) == (403, True), token
    body = f"csrf={other_session}".encode()
    assert send(route, body=body, content_type=FORM, cookie=cookie).status == 403
    assert send(route, cookie=cookie, queryStringParameters={"csrf": csrf_of(cookie)}).status == 403
    # With the token, the request passes this check.
    assert send(route, {"x-csrf-token": csrf_of(cookie)}, cookie=cookie).status not in (401, 403)


@pytest.mark.parametrize("route", CHANGING, ids=name_of)
def test_another_website_can_change_nothing(operated: Operated, route: tuple[str, str]) -> None:
    """A session with its token is refused, and so are remembered HTTP Basic credentials."""
    cookie = log_in(operated)
    credentials = (
        ({"x-csrf-token": csrf_of(cookie)}, cookie),
        (basic("operator", CREDENTIALS["operator"]), None),
        ({}, None),
    )
    ours = {"host": "api.example.com", "origin": "https://api.example.com"}
    of_others = (
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": ""},
        {"sec-fetch-site": "same-origin, cross-site"},
        {**ours, "sec-fetch-site": "cross-site"},
        # Old browsers send only an origin.
        {**ours, "origin": "https://evil.example.com"},
        {**ours, "origin": "https://api.example.com.evil.example"},
        {**ours, "origin": "https://api.example.com:8443"},
        {**ours, "origin": "null"},
        {**ours, "origin": ""},
    )

    for headers, its_cookie in credentials:
        for more in of_others:
            found = send(route, {**headers, **more}, cookie=its_cookie)
            assert (found.status, "Another website" in found.body) == (403, True), more
    assert operated.calls == []
    assert operated.mojodex.rows("SELECT * FROM md_background_audit") == []


@pytest.mark.parametrize("headers", [{}, {"sec-fetch-site": "same-origin"}, {"sec-fetch-site": "none"}])
def test_requests_of_our_own_pages_and_of_programs_are_accepted(
    operated: Operated, headers: dict[str, str]
) -> None:
    ours = {"host": "api.example.com", "origin": "https://api.example.com"}

    for more in ({}, ours):
        sent = {**basic("operator", CREDENTIALS["operator"]), **headers, **more}
        assert send(PAUSE, sent).status == 303


def test_nobody_is_logged_in_by_another_website(operated: Operated) -> None:
    """Login CSRF: the victim would work in the attacker's session."""
    form = {"name": "operator", "secret": CREDENTIALS["operator"]}

    for headers in (
        {"sec-fetch-site": "cross-site"},
        {"origin": "https://evil.example", "host": "a.example"},
    ):
        found = operated.client.as_(None).send("POST", "/login", form=form, headers=headers)
        assert (found.status, found.cookies) == (403, [])


def test_a_cookie_does_not_help_beside_wrong_basic_credentials(operated: Operated) -> None:
    cookie = log_in(operated)

    assert send(("GET", "/jobs"), basic("operator", "x" * 20), cookie=cookie).status == 401


def test_a_token_serves_only_its_session(operated: Operated) -> None:
    """Two logged-in people cannot use each other's token."""
    first, second = log_in(operated), log_in(operated, "reader")

    assert send(("POST", "/logout"), {"x-csrf-token": csrf_of(first)}, cookie=second).status == 403
    assert send(("POST", "/logout"), {"x-csrf-token": csrf_of(second)}, cookie=second).status == 303


def test_a_credential_without_read_gets_no_session(operated: Operated) -> None:
    form = {"name": "backend", "secret": CREDENTIALS["backend"]}
    found = operated.client.as_(None).send("POST", "/login", form=form)

    assert (found.status, found.cookies) == (403, [])


def test_the_duration_of_a_session_is_limited() -> None:
    assert access.SESSION_SECONDS <= 3600
    assert access.LONGEST_SESSION_SECONDS <= 12 * 3600
