"""Publish the messages of jobs that an operator retries.

The transaction that queues such a job stores its message in the ledger (`retry_message`). The message is
published from there and then deleted, so a crash in between cannot lose it. Publishing it twice does no harm:
a job takes effect once.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from sqlalchemy import TextClause, text

from mojodex import queues
from mojodex.clock import Deadline
from mojodex.database import Database
from mojodex.errors import TransientError
from mojodex.schedule import SECONDS_NEEDED

# In one transaction.
MESSAGES_AT_ONCE = 500
WAITING = "SELECT process, subject, occasion, user_id, retry_message FROM md_background_job WHERE {which}"
ANY = text(
    WAITING.format(which="process = :process AND retry_message IS NOT NULL")
    + " LIMIT :most FOR UPDATE SKIP LOCKED"
)
ONE = text(
    WAITING.format(
        which="(process, subject, occasion) = (:process, :subject, :occasion) AND retry_message IS NOT NULL"
    )
    + " FOR UPDATE SKIP LOCKED"
)
PUBLISHED = text("""
UPDATE md_background_job SET retry_message = NULL
WHERE (process, subject, occasion) IN (
    SELECT process, subject, occasion
    FROM unnest(CAST(:processes AS text[]), CAST(:subjects AS text[]), CAST(:occasions AS text[]))
        AS published (process, subject, occasion)
)
""")


def republish_all(database: Database, queue_urls: Mapping[str, str], deadline: Deadline) -> int:
    """Publish the waiting messages while time is left, and return how many.

    Args:
        database: has the ledger.
        queue_urls: by process.
        deadline: when the invocation ends.

    Raises:
        TransientError: as `Database.session` and `queues.publish`. Unpublished messages keep waiting.
    """
    published = 0
    errors: list[TransientError] = []
    # One process at a time, so that a failing queue does not hold up the others.
    for process in queue_urls:
        of_process = {"process": process, "most": MESSAGES_AT_ONCE}
        try:
            while deadline.seconds_left() > SECONDS_NEEDED:
                n = _republish(database, queue_urls, ANY, of_process)
                published += n
                if n < MESSAGES_AT_ONCE:
                    break
        except TransientError as error:
            errors.append(error)
    if errors:
        raise errors[0]
    return published


def republish(database: Database, queue_urls: Mapping[str, str], key: tuple[str, str, str]) -> None:
    """Publish the message of one job, if it waits; arguments and errors as `republish_all`."""
    _republish(database, queue_urls, ONE, dict(zip(("process", "subject", "occasion"), key, strict=True)))


def _republish(
    database: Database, queue_urls: Mapping[str, str], which: TextClause, parameters: dict[str, Any]
) -> int:
    with database.session() as session:
        waiting = session.execute(which, parameters).all()
        outgoing: dict[str, list[queues.Outgoing]] = defaultdict(list)
        for job in waiting:
            message = queues.Outgoing(
                job.retry_message["body"], job.user_id or "", job.retry_message.get("sent_at")
            )
            outgoing[job.process].append(message)
        for process, messages in outgoing.items():
            queues.publish(queue_urls[process], messages)
        keys = {
            "processes": [job.process for job in waiting],
            "subjects": [job.subject for job in waiting],
            "occasions": [job.occasion for job in waiting],
        }
        session.execute(PUBLISHED, keys)
        session.commit()
    return len(waiting)
