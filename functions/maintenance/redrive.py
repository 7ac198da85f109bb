"""Return valid messages from the dead-letter queues to their queues, once the cause has passed.

SQS moves a message to the dead-letter queue after its last receive, whatever made the receives fail. After an
outage, nearly all of these messages are valid. Three kinds stay in the dead-letter queue, for an operator:

    not valid   a worker has put it there, with a reason
    poison      its workers died, or met an unknown error, as often as it was received
    not begun   it was redriven so often without a trace in the ledger that its worker dies before it begins
"""

from collections.abc import Collection
from dataclasses import dataclass
from itertools import batched
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import Json
from sqlalchemy import select
from sqlalchemy.orm import Session

from mojodex import queues
from mojodex.clock import Deadline
from mojodex.database import Database, DatabaseSettings
from mojodex.errors import TransientError
from mojodex.observability import count, logger
from mojodex.queues import MAX_RECEIVES, DeadLetter
from mojodex.schedule import SECONDS_NEEDED
from mojodex.schema import BackgroundJob

# Looked at together, and in one statement.
LETTERS_AT_ONCE = 500
# With ten receives each time, it had a hundred.
MOST_REDRIVES_WITHOUT_BEGIN = 10


class Settings(DatabaseSettings):
    """Settings of this schedule.

    Attributes:
        queues: for each process, the addresses of its queue and of its dead-letter queue.
    """

    queues: Json[dict[str, tuple[str, str]]]


@dataclass(frozen=True)
class Sorted:
    """The dead letters of a process.

    Attributes:
        to_return: valid ones, oldest first.
        to_leave: the others.
    """

    to_return: list[DeadLetter]
    to_leave: list[DeadLetter]


settings = Settings.from_environment()
database = Database(settings)


@logger.inject_lambda_context
def handler(_event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """Redrive whatever the event is, and answer how many messages of each process were returned.

    Raises:
        TransientError: as `Database.session`, and those of `queues`. What was not returned waits.
    """
    deadline = Deadline(context.get_remaining_time_in_millis)
    returned = {
        process: redrive(process, queue_url, dead_letter_queue_url, deadline)
        for process, (queue_url, dead_letter_queue_url) in settings.queues.items()
    }
    # Of the service "redrive", all processes together: an alarm watches this one.
    count("MessagesRedriven", sum(returned.values()))
    return returned


def redrive(process: str, queue_url: str, dead_letter_queue_url: str, deadline: Deadline) -> int:
    """Redrive the dead letters of one process, oldest first.

    A run that dies in between leaves a message in both queues at worst, which the ledger makes harmless.

    Args:
        process: name of the process.
        queue_url, dead_letter_queue_url: of its queues.
        deadline: when the invocation ends. What there is no time for waits for the next run.

    Returns:
        How many messages were returned.
    """
    returned = 0
    left: list[DeadLetter] = []
    for letters in batched(queues.dead_letters(dead_letter_queue_url), LETTERS_AT_ONCE, strict=False):
        try:
            with database.session() as session:
                found = sort(session, letters)
            queues.redrive(queue_url, dead_letter_queue_url, found.to_return)
        except TransientError:
            # The next run must find them, so that an outage's end is not followed by minutes of waiting.
            queues.show(dead_letter_queue_url, [*left, *letters])
            raise
        returned += len(found.to_return)
        left += found.to_leave
        if deadline.seconds_left() < SECONDS_NEEDED:
            logger.warning("redrive ran out of time", extra={"queue_of": process})
            break
    # Only now, or they would be received again.
    queues.show(dead_letter_queue_url, left)
    if returned or left:
        about = {"queue_of": process, "returned": returned, "left": len(left)}
        logger.info("dead letters sorted", extra=about)
    count("MessagesRedriven", returned, service=process)
    # Also when there are none, so that the alarm ends.
    count("DeadLettersLeft", len(left), service=process)
    return returned


def sort(session: Session, letters: Collection[DeadLetter]) -> Sorted:
    """Sort dead letters into those to return, oldest first, and those to leave.

    Args:
        session: an open session.
        letters: of one dead-letter queue.
    """
    job = BackgroundJob
    begun = select(job.message_id, job.attempts).where(
        job.message_id.in_([letter.message_id for letter in letters]), job.state.in_(("queued", "running"))
    )
    attempts = {row.message_id: row.attempts for row in session.execute(begun)}
    found = Sorted([], [])
    for letter in sorted(letters, key=lambda letter: letter.sent_millis):
        died = attempts.get(letter.message_id)
        is_poison = died is not None and died >= MAX_RECEIVES
        never_begins = died is None and letter.redrives >= MOST_REDRIVES_WITHOUT_BEGIN
        if letter.reason or is_poison or never_begins:
            found.to_leave.append(letter)
        else:
            found.to_return.append(letter)
    return found
