"""The hunt: how many seeds does the simulation need to find a planted defect?"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache

from simulation import checks
from simulation.defects import DEFECTS, put_back
from simulation.plan import make_plan
from simulation.world import Run, World

NAMES = tuple(DEFECTS)
# A defect that this many seeds do not find counts as not found.
MOST_SEEDS = 20


@dataclass(frozen=True)
class Found:
    """The result of a hunt: the defect, the number of seeds (0: not found), the seed, the broken promise."""

    name: str
    seeds: int
    seed: int = 0
    what: str = ""


def find(world: World, name: str, seed: int, days: float, say: Callable[[str], None]) -> Found:
    """Run seeds with a defect until one breaks a promise that the same seed keeps without the defect.

    Args:
        world: runs the plans.
        name: the defect.
        seed: the first seed.
        days: the length of each plan.
        say: called with the result.
    """
    for number in range(MOST_SEEDS):
        with put_back(name):
            broken = _broken(world, seed + number, days, cut_short=True)
        if broken and not broken_without(world, seed + number, days):
            say(f"{name}: found by seed {seed + number}: {broken[0][:160]} ({len(broken)} in all)")
            return Found(name, number + 1, seed + number, broken[0])
    say(f"{name}: not found by {MOST_SEEDS} seeds")
    return Found(name, 0)


@cache
def broken_without(world: World, seed: int, days: float) -> bool:
    """Tell whether a seed breaks a promise even without a defect."""
    return bool(_broken(world, seed, days))


def _broken(world: World, seed: int, days: float, *, cut_short: bool = False) -> list[str]:
    """Run a seed and return its broken promises. `cut_short`: stop once a promise is broken for good."""

    def enough(run: Run) -> bool:
        return cut_short and bool(checks.broken_for_good(checks.facts_of(world, run)))

    run = world.run(make_plan(seed, days, world.settings), enough=enough)
    known = checks.facts_of(world, run)
    return checks.broken_for_good(known) if run.cut_short else checks.broken(known)


def table(found: Iterable[Found]) -> str:
    """Return the hunts as a table."""
    lines = [f"{'defect':32}{'seeds':>6}{'seed':>6}  found by"]
    for each in found:
        seeds = str(each.seeds) if each.seeds else "none"
        lines.append(f"{each.name:32}{seeds:>6}{each.seed:>6}  {each.what.partition(':')[0]}")
    return "\n".join(lines)
