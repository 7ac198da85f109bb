"""`make test`: every kind of test runs, and the table has the right numbers."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import run
from tests.run import Result

OUTCOMES = """
import pytest

def test_good(): pass
def test_bad(): assert False
@pytest.mark.parametrize("n", range(2))
def test_left_out(n): pytest.skip("no browser")
@pytest.fixture
def broken():
    yield
    raise RuntimeError
def test_bad_to_the_end(broken): assert False
def test_that_leaves_a_mess(broken): pass
"""


@pytest.fixture
def reported(tmp_path: Path) -> Callable[[str], tuple[Path, int]]:
    """Runs tests of a given source; returns pytest's report and exit code."""

    def run_pytest(tests: str) -> tuple[Path, int]:
        report, file = tmp_path / "report.xml", tmp_path / "test_some.py"
        file.write_text(tests)
        command = [
            sys.executable,
            "-m",
            "pytest",
            "--quiet",
            f"--rootdir={tmp_path}",
            f"--junit-xml={report}",
        ]
        # Options of the outer pytest must not reach the inner one.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
        done = subprocess.run([*command, file], env=environment, capture_output=True, check=False)
        return report, done.returncode

    return run_pytest


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Replaces the real `make` with a script."""

    def replace(script: str) -> None:
        (tmp_path / "make").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "make").chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)

    return replace


def test_each_test_counts_once(reported: Callable[[str], tuple[Path, int]]) -> None:
    report, exit_code = reported(OUTCOMES)

    result = run.read("unit", report, exit_code, 3)

    assert result == Result("unit", 1, 3, Counter({"no browser": 2}), 3)


@pytest.mark.parametrize("tests", ["import nowhere", "def test_x(:", "", "import os; os._exit(3)"])
def test_a_kind_without_tests_has_failed(reported: Callable[[str], tuple[Path, int]], tests: str) -> None:
    report, exit_code = reported(tests)

    result = run.read("unit", report, exit_code, 3)

    assert (result.passed, result.failed) == (0, 1)


def test_all_kinds_run_even_if_one_fails(
    make: Callable[[str], None], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    make(f'echo "$2" >>{tmp_path}/ran; exit 2')

    exit_code = run.main()

    assert exit_code == 1
    assert (tmp_path / "ran").read_text().split() == [f"test-{kind}" for kind in run.KINDS]
    assert capfd.readouterr().out.endswith("\n0 passed, 5 failed\n")


def test_a_run_without_failures_succeeds(make: Callable[[str], None]) -> None:
    make("exit 0")

    assert run.main() == 0


def test_the_table_ends_with_the_reasons_and_the_total() -> None:
    results = [
        Result("unit", 474, 0, seconds=17.4),
        Result("integration", 1227, 1, Counter({"no browser": 18}), 295.5),
    ]

    assert run.table(results).splitlines() == [
        "kind          passed  failed  skipped  seconds",
        "unit             474       0        0       17",
        "integration     1227       1       18      296",
        "18 skipped: no browser",
        "1701 passed, 1 failed, 18 skipped",
    ]
