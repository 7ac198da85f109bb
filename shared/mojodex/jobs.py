"""The ledger (`md_background_job`): one row per job, with its state and the reason for it.

    claim ▶ queued ──begin──▶ running ──finish──▶ done | failed | skipped
               ▲                 │                                  │
               └────release──────┘          begin (a new message) ◀─┘

A worker holds a running job by a lease, `started_at`. When the lease expires, another worker may take the job
over. The first worker's `finish` then fails, and rolls back its effect in the same transaction. So a job
takes effect once, however many workers run it.

An attempt counts when the worker died or met an unknown error. A transient error does not, however often it
occurs: a dependency that is away for days fails no job. The exception is a call that takes too long for a
model that works for others: it is paid for, and the job may be the cause.

Done and failed are final: deleting the job's row lets it run again (docs/operations.md). Skipped is not
final: there was nothing to do, and a later message checks again.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Literal

from sqlalchemy import Row, TextClause, bindparam, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from mojodex.clock import Deadline
from mojodex.database import Database
from mojodex.errors import (
    InvalidMessageError,
    MojodexError,
    NothingToDoError,
    PermanentError,
    TransientError,
)
from mojodex.queues import RETENTION
from mojodex.schema import BackgroundJob, MdError
from mojodex.spending import Spending

# Across all messages and redrives: twice a queue's maxReceiveCount (template.yaml), so that one redrive gets
# a full second try.
MAX_ATTEMPTS = 20


@dataclass(frozen=True)
class Delivery:
    """A delivery of the message that begins a job.

    Attributes:
        message_id: SQS's id of the message. It stays the same in the dead-letter queue.
        expires_at: when SQS deletes it (aware). The redrive sets a new time for a dead letter.
    """

    message_id: str
    expires_at: datetime


@dataclass(frozen=True)
class Job:
    """One piece of work that this invocation holds.

    Attributes:
        process: name of the process.
        subject: what it is about, as text: a primary key, or a user and a URL.
        occasion: '' if the work is done once; otherwise the user's local date or the id of the request.
        lease: when this invocation began it; identifies the holder.
        attempts: how many attempts counted, this one included.
        queued_at: when it was queued (aware).
        progress: the checkpoint of an earlier attempt, see `save_progress`; None if there is none.
        taken_over: whether an earlier holder's lease expired, mostly because its worker was killed.
        superseded: whether a job of the same subject and a later occasion waits or runs. In an outage, each
            night and each request may leave one.
        open_circuits: unavailable providers, see `circuit`.
        spending: what it has paid to models. Every update of its row saves it.
    """

    process: str
    subject: str
    occasion: str
    lease: datetime
    attempts: int
    queued_at: datetime
    progress: dict[str, Any] | None = None
    taken_over: bool = False
    superseded: bool = False
    open_circuits: frozenset[str] = frozenset()
    spending: Spending = field(default_factory=Spending)

    @property
    def attempts_exhausted(self) -> bool:
        """Tell whether the job was begun too often to run again."""
        return self.attempts > MAX_ATTEMPTS

    def kept_answer(self, about: object) -> Any:
        """Return the model's answer that an earlier attempt saved about this; None if there is none."""
        progress = self.progress or {}
        return progress.get("answer") if progress.get("about") == about else None


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


