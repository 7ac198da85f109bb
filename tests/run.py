"""Run all kinds of tests, whatever fails, and print a table: `make test`."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from tests import ROOT

# The stack tests wait for processes half of the time, so they run beside the other kinds.
BESIDE = "stack"
KINDS = ("unit", "structure", "integration", "simulation", BESIDE)
# Elements of pytest's report that say how a test ended.
NOT_PASSED = ("failure", "error", "skipped")
ROW = "{:<12} {:>7} {:>7} {:>8} {:>8}"


@dataclass(frozen=True)
class Result:
    """What came of one kind of tests.

    Attributes:
        skipped: how many tests, by the reason.
        seconds: with the build.
    """

    kind: str
    passed: int
    failed: int
    skipped: Counter[str] = field(default_factory=Counter)
    seconds: float = 0


def run(kind: str, directory: Path, output: BinaryIO | None = None) -> Result:
    """Run `make test-<kind>`.

    Args:
        kind: one of KINDS.
        directory: where pytest's report is written.
        output: gets what it prints. By default that is shown at once.
    """
    report = directory / f"{kind}.xml"
    began = time.monotonic()
    # -k and the like of the caller's stay.
    options = f"{os.environ.get('PYTEST_ADDOPTS', '')} --junit-xml={report}"
    command = ["make", "--no-print-directory", f"test-{kind}"]
    if kind != BESIDE:
        # The stack tests wait for real processes, with limits in real time.
        command = ["nice", "-n", "5", *command]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | {"PYTEST_ADDOPTS": options},
        check=False,
        stdout=output,
        stderr=output and subprocess.STDOUT,
    )
    return read(kind, report, done.returncode, time.monotonic() - began)


def read(kind: str, report: Path, exit_code: int, seconds: float) -> Result:
    """Read pytest's report.

    A kind that ran no test has failed, too: its build broke, or pytest crashed.
    """
    outcomes: dict[tuple[str, str], ET.Element | None] = {}
    # A test that fails, and then cannot be torn down either, is two cases of one name.
    for case in ET.parse(report).iter("testcase") if report.exists() else ():
        name = case.get("classname", ""), case.get("name", "")
        outcomes[name] = next((child for child in case if child.tag in NOT_PASSED), outcomes.get(name))
    ended = [outcome for outcome in outcomes.values() if outcome is not None]
    reasons = Counter(outcome.get("message", "") for outcome in ended if outcome.tag == "skipped")
    failed = len(ended) - reasons.total()
    passed = len(outcomes) - len(ended)
    return Result(kind, passed, failed or int(exit_code != 0), reasons, seconds)


def table(results: Sequence[Result]) -> str:
    """Show the results, the reasons of what was skipped, and the total."""
    lines = [ROW.format("kind", "passed", "failed", "skipped", "seconds")]
    for result in results:
        skipped = result.skipped.total()
        lines.append(ROW.format(result.kind, result.passed, result.failed, skipped, f"{result.seconds:.0f}"))
    reasons = sum((result.skipped for result in results), Counter[str]())
    lines += [f"{number} skipped: {reason}" for reason, number in reasons.items()]
    passed, failed = (sum(getattr(result, name) for result in results) for name in ("passed", "failed"))
    total = f"{passed} passed, {failed} failed"
    return "\n".join([*lines, f"{total}, {reasons.total()} skipped" if reasons else total])


def main() -> int:
    """Run all kinds and print the table; returns the exit code."""
    with (
        tempfile.TemporaryDirectory() as directory,
        tempfile.TemporaryFile() as output,
        ThreadPoolExecutor(1) as thread,
    ):
        beside = thread.submit(run, BESIDE, Path(directory), output)
        results = [run(kind, Path(directory)) for kind in KINDS if kind != BESIDE]
        results.append(beside.result())
        output.seek(0)
        shutil.copyfileobj(output, sys.stdout.buffer)
        sys.stdout.flush()
    sys.stdout.write(f"\n{table(results)}\n")
    return int(any(result.failed for result in results))


if __name__ == "__main__":
    sys.exit(main())
