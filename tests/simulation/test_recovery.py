"""After an outage without other faults, all due work is done within two schedule periods."""

from types import SimpleNamespace
from typing import Any

from chaos.checks import Job
from simulation.faults import Fault
from simulation.recovery import done_in_time, due_by

BEGIN, SECONDS = 10_000.0, 3_600.0
END = BEGIN + SECONDS
OUTAGE = Fault(0, "outage", "model", seconds=SECONDS, how="503")


def _run(*others: tuple[float, Fault]) -> Any:
    return SimpleNamespace(
        plan=SimpleNamespace(work=()),
        kernel=SimpleNamespace(now=END + 100_000),
        faults=SimpleNamespace(strikes=[(BEGIN, OUTAGE), *others]),
    )


def _history(ended: float) -> list[tuple[float, Job]]:
    return [
        (BEGIN + 10, Job("extract_todos", "7", "", "running")),
        (ended, Job("extract_todos", "7", "", "done")),
    ]


def test_a_job_that_finishes_within_two_periods_is_in_time() -> None:
    assert list(done_in_time(_run(), _history(END + 1200))) == []


def test_a_job_that_finishes_later_is_late() -> None:
    (late,) = done_in_time(_run(), _history(END + 1260))

    assert late == "extract_todos 7 : ended 21 min after the outage of model (503)"


def test_a_job_that_never_finishes_is_late() -> None:
    assert len(list(done_in_time(_run(), _history(END + 1260)[:1]))) == 1


def test_an_outage_beside_another_fault_promises_no_time() -> None:
    kill = (END + 600, Fault(0, "kill", "ExtractTodosWorkerFunction"))
    long_ago = (BEGIN - 7_200, Fault(0, "cut"))

    assert list(done_in_time(_run(kill), _history(END + 1260))) == []
    assert len(list(done_in_time(_run(long_ago), _history(END + 1260)))) == 1


def test_a_job_that_finished_before_or_began_after_the_outage_was_not_due() -> None:
    assert due_by(_run(), _history(END - 1), END) == {}
    assert due_by(_run(), [(END + 1, Job("events", "u", "2026-11-24", "queued"))], END) == {}