BEGIN = """
INSERT INTO md_background_job AS job (
    process, subject, occasion, state, attempts, queued_at, started_at, message_id, message_expires_at,
    user_id
)
VALUES (
    :process, :subject, :occasion, 'running', 1, :now, :now, :message_id, :expires_at,
    COALESCE(CAST(:user_id AS text), {user_of})
)
ON CONFLICT (process, subject, occasion) DO UPDATE SET
    state = 'running',
    started_at = :now,
    finished_at = NULL,
    message_id = :message_id,
    message_expires_at = :expires_at,
    user_id = COALESCE(job.user_id, excluded.user_id),
    -- A skipped job had nothing to do, so it starts from zero.
    attempts = CASE WHEN job.state = 'skipped' THEN 1 ELSE job.attempts + 1 END,
    outcome = CASE WHEN job.state = 'skipped' THEN NULL ELSE job.outcome END,
    history = CASE job.state WHEN 'running' THEN {history} ELSE job.history END
WHERE job.state IN ('queued', 'skipped') OR job.state = 'running' AND job.started_at < :expired
RETURNING
    attempts,
    queued_at,
    outcome,
    spent,
    -- A subquery sees the row as it was before this statement.
    EXISTS (
        SELECT
        FROM md_background_job AS before
        WHERE before.process = :process
            AND before.subject = :subject
            AND before.occasion = :occasion
            AND before.state = 'running'
            AND before.started_at < :expired
    ) AS taken_over,
    EXISTS (
        SELECT
        FROM md_background_job AS later
        WHERE later.process = :process
            AND later.subject = :subject
            AND later.occasion > :occasion
            AND later.state IN ('queued', 'running')
            AND later.message_expires_at > :now
    ) AS superseded,
    (SELECT array_agg(provider) FROM md_background_circuit) AS open_circuits
"""
# A job's history keeps the first attempt and the latest ones. A long outage makes hundreds.
HISTORY_LENGTH = 20
APPEND = f"""
CASE WHEN jsonb_array_length({{row}}.history) >= {HISTORY_LENGTH} THEN {{row}}.history - 1
    ELSE COALESCE({{row}}.history, '[]') END || {{attempt}}
"""
# A dead worker could not record its attempt, so the next worker does.
DEAD_WORKER = """jsonb_build_array(jsonb_build_object(
    'started', job.started_at, 'error', 'LeaseExpired',
    'reason', 'its worker died, or held it longer than its lease', 'counted', true
))"""
# A schedule may claim a job that is in the ledger if it was skipped, or its message has expired. Rows of an
# earlier release have no time of expiry.
CLAIMABLE = """(
    job.state = 'skipped'
    OR job.state IN ('queued', 'running')
        AND COALESCE(job.message_expires_at, job.queued_at + :retention) < :now
)"""
# NOT MATERIALIZED: due queries look single jobs up in `unclaimable`.
# IN is hashed. A join of `page` and `claimed` was a nested loop: 1.5 s for 2,000 rows.
CLAIM = """
WITH unclaimable AS NOT MATERIALIZED (
    SELECT subject, occasion FROM md_background_job AS job WHERE process = :process AND NOT {claimable}
),
page AS MATERIALIZED ({due}),
claimed AS (
    INSERT INTO md_background_job AS job
        (process, subject, occasion, state, attempts, queued_at, message_expires_at, user_id)
    SELECT :process, subject, occasion, 'queued', 0, :now, :expires_at, user_id
    FROM page
    WHERE subject IS NOT NULL
    ON CONFLICT (process, subject, occasion) DO UPDATE SET
        state = 'queued',
        queued_at = :now,
        message_expires_at = :expires_at,
        user_id = COALESCE(job.user_id, excluded.user_id),
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
    """Claim one page of due work, which queues it in the ledger, in one statement. Does not commit.

    The caller publishes the messages and then commits. If it dies in between, the claims are rolled back, and
    the next run finds the work again. Messages that are already published do no harm: a job takes effect
    once.

    Args:
        process: name of the process.
        due: SQL that selects `subject` and `occasion` (text), `user_id`, and columns for the message. After a
            full page, it selects one more row, without a subject, whose `after_…` columns are parameters of
            the next page. It may exclude the rows of `unclaimable` (`subject`, `occasion`): the jobs of this
            process that a schedule may not claim.
        parameters: its bind parameters.
        now: the present moment (aware).

    Returns:
        The rows that this statement queued, without those that another run claimed.
    """
    ours = {"process": process, "now": now, "retention": RETENTION, "expires_at": now + RETENTION}
    rows = session.execute(_claim(due), {**parameters, **ours}).all()
    ends = [row._asdict() for row in rows if row.subject is None]
    after = {name: value for name, value in ends[0].items() if name.startswith("after_")} if ends else None
    return Page([row for row in rows if row.subject is not None], after)


@cache
def _claim(due: str) -> TextClause:
    return text(CLAIM.format(claimable=CLAIMABLE, due=due))


@cache
def _begin(user_of: str) -> TextClause:
    return text(BEGIN.format(user_of=user_of, history=APPEND.format(row="job", attempt=DEAD_WORKER)))


def begin(
    session: Session,
    delivery: Delivery,
    *,
    process: str,
    subject: str,
    occasion: str,
    now: datetime,
    lease_seconds: int,
    user_id: str | None = None,
    user_of: str = "NULL",
) -> Job | Literal["done", "failed"]:
    """Begin a job: take its lease and count an attempt. Commits.

    Args:
        session: the caller's.
        delivery: of the job's message.
        process, subject, occasion: see `Job`.
        now: the present moment (aware); it becomes the lease.
        lease_seconds: after how long another invocation may take the job over; longer than the function's
            timeout.
        user_id: the job's user, if the message names one.
        user_of: otherwise, an SQL expression that finds the user by `:subject`.

    Returns:
        The job, or the final state that it already has.

    Raises:
        TransientError: another invocation holds it.
    """
    key = {"process": process, "subject": subject, "occasion": occasion}
    values = {
        "now": now,
        "expired": now - timedelta(seconds=lease_seconds),
        "message_id": delivery.message_id,
        "expires_at": delivery.expires_at,
        "user_id": user_id,
    }
    taken = session.execute(_begin(user_of), key | values).one_or_none()
    session.commit()
    if taken is not None:
        return Job(
            process,
            subject,
            occasion,
            lease=now,
            attempts=taken.attempts,
            queued_at=taken.queued_at,
            progress=taken.outcome,
            taken_over=taken.taken_over,
            superseded=taken.superseded,
            open_circuits=frozenset(taken.open_circuits or ()),
            spending=Spending.read(taken.spent),
        )
    state = session.execute(select(BackgroundJob.state).filter_by(**key)).scalar()
    if state in ("done", "failed"):
        return "done" if state == "done" else "failed"
    raise TransientError("job is running elsewhere")


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
        BackgroundJob.process == process,
        key.in_(keys),
        BackgroundJob.state == "running",
        BackgroundJob.started_at < now - timedelta(seconds=lease_seconds),
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
    """Write the job's final state and outcome, in the transaction of its effect. Does not commit.

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

    Its attempts start from zero, because it made progress.

    Raises:
        LeaseLostError: another invocation holds the job.
    """
    message = {"queued_at": now, "message_expires_at": now + RETENTION}
    _update_held(session, job, state="queued", **message, started_at=None, attempts=0, outcome=progress)
    session.commit()


def check_held(session: Session, job: Job) -> None:
    """Check that this invocation still holds the job, for a transaction that does not write its row.

    Raises:
        LeaseLostError: another invocation holds the job, or somebody has cancelled it.
    """
    _update_held(session, job)


def release(session: Session, job: Job, error: Exception, *, counts: bool, now: datetime) -> None:
    """Release the job, so that the next delivery of its message can begin it at once. Commits.

    Args:
        session: the caller's.
        job: held by this invocation.
        error: the error that ended this attempt. The job's history keeps its class. It keeps the text of our
            own errors only, because others may quote a user's words.
        counts: whether this attempt counts (see the module).
        now: the present moment (aware).

    Raises:
        LeaseLostError: another invocation holds the job.
    """
    attempt = {
        "started": job.lease.isoformat(),
        "ended": now.isoformat(),
        "error": type(error).__name__,
        **({"reason": str(error)} if isinstance(error, MojodexError) else {}),
        "counted": counts,
    }
    append = APPEND.format(row=BackgroundJob.__tablename__, attempt=":attempt")
    history = text(append).bindparams(bindparam("attempt", [attempt], JSONB))
    attempts = job.attempts if counts else job.attempts - 1
    _update_held(session, job, state="queued", started_at=None, attempts=attempts, history=history)
    session.commit()


@contextmanager
def kept_until_saved(
    database: Database, job: Job, paid_for: dict[str, Any] | None, deadline: Deadline
) -> Iterator[None]:
    """Save a paid answer as a checkpoint if the body fails, so that the next attempt can use it.

    Args:
        database: has the ledger. While it is unavailable, saving is retried until the deadline.
        job: held by this invocation.
        paid_for: the checkpoint, see `save_progress`.
        deadline: when the invocation ends.
    """
    try:
        yield
    except (LeaseLostError, PermanentError, NothingToDoError, InvalidMessageError):
        raise
    except Exception:
        with suppress(MojodexError):
            database.with_db_session_patiently(deadline, save_progress, job, paid_for)
        raise


def _update_held(session: Session, job: Job, **values: Any) -> None:
    held = update(BackgroundJob).where(
        BackgroundJob.process == job.process,
        BackgroundJob.subject == job.subject,
        BackgroundJob.occasion == job.occasion,
        BackgroundJob.state == "running",
        BackgroundJob.started_at == job.lease,
    )
    values["spent"] = job.spending.as_json()
    if session.execute(held.values(**values).returning(BackgroundJob.attempts)).scalar() is None:
        raise LeaseLostError("job was taken over by another invocation")
