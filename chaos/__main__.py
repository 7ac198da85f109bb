"""`python -m chaos`: the deployed bundle under faults; exit code 1 when anything is lost or done twice."""

import argparse
import signal
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from bench.results import write_json
from chaos import report
from chaos.checks import broken
from chaos.run import FULL, SHORT, run

# What the workers of a run with broken invariants have logged.
LOG = Path(".local") / "chaos.log"


def main() -> int:
    """Run, print the report, and say whether every invariant holds."""
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=20261124, help="the same seed is the same plan")
    parser.add_argument("--jobs", type=int, help="about so many jobs")
    parser.add_argument("--short", action="store_true", help="some two minutes of it")
    arguments = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _frame: sys.exit(128 + number))
    size = SHORT if arguments.short else FULL
    size = replace(size, jobs=arguments.jobs or size.jobs)
    print(f"chaos: seed {arguments.seed}, {size.jobs} jobs", flush=True)
    with tempfile.TemporaryDirectory(prefix="mojodex-chaos-") as folder:
        outcome = run(arguments.seed, size, Path(folder) / "run", lambda text: print(text, flush=True))
    wrong = broken(outcome.wanted, outcome.found)
    figures = report.figures(outcome, wrong)
    if size == FULL:
        write_json("chaos", figures)
    print(report.table(figures))
    if wrong:
        LOG.parent.mkdir(exist_ok=True)
        LOG.write_text("\n".join(outcome.log))
        print(f"what the workers have logged: {LOG}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
