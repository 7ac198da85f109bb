"""The plan of a seed has enough of each situation, and times in which only one dependency is away."""

import pytest

from simulation.deployment import deployment
from simulation.plan import BURST, DAY, HOW, QUIET_AFTER, Plan, make_plan


@pytest.fixture(scope="module")
def plans() -> list[Plan]:
    return [make_plan(seed, 3, deployment()) for seed in range(1, 41)]


def test_the_same_seed_is_the_same_plan_and_another_one_is_not() -> None:
    assert make_plan(1, 3, deployment()) == make_plan(1, 3, deployment()) != make_plan(2, 3, deployment())


def test_work_does_not_depend_on_faults() -> None:
    calm = make_plan(1, 3, deployment(), with_faults=False)

    assert calm.faults == ()
    assert calm.work == make_plan(1, 3, deployment()).work


def test_every_dependency_has_a_long_outage_and_a_quiet_one_in_some_of_the_seeds(plans: list[Plan]) -> None:
    long, alone = set(), set()
    for plan in plans:
        outages = [fault for fault in plan.faults if fault.kind == "outage"]
        for outage in outages:
            if outage.seconds > 3600:
                long.add(outage.target)
            end = outage.at + outage.seconds + QUIET_AFTER
            if not any(outage.at <= other.at <= end for other in plan.faults if other is not outage):
                alone.add(outage.target)

    assert HOW.keys() - long == {"sqs"}
    assert HOW.keys() - {"sqs"} <= alone


def test_a_burst_of_work_meets_an_outage_of_the_model(plans: list[Plan]) -> None:
    for plan in plans:
        (outage,) = [f for f in plan.faults if f.kind == "outage" and f.target == "model"] or [None]
        if outage is None:
            # Another outage is alone in this time.
            continue
        ended = [w for w in plan.work if w.kind == "execution" and -30 <= outage.at - w.at <= 330]
        assert len(ended) >= BURST / 2


def test_thirty_days_have_three_thousand_jobs_and_five_hundred_faults() -> None:
    plan = make_plan(1, 30, deployment())

    assert len(plan.faults) >= 500
    # Each overdue to-do, execution and user with to-dos adds jobs.
    assert len(plan.work) >= 2000
    assert all(fault.at + fault.seconds <= 30 * DAY for fault in plan.faults if fault.kind == "outage")
