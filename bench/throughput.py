"""`python -m bench.throughput`: measure the jobs a second of the deployed bundle, and its billed time.

Everything goes through the built template in MiniStack: real queues, Postgres, and ten warm workers for each
process with batches of ten, so a hundred jobs are in flight. The model is a separate process with a given
latency. Two references run the same job code on the same machine, database and model: one job at a time, as
in a serial worker, and five at a time in one process, the most of Mojodex's own thread pool. Both are
measured on a sample at the shortest latency. For other latencies they are computed: a job's own time stays,
and the model's time is replaced.

The bound is the rate that the model's latency allows with a hundred jobs in flight. The bound of batches also
accounts for a batch's wait for its slowest call. Below the bound, CPU is the limit, and a table shows who
uses it. On AWS each worker has its own CPU; here all workers, PostgreSQL, the queues and the model share the
cores.

`python -m bench.website` measures a website.
"""

import argparse
import json
import os
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from statistics import mean, quantiles
from typing import Any

from matplotlib.figure import Figure

from bench import results
from bench.database import BenchError, exit_on_signals
from bench.deployed import BATCH, WORKERS, Bundle, Run, deployed
from bench.load import EXTRACTION, KINDS, MAILS, RESCHEDULING, Kind
from bench.model_server import Latency
from mojodex.tokens import count_tokens

IN_FLIGHT = WORKERS * BATCH
SHORTEST = Latency(0.3)
# Log-normal with 98 of 100 calls between 0.3 and 8 s, and cut there: ln 0.3 and ln 8 are 2.33 standard
# deviations from the logarithm of the median.
SPREAD = Latency(median=1.549, sigma=0.7058, least=0.3, most=8)
CURVE = (Latency(1), Latency(2), Latency(4), SPREAD)
# Sample sizes of the references, by threads.
SAMPLES = {1: 30, 5: 100}
# The first jobs are not measured, because the workers are cold.
WARMING = 2 * IN_FLIGHT
LONG_LATENCY = Latency(3)
BILLED_WORKERS = 2
TARGETS = {1: 25.0, 5: 5.0}
BOUND_TARGET, BILLED_TARGET = 0.8, 0.2
SAMPLE_OF_SLOWEST = 20_000


@dataclass(frozen=True)
class Measured:
    """One load, with its references.

    Attributes:
        kind, latency, run: the load.
        alone: seconds per job in one process, by its number of threads (1, 5).
    """

    kind: Kind
    latency: Latency
    run: Run
    alone: dict[int, float]

    @property
    def rate(self) -> float:
        """Return the jobs per second."""
        return self.run.jobs / self.run.seconds

    @property
    def bound(self) -> float:
        """Return the jobs per second that the mean latency allows, with one call per job."""
        return IN_FLIGHT / self.run.latency

    @property
    def batch_bound(self) -> float:
        """Return the jobs per second if each batch waits for its slowest call."""
        return IN_FLIGHT / slowest_of_batch(self.latency)

    def row(self) -> dict[str, Any]:
        """Return the figures for bench/results."""
        run = self.run
        cuts = quantiles(run.waits, n=100)
        return {
            "process": self.kind.process,
            "jobs": run.jobs,
            "latency": name_of(self.latency),
            "mean_latency": run.latency,
            "jobs_per_second": self.rate,
            "p50": cuts[49],
            "p95": cuts[94],
            "p99": cuts[98],
            "times_serial": self.rate * self.alone[1],
            "times_five": self.rate * self.alone[5],
            "bound": self.bound,
            "share_of_bound": self.rate / self.bound,
            "share_of_batch_bound": self.rate / self.batch_bound,
            "most_in_flight": run.most,
            "calls_per_job": sum(run.calls.values()) / run.jobs,
            "connections": run.connections,
            "processor_ms_per_job": {who: 1000 * s / run.jobs for who, s in run.processor.most_common()},
            "log_bytes_per_job": run.logged / run.jobs,
        }


@cache
def slowest_of_batch(latency: Latency) -> float:
    """Return the mean seconds of a batch's slowest call."""
    rng = random.Random(5)
    return mean(max(latency.seconds(rng) for _ in range(BATCH)) for _ in range(SAMPLE_OF_SLOWEST))


