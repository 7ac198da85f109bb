"""Find jobs in the ledger, newest first, one page at a time.

However large the ledger is, a page reads a bounded number of rows from an index: the newest of each process
and state, of which it keeps the newest. No index finds a part of a text. For such a search, a page scans the
newest `SCANNED` jobs that match the other filters, and the next page continues there.
"""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any, Literal, get_args

from sqlalchemy import Row, TextClause, text
from sqlalchemy.orm import Session

from operate.jobs.job_id import PROCESSES, JobKey
from operate.problems import Problem

State = Literal["queued", "running", "done", "failed", "skipped"]
STATES: tuple[State, ...] = get_args(State)
# Only these have a reason.
STATES_WITH_REASON = ("failed", "skipped")
SCANNED = 200
# The reason is read last, for the page's jobs only, because a website's outcome may be long.
FIND = """
SELECT process, state, subject, occasion, changed_at, user_id, attempts, queued_at, started_at, finished_at,
    spent, outcome ->> 'reason' AS reason, true AS fits, false AS is_last
FROM ({found}) AS found
ORDER BY changed_at DESC, process DESC, subject DESC, occasion DESC
"""
# Returns the first scanned jobs that match, and the last scanned job, where the next page continues.
FIND_TEXT = """
SELECT *
FROM (
    SELECT *,
        count(*) FILTER (WHERE fits) OVER newest_first AS number,
        row_number() OVER newest_first = :most AS is_last
    FROM (
        SELECT process, state, subject, occasion, changed_at, user_id, attempts, queued_at, started_at,
            finished_at, spent, outcome ->> 'reason' AS reason, {fits} AS fits
        FROM ({found}) AS found
    ) AS scanned
    WINDOW newest_first AS (
        ORDER BY changed_at DESC, process DESC, subject DESC, occasion DESC ROWS UNBOUNDED PRECEDING
    )
) AS numbered
WHERE fits AND number <= :wanted OR is_last
ORDER BY changed_at DESC, process DESC, subject DESC, occasion DESC
"""
FITS = {
    "reason": "strpos(lower(COALESCE(outcome ->> 'reason', '')), lower(:reason)) > 0",
    "url": "strpos(lower(subject), lower(:url)) > 0",
}
NEWEST = """
SELECT its.process, its.state, found.*
FROM (
    SELECT process, state
    FROM unnest(CAST(:processes AS text[])) AS process CROSS JOIN unnest(CAST(:states AS text[])) AS state
) AS its
CROSS JOIN LATERAL (
    SELECT {columns}
    FROM md_background_job AS job
    WHERE job.process = its.process AND job.state = its.state {conditions}
    ORDER BY COALESCE(finished_at, queued_at) DESC, job.subject DESC, job.occasion DESC
    LIMIT :most
) AS found
ORDER BY changed_at DESC, process DESC, subject DESC, occasion DESC
LIMIT :most
"""
# A subject has few jobs, which the primary key finds. By state, the planner might read all jobs.
OF_SUBJECT = """
SELECT job.process, job.state, {columns}
FROM md_background_job AS job
WHERE job.process = ANY(CAST(:processes AS text[])) AND job.state = ANY(CAST(:states AS text[])) {conditions}
ORDER BY changed_at DESC, job.process DESC, job.subject DESC, job.occasion DESC
LIMIT :most
"""
COLUMNS = """
    job.subject, job.occasion, COALESCE(finished_at, queued_at) AS changed_at, job.user_id, job.attempts,
    job.queued_at, job.started_at, job.finished_at, job.spent, job.outcome
"""
CONDITIONS = {
    "user_id": "AND job.user_id = :user_id",
    "subject": "AND job.subject = :subject",
    "since": "AND COALESCE(finished_at, queued_at) >= :since",
    # The first condition is for the index.
    "after_at": """
        AND COALESCE(finished_at, queued_at) <= :after_at
        AND (COALESCE(finished_at, queued_at), job.process, job.subject, job.occasion)
            < (:after_at, :after_process, :after_subject, :after_occasion)
    """,
}


