"""Delete old jobs, pages, mails, audit rows and refused credentials, so that their tables stop growing."""

from datetime import datetime, timedelta
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from sqlalchemy import (
    ColumnElement,
    Integer,
    and_,
    any_,
    case,
    cast,
    delete,
    false,
    func,
    literal_column,
    select,
    true,
)
from sqlalchemy.orm import InstrumentedAttribute

from mojodex.clock import Deadline, utc_now
from mojodex.database import Database, DatabaseSettings
from mojodex.observability import count, logger
from mojodex.queries import is_open
from mojodex.schedule import SECONDS_NEEDED
from mojodex.schema import (
    BackgroundAudit,
    BackgroundJob,
    BackgroundMail,
    BackgroundPage,
    BackgroundRefusal,
    MdTodo,
    MdTodoScheduling,
)

# Deleting a job's row lets the job run again. A message that is delivered twice lives for 14 days at most in
# its queue and the dead-letter queue, and for 14 more if it is redriven on the last day. The schedule of
# extract_todos looks back 30 days at most. template.yaml has both figures.
KEPT = timedelta(days=30)
AUDIT_KEPT = timedelta(days=365)
REFUSALS_KEPT = timedelta(days=1)
# Longer than a pause of mails, which lasts a week. Permanent blocks have rows of their own (see `feedback`).
MAILS_KEPT = timedelta(days=90)
# Rows per transaction. It holds its locks for some ten milliseconds.
PAGE_SIZE = 500

FINAL = ("done", "failed", "skipped")
ENDED = ("stored", "unchanged", "skipped", "failed")
# Processes do not import each other. These names are in the ledger of every installation and never change.
RESCHEDULE_TODO = "reschedule_todo"
CREATE_FROM_WEBSITE = "create_from_website"

settings = DatabaseSettings.from_environment()
database = Database(settings)


@logger.inject_lambda_context
def handler(_event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """Purge, and return the numbers of deleted rows. The event does not matter."""
    now, deadline = utc_now(), Deadline(context.get_remaining_time_in_millis)
    before = now - KEPT
    purged = {
        "jobs": _purge(database, BackgroundJob.finished_at, old_jobs(before), deadline),
        "pages": _purge(database, BackgroundPage.found_at, old_pages(before), deadline),
        "mails": _purge(
            database, BackgroundMail.sent_at, BackgroundMail.sent_at < now - MAILS_KEPT, deadline
        ),
        # Without an index, because the table is small.
        "audit": _purge(database, BackgroundAudit.at, BackgroundAudit.at < now - AUDIT_KEPT, deadline),
        "refusals": _purge(
            database, BackgroundRefusal.last_at, BackgroundRefusal.last_at < now - REFUSALS_KEPT, deadline
        ),
    }
    logger.info("purged", extra=purged)
    count("JobsPurged", purged["jobs"])
    count("PagesPurged", purged["pages"])
    count("MailsPurged", purged["mails"])
    return purged


def old_jobs(before: datetime) -> ColumnElement[bool]:
    """Select the jobs that ended before a moment (aware), except failures that still prevent a paid retry.

    Only the ledger records that a to-do could not be moved. While the to-do is open and unmoved, its schedule
    would find it again without the row, and pay for the same failure.
    """
    job, todo, scheduling = BackgroundJob, MdTodo, MdTodoScheduling
    moved_since = (
        select(scheduling.todo_scheduling_pk)
        .where(scheduling.todo_fk == todo.todo_pk, scheduling.creation_date >= job.finished_at)
        .correlate(todo, job)
        .exists()
    )
    # OFFSET makes PostgreSQL look each such job up in the index.
    still_overdue = (
        select(todo.todo_pk)
        .where(todo.todo_pk == cast(job.subject, Integer), is_open(), ~moved_since)
        .offset(0)
        .correlate(job)
        .exists()
    )
    # A job that only ran out of attempts gets another night.
    may_try_again = job.outcome["attempts_exhausted"].astext == "true"
    failed_move = and_(
        job.process == RESCHEDULE_TODO, job.state == "failed", may_try_again.is_distinct_from(true())
    )
    # CASE, because the subjects of other processes are not numbers.
    holds_back = case((failed_move, still_overdue), else_=false())
    return and_(job.state.in_(FINAL), job.finished_at < before, ~holds_back)


def old_pages(before: datetime) -> ColumnElement[bool]:
    """Select the ended pages that were found, and whose website ended, before a moment (aware)."""
    page, job = BackgroundPage, BackgroundJob
    website_needed = (
        select(job.state)
        .where(
            job.process == CREATE_FROM_WEBSITE,
            job.subject == page.subject,
            job.occasion == page.occasion,
            func.coalesce(job.finished_at >= before, True),
        )
        .offset(0)
        .correlate(page)
        .exists()
    )
    return and_(page.state.in_(ENDED), page.found_at < before, ~website_needed)


def _purge(
    database: Database,
    moment: InstrumentedAttribute[Any],
    old: ColumnElement[bool],
    deadline: Deadline,
) -> int:
    """Delete the old rows of a table, a page of rows per transaction, until the time is nearly up.

    Args:
        database: holds the table.
        moment: the table's column by which the rows are sorted, by an index if the table is large.
        old: the condition for the rows to delete.
        deadline: when the invocation ends.

    Returns:
        How many rows were deleted.
    """
    deleted, last = 0, None
    while deadline.seconds_left() > SECONDS_NEEDED:
        # Continue after the last page, so that rows that stay are read only once.
        rest = old if last is None else and_(old, moment >= last)
        with database.session() as session:
            moments = session.scalars(_delete_page(moment, rest)).all()
            session.commit()
        if not moments:
            return deleted
        deleted += len(moments)
        last = max(moments)
    logger.warning("purge ran out of time")
    return deleted


def _delete_page(moment: InstrumentedAttribute[Any], old: ColumnElement[bool]) -> Any:
    """Build the DELETE of the oldest old rows; it returns their moments.

    By ctid, it reads no other row. It skips locked rows, so two concurrent runs share the work.
    """
    table = moment.class_
    ctid: ColumnElement[Any] = literal_column("ctid")
    page = (
        select(ctid)
        .select_from(table)
        .where(old)
        .order_by(moment)
        .limit(PAGE_SIZE)
        .with_for_update(of=table, skip_locked=True)
        .correlate(None)
    )
    return (
        delete(table)
        .where(ctid == any_(func.array(page.scalar_subquery())))
        .returning(moment)
        .execution_options(synchronize_session=False)
    )
