"""`python -m bench.outage`: count a failing model provider's calls from 50 concurrent jobs.

Thousands of extractions wait. After a while each call gets status 503, and after another while an answer
again. Prints the calls of each phase, and the time until the first success.
"""

import argparse
import sys
import time

from bench import load, results
from bench.database import BenchError
from bench.deployed import Bundle, deployed
from bench.load import EXTRACTION
from bench.model_server import Latency

WORKERS, BATCH = 5, 10
LATENCY = Latency(2)
# Most calls a second to a provider that is unavailable, besides those in progress.
PROBES_A_SECOND = 1


def watch(bundle: Bundle, seconds: float) -> tuple[float, float]:
    """Count calls for some seconds. Return the calls a minute, and the seconds until the first success."""
    bundle.model.stats()
    began, calls, first = time.monotonic(), 0, float("inf")
    while (now := time.monotonic() - began) < seconds:
        time.sleep(0.5)
        counted = bundle.model.stats()["calls"]
        calls += sum(counted.values())
        if counted.get(EXTRACTION.schema):
            first = min(first, now)
    return calls * 60 / seconds, first


def measure(bundle: Bundle, jobs: int, seconds: float) -> bool:
    """Measure and print. Return whether the provider got few enough calls."""
    bundle.let(EXTRACTION, workers=WORKERS, batch=BATCH)
    bundle.model.take(LATENCY)
    bundle.publish(EXTRACTION, load.fill(bundle.engine, EXTRACTION, jobs))
    time.sleep(10)
    before, _ = watch(bundle, seconds)
    bundle.model.answer_with(503)
    first_seconds, _ = watch(bundle, 10)
    during, _ = watch(bundle, seconds)
    bundle.model.answer_with(200)
    after, first = watch(bundle, seconds)
    opening = first_seconds / 6
    print(f"\ncalls a minute from {WORKERS * BATCH} jobs at a time")
    print(f"  before                        {before:8.0f}")
    print(f"  first ten seconds of outage   {opening:8.0f} calls in all")
    print(f"  then                          {during:8.0f}")
    print(f"  after                         {after:8.0f}")
    print(f"seconds until the first success {first:8.1f}")
    reached = during <= 60 * PROBES_A_SECOND
    verdict = "reached" if reached else "not reached"
    print(f"{verdict:12} at most {PROBES_A_SECOND} probe a second while the provider is unavailable")
    data = {"before": before, "opening": opening, "during": during, "after": after, "first_success": first}
    results.write_json("outage", data)
    return reached


def main() -> int:
    """Measure, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.outage", description=__doc__)
    parser.add_argument("--jobs", type=int, default=4000, metavar="N", help="waiting jobs (%(default)s)")
    parser.add_argument("--seconds", type=float, default=60, metavar="N", help="of each phase (%(default)s)")
    arguments = parser.parse_args()
    try:
        with deployed() as bundle:
            return 0 if measure(bundle, arguments.jobs, arguments.seconds) else 1
    except BenchError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
