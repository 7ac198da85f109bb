"""A failing plan is shortened to one that fails in the same way."""

from dataclasses import replace
from typing import Any

import pytest

from simulation import checks
from simulation.deployment import deployment
from simulation.faults import Fault
from simulation.plan import DAY, Plan, make_plan
from simulation.shrink import shrink

CULPRIT = Fault(1000, "cut")


class World:
    """A world in which one fault breaks a promise if there is work."""

    def __init__(self) -> None:
        self.runs = 0

    def run(self, plan: Plan) -> Plan:
        self.runs += 1
        return plan


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(checks, "facts_of", lambda _world, plan: plan)
    monkeypatch.setattr(
        checks, "broken", lambda plan: ["todos_once: 7"] if CULPRIT in plan.faults and plan.work else []
    )
    return World()


@pytest.fixture
def plan() -> Plan:
    made = make_plan(1, 3, deployment())
    return replace(made, faults=tuple(sorted((*made.faults, CULPRIT))))


def test_only_the_faults_and_work_that_break_the_promise_are_left(world: Any, plan: Plan) -> None:
    short = shrink(world, plan, "todos_once", 60, lambda _text: None)

    assert short.faults == (CULPRIT,)
    assert len(short.work) == 1
    assert short.days == 1.0
    assert world.runs < 100


def test_shrinking_stops_when_the_time_is_up(world: Any, plan: Plan) -> None:
    assert shrink(world, plan, "todos_once", -1, lambda _text: None) == plan
    assert world.runs == 0
    assert plan.days * DAY > 0
