"""The promise, checked in every run: what was due in an outage is done soon after its end.

It is about one dependency, so only about outages beside which nothing else went wrong.
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from chaos.load import FIRST_KEY
from simulation.conduct import outages
from simulation.faults import Fault
from simulation.plan import START
from simulation.world import Run

if TYPE_CHECKING:
    from chaos.checks import Job

# Seconds of two periods of the schedule that finds a process's work (template.yaml). Nothing but a message
# finds an update: it counts as what the schedule of documents finds.
TWO_PERIODS = {
    "extract_todos": 1200,
    "reschedule_todo": 7200,
    "events": 7200,
    "create_from_website": 1200,
    "ingest_page": 1200,
    "update_document": 1200,
}
LONGEST = max(TWO_PERIODS.values())
# An execution is due when it was left alone for so long (template.yaml, MINIMUM_AGE_MINUTES).
AGE_SECONDS = 600
FINAL = ("done", "failed", "skipped")
# What a fault leaves behind is over after this time: the longest visibility timeout, and a try.
SHADOW_SECONDS = 3600

type Key = tuple[str, str, str]
type History = list[tuple[float, "Job"]]


def broken(run: Run, history: History) -> list[str]:
    """Return the jobs that were not done in time after an outage."""
    return [f"done_in_time: {what}" for what in done_in_time(run, history)]


def done_in_time(run: Run, history: History) -> Iterator[str]:
    """After an outage of one dependency, what was due by then ends within two periods of its schedule."""
    for begin, fault in outages(run):
        end = begin + fault.seconds
        if run.kernel.now < end + LONGEST or not _is_alone(run, begin, fault):
            continue
        due = due_by(run, history, end)
        for key, ended in due.items():
            if ended is None or ended > end + TWO_PERIODS[key[0]]:
                late = "never" if ended is None else f"{(ended - end) / 60:.0f} min"
                yield f"{' '.join(key)}: ended {late} after the outage of {fault.target} ({fault.how})"


def due_by(run: Run, history: History, end: float) -> dict[Key, float | None]:
    """Return the jobs that had begun or were due before a moment and had not ended then, and when each ended.

    Args:
        run, history: see there.
        end: seconds since 1970.
    """
    begun: dict[Key, float] = {
        ("extract_todos", str(FIRST_KEY + work.number), ""): START.timestamp() + work.at + AGE_SECONDS
        for work in run.plan.work
        if work.kind == "execution"
    }
    ended: dict[Key, float] = {}
    for moment, job in history:
        key = (job.process, job.subject, job.occasion)
        begun[key] = min(begun.get(key, moment), moment)
        if job.state in FINAL:
            ended.setdefault(key, moment)
    return {
        key: ended.get(key)
        for key, moment in begun.items()
        if moment < end and ended.get(key, float("inf")) >= end
    }


def _is_alone(run: Run, begin: float, outage: Fault) -> bool:
    """Tell whether no other fault can have delayed what the outage held up."""
    end = begin + outage.seconds + LONGEST
    return not any(
        at <= end and at + fault.seconds + SHADOW_SECONDS >= begin for at, fault in _others(run, outage)
    )


def _others(run: Run, outage: Fault) -> Iterable[tuple[float, Fault]]:
    return ((at, fault) for at, fault in run.faults.strikes if fault is not outage)
