"""Find a shorter plan that breaks the same promise, by removing faults and then work."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from simulation import checks
from simulation.plan import DAY, Plan
from simulation.world import World


def shrink(world: World, plan: Plan, kind: str, seconds: float, say: Callable[[str], None]) -> Plan:
    """Return the shortest failing plan that was found in `seconds` of real time.

    Args:
        world: runs the plans.
        plan: a plan that breaks a promise.
        kind: the name of the check that fails.
        seconds: when to stop.
        say: called with each progress line.
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
    """Try to remove halves, quarters, … of a part, down to single items."""
    size = max(1, len(getattr(plan, part)) // 2)
    while True:
        # From the end, because a plan that ends earlier runs faster.
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
    """Return the plan with these faults or this work, shortened to the days that they need."""
    changes: dict[str, Any] = {part: tuple(things)}
    changed = replace(plan, **changes)
    last = max(
        [fault.at + fault.seconds for fault in changed.faults] + [work.at for work in changed.work] + [0]
    )
    return replace(changed, days=min(plan.days, float(-(-last // DAY))))
