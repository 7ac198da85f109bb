"""The fifth part: the ledger."""

from contextlib import suppress
from datetime import date, datetime
from typing import Any

from sqlalchemy import Row

from local.demo.stage import Stage
from local.runtime import terminal

LEDGER = "SELECT * FROM md_background_job ORDER BY queued_at, subject"
# A user's id is longer.
SUBJECT_COLUMNS = 16


def show(stage: Stage) -> list[str]:
    """Show the jobs, and return the problems."""
    ledger = stage.rows(LEDGER)
    terminal.heading("5  The ledger (md_background_job): one row for each job")
    terminal.table(
        [
            ("process", "subject", "day", "state", "tries", "took", "outcome"),
            *(
                (
                    job.process,
                    _short(job.subject),
                    _day(job.occasion),
                    job.state,
                    str(job.attempts),
                    _seconds(job.started_at, job.finished_at),
                    _outcome(job),
                )
                for job in ledger
            ),
        ]
    )
    return [f"{job.process} {job.subject} is {job.state}, not done" for job in ledger if job.state != "done"]


def _outcome(job: Row[Any]) -> str:
    outcome = job.outcome or {}
    if "reason" in outcome:
        return str(outcome["reason"])
    if "found" in outcome:
        states = ", ".join(f"{outcome[state]} {state}" for state in ("stored", "unchanged") if outcome[state])
        return f"{states} of {outcome['found']}"
    if "document_pk" in outcome:
        return "{kept} kept, {new} new, {gone} gone".format_map(outcome)
    if "moved_to" in outcome:
        return f"moved to {date.fromisoformat(outcome['moved_to']):%d %b}"
    if "ses_message_id" in outcome:
        return f"{outcome['todos']} today, {outcome['moved']} moved"
    todos, left_out = len(outcome.get("todos", [])), len(outcome.get("left_out", []))
    found = ("no to-do", "1 to-do")[todos] if todos < 2 else f"{todos} to-dos"
    return f"{found}, {left_out} left out" if left_out else found


def _day(occasion: str) -> str:
    """Return an occasion's day; '' if it is not a date."""
    with suppress(ValueError):
        return f"{datetime.strptime(occasion, '%Y-%m-%d').date():%d %b}"  # noqa: DTZ007
    return ""


def _short(subject: str) -> str:
    return subject if len(subject) <= SUBJECT_COLUMNS else subject[: SUBJECT_COLUMNS - 1] + "…"


def _seconds(begin: datetime | None, end: datetime | None) -> str:
    return f"{(end - begin).total_seconds():.1f} s" if begin and end else ""
