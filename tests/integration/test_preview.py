"""`python -m local preview` writes the mails that would be sent."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT
from tests.mails import check_mail, part, squeeze

STEMS = ["claire", "claire-without-model", "hugo", "hugo-without-model"]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run the command and return the directory of its mails."""
    directory = tmp_path_factory.mktemp("preview") / "mails"
    done = subprocess.run(
        [sys.executable, "-m", "local", "preview", directory],
        cwd=ROOT,
        # The command must not need AWS.
        env=os.environ | {"AWS_PROFILE": "nobody", "AWS_ENDPOINT_URL": "http://127.0.0.1:1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert str(directory) in done.stdout
    assert "_aws" not in done.stdout
    return directory


def test_each_mail_is_written_as_html_as_text_and_as_sent(directory: Path) -> None:
    assert sorted(path.name for path in directory.iterdir()) == sorted(
        f"{stem}.{ending}" for stem in STEMS for ending in ("eml", "html", "txt")
    )


@pytest.mark.parametrize("stem", STEMS)
def test_each_mail_is_valid_and_could_be_sent(directory: Path, stem: str) -> None:
    raw = (directory / f"{stem}.eml").read_bytes()

    mail = check_mail(raw)

    assert mail["From"].addresses[0].addr_spec == "mojo@mojodex.example"
    assert mail["List-Unsubscribe"]
    # A part of a mail ends with a line break.
    assert part(mail, "html").rstrip() == (directory / f"{stem}.html").read_text().rstrip()
    assert part(mail, "plain").rstrip() == (directory / f"{stem}.txt").read_text().rstrip()


@pytest.mark.parametrize(
    ("stem", "address", "shown"),
    [
        (
            "claire",
            "claire@example.com",
            (
                "Good morning Claire,",
                "Prepare the spring price list for Bellweather Cafés",
                # Overdue and moved to-dos.
                "Planned for",
                "Moved to",
                "was moved 5 times already",
            ),
        ),
        (
            "hugo",
            "hugo@example.com",
            ("Bonjour Hugo,", "Appeler l'imprimeur au sujet des étiquettes", "Prévu le", "Reporté au"),
        ),
    ],
)
def test_each_user_has_todos_of_today_overdue_and_moved_ones(
    directory: Path, stem: str, address: str, shown: tuple[str, ...]
) -> None:
    for suffix in ("", "-without-model"):
        mail = check_mail((directory / f"{stem}{suffix}.eml").read_bytes())

        assert mail["To"].addresses[0].addr_spec == address
        text = squeeze(part(mail, "plain"))
        # Only the first text, the greeting, is the model's.
        expected = shown if suffix == "" else shown[1:]
        assert [words for words in expected if squeeze(words) not in text] == []


def test_without_a_model_the_mail_has_our_own_words(directory: Path) -> None:
    texts = {stem: (directory / f"{stem}.txt").read_text() for stem in STEMS}

    assert "One thing after the other." in texts["claire"]
    assert "Hello Claire Fontaine," in texts["claire-without-model"]
    assert "Bonjour Hugo Lambert," in texts["hugo-without-model"]
    assert "One thing after the other." not in texts["claire-without-model"]
