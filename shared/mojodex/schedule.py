"""The loop of every schedule: claim a page of due work, publish its messages, commit, repeat."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text

from mojodex import jobs, queues
from mojodex.clock import Deadline, utc_now
from mojodex.database import Database, DatabaseSettings
from mojodex.errors import TransientError
from mojodex.messages import Message
from mojodex.observability import count, logger

# With less time left, no transaction is begun.
SECONDS_NEEDED = 10
RUN = text("""
INSERT INTO md_background_schedule_run AS run (schedule, ended_at, published, complete)
VALUES (:schedule, :ended_at, :published, :complete)
ON CONFLICT (schedule) DO UPDATE SET
    ended_at = excluded.ended_at, published = excluded.published, complete = excluded.complete
""")


class ScheduleSettings(DatabaseSettings):
    """Settings of every schedule.

    Attributes:
        queue_url: the queue for its messages.
    """

    queue_url: str


@dataclass(frozen=True)
class DueWork:
    """A due query with its parameters, and the messages for its rows.

    Attributes:
        process: name of the process, as in the ledger.
        query: SQL that selects a page of due work, see `jobs.claim`.
        parameters: bind parameters of the first page.
        queue_url: the queue for the messages.
        message: makes the message for a row.
        owner: the `queues.Outgoing.owner` of all messages; None if it is each row's `user_id`.
    """

    process: str
    query: str
    parameters: dict[str, Any]
    queue_url: str
    message: Callable[[Row[*tuple[Any, ...]]], Message]
    owner: str | None = None


def publish_due(
    database: Database, due: Iterable[DueWork], now: datetime, deadline: Deadline
) -> dict[str, int]:
    """Claim and publish all due work, a page at a time, so that memory does not grow with it.

    Claims are committed after their messages are published. If the schedule dies in between, its claims are
    rolled back, and the next run finds the work again. Work stays due if the time does not suffice.

    Args:
        database: has the due work.
        due: the queries, in this order.
        now: the present moment (aware).
        deadline: when the invocation ends.

    Returns:
        `published`, the number of messages: the answer of a schedule's handler.
    """
    runs = [_publish(database, work, now, deadline) for work in due]
    published, complete = sum(n for n, _ in runs), all(complete for _, complete in runs)
    logger.info("schedule ended", extra={"published": published})
    count("JobsQueued", published)
    run = {"schedule": logger.service, "ended_at": utc_now(), "published": published, "complete": complete}
    # The messages are published, so a run that is not recorded is no failure.
    with suppress(TransientError), database.session() as session:
        session.execute(RUN, run)
        session.commit()
    return {"published": published}


def _publish(database: Database, work: DueWork, now: datetime, deadline: Deadline) -> tuple[int, bool]:
    """Publish one kind of due work; return the number of messages, and whether the time sufficed."""
    published, parameters = 0, work.parameters
    while deadline.seconds_left() > SECONDS_NEEDED:
        with database.session() as session:
            page = jobs.claim(session, work.process, work.query, parameters, now=now)
            messages = (
                queues.Outgoing(work.message(row).model_dump_json(), work.owner or row.user_id)
                for row in page.claimed
            )
            queues.publish(work.queue_url, messages)
            session.commit()
        published += len(page.claimed)
        if page.after is None:
            return published, True
        parameters = work.parameters | page.after
    logger.warning("schedule ran out of time")
    return published, False
