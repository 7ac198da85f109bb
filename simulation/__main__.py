"""`python -m simulation`: months of work and faults in minutes. Exits with 1 if a promise is broken."""

import argparse
import cProfile
import os
import pstats
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simulation.world import World


def main() -> int:
    """Run the mode that the command line asks for. Return 0 if every promise holds, else 1."""
    arguments = _arguments()
    from simulation.world import world as make_world

    with make_world(arguments.defect) as world:
        if arguments.promise or arguments.outage:
            return _promise(world, arguments)
        if arguments.defects is not None:
            return _defects(world, arguments)
        if arguments.fairness:
            return _fairness(world, arguments.seed)
        seeds = range(arguments.seed, arguments.seed + arguments.seeds)
        failed = [seed for seed in seeds if not _run(world, seed, arguments)]
    if arguments.seeds > 1:
        print(f"{arguments.seeds} seeds, {len(failed)} failed: {failed}")
    return int(bool(failed))


def _run(world: "World", seed: int, arguments: argparse.Namespace) -> bool:
    """Run one seed and print its result. Return whether every promise holds."""
    from simulation import checks, report
    from simulation.plan import make_plan
    from simulation.shrink import shrink

    plan = make_plan(seed, arguments.days, world.settings, with_faults=not arguments.calm)
    profile = cProfile.Profile()
    began, busy = time.monotonic(), time.process_time()
    if arguments.profile:
        profile.enable()
    run = world.run(plan)
    profile.disable()
    known = checks.facts_of(world, run)
    broken = checks.broken(known)
    seconds, cpu = time.monotonic() - began, time.process_time() - busy
    if arguments.seeds == 1:
        print(report.table(run, known))
    if broken:
        print(report.complaints(run, broken))
    print(
        f"seed {seed}, {arguments.days:g} days: {len(known.jobs):,} jobs, {len(plan.faults):,} faults,"
        f" {len(broken)} broken promises; {seconds:.1f} s ({cpu:.1f} s of CPU);"
        f" trace {run.kernel.digest[:16]}",
        flush=True,
    )
    if arguments.trace:
        Path(arguments.trace).write_text("\n".join(run.kernel.lines))
    if arguments.profile:
        pstats.Stats(profile).sort_stats("tottime").print_stats(40)
    if broken and arguments.shrink:
        kind = broken[0].partition(":")[0]
        short = shrink(world, plan, kind, arguments.shrink, lambda text: print(text, flush=True))
        print(report.plan_of(short))
        again = world.run(short)
        print(report.complaints(again, checks.broken(checks.facts_of(world, again))))
    return not broken


def _defects(world: "World", arguments: argparse.Namespace) -> int:
    """Hunt for planted defects, and print how many seeds each one took."""
    from simulation import hunt

    begin = arguments.seed
    found = [
        hunt.find(world, name, begin, arguments.days, lambda text: print(text, flush=True))
        for name in arguments.defects or hunt.NAMES
    ]
    print("", hunt.table(found), sep="\n")
    return int(not all(each.seeds for each in found))


def _fairness(world: "World", seed: int) -> int:
    """Print how long a hundred users wait beside one user's thousand pages."""
    from simulation import fairness

    waits = fairness.measure(world, seed)
    print(fairness.table(waits))
    return int(not fairness.holds(waits))


def _promise(world: "World", arguments: argparse.Namespace) -> int:
    """Run one outage, or all of them, and print the table."""
    from simulation import promise

    services = [arguments.outage] if arguments.outage else promise.DEPENDENCIES
    rows = []
    saved: list[promise.Row] = []
    for hours in [arguments.hours] if arguments.hours else promise.HOURS:
        undisturbed = promise.paid_undisturbed(world, arguments.seed, hours)
        for service in services:
            row = promise.measure(world, arguments.seed, service, hours, undisturbed, arguments.how)
            rows.append(row)
            if arguments.promise:
                # Running all outages takes long and may be interrupted.
                saved = promise.save(row)
            print(promise.table([row]).splitlines()[1], flush=True)
            if arguments.outage:
                print("\n".join(row.broken[:20]))
    print("", promise.table(rows), sep="\n")
    if arguments.promise:
        print("", promise.markdown(saved), sep="\n")
    return int(not all(row.holds for row in rows))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m simulation", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="the same seed repeats the same run")
    parser.add_argument("--seeds", type=int, default=1, help="number of seeds to run, starting at --seed")
    parser.add_argument("--days", type=float, default=3, help="days of work and faults")
    parser.add_argument("--defects", nargs="*", metavar="NAME", help="hunt for these planted defects, or all")
    parser.add_argument("--fairness", action="store_true", help="a thousand pages beside a hundred users")
    parser.add_argument("--defect", default="", help="put this defect back (see simulation/defects.py)")
    parser.add_argument("--shrink", type=float, default=0, help="seconds to look for a shorter plan")
    parser.add_argument("--promise", action="store_true", help="run each outage for 2, 24 and 72 hours")
    parser.add_argument("--outage", default="", help="run one outage: model, postgres, ...")
    parser.add_argument("--hours", type=float, default=0, help="length of the outage")
    parser.add_argument("--how", default="", help="kind of the outage: refused, 503, timeout, ...")
    parser.add_argument("--calm", action="store_true", help="run without faults")
    parser.add_argument("--trace", help="write the trace to this file")
    parser.add_argument("--profile", action="store_true", help="print the functions that take most CPU time")
    return parser.parse_args()


def _fix_hashes() -> None:
    """Restart Python with fixed string hashes, so that the order of a set is the same in every process."""
    if os.environ.get("PYTHONHASHSEED") != "0":
        command = [sys.executable, "-m", "simulation", *sys.argv[1:]]
        os.execve(sys.executable, command, os.environ | {"PYTHONHASHSEED": "0"})


if __name__ == "__main__":
    _fix_hashes()
    sys.exit(main())
