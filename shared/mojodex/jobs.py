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

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import ColumnElement, Row, Select, and_, case, literal, null, or_, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, aliased

from mojodex.errors import TransientError
from mojodex.schema import BackgroundJob, MdError

# Across all dispatches and redrives: twice a queue's maxReceiveCount (template.yaml), so that one redrive
# gets a full second try.
MAX_ATTEMPTS = 20
GAVE_UP = "gave up"
# The ten receives of a message take some 40 minutes (`queues.back_off_seconds`). What is stuck for longer is
# claimed anew by the schedules that look for it every hour.
TRIED_LONG_ENOUGH = timedelta(minutes=50)


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


class LeaseLostError(TransientError):
    """Another invocation holds the job now; this one must roll back."""


def claim(
    session: Session, process: str, due: Select[*tuple[Any, ...]], *, now: datetime
) -> Sequence[Row[*tuple[Any, ...]]]:
    """Find due work and put it into the ledger as queued, in one statement. Does not commit.

    The caller publishes the messages and then commits: if it dies in between, the claims are gone with the
        transaction and the
    next schedule finds the work again; messages that were already out are harmless, since a job takes effect
    once.

    Args:
        process: name of the process.
        due: selects `subject` and `occasion` (text), and whatever else the caller wants back.
        now: the present moment (aware).

    Returns:
        Each row of `due`, in its order of columns, with one more column `claimed`: False when the ledger has
        the job already.
    """
    found = due.cte("due")
    queued = insert(BackgroundJob).from_select(
        ["process", "subject", "occasion", "state", "attempts", "queued_at"],
        select(
            literal(process), found.c.subject, found.c.occasion, literal("queued"), literal(0), literal(now)
        ),
    )
    claimed = (
        queued.on_conflict_do_update(
            index_elements=["process", "subject", "occasion"],
            set_={"state": "queued", "queued_at": now, "finished_at": None, **_unless_skipped()},
            where=_is_free(BackgroundJob, now),
        )
        .returning(BackgroundJob.subject, BackgroundJob.occasion)
        .cte("claimed")
    )
    # IN, which is hashed: a join of these two was a nested loop, 1.5 s for a page of 2,000 that are all due.
    is_claimed = tuple_(found.c.subject, found.c.occasion).in_(select(claimed.c.subject, claimed.c.occasion))
    return session.execute(select(found, is_claimed.label("claimed"))).all()


def claimed(
    process: str, subject: ColumnElement[str], occasion: ColumnElement[str], now: datetime
) -> Select[int]:
    """The ledger's row of a job that is not for a schedule to claim (again), to be tested with `exists`.

    Args:
        process: name of the process.
        subject, occasion: of the job, in the query that this is correlated to.
        now: the present moment (aware).
    """
    job = aliased(BackgroundJob)
    key = (job.process == process, job.subject == subject, job.occasion == occasion)
    # OFFSET keeps it a lookup in the index for each row of the query.
    return select(literal(1)).select_from(job).where(*key, ~_is_free(job, now)).offset(0)


def _is_free(job: type[BackgroundJob], now: datetime) -> ColumnElement[bool]:
    """Whether a schedule may claim a job that is in the ledger: there was nothing to do, or it was tried and
    not done for so long that its message is a dead letter, or soon will be.
    """
    long_ago = now - TRIED_LONG_ENOUGH
    return or_(
        job.state == "skipped",
        and_(job.state == "queued", job.attempts > 0, job.queued_at < long_ago),
        # Its workers were killed so often that no message is left.
        and_(job.state == "running", job.started_at < long_ago),
    )


def _unless_skipped(one_more: int = 0) -> dict[str, Any]:
    """Attempts and progress go on, but not after a skip: then there was nothing to do."""
    skipped = BackgroundJob.state == "skipped"
    return {
        "attempts": case((skipped, one_more), else_=BackgroundJob.attempts + one_more),
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
                **_unless_skipped(one_more=1),
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
