"""The ledger (`md_background_job`): one row per job, with its state and the reason for it.

    claim ▶ queued ──begin──▶ running ──finish──▶ done | failed | skipped
               ▲                 │                                  │
               └────release──────┘          begin (a new message) ◀─┘

A worker holds a running job by a lease, `started_at`. When the lease expires, another worker may take the job
over. The first worker's `finish` then fails, and rolls back its effect in the same transaction. So a job
takes effect once, however many workers run it.

Done and failed are final: deleting the job's row lets it run again (docs/operations.md). Skipped is not
final: there was nothing to do, and a later message looks again.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Literal

from sqlalchemy import ColumnElement, Row, TextClause, and_, case, null, or_, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, aliased

from mojodex.errors import TransientError
from mojodex.schema import BackgroundJob, MdError

# Across all dispatches and redrives: twice a queue's maxReceiveCount (template.yaml), so that one redrive
# gets a full second try.
MAX_ATTEMPTS = 20
# The ten receives of a message take some 40 minutes (`queues.back_off_seconds`). After this time a schedule
# may claim the job again.
CLAIMABLE_AFTER = timedelta(minutes=50)


@dataclass(frozen=True)
class Job:
    """One piece of work that this invocation holds.

    Attributes:
        process: name of the process.
        subject: what it is about, as text: a primary key, or a user and a URL.
        occasion: '' if the work is done once; otherwise the user's local date or the id of the request.
        lease: when this invocation began it; identifies the holder.
        attempts: how often it was begun, this time included.
        progress: the checkpoint of an earlier attempt, see `save_progress`; None if there is none.
        taken_over: whether an earlier holder's lease expired, mostly because its worker was killed.
    """

    process: str
    subject: str
    occasion: str
    lease: datetime
    attempts: int
    progress: dict[str, Any] | None = None
    taken_over: bool = False

    @property
    def attempts_exhausted(self) -> bool:
        """Tell whether the job was begun too often to run again."""
        return self.attempts > MAX_ATTEMPTS


class LeaseLostError(TransientError):
    """Another invocation holds the job now; this one must roll back."""


@dataclass(frozen=True)
class Page:
    """One page of due work.

    Attributes:
        claimed: its rows that were claimed.
        after: bind parameters of the next page; None after the last page.
    """

    claimed: list[Row[*tuple[Any, ...]]]
    after: dict[str, Any] | None


# Whether a schedule may claim a job that is in the ledger: there was nothing to do the last time, or it was
# tried for so long that its message is a dead letter, or soon will be.
CLAIMABLE = """(
    job.state = 'skipped'
    OR job.state = 'queued' AND job.attempts > 0 AND job.queued_at < :tried_before
    OR job.state = 'running' AND job.started_at < :tried_before
)"""
# NOT MATERIALIZED: due queries look single jobs up in `unclaimable`.
# IN is hashed; a join of a page and what was claimed of it was a nested loop, 1.5 s for 2,000 rows.
CLAIM = """
WITH unclaimable AS NOT MATERIALIZED (
    SELECT subject, occasion FROM md_background_job AS job WHERE process = :process AND NOT {claimable}
),
page AS MATERIALIZED ({due}),
claimed AS (
    INSERT INTO md_background_job AS job (process, subject, occasion, state, attempts, queued_at)
    SELECT :process, subject, occasion, 'queued', 0, :now FROM page WHERE subject IS NOT NULL
    ON CONFLICT (process, subject, occasion) DO UPDATE SET
        state = 'queued',
        queued_at = :now,
        finished_at = NULL,
        attempts = CASE WHEN job.state = 'skipped' THEN 0 ELSE job.attempts END,
        outcome = CASE WHEN job.state = 'skipped' THEN NULL ELSE job.outcome END
    WHERE {claimable}
    RETURNING subject, occasion
)
SELECT page.* FROM page
WHERE subject IS NULL OR (subject, occasion) IN (SELECT subject, occasion FROM claimed)
"""


def claim(session: Session, process: str, due: str, parameters: Mapping[str, Any], *, now: datetime) -> Page:
    """Claim one page of due work: put it into the ledger as queued, in one statement. Does not commit.

    The caller publishes the messages and then commits. If it dies in between, the claims are rolled back, and
    the next schedule finds the work again. Messages that were already out are harmless, since a job takes
    effect once.

    Args:
        process: name of the process.
        due: SQL that selects `subject` and `occasion` (text), and columns for the message. After a full page,
            it selects one more row, without a subject; the `after_…` columns of this row are parameters of
            the next page. It may exclude what is in `unclaimable` (`subject`, `occasion`): the jobs of this
            process that a schedule may not claim.
        parameters: its bind parameters.
        now: the present moment (aware).

    Returns:
        The rows that this statement has queued, and not those that another schedule has claimed.
    """
    ours = {"process": process, "now": now, "tried_before": now - CLAIMABLE_AFTER}
    rows = session.execute(_claim(due), {**parameters, **ours}).all()
    ends = [row._asdict() for row in rows if row.subject is None]
    after = {name: value for name, value in ends[0].items() if name.startswith("after_")} if ends else None
    return Page([row for row in rows if row.subject is not None], after)


@cache
def _claim(due: str) -> TextClause:
    return text(CLAIM.format(claimable=CLAIMABLE, due=due))


def _begun_again() -> dict[str, Any]:
    """Keep attempts and progress, but start again after a skip: then there was nothing to do."""
    skipped = BackgroundJob.state == "skipped"
    return {
        "attempts": case((skipped, 1), else_=BackgroundJob.attempts + 1),
        "outcome": case((skipped, null()), else_=BackgroundJob.outcome),
    }


def begin(
    session: Session, *, process: str, subject: str, occasion: str, now: datetime, lease_seconds: int
) -> Job | Literal["done", "failed"]:
    """Begin a job: take its lease and count an attempt. Commits.

    Args:
        process, subject, occasion: see `Job`.
        now: the present moment (aware); it becomes the lease.
        lease_seconds: after how long another invocation may take the job over; longer than the function's
            timeout.

    Returns:
        The job, or the final state that it already has.

    Raises:
        TransientError: another invocation holds it.
    """
    key = {"process": process, "subject": subject, "occasion": occasion}
    before = aliased(BackgroundJob)
    # A subquery in RETURNING sees the row as it was before this statement.
    taken_over = select(before).filter_by(**key).where(_lease_expired(before, now, lease_seconds)).exists()
    new = insert(BackgroundJob).values(**key, state="running", attempts=1, queued_at=now, started_at=now)
    taken = session.execute(
        new.on_conflict_do_update(
            index_elements=list(key),
            set_={
                "state": "running",
                "started_at": now,
                "finished_at": None,
                **_begun_again(),
            },
            where=or_(
                BackgroundJob.state.in_(("queued", "skipped")),
                _lease_expired(BackgroundJob, now, lease_seconds),
            ),
        ).returning(BackgroundJob.attempts, BackgroundJob.outcome, taken_over)
    ).one_or_none()
    session.commit()
    if taken is not None:
        attempts, progress, is_taken_over = taken
        return Job(process, subject, occasion, now, attempts, progress, is_taken_over)
    state = session.execute(select(BackgroundJob.state).filter_by(**key)).scalar()
    if state in ("done", "failed"):
        return "done" if state == "done" else "failed"
    raise TransientError("job is running elsewhere")


def _lease_expired(job: type[BackgroundJob], now: datetime, lease_seconds: int) -> ColumnElement[bool]:
    return and_(job.state == "running", job.started_at < now - timedelta(seconds=lease_seconds))


def expired_leases(
    session: Session, process: str, keys: Collection[tuple[str, str]], *, now: datetime, lease_seconds: int
) -> dict[tuple[str, str], int]:
    """Find the jobs that are running but whose lease has expired.

    Args:
        session: an open session.
        process: name of the process.
        keys: subject and occasion of each job to look at.
        now, lease_seconds: see `begin`.

    Returns:
        Their keys, each with the number of its attempts.
    """
    key = tuple_(BackgroundJob.subject, BackgroundJob.occasion)
    found = select(BackgroundJob.subject, BackgroundJob.occasion, BackgroundJob.attempts).where(
        BackgroundJob.process == process, key.in_(keys), _lease_expired(BackgroundJob, now, lease_seconds)
    )
    return {(subject, occasion): attempts for subject, occasion, attempts in session.execute(found)}


def finish(
    session: Session,
    job: Job,
    state: Literal["done", "failed", "skipped"],
    outcome: dict[str, Any],
    *,
    now: datetime,
) -> None:
    """Write how the job ended, in the same transaction as its effect. Does not commit.

    Raises:
        LeaseLostError: another invocation holds the job.
    """
    _update_held(session, job, state=state, finished_at=now, outcome=outcome)


def report_error(
    session: Session, process: str, subject: str, occasion: str, reason: str, now: datetime
) -> None:
    """Report a failed job to Mojodex in `md_error`, in the caller's transaction. Does not commit."""
    message = f"background {process} {subject} {occasion}: {reason}"
    session.add(MdError(message=message, creation_date=now))


