"""The hunt: how many seeds does the simulation need to find a planted defect?"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache

from simulation import checks
from simulation.defects import DEFECTS, put_back
from simulation.plan import make_plan
from simulation.world import Run, World

NAMES = tuple(DEFECTS)
# The bar of issue 13.
MOST_SEEDS = 20


@dataclass(frozen=True)
class Found:
    """A hunt: the defect, how many seeds it took (0: it was not found), the seed, and what was broken."""

    name: str
    seeds: int
    seed: int = 0
    what: str = ""


def find(world: World, name: str, seed: int, days: float, say: Callable[[str], None]) -> Found:
    """Run seeds with a defect until a promise is broken that the same seed keeps without it.

    Args:
        world: runs the plans.
        name: of the defect.
        seed: the first one.
        days: of each plan.
        say: told of what was found.
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
    """Tell whether a seed breaks a promise although no defect is there."""
    return bool(_broken(world, seed, days))


def _broken(world: World, seed: int, days: float, *, cut_short: bool = False) -> list[str]:
    """Run a seed, if wanted only until something is broken for good, and return what is broken."""

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
