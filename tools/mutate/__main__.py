"""Mutate the code that must lose and double nothing, and run its tests (`make mutate`)."""

import argparse
import json
import os
import signal
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from local.runtime.postgres import Database
from tools.mutate import runner
from tools.mutate.python_mutants import Mutant, mutants, named, shown
from tools.mutate.sql_mutants import changes
from tools.mutate.targets import ROOT, TARGETS, Target

ACCEPTED = Path(__file__).with_name("survivors.toml")
LEAST_KILLED = 0.95
ROW = "{:<16} {:>8} {:>8} {:>9} {:>8} {:>8}"


@dataclass(frozen=True)
class Result:
    """The result of a module: its mutants, and those that survived."""

    target: Target
    mutants: list[Mutant]
    survivors: list[Mutant]
    seconds: float

    @property
    def killed(self) -> int:
        """The number of mutants that a test killed."""
        return len(self.mutants) - len(self.survivors)


def mutants_of(target: Target) -> list[Mutant]:
    """Make the mutants of a module and of its SQL file."""
    made = mutants((ROOT / target.path).read_text(), str(ROOT / target.path), target.only)
    if target.sql:
        path = ROOT / target.sql
        from mojodex.sql import read_sql

        seen: Counter[str] = Counter()
        for change in changes(read_sql(path)):
            key = named(f"{path.name}: {shown(change.before)} → {shown(change.after)}", seen)
            made.append(Mutant(key, 1, None, change.before, change.after, change.text))
    return made


def run(target: Target, databases: Sequence[Database], directory: Path) -> Result:
    """Measure a module's tests, and run them against its mutants; print each that survives."""
    began = time.monotonic()
    made = mutants_of(target)
    tests = runner.measure(target, databases[0], directory)
    survived = []
    for number, (mutant, survives) in enumerate(
        runner.outcomes(target, made, tests, databases, directory), 1
    ):
        if number % 50 == 0:
            print(f"{target.name}: {number} of {len(made)}", flush=True)
        if not survives:
            continue
        survived.append(mutant)
        print(f"{target.sql if isinstance(mutant.code, str) else target.path}:{mutant.line}: {mutant.key}")
        print(f"  - {mutant.before}\n  + {mutant.after}", flush=True)
    return Result(target, made, survived, time.monotonic() - began)


def table(results: Sequence[Result]) -> str:
    """Return a table of the modules with the numbers of their mutants."""
    lines = [ROW.format("module", "mutants", "killed", "survived", "%", "seconds")]
    sums = [0, 0, 0.0]
    for result in results:
        numbers = len(result.mutants), result.killed, result.seconds
        sums = [one + other for one, other in zip(sums, numbers, strict=True)]
        lines.append(_row(result.target.name, *numbers))
    return "\n".join([*lines, _row("all", int(sums[0]), int(sums[1]), sums[2])])


def _row(name: str, made: int, killed: int, seconds: float) -> str:
    return ROW.format(name, made, killed, made - killed, f"{100 * killed / made:.1f}", f"{seconds:.0f}")


def complaints(results: Sequence[Result], accepted: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Return the faults: too few were killed, or survivors and explanations do not match."""
    faults = []
    for result in results:
        reasons = accepted.get(result.target.name, {})
        survived = {mutant.key for mutant in result.survivors}
        # In the form of the file.
        unexplained = [json.dumps(key, ensure_ascii=False) for key in sorted(survived - {*reasons})]
        faults += [f"{result.target.name}: not explained: {key}" for key in unexplained]
        faults += [f"{result.target.name}: does not survive: {key}" for key in sorted({*reasons} - survived)]
    made, killed = (
        sum(numbers) for numbers in zip(*((len(r.mutants), r.killed) for r in results), strict=True)
    )
    if killed < LEAST_KILLED * made:
        faults.append(f"only {killed} of {made} mutants were killed")
    return faults


def main() -> int:
    """Mutate the requested modules, print the survivors, and return the exit code."""
    parser = argparse.ArgumentParser(prog="make mutate")
    parser.add_argument("module", nargs="*", help=", ".join(target.name for target in TARGETS))
    parser.add_argument("--forks", type=int, default=len(os.sched_getaffinity(0)))
    asked = parser.parse_args()
    if unknown := set(asked.module) - {target.name for target in TARGETS}:
        parser.error(f"there is no module {', '.join(sorted(unknown))}")
    accepted = tomllib.loads(ACCEPTED.read_text())
    results = []
    # Exit normally, so that the servers are stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        # Otherwise, a test of hypothesis would begin with the failures of another mutant.
        os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = str(directory / "hypothesis")
        with runner.databases(directory, asked.forks) as databases:
            for target in TARGETS:
                if not asked.module or target.name in asked.module:
                    results.append(run(target, databases, directory))
                    print(table(results[-1:]).splitlines()[1], flush=True)
    faults = complaints(results, accepted)
    print("\n".join(["", table(results), *faults]))
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
