"""A browser of the Chromium family, to look at a page as a reader does."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

COMMANDS = (
    *("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"),
    *("microsoft-edge", "microsoft-edge-stable", "msedge"),
)
APPLICATIONS = tuple(
    f"{folder}/{name}.app/Contents/MacOS/{name}"
    for folder in ("/Applications", "~/Applications")
    for name in ("Chromium", "Google Chrome", "Microsoft Edge")
)
MISSING = (
    "no Chromium, Chrome or Edge was found; get one with `apt-get install chromium` (Debian)"
    " or `brew install --cask chromium` (macOS)"
)


def find_browser() -> Path | None:
    """Find a Chromium, Chrome or Edge that runs, on PATH or among the applications of macOS."""
    on_path = (shutil.which(command) for command in COMMANDS)
    installed = (Path(application).expanduser() for application in APPLICATIONS)
    candidates = (*(Path(path) for path in on_path if path), *installed)
    return next((candidate for candidate in candidates if _runs(candidate)), None)


def _runs(browser: Path) -> bool:
    # Ubuntu's chromium-browser may be a script that only says how to install the snap.
    try:
        version = subprocess.run([browser, "--version"], capture_output=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return version.returncode == 0


@contextmanager
def launched_browser() -> Iterator[Browser]:
    """Run the first browser found. Without one, skip the test, or fail it if CI=true."""
    path = find_browser()
    if path is None:
        # CI must not pass because its browser is missing.
        give_up = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        give_up(MISSING)
    with sync_playwright() as playwright:
        # The sandbox does not run as root, as in a container. The pages are our own.
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


if __name__ == "__main__":
    # For .ci/run: print the browser, or fail.
    sys.exit(MISSING if (found := find_browser()) is None else sys.stdout.write(f"{found}\n") and 0)
