"""One batch of a queue: every record is parsed, begun in the ledger and run at the same time as the others of
its batch. A record that may have killed its last worker is run after them, alone, so that it takes none with
it.

What becomes of a record is decided here, once, from the class of the error (`errors`). It is logged here,
too, once.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from traceback import format_tb
from typing import Any, Literal

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import ValidationError
from sqlalchemy.orm import Session

from mojodex import jobs, queues
from mojodex.clock import Deadline, sent_at, utc_now
from mojodex.database import DatabaseSettings, db_session
from mojodex.errors import InvalidMessageError, MojodexError, NothingToDoError, PermanentError, TransientError
from mojodex.messages import Message
from mojodex.observability import count, logger
from mojodex.validation import what_is_wrong

# SQS refuses a message attribute that, with the body, is longer than its limit; pydantic names each wrong
# field.
LONGEST_REASON = 1000


class WorkerSettings(DatabaseSettings):
    """What every worker needs.

    Attributes:
        queue_url: the queue that feeds it.
        dead_letter_queue_url: where messages go that are not valid.
        lease_seconds: how long a job is held; longer than the function's timeout, shorter than the queue's
            visibility timeout.
    """

    queue_url: str
    dead_letter_queue_url: str
    lease_seconds: int


def _once(_message: Message, _sent: datetime) -> str:
    return ""


def _nothing_more(_session: Session, _job: jobs.Job, _state: str, _reason: str) -> dict[str, Any]:
    return {}


@dataclass(frozen=True)
class Process[M: Message]:
    """What a worker does with one message.

    Attributes:
        name: the process, as in the ledger, the logs and the metrics.
        message: model of its messages.
        seconds_needed: a record is not begun with less time than this left.
        run: does the work, and saves its effect and `jobs.finish(..., "done")` in one transaction. Or it
            leaves the job to others, and says so in one word for the log ("continued"). It raises what
            `errors` lists.
        occasion: which time the work is done for this subject, from the message and when it was sent, so that
            each delivery of a message means the same job. Without it: '', the work is done once.
        unfinished: writes what else must be written when a job ends as failed or skipped (the state, and the
            reason), in the transaction that ends it; gives what else its outcome says.
    """

    name: str
    message: type[M]
    seconds_needed: float
    run: Callable[[M, jobs.Job, Deadline], str | None]
    occasion: Callable[[M, datetime], str] = _once
    unfinished: Callable[[Session, jobs.Job, str, str], dict[str, Any]] = _nothing_more


def run_batch[M: Message](
    event: dict[str, Any], context: LambdaContext, process: Process[M], settings: WorkerSettings
) -> PartialItemFailureResponse:
    """Run all records of an SQS event at once, and then its suspects, one after the other.

    Returns:
        The partial batch response: the ids of the messages that come back.
    """
    records: list[dict[str, Any]] = event["Records"]
    deadline = Deadline(context.get_remaining_time_in_millis)
    suspects = _suspects(records, process, settings)
    others = [record for record in records if record not in suspects]
    *first, last = [others, *([suspect] for suspect in suspects)]
    with ThreadPoolExecutor(max_workers=max(1, len(records))) as threads:

        def run(some: list[dict[str, Any]]) -> dict[str, Future[None]]:
            return {r["messageId"]: threads.submit(_run, r, deadline, process, settings) for r in some}

        running: dict[str, Future[None]] = {}
        for some in first:
            running |= run(some)
            wait(running.values())
            done = [record for record in some if running[record["messageId"]].exception() is None]
            # The next one may kill this worker, and then nobody tells Lambda that these are done. If this
            # fails, Lambda deletes them at the end, as ever.
            with suppress(TransientError):
                queues.delete(settings.queue_url, done)
        running |= run(last)
        # Powertools runs records one after the other; here it only waits for each.
        return process_partial_response(
            event=event,
            record_handler=partial(_wait_for, running),
            processor=BatchProcessor(EventType.SQS, raise_on_entire_batch_failure=False),
            context=context,
        )


def _wait_for(running: dict[str, Future[None]], record: SQSRecord) -> None:
    running[record.message_id].result()


def _suspects[M: Message](
    records: list[dict[str, Any]], process: Process[M], settings: WorkerSettings
) -> list[dict[str, Any]]:
    """The records that may have killed their last worker: received before, and their job's holder vanished.

    A job that failed for a reason that passes was given back, so it is none of them.

    Returns:
        Those with the fewest attempts first: who only died along with another has had fewer than that one.
    """
    keys = {}
    for record in records:
        if int(record["attributes"]["ApproximateReceiveCount"]) > 1:
            # What is wrong with it is told where it is run.
            with suppress(InvalidMessageError):
                keys[record["messageId"]] = _key(record, process)[1]
    if not keys:
        return []
    try:
        with db_session(settings) as session:
            attempts = jobs.abandoned(
                session, process.name, keys.values(), now=utc_now(), lease_seconds=settings.lease_seconds
            )
    except Exception:
        # Each record meets it, too, when it is begun, and there it is told.
        return []
    suspects = [record for record in records if keys.get(record["messageId"]) in attempts]
    return sorted(suspects, key=lambda record: attempts[keys[record["messageId"]]])


def _run[M: Message](
    record: dict[str, Any], deadline: Deadline, process: Process[M], settings: WorkerSettings
) -> None:
    """Run one record. Returning deletes its message; raising brings it back."""
    about = {"message_id": record["messageId"]}
    receive_count = int(record["attributes"]["ApproximateReceiveCount"])
    try:
        try:
            message, (about["subject"], about["occasion"]) = _key(record, process)
            ended = _run_job(message, about["occasion"], deadline, process, settings)
        except InvalidMessageError as error:
            # When the dead-letter queue does not take it, it comes back like any other.
            queues.dead_letter(settings.dead_letter_queue_url, record, str(error))
            logger.error("message is not valid", extra={**about, "reason": str(error)})
            count("MessagesInvalid")
        else:
            logger.info("job ended", extra={**about, "state": ended})
            count(f"Jobs{ended.capitalize()}")
    except Exception as error:
        if isinstance(error, TransientError):
            delay = queues.back_off_seconds(receive_count, error.retry_after)
            logger.warning("message comes back", extra={**about, "reason": str(error), "seconds": delay})
        else:
            delay = queues.back_off_seconds(receive_count)
            # Where, but not the error's own text: it may quote what it could not handle.
            where = {"error": type(error).__name__, "where": format_tb(error.__traceback__)}
            logger.error("message comes back, unknown error", extra={**about, **where, "seconds": delay})
        count("MessagesReturned")
        # If this fails, the message comes back all the same, after the queue's visibility timeout.
        with suppress(TransientError):
            queues.come_back_in(settings.queue_url, record, delay)
        raise


def _run_job[M: Message](
    message: M, occasion: str, deadline: Deadline, process: Process[M], settings: WorkerSettings
) -> str:
    """Begin, run and end one job.

    Returns:
        How it ended: done, failed, skipped; repeated, when it had ended before; or what `Process.run` says.
    """
    if deadline.seconds_left() < process.seconds_needed:
        raise TransientError("too little time left in this invocation", retry_after=1)
    with db_session(settings) as session:
        job = jobs.begin(
            session,
            process=process.name,
            subject=message.subject,
            occasion=occasion,
            now=utc_now(),
            lease_seconds=settings.lease_seconds,
        )
    if not isinstance(job, jobs.Job):
        return "repeated"
    if job.taken_over:
        about = {"subject": job.subject, "occasion": job.occasion, "attempts": job.attempts}
        logger.warning("job is taken over from a worker that vanished", extra=about)
    try:
        if job.attempts_exhausted:
            raise PermanentError(f"gave up after {jobs.MAX_ATTEMPTS} attempts")
        return process.run(message, job, deadline) or "done"
    except PermanentError as error:
        _end(job, "failed", str(error), process, settings)
        about = {"subject": job.subject, "occasion": job.occasion}
        logger.error("job failed", extra={**about, "reason": str(error)})
        return "failed"
    except (NothingToDoError, InvalidMessageError) as error:
        _end(job, "skipped", str(error), process, settings)
        if isinstance(error, InvalidMessageError):
            raise
        return "skipped"
    except Exception:
        # If the database is away, too, the lease runs out by itself.
        with suppress(MojodexError), db_session(settings) as session:
            jobs.release(session, job)
        raise


def _end[M: Message](
    job: jobs.Job,
    state: Literal["failed", "skipped"],
    reason: str,
    process: Process[M],
    settings: WorkerSettings,
) -> None:
    """End a job that had no effect, and tell why not."""
    now = utc_now()
    with db_session(settings) as session:
        outcome = {"reason": reason, **process.unfinished(session, job, state, reason)}
        if job.attempts_exhausted:
            # Not a prefix of the reason, which is for people: due queries and the purge ask for this.
            outcome["attempts_exhausted"] = True
        jobs.finish(session, job, state, outcome, now=now)
        if state == "failed":
            jobs.report_error(session, job.process, job.subject, job.occasion, reason, now)
        session.commit()


def _key[M: Message](record: dict[str, Any], process: Process[M]) -> tuple[M, tuple[str, str]]:
    """The message of a record, and what names its job: subject and occasion.

    Raises:
        InvalidMessageError: it is not valid.
    """
    message = _parse(record["body"], process.message)
    return message, (message.subject, process.occasion(message, sent_at(record)))


def _parse[M: Message](body: str, model: type[M]) -> M:
    """The message.

    Raises:
        InvalidMessageError: what pydantic found, without the input, which may hold anything.
    """
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        # The name of an unknown field is the sender's text; SQS refuses some characters in an attribute.
        reason = "".join(c if c.isprintable() else "?" for c in what_is_wrong(error, "message"))
        raise InvalidMessageError(reason[:LONGEST_REASON]) from None