def name_of(latency: Latency) -> str:
    """Return a latency's name in tables."""
    return f"{latency.least:g}-{latency.most:g} s" if latency.sigma else f"{latency.median:g} s"


def tokens(run: Run) -> dict[str, int]:
    """Return the tokens of the newest request's prompt, its schema included."""
    request = json.loads(run.last)
    prompt = "".join(message["content"] for message in request["messages"])
    return {"prompt": count_tokens(prompt) + count_tokens(json.dumps(request["response_format"]))}


def say(*cells: object) -> None:
    """Print one line of a table."""
    first, *others = (f"{each:,.2f}" if isinstance(each, float) else str(each) for each in cells)
    print(f"{first:26}" + "".join(f"{each:>10}" for each in others), flush=True)


def measure(bundle: Bundle, sizes: dict[Kind, Sequence[int]], curve: int) -> dict[str, Any]:
    """Measure and print everything, and return the data for bench/results.

    Args:
        bundle: the deployed bundle.
        sizes: for each kind, the numbers of jobs of its loads.
        curve: number of jobs for each further latency.
    """
    bundle.model.take(SHORTEST)
    measured: list[Measured] = []
    alone: dict[str, dict[int, float]] = {}
    print(
        f"\n{'':26}{'latency':>10}{'jobs/s':>10}{'p50 s':>10}{'p95 s':>10}{'p99 s':>10}{'x serial':>10}"
        f"{'x five':>10}{'of bound':>10}{'of batches':>10}{'in flight':>10}{'calls/job':>10}",
        flush=True,
    )

    def load(kind: Kind, jobs: int, latency: Latency) -> None:
        more = latency_of_references(bundle, kind, alone)
        one = Measured(
            kind,
            latency,
            run := bundle.run(kind, jobs),
            {threads: own + run.latency / threads for threads, own in more.items()},
        )
        measured.append(one)
        row = one.row()
        say(
            f"{jobs:,} {kind.process}",
            row["latency"],
            one.rate,
            row["p50"],
            row["p95"],
            row["p99"],
            row["times_serial"],
            row["times_five"],
            f"{row['share_of_bound']:.0%}",
            f"{row['share_of_batch_bound']:.0%}",
            run.most,
            row["calls_per_job"],
        )

    for kind, counts in sizes.items():
        bundle.run(kind, WARMING)
        for jobs in counts:
            load(kind, jobs, SHORTEST)
    for latency in CURVE:
        bundle.model.take(latency)
        load(EXTRACTION, curve, latency)

    print("\nCPU, ms per job")
    for one in measured:
        per_job = one.row()["processor_ms_per_job"]
        shown = ", ".join(f"{who} {ms:.1f}" for who, ms in per_job.items() if ms >= 0.05)
        print(f"  {one.run.jobs:,} {one.kind.process}, {name_of(one.latency)}: {shown}")

    billed, by_process = billing(bundle)
    bundle.model.take(SHORTEST)
    most, allowed = bundle.connections_at_once(KINDS, min(counts[0] for counts in sizes.values()))
    print(f"\nConnections with all queues loaded: {most} at most, {allowed} allowed by the parameters")
    data = {
        "cores": os.cpu_count(),
        "in_flight": IN_FLIGHT,
        "loads": [one.row() for one in measured],
        "references": {
            process: {f"{threads} at a time, own seconds a job": own for threads, own in found.items()}
            for process, found in alone.items()
        },
        "billing": billed,
        "gb_seconds_per_1000": by_process,
        "tokens": {one.kind.process: tokens(one.run) for one in measured},
        "connections": {"most": most, "allowed": allowed},
    }
    judge(measured, billed, most, allowed)
    results.write_json("throughput", data)
    results.write_figure("throughput", figure(measured))
    return data


def latency_of_references(bundle: Bundle, kind: Kind, alone: dict[str, dict[int, float]]) -> dict[int, float]:
    """Return the seconds per job in one process without its call, by threads. Each is measured once."""
    if kind.process not in alone:
        alone[kind.process] = {
            threads: bundle.reference(kind, jobs, threads) - SHORTEST.median / threads
            for threads, jobs in SAMPLES.items()
        }
    return alone[kind.process]


