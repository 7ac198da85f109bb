"""Pictures for the README: the console, after a day and a night of the demo's account. `make screenshots`."""

import sys
import tempfile
from contextlib import redirect_stdout
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright
from sqlalchemy import create_engine

from local.demo import morning, night, today
from local.demo.seed import seed
from local.demo.stage import Stage
from local.runtime import stack
from local.standin import embeddings
from tests import ROOT
from tests.browser import MISSING, find_browser

PICTURES = ROOT / "docs" / "pictures"
# What goes wrong, so that there is something to see: nobody has this domain (RFC 2606).
BROKEN = {"website_url": "https://shop.example"}


def main() -> int:
    """Run the demo without its story, let some jobs fail, and take the pictures."""
    browser = find_browser()
    if browser is None:
        print(MISSING)  # noqa: T201
        return 1
    PICTURES.mkdir(exist_ok=True)
    directory = Path(tempfile.mkdtemp(prefix="mojodex-screenshots-"))
    try:
        running = stack.up(directory)
        running.stop_schedules()
        live_through(running)
        with sync_playwright() as playwright:
            launched = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
            take(launched, running)
            launched.close()
    finally:
        stack.down(directory)
    return 0


def live_through(running: stack.Stack) -> None:
    """A day and a night, and three websites that cannot be read."""
    engine = create_engine(running.database.url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        stage = Stage(running, connection, seed(connection, datetime.now(UTC), embeddings.passages))
        with redirect_stdout(StringIO()):
            for part in (today, night, morning):
                part.show(stage)
            running.set_clock(datetime.now(UTC))
            for number in range(3):
                message = {"user_id": stage.account.claire.user_id, "request_id": f"request-{number}", **BROKEN}
                running.publish("CreateFromWebsiteQueueUrl", message)
            stage.drain("create_from_website", 3)
    engine.dispose()


def take(browser: Browser, running: stack.Stack) -> None:
    """The first page by day and by night, on a phone, and a job that has failed."""
    page = logged_in(browser, running, "light")
    page.screenshot(path=PICTURES / "console-light.png")
    page.get_by_role("link", name="create_from_website https://shop.example").first.click()
    page.screenshot(path=PICTURES / "job-light.png")
    logged_in(browser, running, "dark").screenshot(path=PICTURES / "console-dark.png")
    page = logged_in(browser, running, "light")
    page.set_viewport_size({"width": 360, "height": 780})
    page.screenshot(path=PICTURES / "console-narrow.png")


def logged_in(browser: Browser, running: stack.Stack, scheme: str) -> Page:
    context = browser.new_context(
        color_scheme="dark" if scheme == "dark" else "light", viewport={"width": 1280, "height": 900}
    )
    page = context.new_page()
    page.goto(f"{running.operate_url}/console")
    page.get_by_label("Name").fill("operator")
    page.get_by_label("Secret").fill(running.credentials["operator"])
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("heading", name="Processes").wait_for()
    return page


if __name__ == "__main__":
    sys.exit(main())
