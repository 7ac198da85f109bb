"""`python -m chaos`: the deployed bundle under faults. Exits with 1 if anything is lost or done twice."""

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

# The workers' log of a run that broke an invariant.
LOG = Path(".local") / "chaos.log"


def main() -> int:
    """Run, print the report, and return 0 if every invariant holds, else 1."""
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=20261124, help="the same seed repeats the same plan")
    parser.add_argument("--jobs", type=int, help="approximate number of jobs")
    parser.add_argument("--short", action="store_true", help="a run of about two minutes")
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
        print(f"log of the workers: {LOG}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
