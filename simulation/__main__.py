"""`python -m simulation`: months of work and faults in minutes; exit code 1 when a promise is broken."""

import argparse
import cProfile
import os
import pstats
import sys
import time
from pathlib import Path


def main() -> int:
    """Run what the command line asks for, and say whether every promise holds."""
    # Imported here: `_fix_hashes` may begin this program again.
    from simulation import checks, report
    from simulation.plan import make_plan
    from simulation.world import world

    arguments = _arguments()
    failed = 0
    with world(arguments.defect) as made:
        for seed in range(arguments.seed, arguments.seed + arguments.seeds):
            plan = make_plan(seed, arguments.days, made.settings, with_faults=not arguments.calm)
            profile = cProfile.Profile()
            began, busy = time.monotonic(), time.process_time()
            if arguments.profile:
                profile.enable()
            run = made.run(plan)
            profile.disable()
            known = checks.facts_of(made, run)
            broken = checks.broken(known)
            seconds, cpu = time.monotonic() - began, time.process_time() - busy
            failed += bool(broken)
            if arguments.seeds == 1:
                print(report.table(run, known))
            if broken:
                print(report.complaints(run, broken))
            print(
                f"seed {seed}, {arguments.days:g} days: {len(known.jobs):,} jobs, {len(plan.faults):,} faults,"
                f" {len(broken)} broken promises; {seconds:.1f} s ({cpu:.1f} s of a processor);"
                f" trace {run.kernel.digest[:16]}",
                flush=True,
            )
            if arguments.trace:
                Path(arguments.trace).write_text("\n".join(run.kernel.lines))
            if arguments.profile:
                pstats.Stats(profile).sort_stats("tottime").print_stats(40)
    return int(failed > 0)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m simulation", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="the same seed is the same run")
    parser.add_argument("--seeds", type=int, default=1, help="run so many seeds, from --seed on")
    parser.add_argument("--days", type=float, default=3, help="days of work and faults")
    parser.add_argument("--defect", default="", help="put this defect back (see simulation/defects.py)")
    parser.add_argument("--calm", action="store_true", help="let nothing go wrong")
    parser.add_argument("--trace", help="write the trace to this file")
    parser.add_argument("--profile", action="store_true", help="print where the time goes")
    return parser.parse_args()


def _fix_hashes() -> None:
    """Begin again with fixed hashes: the order of a set of texts must not depend on the process."""
    if os.environ.get("PYTHONHASHSEED") != "0":
        command = [sys.executable, "-m", "simulation", *sys.argv[1:]]
        os.execve(sys.executable, command, os.environ | {"PYTHONHASHSEED": "0"})


if __name__ == "__main__":
    _fix_hashes()
    sys.exit(main())
