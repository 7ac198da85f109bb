"""Chromium, to see a page as a reader does."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run the system's Chromium.

    Raises:
        AssertionError: there is none; `apt-get install chromium` brings it.
    """
    path = shutil.which("chromium")
    assert path, "these tests need chromium; Debian: apt-get install chromium"
    with sync_playwright() as playwright:
        # Its sandbox does not run as root, as in a container; what is shown is our own.
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()
