"""Return valid dead letters to their queues, publish jobs that operators retry, and count paused processes.

SQS moves a message to the dead-letter queue after its last receive, whatever the error. After an outage,
nearly all of them are valid. Three kinds stay there, each with its reason:

    invalid     a worker put it there
    poison      its workers died, or met an unknown error, at each receive
    not begun   it was returned for days without a trace in the ledger: its worker dies before it begins
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import batched
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import Json
from sqlalchemy import ColumnElement, and_, select, update
from sqlalchemy.orm import Session

from mojodex import queues
from mojodex.clock import Deadline, utc_now
from mojodex.database import Database, DatabaseSettings
from mojodex.errors import TransientError
from mojodex.observability import count, logger
from mojodex.queues import MAX_RECEIVES, RETENTION, DeadLetter
from mojodex.republishing import republish_all
from mojodex.schedule import SECONDS_NEEDED
from mojodex.schema import BackgroundJob, BackgroundPausedProcess

# Dead letters that one statement looks up.
LETTERS_AT_ONCE = 500
# A message without a trace in the ledger stays only after both limits. The ledger names one message of a job;
# a second one may return throughout an outage. An old message may have waited in a paused queue.
MOST_REDRIVES_WITHOUT_BEGIN, LONGEST_WITHOUT_BEGIN = 10, RETENTION


class Settings(DatabaseSettings):
    """Settings of this schedule.

    Attributes:
        queues: URLs of the queue and the dead-letter queue, by process.
    """

    queues: Json[dict[str, tuple[str, str]]]


@dataclass(frozen=True)
class Sorted:
    """The dead letters of a process, by what to do with them.

    Attributes:
        to_return: valid ones, oldest first.
        to_set_aside: those that stay, with the reason to add.
        to_leave: those that have a reason.
    """

    to_return: list[DeadLetter]
    to_set_aside: list[tuple[DeadLetter, str]]
    to_leave: list[DeadLetter]


settings = Settings.from_environment()
database = Database(settings)


@logger.inject_lambda_context
def handler(_event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """Redrive, and return the number of returned messages by process. The event does not matter.

    Raises:
        ExceptionGroup: all errors. Unfinished work waits for the next run.
    """
    deadline = Deadline(context.get_remaining_time_in_millis)
    returned: dict[str, int] = {}
    errors: list[Exception] = []
    try:
        count_paused(settings.queues)
        # First, because an operator waits for it.
        republished = republish_all(
            database, {name: url for name, (url, _) in settings.queues.items()}, deadline
        )
        if republished:
            logger.info("retried jobs published", extra={"published": republished})
    except Exception as error:
        errors.append(error)
    for process, (queue_url, dead_letter_queue_url) in settings.queues.items():
        try:
            returned[process] = redrive(process, queue_url, dead_letter_queue_url, deadline)
        except Exception as error:
            errors.append(error)
    # Of the service "redrive", for all processes: an alarm watches this one.
    count("MessagesRedriven", sum(returned.values()))
    if errors:
        raise ExceptionGroup("dead letters wait for the next run", errors)
    return returned


def count_paused(processes: Collection[str]) -> None:
    """Count the paused processes, for the alarm on a forgotten pause.

    Raises:
        TransientError: as `Database.session`.
    """
    with database.session() as session:
        paused = set(session.scalars(select(BackgroundPausedProcess.process)))
    count("ProcessesPaused", len(paused.intersection(processes)))


def redrive(process: str, queue_url: str, dead_letter_queue_url: str, deadline: Deadline) -> int:
    """Redrive the dead letters of one process, oldest first.

    A run that dies midway can leave a message in both queues, which the ledger makes harmless.

    Args:
        process: name of the process.
        queue_url, dead_letter_queue_url: of its queues.
        deadline: when the invocation ends. The rest waits for the next run.

    Returns:
        How many messages were returned.

    Raises:
        TransientError: as `Database.session`, and those of `queues`.
    """
    returned = 0
    left: list[DeadLetter] = []
    for letters in batched(queues.dead_letters(dead_letter_queue_url), LETTERS_AT_ONCE, strict=False):
        try:
            found = sort(letters, database.with_db_session(attempts_of, letters), utc_now())
            for letter, reason in found.to_set_aside:
                queues.set_aside(dead_letter_queue_url, letter, reason)
            queues.redrive(queue_url, dead_letter_queue_url, found.to_return)
            database.with_db_session(note, found, utc_now())
        except TransientError:
            # Visible at once, so that the next run need not wait for them after an outage.
            queues.show(dead_letter_queue_url, [*left, *letters])
            raise
        returned += len(found.to_return)
        left += found.to_leave
        if deadline.seconds_left() < SECONDS_NEEDED:
            logger.warning("redrive ran out of time", extra={"queue_of": process})
            break
    # Not earlier, or they would be received again.
    queues.show(dead_letter_queue_url, left)
    if returned or left:
        about = {"queue_of": process, "returned": returned, "left": len(left)}
        logger.info("dead letters sorted", extra=about)
    count("MessagesRedriven", returned, service=process)
    # Zero, too, so that the alarm ends.
    count("DeadLettersLeft", len(left), service=process)
    return returned


def attempts_of(session: Session, letters: Collection[DeadLetter]) -> dict[str, int]:
    """Return the attempts of the open jobs that these messages began, by message id."""
    begun = select(BackgroundJob.message_id, BackgroundJob.attempts).where(
        _has_not_ended([letter.message_id for letter in letters])
    )
    return {row.message_id: row.attempts for row in session.execute(begun)}


def sort(letters: Collection[DeadLetter], attempts: Mapping[str, int], now: datetime) -> Sorted:
    """Sort dead letters by what to do with them.

    Args:
        letters: of one dead-letter queue.
        attempts: see `attempts_of`.
        now: the present moment (aware).
    """
    found = Sorted([], [], [])
    long_ago_millis = (now - LONGEST_WITHOUT_BEGIN).timestamp() * 1000
    for letter in sorted(letters, key=lambda letter: letter.sent_millis):
        died = attempts.get(letter.message_id)
        if letter.reason:
            found.to_leave.append(letter)
        elif died is not None and died >= MAX_RECEIVES:
            reason = f"poison: {died} attempts ended with a dead worker or an unknown error"
            found.to_set_aside.append((letter, reason))
        elif (
            died is None
            and letter.redrives >= MOST_REDRIVES_WITHOUT_BEGIN
            and letter.sent_millis < long_ago_millis
        ):
            reason = f"it was returned {letter.redrives} times, and its job was never begun"
            found.to_set_aside.append((letter, reason))
        else:
            found.to_return.append(letter)
    return found


def note(session: Session, found: Sorted, now: datetime) -> None:
    """Record in the ledger when these messages expire. Commits.

    A schedule can claim a job whose message was set aside, because half of its attempts are left.
    """
    for letters, expires_at in (
        (found.to_return, now + RETENTION),
        ([letter for letter, _ in found.to_set_aside], now),
    ):
        if ids := [letter.message_id for letter in letters]:
            session.execute(
                update(BackgroundJob).where(_has_not_ended(ids)).values(message_expires_at=expires_at)
            )
    session.commit()


def _has_not_ended(message_ids: list[str]) -> ColumnElement[bool]:
    return and_(BackgroundJob.message_id.in_(message_ids), BackgroundJob.state.in_(("queued", "running")))
