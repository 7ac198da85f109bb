"""The unsubscribe page: by hand, by a mail client's button, and subscribing again."""

import re
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine
from playwright.sync_api import Browser, Page, Route

from mojodex import unsubscribing
from mojodex.database import Database
from operate import unsubscribe
from operate.unsubscribe.words import ENGLISH, FRENCH, WORDS
from tests.browser import launched_browser
from tests.fake_model import FakeModel, Reply
from tests.fake_ses import FakeSes
from tests.integration.conftest import Bundle
from tests.mails import check_mail
from tests.mojodex import Mojodex

NOW = datetime(2026, 12, 1, 8, 30, tzinfo=UTC)
KEYS = ["old", "new"]
EVENT = "todo_daily_emails"
ONE_CLICK = "List-Unsubscribe=One-Click"
# The headers that the API sends with each page.
CSP = "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"


@pytest.fixture
def users(make_bundle: Callable[..., Bundle]) -> Database:
    return make_bundle("mail_feedback").database


@pytest.fixture
def token_of(users: Database) -> Callable[..., str]:
    """Make and save a user's token, as the worker of events does."""

    def make(user_id: str, keys: list[str] = KEYS) -> str:
        token = unsubscribing.make_token(keys, user_id, EVENT)
        with users.session() as session:
            unsubscribing.remember(session, token.id, user_id, EVENT, NOW)
            unsubscribing.remember(session, token.id, user_id, EVENT, NOW)
            session.commit()
        return token.text

    return make


def wants(mojodex: Mojodex, user_id: str) -> bool:
    return bool(mojodex.run("SELECT todo_email_reception FROM md_user WHERE user_id = :u", u=user_id))


def test_opening_the_page_changes_nothing(
    users: Database, mojodex: Mojodex, token_of: Callable[..., str]
) -> None:
    user_id = mojodex.user()

    for _ in range(2):
        status, html = unsubscribe.page(token_of(user_id), users, KEYS)

    assert status == 200
    assert ENGLISH.question in html
    assert html.count("<button") == 1
    assert wants(mojodex, user_id)


@pytest.mark.parametrize("body", [ONE_CLICK, "mails=end", "", "anything", "mails=", "x" * 10_000, "%zz=\0"])
def test_any_post_unsubscribes_and_a_second_one_changes_nothing(
    users: Database, mojodex: Mojodex, token_of: Callable[..., str], body: str
) -> None:
    user_id, other = mojodex.user(), mojodex.user()
    token = token_of(user_id)

    answers = [unsubscribe.submit(token, body, users, KEYS) for _ in range(2)]

    assert answers[0] == answers[1]
    assert answers[0].status == 200
    assert ENGLISH.ended in answers[0].html
    assert ENGLISH.start in answers[0].html
    assert not wants(mojodex, user_id)
    assert wants(mojodex, other)
    # The page then shows the current state.
    assert ENGLISH.ended in unsubscribe.page(token, users, KEYS).html


def test_a_user_can_subscribe_again(users: Database, mojodex: Mojodex, token_of: Callable[..., str]) -> None:
    user_id = mojodex.user(wants_email=False)
    token = token_of(user_id)

    answers = [unsubscribe.submit(token, "mails=again", users, KEYS) for _ in range(2)]

    assert answers[0] == answers[1]
    assert ENGLISH.started in answers[0].html
    assert wants(mojodex, user_id)


def test_a_link_of_an_old_key_works_while_the_secret_holds_the_key(
    users: Database, mojodex: Mojodex, token_of: Callable[..., str]
) -> None:
    user_id = mojodex.user()
    old, new = token_of(user_id, ["old"]), token_of(user_id)

    assert old != new
    assert [unsubscribe.page(token, users, KEYS).status for token in (old, new)] == [200, 200]
    assert unsubscribe.page(old, users, ["new"]).status == 400


def test_every_invalid_link_gets_the_same_page_and_changes_nothing(
    users: Database, mojodex: Mojodex, token_of: Callable[..., str]
) -> None:
    user_id = mojodex.user()
    token = token_of(user_id)
    token_id, _, signature = token.partition(".")
    mojodex.run(
        "INSERT INTO md_background_mail_token VALUES (:t, :u, 'another_event', now())",
        t=unsubscribing.make_token(KEYS, user_id, "another_event").id,
        u=user_id,
    )
    for_others = f"{token_of(mojodex.user()).partition('.')[0]}.{signature}"
    not_valid = [
        *(
            "",
            ".",
            "nonsense",
            "é\ud800",
            "\0",
            "t" * 100_000,
            f"{token}x",
            token[:-1],
            token_id,
            f".{signature}",
        ),
        *(f"{token} ", f"{token_id}.", f"{token}.{signature}", user_id, for_others),
        unsubscribing.make_token(["somebody's"], user_id, EVENT).text,
        # Signed but never saved; of a deleted user; of another kind of mail.
        unsubscribing.make_token(KEYS, "nobody", EVENT).text,
        token_of("gone"),
        unsubscribing.make_token(KEYS, user_id, "another_event").text,
    ]

    looked = {unsubscribe.page(each, users, KEYS) for each in not_valid}
    posted = {unsubscribe.submit(each, ONE_CLICK, users, KEYS) for each in not_valid}

    (answer,) = looked | posted
    assert answer.status == 400
    assert all(words.not_valid in answer.html for words in WORDS.values())
    assert wants(mojodex, user_id)


