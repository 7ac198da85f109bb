"""Run all kinds of tests, whatever fails, and print a table: `make test`."""

import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests import ROOT

KINDS = ("unit", "structure", "integration", "simulation", "stack")
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


def run(kind: str, directory: Path) -> Result:
    """Run `make test-<kind>`, which prints what it does."""
    report = directory / f"{kind}.xml"
    began = time.monotonic()
    # -k and the like of the caller's stay.
    options = f"{os.environ.get('PYTEST_ADDOPTS', '')} --junit-xml={report}"
    command = ["make", "--no-print-directory", f"test-{kind}"]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | {"PYTEST_ADDOPTS": options}, check=False)
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
    with tempfile.TemporaryDirectory() as directory:
        results = [run(kind, Path(directory)) for kind in KINDS]
    sys.stdout.write(f"\n{table(results)}\n")
    return int(any(result.failed for result in results))


if __name__ == "__main__":
    sys.exit(main())
