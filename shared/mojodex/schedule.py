"""The loop of every schedule: claim a page of due work, publish its messages, commit, go on."""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Row
from sqlalchemy.orm import Session

from mojodex import queues
from mojodex.clock import Deadline
from mojodex.database import Database, DatabaseSettings
from mojodex.observability import count, logger

# A transaction is not begun with less time than this left.
SECONDS_NEEDED = 10

type Rows = Sequence[Row[*tuple[Any, ...]]]


class ScheduleSettings(DatabaseSettings):
    """What every schedule needs.

    Attributes:
        queue_url: where the messages go.
    """

    queue_url: str


def publish_due[P](
    database: Database,
    queue_url: str,
    claim_page: Callable[[Session, P | None], tuple[Rows, P | None]],
    message: Callable[[Any], str],
    deadline: Deadline,
) -> int:
    """Claim and publish all that is due, a page at a time; memory does not grow with what is due.

    Claims are committed after their messages are out: if it dies in between, they vanish and the next run
    finds the work again. What time does not suffice for stays due.

    Args:
        database: which holds what is due.
        queue_url: where the messages go.
        claim_page: claims the page behind a place (None: the first) with `jobs.claim`; gives its rows and the
            place where it ended, None for the last page.
        message: the body of the message for a row.
        deadline: when the invocation ends.

    Returns:
        How many messages were published.
    """
    published = 0
    place: P | None = None
    while deadline.seconds_left() > SECONDS_NEEDED:
        with database.session() as session:
            rows, place = claim_page(session, place)
            claimed = [row for row in rows if row.claimed]
            queues.publish(queue_url, map(message, claimed))
            session.commit()
        published += len(claimed)
        if place is None:
            break
    else:
        logger.warning("schedule ran out of time")
    logger.info("schedule ended", extra={"published": published})
    count("JobsQueued", published)
    return published
