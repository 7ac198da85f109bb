"""`python -m bench.outage`: what the provider of the model sees of an outage, with 50 deployed jobs at once.

Some thousand extractions wait. After a while each call is answered with 503, and after another while with an
answer again. Prints the calls of each phase, and when the first success came after it.
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
# Most calls a second of a provider that is away, besides those that were under way.
PROBES_A_SECOND = 1


def watch(bundle: Bundle, seconds: float) -> tuple[float, float]:
    """Count calls for some seconds: those a minute, and after how many seconds the first one succeeded."""
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
    """Measure and print; tell whether the provider was spared."""
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
    print(f"\ncalls a minute from {WORKERS * BATCH} jobs at once")
    print(f"  before                        {before:8.0f}")
    print(f"  first ten seconds of outage   {opening:8.0f} calls in all")
    print(f"  then                          {during:8.0f}")
    print(f"  after                         {after:8.0f}")
    print(f"seconds until the first success {first:8.1f}")
    reached = during <= 60 * PROBES_A_SECOND
    verdict = "reached" if reached else "not reached"
    print(f"{verdict:12} at most {PROBES_A_SECOND} probe a second while it is away")
    data = {"before": before, "opening": opening, "during": during, "after": after, "first_success": first}
    results.write_json("outage", data)
    return reached


def main() -> int:
    """Measure; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.outage", description=__doc__)
    parser.add_argument("--jobs", type=int, default=4000, metavar="N", help="that wait (%(default)s)")
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
