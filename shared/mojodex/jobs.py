"""The ledger (`md_background_job`): what is queued, running, done, failed or skipped, and why.

    claim ▶ queued ──begin──▶ running ──finish──▶ done | failed | skipped
               ▲                 │                               │
               └────release──────┘       begin (asked for again) ◀┘

A running job is held by a lease, `started_at`: whoever begins it again after the lease ran out takes it away,
and the earlier holder's `finish` then fails, and with it the transaction that holds its effect. So a job
takes effect once, whoever else runs it.

Done and failed are final until someone asks for the job anew by deleting its row (docs/operations.md).
Skipped is not: there was nothing to do when it was looked at, and a later message looks again.
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
# The ten receives of a message take some 40 minutes (`queues.back_off_seconds`). What is stuck for longer is
# claimed anew by the schedules that look for it every hour.
TRIED_LONG_ENOUGH = timedelta(minutes=50)


@dataclass(frozen=True)
class Job:
    """One piece of work that this invocation holds.

    Attributes:
        process: name of the process.
        subject: what it is about, as text: a primary key, or a user and a URL.
        occasion: '' for once in a lifetime; otherwise the user's local date or the id of the request.
        lease: when it was begun; names the holder.
        attempts: how often it was begun, this time included.
        progress: what an earlier holder has recorded, see `record`; None if nothing.
        taken_over: whether the earlier holder let its lease run out: mostly a worker that was killed.
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
        """Whether it was begun too often to be run again."""
        return self.attempts > MAX_ATTEMPTS


class LeaseLostError(TransientError):
    """Another invocation holds the job now; what this one was about to write must be rolled back."""


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
    """
    ours = {"process": process, "now": now, "tried_before": now - TRIED_LONG_ENOUGH}
    rows = session.execute(_claim(due), {**parameters, **ours}).all()
    ends = [row._asdict() for row in rows if row.subject is None]
    after = {name: value for name, value in ends[0].items() if name.startswith("after_")} if ends else None
    return Page([row for row in rows if row.subject is not None], after)


@cache
def _claim(due: str) -> TextClause:
    return text(CLAIM.format(claimable=CLAIMABLE, due=due))


def _begun_again() -> dict[str, Any]:
    """Attempts and progress go on, but not after a skip: then there was nothing to do."""
    skipped = BackgroundJob.state == "skipped"
    return {
        "attempts": case((skipped, 1), else_=BackgroundJob.attempts + 1),
        "outcome": case((skipped, null()), else_=BackgroundJob.outcome),
    }


def begin(
    session: Session, *, process: str, subject: str, occasion: str, now: datetime, lease_seconds: int
) -> Job | Literal["done", "failed"]:
    """Take the job, or say why not. Commits.

    Args:
        process, subject, occasion: see `Job`.
        now: the present moment (aware); it becomes the lease.
        lease_seconds: after how long another invocation may take the job away; longer than the function's
            timeout.

    Returns:
        The job, or the final state that it has already.

    Raises:
        TransientError: another invocation holds it.
    """
    key = {"process": process, "subject": subject, "occasion": occasion}
    before = aliased(BackgroundJob)
    # What RETURNING selects is as it was before this statement.
    taken_over = select(before).filter_by(**key).where(_is_abandoned(before, now, lease_seconds)).exists()
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
                _is_abandoned(BackgroundJob, now, lease_seconds),
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


def _is_abandoned(job: type[BackgroundJob], now: datetime, lease_seconds: int) -> ColumnElement[bool]:
    """Whether a job is running, but its holder's lease has run out."""
    return and_(job.state == "running", job.started_at < now - timedelta(seconds=lease_seconds))


def abandoned(
    session: Session, process: str, keys: Collection[tuple[str, str]], *, now: datetime, lease_seconds: int
) -> dict[tuple[str, str], int]:
    """Those of some jobs whose last holder vanished: the job is running, but its lease has run out.

    Args:
        process: name of the process.
        keys: subject and occasion of each job.
        now, lease_seconds: see `begin`.

    Returns:
        How often each of them was begun.
    """
    key = tuple_(BackgroundJob.subject, BackgroundJob.occasion)
    found = select(BackgroundJob.subject, BackgroundJob.occasion, BackgroundJob.attempts).where(
        BackgroundJob.process == process, key.in_(keys), _is_abandoned(BackgroundJob, now, lease_seconds)
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
    """Record how the job ended, in the caller's transaction, next to its effect. Does not commit.

    Raises:
        LeaseLostError: the job is not this holder's any more.
    """
    _held(session, job, state=state, finished_at=now, outcome=outcome)


def report_error(
    session: Session, process: str, subject: str, occasion: str, reason: str, now: datetime
) -> None:
    """Tell Mojodex in `md_error` that a job has failed, in the caller's transaction. Does not commit."""
    message = f"background {process} {subject} {occasion}: {reason}"
    session.add(MdError(message=message, creation_date=now))


def record(session: Session, job: Job, progress: dict[str, Any] | None) -> None:
    """Keep in the ledger how far the job is, for whoever holds it next. Commits.

    Raises:
        LeaseLostError: the job is not this holder's any more.
    """
    _held(session, job, outcome=progress)
    session.commit()


def hand_on(session: Session, job: Job, progress: dict[str, Any], *, now: datetime) -> None:
    """Give the job to a message that the caller has just published, with what is done so far. Commits.

    Its attempts are counted anew, because it got on.

    Raises:
        LeaseLostError: the job is not this holder's any more.
    """
    _held(session, job, state="queued", queued_at=now, started_at=None, attempts=1, outcome=progress)
    session.commit()


def release(session: Session, job: Job) -> None:
    """Give the job back, so that its message's next delivery can begin it at once. Commits.

    Raises:
        LeaseLostError: the job is not this holder's any more.
    """
    _held(session, job, state="queued", started_at=None)
    session.commit()


def _held(session: Session, job: Job, **values: Any) -> None:
    held = update(BackgroundJob).where(
        BackgroundJob.process == job.process,
        BackgroundJob.subject == job.subject,
        BackgroundJob.occasion == job.occasion,
        BackgroundJob.state == "running",
        BackgroundJob.started_at == job.lease,
    )
    if session.execute(held.values(**values).returning(BackgroundJob.attempts)).scalar() is None:
        raise LeaseLostError("job was taken over by another invocation")
