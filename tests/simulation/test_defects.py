"""The simulation is not blind: defects that were there once, put back, are found."""

from simulation.defects import DEFECTS
from tests.simulation.test_run import simulate

# Those that one day of one seed finds; `python -m simulation --defects` looks for all of them.
FOUND_EARLY, SEED = ("R8-nothing-kept", "back-off-never", "circuits-never-open"), 7


def test_defects_that_are_put_back_are_found() -> None:
    said, _ = simulate("--defects", *FOUND_EARLY, "--seed", SEED, "--days", 1).communicate()

    for name in FOUND_EARLY:
        assert f"{name}: found by seed" in said, said


def test_there_are_at_least_ten_defects_to_look_for() -> None:
    assert len(DEFECTS) >= 10
