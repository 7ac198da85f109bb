"""`make audit` fails on each vulnerability, and on an unreachable index only where one is required."""

from pathlib import Path
from typing import Any

import pytest

from tools import audit

GOOD = {"name": "jinja2", "version": "3.1.6", "vulns": []}
BAD = {
    "name": "jinja2",
    "version": "2.4.1",
    "vulns": [{"id": "PYSEC-2019-217", "fix_versions": ["2.10.1"], "aliases": [], "description": "…"}],
}
UNKNOWN = {"name": "uv", "skip_reason": "Dependency not found on PyPI"}


@pytest.mark.parametrize(
    ("packages", "must_answer", "exit_code"),
    [
        ([GOOD], True, 0),
        ([GOOD, UNKNOWN], False, 0),
        ([GOOD, UNKNOWN], True, 1),
        ([GOOD, BAD], False, 1),
        ([UNKNOWN, BAD], False, 1),
    ],
)
def test_a_vulnerability_fails_the_audit_and_a_silent_index_does_where_it_must_answer(
    packages: list[dict[str, Any]], must_answer: bool, exit_code: int
) -> None:
    assert audit.report(packages, must_answer=must_answer)[1] == exit_code


def test_each_finding_is_reported_on_one_line() -> None:
    text, _ = audit.report([BAD, GOOD, UNKNOWN, BAD], must_answer=False)

    assert text.splitlines() == [
        "jinja2 2.4.1: PYSEC-2019-217, fixed in ['2.10.1']",
        "4 packages, 1 known vulnerabilities; 1 could not be looked up, the first because:"
        " Dependency not found on PyPI",
    ]


def test_an_aborted_audit_reports_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "pip-audit"
    program.write_text("#!/bin/sh\necho 'Traceback' >&2\necho 'ConnectionError: no route' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setattr(audit, "PIP_AUDIT", program)

    packages = audit.audit(tmp_path / "sam.txt")

    assert packages == [{"name": "sam.txt", "skip_reason": "ConnectionError: no route"}]