def save_progress(session: Session, job: Job, progress: dict[str, Any] | None) -> None:
    """Save a checkpoint in the ledger, for the job's next attempt. Commits.

    Raises:
        LeaseLostError: another invocation holds the job.
    """
    _update_held(session, job, outcome=progress)
    session.commit()


def continue_later(session: Session, job: Job, progress: dict[str, Any], *, now: datetime) -> None:
    """Save a checkpoint and queue the job again, for a message that the caller has just published. Commits.

    Its attempts start again at one, because it made progress.

    Raises:
        LeaseLostError: another invocation holds the job.
    """
    _update_held(session, job, state="queued", queued_at=now, started_at=None, attempts=1, outcome=progress)
    session.commit()


def release(session: Session, job: Job) -> None:
    """Release the job, so that the next delivery of its message can begin it at once. Commits.

    Raises:
        LeaseLostError: another invocation holds the job.
    """
    _update_held(session, job, state="queued", started_at=None)
    session.commit()


def _update_held(session: Session, job: Job, **values: Any) -> None:
    held = update(BackgroundJob).where(
        BackgroundJob.process == job.process,
        BackgroundJob.subject == job.subject,
        BackgroundJob.occasion == job.occasion,
        BackgroundJob.state == "running",
        BackgroundJob.started_at == job.lease,
    )
    if session.execute(held.values(**values).returning(BackgroundJob.attempts)).scalar() is None:
        raise LeaseLostError("job was taken over by another invocation")