def billing(bundle: Bundle) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """Measure the GB-seconds of 1,000 jobs.

    Only few workers run: a worker that waits for a CPU is billed for it, and on AWS none waits.

    Returns:
        Extractions in batches of ten and in single records, for the same load. Then every process with
        batches of ten at the shortest latency.
    """

    def billed(kind: Kind, batch: int, jobs: int) -> float:
        bundle.let(kind, workers=BILLED_WORKERS, batch=batch)
        run = bundle.run(kind, jobs)
        bundle.let(kind, workers=WORKERS, batch=BATCH)
        return 1000 * run.billed * run.memory / jobs

    found = []
    print("\nBilled GB-seconds per 1,000 jobs")
    say("", "latency", "of ten", "of one", "ratio")
    for latency, jobs in ((LONG_LATENCY, 40), (SHORTEST, 100)):
        bundle.model.take(latency)
        ten, one = (billed(EXTRACTION, batch, jobs) for batch in (BATCH, 1))
        found.append({"latency": latency.median, "batch_of_10": ten, "batch_of_1": one, "ratio": ten / one})
        say(EXTRACTION.process, name_of(latency), ten, one, ten / one)
    by_process = {EXTRACTION.process: ten}
    for kind in (RESCHEDULING, MAILS):
        by_process[kind.process] = billed(kind, BATCH, jobs)
        say(kind.process, name_of(SHORTEST), by_process[kind.process])
    return found, by_process


def judge(measured: Sequence[Measured], billed: Sequence[dict[str, Any]], most: int, allowed: int) -> None:
    """Print which targets are reached."""
    extractions = [one for one in measured if one.kind is EXTRACTION]
    biggest = max((one for one in extractions if one.latency == SHORTEST), key=lambda one: one.run.jobs)
    verdicts = [
        (
            f"{biggest.run.jobs:,} extractions at {name_of(SHORTEST)}: {biggest.rate * own:.1f} times"
            f" {threads} at a time, target {TARGETS[threads]:g}",
            biggest.rate * own >= TARGETS[threads],
        )
        for threads, own in biggest.alone.items()
    ]
    for one in extractions:
        share = one.rate / one.bound
        verdicts.append(
            (
                f"{one.run.jobs:,} extractions at {name_of(one.latency)}: {share:.0%} of the bound,"
                f" target {BOUND_TARGET:.0%}",
                share >= BOUND_TARGET,
            )
        )
    verdicts += [
        (
            f"billed at {each['latency']:g} s: {each['ratio']:.2f} of one record per invocation,"
            f" target {BILLED_TARGET}",
            each["ratio"] <= BILLED_TARGET,
        )
        for each in billed
    ]
    verdicts.append((f"connections: {most}, allowed {allowed}", most <= allowed))
    print()
    for said, reached in verdicts:
        print(f"{'reached    ' if reached else 'not reached'}  {said}")


def figure(measured: Sequence[Measured]) -> Figure:
    """Draw jobs per second over latency, with the bound."""
    constant = [one for one in measured if one.kind is EXTRACTION and not one.latency.sigma]
    constant.sort(key=lambda one: (one.latency.median, one.run.jobs))
    drawn = Figure(figsize=(7, 4), layout="constrained")
    axes = drawn.add_subplot(xscale="log", yscale="log")
    seconds = [one.run.latency for one in constant]
    axes.plot(seconds, [one.bound for one in constant], "--", label="bound, 100 in flight")
    axes.plot(seconds, [one.rate for one in constant], "o-", label="deployed bundle")
    for threads, name in ((5, "five at a time"), (1, "one at a time")):
        axes.plot(seconds, [1 / one.alone[threads] for one in constant], "o-", label=name)
    axes.set_xlabel("latency of the model, seconds")
    axes.set_ylabel("extractions a second")
    axes.legend()
    return drawn


def main() -> int:
    """Measure. Return the exit code: 1 if a job was lost or made no progress."""
    parser = argparse.ArgumentParser(prog="python -m bench.throughput", description=__doc__)
    parser.add_argument("--small", action="store_true", help="only 200 extractions, 200 moves, 500 mails")
    small = parser.parse_args().small
    exit_on_signals()
    sizes: dict[Kind, Sequence[int]] = {
        EXTRACTION: (200,) if small else (200, 2000),
        RESCHEDULING: (200,) if small else (200, 2000),
        MAILS: (500,) if small else (500, 5000),
    }
    try:
        with deployed() as bundle:
            measure(bundle, sizes, curve=200 if small else 1000)
    except BenchError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
