"""The console in a browser, as an operator sees it."""

from collections.abc import Iterator
from datetime import UTC, timedelta
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from mojodex.clock import utc_now
from tests.api import served
from tests.browser import launched_browser
from tests.fake_model import FakeModel, Reply, todos
from tests.integration.conftest import Bundle
from tests.integration.operate.conftest import CREDENTIALS, Operated

SAID = "I'll send the offer to Bob soon."
WIDTHS = (360, 768, 1280, 1600)
NOW = utc_now()
# Finds elements that make the page wider than the window.
TOO_WIDE = """
() => document.documentElement.scrollWidth <= innerWidth ? [] : [...document.querySelectorAll("body *")]
  .filter((element) => element.getBoundingClientRect().right > innerWidth)
  .map((element) => element.outerHTML.slice(0, 90))
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched_browser() as browser:
        yield browser


# Complaints of browsers about scripts and the Content-Security-Policy.
complaints: list[str] = []


@pytest.fixture
def url(operated: Operated, browser: Browser) -> Iterator[str]:
    complaints.clear()
    with served() as url:
        yield url
        # Open pages refresh every few seconds.
        for context in browser.contexts:
            context.close()
    assert complaints == []


def log_in(browser: Browser, url: str, name: str = "operator", **context: Any) -> Page:
    """Log in, in a browser whose clock is in Tokyo."""
    page = browser.new_context(timezone_id="Asia/Tokyo", locale="en-GB", **context).new_page()
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(f"{message.text} {message.location['url']}"))
    page.goto(f"{url}/console")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Secret").fill(CREDENTIALS[name])
    page.get_by_role("button", name="Log in").click()
    expect(page).to_have_url(f"{url}/console")
    return page


def fill(operated: Operated) -> None:
    """Add the jobs of a night with some failures."""
    user = operated.mojodex.user()
    for number in range(30):
        operated.add_job(subject=str(100 + number), state="done", user_id=user)
    for number in range(12):
        operated.add_job(subject=str(200 + number), user_id=user)
    operated.add_job("events", f"todo_daily_emails:{user}", "2026-11-27", "queued", user_id=user)
    operated.add_job(
        "create_from_website",
        f"{user} https://example.com/a/very/long/path/that/goes/on?and=on&and=on",
        "r1",
        "running",
        user_id=user,
        outcome={"found": 4, "waiting": 1, "stored": 2, "unchanged": 0, "skipped": 1, "failed": 0},
    )
    operated.mojodex.run(
        "INSERT INTO md_background_circuit VALUES ('gpt-5-mini', now(), now(), 'language model: 503')"
    )


def test_an_operator_finds_a_failed_job_reads_why_retries_it_and_sees_it_done(
    operated: Operated, bundle: Bundle, model: FakeModel, browser: Browser, url: str
) -> None:
    # Given
    pk = operated.mojodex.execution(SAID)
    model.answers(Reply(refusal="I cannot help with that."))
    bundle.work({"user_task_execution_pk": pk})

    # When
    page = log_in(browser, url)
    failures = page.get_by_role("region", name="Today's failures")
    failures.get_by_role("link", name="1 extract_todos: the model refuses this content").click()
    page.get_by_role("link", name=f"extract_todos {pk}").click()
    expect(page.locator("dd", has_text="the model refuses this content")).to_be_visible()
    page.get_by_role("button", name="Retry").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("queued")
    model.answers(todos())
    bundle.work(*bundle.queued())

    # Then: without reloading
    expect(page.get_by_role("heading", level=1)).to_contain_text("done", timeout=15_000)
    expect(page.get_by_role("region", name="Attempts")).to_contain_text("the model refuses this content")
    expect(page.get_by_role("region", name="What operators did")).to_contain_text("operator: retry")


def test_all_failures_of_one_reason_are_retried_after_they_were_counted(
    operated: Operated, browser: Browser, url: str
) -> None:
    fill(operated)

    page = log_in(browser, url)
    expect(page.get_by_role("status")).to_have_text("Failed today: 12. Open circuits: 1.")
    expect(page).to_have_title("12 failed · Mojodex Background")
    page.get_by_role("link", name="Retry all of extract_todos").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Retry 12 jobs?")
    page.get_by_role("button", name="Retry them").click()

    expect(page.get_by_role("region", name="Today's failures")).to_contain_text("None")
    assert operated.republish() == 12


def test_a_process_is_paused_and_resumed(operated: Operated, browser: Browser, url: str) -> None:
    page = log_in(browser, url)

    page.get_by_role("button", name="Pause events").click()
    expect(page.get_by_role("row", name="events")).to_contain_text("paused by operator")
    page.get_by_role("button", name="Resume events").click()

    expect(page.get_by_role("button", name="Pause events")).to_be_visible()


def test_jobs_are_found_by_user_website_and_reason(operated: Operated, browser: Browser, url: str) -> None:
    fill(operated)
    operated.add_job("update_document", "9", "x", outcome={"reason": "the page answers 404"}, user_id="bob")
    page = log_in(browser, url)
    found = page.locator("#found tbody tr")

    for label, text, count in (("Website", "example.com", 1), ("Reason", "404", 1), ("User", "bob", 1)):
        page.get_by_role("textbox", name=label).fill(text)
        page.get_by_role("button", name="Search").click()
        expect(found).to_have_count(count)
        page.get_by_role("link", name="All jobs").click()

    page.get_by_role("link", name="Older jobs").click()
    expect(found.first).to_be_visible()


def test_a_website_shows_its_progress_and_its_pages_with_their_reasons(
    operated: Operated, browser: Browser, url: str
) -> None:
    fill(operated)
    subject = operated.mojodex.run(
        "SELECT subject FROM md_background_job WHERE process = 'create_from_website'"
    )
    operated.mojodex.run(
        "INSERT INTO md_background_page (subject, occasion, user_id, url, key, depth, state, reason,"
        " found_at) VALUES (:s, 'r1', 'u', 'https://example.com/x', 'k', 1, 'skipped',"
        " 'robots.txt forbids it', now())",
        s=subject,
    )
    page = log_in(browser, url)

    page.get_by_role("link", name="create_from_website https://example.com").click()

    pages = page.get_by_role("region", name="Pages")
    expect(pages).to_contain_text("3 of 4 so far, still crawling")
    assert pages.get_by_role("progressbar").evaluate("bar => bar.value / bar.max") == 0.75
    expect(pages.get_by_role("row", name="https://example.com/x")).to_contain_text("robots.txt forbids it")


def test_times_are_shown_in_the_readers_time_zone(operated: Operated, browser: Browser, url: str) -> None:
    at = (NOW - timedelta(minutes=5)).replace(microsecond=0)
    operated.add_job(queued_at=at, finished_at=at)

    page = log_in(browser, url)

    # Tokyo is nine hours ahead of UTC, all year.
    shown = (at.astimezone(UTC) + timedelta(hours=9)).strftime("%H:%M:%S")
    expect(page.locator("#found time").first).to_contain_text(shown)
    title = page.locator("#found time").first.get_attribute("title") or ""
    assert title.endswith(f"{at:%H:%M:%S} UTC")


def test_a_reader_sees_no_buttons_and_no_words(operated: Operated, browser: Browser, url: str) -> None:
    job_id = operated.add_job(outcome={"reason": "x", "answer": "call my doctor"})

    page = log_in(browser, url, "reader")
    assert page.get_by_role("button").all_text_contents() == ["Log out", "Search"]
    page.goto(f"{url}/console/jobs/{job_id}")

    assert page.get_by_role("button").all_text_contents() == ["Log out"]
    expect(page.get_by_role("region", name="Outcome")).to_contain_text("needs the right read-content")
    assert "doctor" not in page.content()


def test_a_wrong_secret_is_reported_and_logging_out_ends_the_session(
    operated: Operated, browser: Browser, url: str
) -> None:
    page = browser.new_page()
    page.goto(f"{url}/console")
    page.get_by_label("Name").fill("operator")
    page.get_by_label("Secret").fill("wrong")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_have_text("The name or the secret is wrong.")

    page = log_in(browser, url)
    page.get_by_role("button", name="Log out").click()
    expect(page).to_have_url(f"{url}/login")
    page.goto(f"{url}/console")
    expect(page).to_have_url(f"{url}/login")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_and_nothing_is_cut_off_at_any_width(
    operated: Operated, browser: Browser, url: str, scheme: Any
) -> None:
    fill(operated)
    job_id = operated.add_job("update_document", "9", "x", user_id="ann")
    page = log_in(browser, url, color_scheme=scheme)

    for path in (
        "console",
        f"console/jobs/{job_id}",
        "console/retry?process=extract_todos",
        "login",
        "console/x",
    ):
        page.goto(f"{url}/{path}")
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 800})
            assert page.evaluate(TOO_WIDE) == [], (path, width)
        violations = Axe().run(page).response["violations"]
        assert [(v["id"], [n["html"][:90] for n in v["nodes"]]) for v in violations] == [], path
    # An error page is checked, too.
    complaints[:] = [complaint for complaint in complaints if not complaint.endswith("/console/x")]


def test_everything_can_be_reached_and_done_with_the_keyboard(
    operated: Operated, browser: Browser, url: str
) -> None:
    operated.add_job()
    page = log_in(browser, url)
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate("document.activeElement.innerText || document.activeElement.name || ''").strip()
        )
        if page.evaluate("document.activeElement.id") == "extract_todos-pause":
            page.keyboard.press("Enter")
            break

    expect(page.get_by_role("row", name="paused by operator")).to_be_visible()
    assert {"Skip to the content", "Log out"} <= reached