@pytest.mark.parametrize(
    ("language", "heard"),
    [("fr", "fr"), ("de-AT", "de"), ("es", "es"), ("ja", "en"), (None, "en"), ("<b>", "en")],
)
def test_the_page_is_in_the_users_language(
    users: Database, mojodex: Mojodex, token_of: Callable[..., str], language: str | None, heard: str
) -> None:
    html = unsubscribe.page(token_of(mojodex.user(language=language)), users, KEYS).html

    assert f'<html lang="{heard}">' in html
    assert WORDS[heard].end in html


def test_no_answer_and_no_token_identifies_the_user(
    users: Database, mojodex: Mojodex, token_of: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    user_id = mojodex.user(name="Ann <Archer>")
    token = token_of(user_id)

    pages = [
        unsubscribe.page(token, users, KEYS),
        *(unsubscribe.submit(token, body, users, KEYS) for body in (ONE_CLICK, "mails=again")),
    ]

    printed = capsys.readouterr()
    for text in (*(page.html for page in pages), token, printed.out, printed.err):
        assert user_id not in text
        assert "Archer" not in text
        assert "@" not in text
    for part in token.split("."):
        assert user_id.encode() not in urlsafe_b64decode(part + "==")
    assert re.fullmatch(r"[\w-]{22}\.[\w-]{43}", token)


def test_a_mail_with_our_own_page_has_a_link_that_unsubscribes(
    make_bundle: Callable[..., Bundle], mojodex: Mojodex, model: FakeModel, ses: FakeSes
) -> None:
    user_id = mojodex.user()
    with time_machine.travel(NOW):
        bundle = make_bundle(
            "events",
            operate_url="https://api.example.com",
            unsubscribe_secret_arn="unsubscribe",
            more_secrets={"unsubscribe": {"signing_keys": KEYS}},
            send_empty_todo_emails=True,
        )
        model.answers(Reply(refusal="No."))
        bundle.work({"event_type": EVENT, "user_id": user_id})
    ((_, raw),) = ses.mails
    link = str(check_mail(raw)["List-Unsubscribe"]).strip("<>")
    assert link.startswith("https://api.example.com/unsubscribe?token=")
    assert user_id not in link

    answer = unsubscribe.submit(link.partition("token=")[2], ONE_CLICK, bundle.database, KEYS)

    assert answer.status == 200
    assert not wants(mojodex, user_id)


# As a reader sees it.


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched_browser() as browser:
        yield browser


@pytest.fixture
def opened(browser: Browser, users: Database) -> Iterator[Callable[[str], Page]]:
    """Open a token's page on a phone, served as the API would."""
    context = browser.new_context(viewport={"width": 360, "height": 640})
    problems: list[str] = []

    def serve(route: Route) -> None:
        url, body = route.request.url, route.request.post_data
        if not url.partition("?")[0].endswith("/unsubscribe"):
            route.fulfill(status=200, content_type="text/css", body="body { margin: 1rem; }")
            return
        token = url.partition("token=")[2]
        answer = (
            unsubscribe.page(token, users, KEYS)
            if route.request.method == "GET"
            else unsubscribe.submit(token, body or "", users, KEYS)
        )
        headers = {"Content-Security-Policy": CSP, "Content-Type": "text/html; charset=utf-8"}
        route.fulfill(status=answer.status, headers=headers, body=answer.html)

    def open_page(token: str) -> Page:
        page = context.new_page()
        page.on("console", lambda said: problems.append(said.text))
        page.route("**/*", serve)
        page.goto(f"https://api.example.com/unsubscribe?token={token}")
        return page

    yield open_page
    context.close()
    # The console would report a breach of the policy. It also reports an expected status of 400.
    assert [problem for problem in problems if "400" not in problem] == []


def fits(page: Page) -> bool:
    fits: bool = page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    return fits


def test_a_reader_on_a_phone_unsubscribes_and_subscribes_again_with_the_keyboard(
    opened: Callable[[str], Page], mojodex: Mojodex, token_of: Callable[..., str]
) -> None:
    user_id = mojodex.user(language="fr")
    page = opened(token_of(user_id))
    assert page.get_by_role("heading").inner_text() == FRENCH.question
    assert fits(page)

    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_role("button", name=FRENCH.start).wait_for()
    assert page.title() == FRENCH.ended
    assert fits(page)
    assert not wants(mojodex, user_id)

    page.get_by_role("button").click()
    page.get_by_role("heading", name=FRENCH.started).wait_for()
    assert wants(mojodex, user_id)


def test_a_link_that_was_cut_off_is_explained_on_a_phone(opened: Callable[[str], Page]) -> None:
    page = opened("cut-off")

    assert page.get_by_role("button").count() == 0
    assert page.get_by_text(ENGLISH.not_valid_about).is_visible()
    assert fits(page)


def test_all_languages_have_all_words() -> None:
    said: list[dict[str, Any]] = [vars(words) for words in WORDS.values()]

    assert {words["language"] for words in said} == {"en", "fr", "de", "es"}
    for name in said[0]:
        texts = [words[name] for words in said]
        assert all(texts)
        assert len(set(texts)) == len(texts), name
