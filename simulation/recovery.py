"""The promise, checked in every run: work that an outage delays is done soon after its end.

Only outages beside which nothing else went wrong count, because the promise is about one dependency.
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

# Two periods, in seconds, of the schedule that finds a process's work (template.yaml). No schedule finds an
# update, so it gets the time of the schedule of documents.
TWO_PERIODS = {
    "extract_todos": 1200,
    "reschedule_todo": 7200,
    "events": 7200,
    "create_from_website": 1200,
    "ingest_page": 1200,
    "update_document": 1200,
}
LONGEST = max(TWO_PERIODS.values())
# An execution is due once it has been idle for this long (template.yaml, MINIMUM_AGE_MINUTES).
AGE_SECONDS = 600
FINAL = ("done", "failed", "skipped")
# The effects of a fault end within this time: the longest visibility timeout, plus one attempt.
SHADOW_SECONDS = 3600

type Key = tuple[str, str, str]
type History = list[tuple[float, "Job"]]


def broken(run: Run, history: History) -> list[str]:
    """Return the jobs that an outage delayed for too long."""
    return [f"done_in_time: {what}" for what in done_in_time(run, history)]


def done_in_time(run: Run, history: History) -> Iterator[str]:
    """Work due by the end of a single outage ends within two periods of its schedule."""
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
    """Return the jobs that were open or due at a moment, each with the moment it ended or None.

    Args:
        run, history: the run, and the history of its jobs.
        end: the moment, in seconds since 1970.
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
    """Tell whether no other fault can have delayed the same work."""
    end = begin + outage.seconds + LONGEST
    return not any(
        at <= end and at + fault.seconds + SHADOW_SECONDS >= begin for at, fault in _others(run, outage)
    )


def _others(run: Run, outage: Fault) -> Iterable[tuple[float, Fault]]:
    return ((at, fault) for at, fault in run.faults.strikes if fault is not outage)
