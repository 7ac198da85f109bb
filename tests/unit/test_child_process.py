"""The process that reads pages: its results, how it is killed, and that the next page is read."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench import hostile_files
from documents.text import child
from documents.text.child_process import TOO_LONG, TOO_MUCH, ChildProcess
from documents.text.errors import UnreadableError
from mojodex.clock import Deadline
from mojodex.errors import TransientError
from tests.website import WORDS

PAGE = f'<main><h1>The mill</h1><p>{WORDS.format(thing="flour")}</p><a href="/b">More</a></main>'.encode()
AT: dict[str, Any] = {"charset": None, "url": "https://example.com/a", "agent": "us", "robots_tag": []}
SOON, LATER = Deadline(lambda: 44_000), Deadline(lambda: 600_000)


@pytest.fixture
def reader() -> Iterator[ChildProcess]:
    reader = ChildProcess()
    yield reader
    reader.end()


def chunks(reader: ChildProcess, html: bytes) -> list[str]:
    found: list[str] = reader.read("read_text", html, LATER, charset=None, repeated=[], keeps_repeated=False)[
        "chunks"
    ]
    return found


def here() -> list[str]:
    found: list[str] = child.read_text(PAGE, None, (), False)["chunks"]
    return found


def pid(reader: ChildProcess) -> int:
    assert reader._process
    return reader._process.pid


def test_the_child_process_returns_the_same_as_a_direct_call(reader: ChildProcess) -> None:
    outline = reader.read("read_outline", PAGE, LATER, **AT)

    assert outline == child.read_outline(PAGE, **AT)
    assert outline["links"] == ["https://example.com/b"]
    assert chunks(reader, PAGE) == here()
    assert "flour" in chunks(reader, PAGE)[0]


def test_a_page_that_takes_too_long_kills_the_process_and_the_next_one_is_read(reader: ChildProcess) -> None:
    # The 50 pages share one content of 95,000 letters.
    words = hostile_files.stream(b"BT /F 12 Tf 50 700 Td (%s) Tj ET" % (b"bread " * 15_900))
    pages = b"<</Type/Pages/Kids[%s]/Count 50>>" % (b"3 0 R " * 50)
    slow = hostile_files.pdf(hostile_files.CATALOG, pages, hostile_files.PAGE, words, hostile_files.FONT)

    with pytest.raises(UnreadableError, match=TOO_LONG):
        chunks(reader, slow)

    assert chunks(reader, PAGE) == here()


def test_a_page_that_takes_too_much_memory_is_refused_and_the_next_one_is_read(reader: ChildProcess) -> None:
    large = b"<b c d e f g h i j k l m>x</b>" * 140_000

    with pytest.raises(UnreadableError, match=TOO_MUCH):
        chunks(reader, large)

    assert chunks(reader, PAGE) == here()


def test_a_crashing_parser_fails_only_its_page(reader: ChildProcess) -> None:
    chunks(reader, PAGE)

    os.kill(pid(reader), signal.SIGSEGV)
    with pytest.raises(UnreadableError, match="it breaks the parser"):
        chunks(reader, PAGE)

    assert chunks(reader, PAGE) == here()


def test_a_pdf_that_takes_too_much_memory_is_refused_and_the_next_page_is_read(reader: ChildProcess) -> None:
    """PDFium aborts its process when memory is exhausted."""
    with pytest.raises(UnreadableError, match="it breaks the parser, or takes more than 300 MB of memory"):
        chunks(reader, hostile_files.pdf_many_letters())

    assert chunks(reader, PAGE) == here()


def test_a_killed_process_is_not_blamed_on_the_page(reader: ChildProcess) -> None:
    chunks(reader, PAGE)

    os.kill(pid(reader), signal.SIGKILL)
    with pytest.raises(RuntimeError, match=r"has ended \(-9\)"):
        chunks(reader, PAGE)

    assert chunks(reader, PAGE) == here()


def test_an_error_of_ours_is_raised_without_text_of_the_page(reader: ChildProcess) -> None:
    with pytest.raises(RuntimeError, match="TypeError at") as told:
        reader.read("read_text", PAGE, LATER, charset=None, repeated=5, keeps_repeated=False)

    assert "mill" not in str(told.value)
    before = pid(reader)
    chunks(reader, PAGE)
    assert pid(reader) == before


def test_a_page_is_not_begun_when_little_time_is_left(reader: ChildProcess) -> None:
    with pytest.raises(TransientError):
        reader.read("read_text", PAGE, SOON, charset=None, repeated=[], keeps_repeated=False)


def test_the_process_has_no_credentials(reader: ChildProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")

    chunks(reader, PAGE)

    assert b"AWS" not in Path(f"/proc/{pid(reader)}/environ").read_bytes()


def test_the_process_ends_with_its_parent() -> None:
    code = (
        "import os; from tests.unit.test_child_process import *; r = ChildProcess(); chunks(r, PAGE);"
        "print(pid(r), flush=True); os.kill(os.getpid(), 9)"
    )

    its_parent = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )

    ended = Path(f"/proc/{its_parent.stdout.strip()}")
    for _ in range(500):
        if not ended.exists() or "zombie" in (ended / "status").read_text():
            return
        subprocess.run(["sleep", "0.01"], check=True)
    pytest.fail("the process still runs")