@dataclass(frozen=True)
class Filter:
    """A filter of jobs. A field that is None or empty matches all jobs.

    Attributes:
        process, state, user_id, subject: match exactly.
        since: queued or ended at this moment (aware) or later.
        reason, url: part of a job's reason, or of a website's address.
    """

    process: str | None = None
    state: str | None = None
    user_id: str | None = None
    subject: str | None = None
    since: datetime | None = None
    reason: str | None = None
    url: str | None = None

    @property
    def processes(self) -> list[str]:
        """The processes to search."""
        if self.process:
            return [self.process]
        return ["create_from_website"] if self.url else list(PROCESSES)

    @property
    def states(self) -> list[str]:
        """The states to search."""
        if self.state:
            return [self.state]
        return list(STATES_WITH_REASON if self.reason else STATES)


@dataclass(frozen=True)
class Page:
    """A page of jobs.

    Attributes:
        jobs: rows of `FIND`.
        next: cursor of the next page; None on the last page. An empty page may have a next one.
        looked_back_to: how far back the search came (aware); None on the last page.
    """

    jobs: Sequence[Row[Any]] = field(default_factory=list)
    next: str | None = None
    looked_back_to: datetime | None = None


def find(session: Session, wanted: Filter, *, limit: int, after: str | None = None) -> Page:
    """Find a page of jobs.

    Args:
        session: the caller's.
        wanted: filter.
        limit: maximum number of jobs on the page, `SCANNED` at most.
        after: `Page.next` of the previous page.

    Raises:
        Problem: 422, the cursor is not valid.
    """
    texts = tuple(name for name in FITS if getattr(wanted, name))
    given = ("user_id", "subject", "since", *texts)
    parameters: dict[str, Any] = {name: value for name in given if (value := getattr(wanted, name))}
    if after:
        parameters |= _read_cursor(after)
    if texts:
        parameters |= {"most": SCANNED, "wanted": limit + 1}
    else:
        parameters["most"] = limit + 1
    statement = _statement(tuple(name for name in CONDITIONS if name in parameters), texts)
    rows = session.execute(
        statement, {**parameters, "processes": wanted.processes, "states": wanted.states}
    ).all()
    found = [row for row in rows if row.fits]
    page = found[:limit]
    if len(found) > limit:
        last = page[-1]
    elif rows and rows[-1].is_last:
        last = rows[-1]
    else:
        return Page(page)
    return Page(page, _cursor(last), last.changed_at)


@cache
def _statement(conditions: tuple[str, ...], texts: tuple[str, ...]) -> TextClause:
    found = OF_SUBJECT if "subject" in conditions else NEWEST
    restricted = " ".join(CONDITIONS[name] for name in conditions)
    found = found.format(columns=COLUMNS, conditions=restricted)
    if texts:
        return text(FIND_TEXT.format(found=found, fits=" AND ".join(FITS[name] for name in texts)))
    return text(FIND.format(found=found))


def _cursor(row: Row[Any]) -> str:
    position = [row.changed_at.isoformat(), row.process, row.subject, row.occasion]
    return urlsafe_b64encode(json.dumps(position).encode()).decode()


def in_utc(moment: datetime) -> datetime:
    """Return a moment in UTC.

    Raises:
        ValueError: it has no time zone, or its year in UTC is not within 1 to 9999.
    """
    if moment.tzinfo is None:
        raise ValueError("should have timezone info")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("is out of range") from None


def _read_cursor(cursor: str) -> dict[str, Any]:
    try:
        at, process, subject, occasion = json.loads(urlsafe_b64decode(cursor.encode("ascii")))
        after_at = in_utc(datetime.fromisoformat(at))
        # PostgreSQL refuses NUL and half a surrogate pair.
        valid = all(
            isinstance(part, str) and b"\0" not in part.encode() for part in (process, subject, occasion)
        )
    except (ValueError, TypeError, RecursionError):
        valid = False
    if not valid:
        raise Problem(422, "Invalid request", "after: this is not the cursor of a page.")
    return {
        "after_at": after_at,
        "after_process": process,
        "after_subject": subject,
        "after_occasion": occasion,
    }


def key_of_row(row: Any) -> JobKey:
    """Return the key of a row of the ledger."""
    return JobKey(row.process, row.subject, row.occasion)
