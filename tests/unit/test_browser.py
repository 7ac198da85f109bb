"""Tests use any Chromium, Chrome or Edge. Without one they are skipped, except in CI, where they fail."""

from pathlib import Path

import pytest

from tests import browser


@pytest.fixture(autouse=True)
def _bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(browser, "APPLICATIONS", ())


def install(path: Path, exit_code: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\nexit {exit_code}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("command", browser.COMMANDS)
def test_a_browser_on_path_is_found(tmp_path: Path, command: str) -> None:
    installed = install(tmp_path / command)

    assert browser.find_browser() == installed


def test_a_browser_of_macos_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    application = "~/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"
    monkeypatch.setattr(browser, "APPLICATIONS", ("/nowhere/Chromium", application))
    installed = install(Path(application).expanduser())

    assert browser.find_browser() == installed


def test_a_command_that_only_explains_how_to_install_the_browser_is_skipped(tmp_path: Path) -> None:
    install(tmp_path / "chromium-browser", exit_code=1)
    assert browser.find_browser() is None

    chrome = install(tmp_path / "google-chrome")
    assert browser.find_browser() == chrome


@pytest.mark.parametrize(
    ("ci", "outcome"), [("", pytest.skip.Exception), ("true", pytest.fail.Exception)], ids=["here", "ci"]
)
def test_without_a_browser_a_test_is_skipped_but_fails_in_ci(
    monkeypatch: pytest.MonkeyPatch, ci: str, outcome: type[BaseException]
) -> None:
    monkeypatch.setenv("CI", ci)

    with pytest.raises(outcome, match="apt-get install chromium"), browser.launched_browser():
        pass
