"""`python -m simulation`: months of work and faults in minutes; exit code 1 when a promise is broken."""

import argparse
import cProfile
import os
import pstats
import sys
import time


def main() -> int:
    """Run a plan, print what came of it, and say whether every promise holds."""
    from simulation.plan import make_plan
    from simulation.world import world

    parser = argparse.ArgumentParser(prog="python -m simulation", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="the same seed is the same run")
    parser.add_argument("--days", type=float, default=3, help="days of work and faults")
    parser.add_argument("--defect", default="", help="put this defect back (see simulation/defects.py)")
    parser.add_argument("--calm", action="store_true", help="no faults")
    parser.add_argument("--trace", help="write the trace to this file")
    parser.add_argument("--profile", action="store_true", help="print where the time goes")
    arguments = parser.parse_args()
    with world(arguments.defect) as made:
        plan = make_plan(arguments.seed, arguments.days, made.settings, with_faults=not arguments.calm)
        profile = cProfile.Profile()
        began = time.monotonic()
        if arguments.profile:
            profile.enable()
        run = made.run(plan)
        profile.disable()
        print(f"{time.monotonic() - began:.1f} s, {run.lambdas.invocations} invocations, {run.lambdas.deaths} deaths")
        print(len(run.kernel.lines), run.kernel.digest)
        for row in made.server.rows("SELECT process, state, count(*) FROM md_background_job GROUP BY 1, 2 ORDER BY 1, 2"):
            print(*row)
        print(run.metrics)
        print({k: len(q.messages) for k, q in run.queues.items()})
        if arguments.trace:
            open(arguments.trace, "w").write("\n".join(run.kernel.lines))
        for t in run.tracebacks[:3]: print(*t)
        if arguments.profile:
            pstats.Stats(profile).sort_stats("cumulative").print_stats(60)
    return 0


if __name__ == "__main__":
    # The order of a set of strings must not depend on the process.
    if os.environ.get("PYTHONHASHSEED") != "0":
        os.execve(sys.executable, [sys.executable, "-m", "simulation", *sys.argv[1:]], os.environ | {"PYTHONHASHSEED": "0"})
    sys.exit(main())
