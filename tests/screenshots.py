"""The pictures of the pages, from the demo's account after a day and a night: `make screenshots`."""

import re
import subprocess
import sys
import tempfile
from contextlib import redirect_stdout
from datetime import UTC, datetime
from html import escape
from io import StringIO
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright
from sqlalchemy import create_engine

from local.demo import morning, night, today
from local.demo.seed import seed
from local.demo.stage import Stage
from local.runtime import stack
from local.standin import embeddings
from tests import ROOT
from tests.browser import MISSING, find_browser
from tests.structure.test_dashboard import everything

PICTURES = ROOT / "docs" / "pictures"
# What goes wrong, so that there is something to see: nobody has this domain (RFC 2606).
BROKEN = {"website_url": "https://shop.example"}
# The least that shows a widget's words; CloudWatch places widgets the same way, 24 columns wide.
DASHBOARD_STYLE = """
body { display: grid; font: 12px/1.3 system-ui, sans-serif; gap: 4px; grid-auto-rows: 18px;
  grid-template-columns: repeat(24, 1fr); margin: 8px; }
section { border: 1px solid #bbb; border-radius: 3px; color: #555; overflow: hidden; padding: 0 6px; }
h2 { color: #111; font-size: 13px; margin: 0; }
"""


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
            take_console(launched, running)
            take_mail(launched, running)
            take_dashboard(launched)
            take_evaluation(launched)
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
                asked = {"user_id": stage.account.claire.user_id, "request_id": f"request-{number}"}
                running.publish("CreateFromWebsiteQueueUrl", asked | BROKEN)
            stage.drain("create_from_website", 3)
    engine.dispose()


def take_console(browser: Browser, running: stack.Stack) -> None:
    """Take the console's first page, light, dark and on a phone, and the page of a failed job."""
    page = logged_in(browser, running, "light")
    page.screenshot(path=PICTURES / "console-light.png")
    page.get_by_role("link", name="create_from_website https://shop.example").first.click()
    page.screenshot(path=PICTURES / "job-light.png")
    logged_in(browser, running, "dark").screenshot(path=PICTURES / "console-dark.png")
    page = logged_in(browser, running, "light")
    page.set_viewport_size({"width": 360, "height": 780})
    page.screenshot(path=PICTURES / "console-narrow.png")


def take_mail(browser: Browser, running: stack.Stack) -> None:
    """Take the daily mail, light and dark."""
    html = running.mails()[0].html
    for scheme in ("light", "dark"):
        page = browser.new_page(color_scheme=scheme, viewport={"width": 640, "height": 900})
        page.set_content(html)
        page.screenshot(path=PICTURES / f"mail-{scheme}.png")


def take_dashboard(browser: Browser) -> None:
    """Take the dashboard's layout: each widget with its title and labels, without data."""
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.set_content(f"<style>{DASHBOARD_STYLE}</style>{''.join(map(widget, everything()))}")
    page.screenshot(path=PICTURES / "dashboard.png", full_page=True)


def widget(of: dict[str, Any]) -> str:
    shown = of["properties"]
    labels = [each[-1].get("label", "") for each in shown.get("metrics", []) if isinstance(each[-1], dict)]
    text = shown.get("markdown", "").lstrip("# ") or ", ".join(dict.fromkeys(filter(None, labels)))
    # A label of a search: CloudWatch puts in the value of the dimension.
    text = re.sub(r"\$\{PROP\('Dim\.(\w+)'\)\}", r"each \1", text)
    title = f"<h2>{escape(shown['title'])}</h2>" if "title" in shown else ""
    place = f"grid-column: span {of['width']}; grid-row: span {of['height']}"
    return f'<section style="{place}">{title}{escape(text)}</section>'


def take_evaluation(browser: Browser) -> None:
    """Score the stand-in, and take the figures of its page."""
    subprocess.run([sys.executable, "-m", "evals", "standin"], cwd=ROOT, check=True)
    page = browser.new_page(viewport={"width": 960, "height": 700})
    page.goto((ROOT / ".local" / "evals" / "standin.html").as_uri())
    page.locator(".pictures").screenshot(path=PICTURES / "evaluation.png")


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
