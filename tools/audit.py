"""Look up the known vulnerabilities of every locked package with pip-audit: `make audit`."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PIP_AUDIT = ROOT / ".tools" / "audit" / "bin" / "pip-audit"
UV = ROOT / ".tools" / "uv" / "bin" / "uv"


def export(directory: Path) -> Path:
    """Export uv.lock, including development tools, in the form of the locks in tools/."""
    exported = directory / "uv.lock.txt"
    command = [str(UV), "export", "--quiet", "--frozen", "--no-emit-project", f"--output-file={exported}"]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return exported


def audit(lock: Path) -> list[dict[str, Any]]:
    """Run pip-audit on a lock, and return its packages, each with `vulns` or a `skip_reason`."""
    command = [str(PIP_AUDIT), f"--requirement={lock}", "--disable-pip", "--require-hashes", "--format=json"]
    done = subprocess.run([*command, "--progress-spinner=off"], capture_output=True, text=True, check=False)
    try:
        packages: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except ValueError:
        # Without an answer of the index, pip-audit ends with an exception.
        return [{"name": lock.name, "skip_reason": done.stderr.strip().rpartition("\n")[2]}]
    return packages


def report(packages: Sequence[dict[str, Any]], *, must_answer: bool) -> tuple[str, int]:
    """Summarize the results of pip-audit.

    Args:
        packages: as `audit` returns them.
        must_answer: whether a package that could not be looked up is an error.

    Returns:
        The text, and the exit code: 1 if there is a vulnerability, or a missing answer is an error.
    """
    vulnerabilities = {
        f"{package['name']} {package['version']}: {found['id']}, fixed in {found['fix_versions'] or 'none'}"
        for package in packages
        for found in package.get("vulns", ())
    }
    unknown = [package["skip_reason"] for package in packages if "skip_reason" in package]
    summary = f"{len(packages)} packages, {len(vulnerabilities)} known vulnerabilities"
    if unknown:
        summary += f"; {len(unknown)} could not be looked up, the first because: {unknown[0]}"
    return "\n".join([*sorted(vulnerabilities), summary]), int(
        bool(vulnerabilities or (unknown and must_answer))
    )


def main() -> int:
    """Audit uv.lock and the locks in tools/, and return the exit code."""
    with tempfile.TemporaryDirectory() as directory:
        locks = [export(Path(directory)), *sorted((ROOT / "tools").glob("*.txt"))]
        packages = [package for lock in locks for package in audit(lock)]
    # Other machines may have no network, or an index without vulnerabilities.
    text, exit_code = report(packages, must_answer=os.environ.get("GITHUB_ACTIONS") == "true")
    print(text)
    return exit_code


if __name__ == "__main__":
    sys.exit(main())
