"""Find a short plan that breaks the same promise: remove faults, then work, as long as it still does."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from simulation import checks
from simulation.plan import DAY, Plan
from simulation.world import World


def shrink(world: World, plan: Plan, kind: str, seconds: float, say: Callable[[str], None]) -> Plan:
    """Return the shortest plan that was found in `seconds` of real time.

    Args:
        world: runs the plans.
        plan: breaks a promise.
        kind: the name of the check that finds it.
        seconds: when to stop looking.
        say: told of each step.
    """
    ends = time.monotonic() + seconds

    def breaks(candidate: Plan) -> bool:
        broken = checks.broken(checks.facts_of(world, world.run(candidate)))
        return any(what.startswith(f"{kind}:") for what in broken)

    for part in ("faults", "work", "faults"):
        plan = _fewer(plan, part, breaks, ends)
        say(f"{len(plan.faults)} faults, {len(plan.work)} pieces of work: {kind} is still broken")
    return plan


def _fewer(plan: Plan, part: str, breaks: Callable[[Plan], bool], ends: float) -> Plan:
    """Remove halves, quarters, … of a part, down to single ones."""
    size = max(1, len(getattr(plan, part)) // 2)
    while True:
        # From the end: a plan that ends earlier runs faster.
        end = len(getattr(plan, part))
        while end > 0:
            if time.monotonic() > ends:
                return plan
            things, begin = getattr(plan, part), max(0, end - size)
            candidate = _with(plan, part, [*things[:begin], *things[end:]])
            if breaks(candidate):
                plan = candidate
            end = begin
        if size == 1:
            return plan
        size = max(1, size // 2)


def _with(plan: Plan, part: str, things: Sequence[Any]) -> Plan:
    """Return the plan with other faults or other work, and no more days than they need."""
    changes: dict[str, Any] = {part: tuple(things)}
    changed = replace(plan, **changes)
    last = max(
        [fault.at + fault.seconds for fault in changed.faults] + [work.at for work in changed.work] + [0]
    )
    return replace(changed, days=min(plan.days, float(-(-last // DAY))))
