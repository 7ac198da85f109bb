"""Run one SQS batch: parse each record, begin its job in the ledger, and run all records concurrently.

Suspected poison messages run last, one at a time, so a crash cannot take the rest of the batch with it.

The exception class alone decides a record's outcome; see `errors`. It is logged once, here.
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
from pydantic import BaseModel, ValidationError
from sqlalchemy.orm import Session

from mojodex import jobs, queues
from mojodex.clock import Deadline, enqueued_at, sent_at, utc_now
from mojodex.database import Database, DatabaseSettings
from mojodex.errors import InvalidMessageError, MojodexError, NothingToDoError, PermanentError, TransientError
from mojodex.messages import Message
from mojodex.observability import count, logger
from mojodex.spending import Budget
from mojodex.validation import error_summary

# Body and attributes together must stay below SQS's size limit, and pydantic lists each invalid field.
MAX_REASON_CHARS = 1000


class QueueSettings(DatabaseSettings):
    """Settings of every function with a queue.

    Attributes:
        queue_url: its queue.
        dead_letter_queue_url: the queue for messages that are not valid.
    """

    queue_url: str
    dead_letter_queue_url: str


class WorkerSettings(QueueSettings):
    """Settings of every worker that has jobs.

    Attributes:
        lease_seconds: after how long another worker may take over a job; longer than the function's timeout,
            shorter than the queue's visibility timeout.
    """

    lease_seconds: int


def _once(_message: Message, _sent: datetime) -> str:
    return ""


def _no_cleanup(_session: Session, _job: jobs.Job, _state: str, _reason: str) -> dict[str, Any]:
    return {}


@dataclass(frozen=True)
class Process[M: Message]:
    """How a worker handles one message.

    Attributes:
        name: the process, as in the ledger, the logs and the metrics.
        message: model of its messages.
        seconds_needed: with less time left, a record is not begun.
        run: does the work, and saves its effect and `jobs.finish(..., "done")` in one transaction. If the job
            continues later, it returns one word for the log ("continued") instead. It raises the errors of
            `errors`.
        occasion: returns the job's occasion (see `jobs.Job`) from the message and the time it was sent. Each
            delivery of a message must give the same one. By default '': the work is done once.
        budget: records the cost of the models that `run` asks, and has the circuits of its providers; None if
            it calls no provider.
        cleanup: runs in the transaction that ends a job as failed or skipped; gets the state and the reason.
            It writes the process's own tables, and returns more fields of the outcome.
        user_of: SQL expression that finds the user by the job's `:subject`, where a message names none.
    """

    name: str
    message: type[M]
    seconds_needed: float
    run: Callable[[M, jobs.Job, Deadline], str | None]
    occasion: Callable[[M, datetime], str] = _once
    budget: Budget | None = None
    cleanup: Callable[[Session, jobs.Job, str, str], dict[str, Any]] = _no_cleanup
    user_of: str = "NULL"


def run_batch[M: Message](
    event: dict[str, Any],
    context: LambdaContext,
    process: Process[M],
    database: Database,
    settings: WorkerSettings,
) -> PartialItemFailureResponse:
    """Run all records of an SQS event concurrently, then the suspected poison messages one at a time.

    Returns:
        The partial batch response: the ids of the messages to retry.
    """
    records: list[dict[str, Any]] = event["Records"]
    deadline = Deadline(context.get_remaining_time_in_millis)
    suspects = _suspected_poison(records, process, database, settings)
    others = [record for record in records if record not in suspects]
    *earlier, last = [others, *([suspect] for suspect in suspects)]
    with ThreadPoolExecutor(max_workers=max(1, len(records))) as threads:

        def start(group: list[dict[str, Any]]) -> dict[str, Future[None]]:
            return {
                r["messageId"]: threads.submit(_run, r, deadline, process, database, settings) for r in group
            }

        running: dict[str, Future[None]] = {}
        for group in earlier:
            running |= start(group)
            wait(running.values())
            done = [record for record in group if running[record["messageId"]].exception() is None]
            # The next group may kill this worker before it can report these as done. If this fails, Lambda
            # deletes them after the batch, as usual.
            with suppress(TransientError):
                queues.delete(settings.queue_url, done)
            _save_costs(process)
        running |= start(last)
        # Powertools runs records one after another, so its record handler only waits for each.
        response = process_partial_response(
            event=event,
            record_handler=partial(_wait_for, running),
            processor=BatchProcessor(EventType.SQS, raise_on_entire_batch_failure=False),
            context=context,
        )
    _save_costs(process)
    return response


def _save_costs[M: Message](process: Process[M]) -> None:
    if process.budget:
        process.budget.save(process.name, utc_now())


def _wait_for(running: dict[str, Future[None]], record: SQSRecord) -> None:
    running[record.message_id].result()


def _suspected_poison[M: Message](
    records: list[dict[str, Any]], process: Process[M], database: Database, settings: WorkerSettings
) -> list[dict[str, Any]]:
    """Return the suspected poison messages: redelivered records whose job's lease has expired.

    A job that met a transient error was released, so it is not among them.

    Returns:
        The records, fewest attempts first: those are likely victims of another record's crash.
    """
    keys = {}
    for record in records:
        if int(record["attributes"]["ApproximateReceiveCount"]) > 1:
            # Reported later, when the record is processed. Some occasions need the database.
            with suppress(Exception):
                keys[record["messageId"]] = _key(record, process)[1]
    if not keys:
        return []
    try:
        with database.session() as session:
            attempts = jobs.expired_leases(
                session, process.name, keys.values(), now=utc_now(), lease_seconds=settings.lease_seconds
            )
    except Exception:
        # Each record reports the same error when it begins.
        return []
    suspects = [record for record in records if keys.get(record["messageId"]) in attempts]
    return sorted(suspects, key=lambda record: attempts[keys[record["messageId"]]])


def _run[M: Message](
    record: dict[str, Any],
    deadline: Deadline,
    process: Process[M],
    database: Database,
    settings: WorkerSettings,
) -> None:
    """Run one record. Lambda deletes its message when this returns, and retries it when this raises."""
    about = {"message_id": record["messageId"]}
    try:
        try:
            message, (about["subject"], about["occasion"]) = _key(record, process)
            ended = _run_job(message, about["occasion"], record, deadline, process, database, settings)
        except InvalidMessageError as error:
            # If the dead-letter queue does not accept it, it is retried like any other.
            refuse(record, str(error), settings, about)
        else:
            logger.info("job ended", extra={**about, "state": ended})
            count(f"Jobs{ended.capitalize()}")
    except Exception as error:
        retry_later(record, error, settings, about)
        raise


def refuse(record: dict[str, Any], reason: str, settings: QueueSettings, about: dict[str, str]) -> None:
    """Move a message that is not valid to the dead-letter queue, and log and count it.

    Args:
        record: the message's.
        reason: the validation error summary.
        settings: the worker's.
        about: ids for the log.

    Raises:
        TransientError: the dead-letter queue did not accept it.
    """
    queues.dead_letter(settings.dead_letter_queue_url, record, reason)
    logger.error("message is not valid", extra={**about, "reason": reason})
    count("MessagesInvalid")


def retry_later(
    record: dict[str, Any], error: Exception, settings: QueueSettings, about: dict[str, str]
) -> None:
    """Make a message visible again after a back-off that grows with its receives, and log the reason.

    Args:
        record: the message's. The caller must report it as failed, or SQS deletes it.
        error: of this attempt.
        settings: the worker's.
        about: ids for the log.
    """
    receive_count = int(record["attributes"]["ApproximateReceiveCount"])
    if isinstance(error, TransientError):
        delay = queues.back_off_seconds(receive_count, error.retry_after)
        logger.warning("message is retried", extra={**about, "reason": str(error), "seconds": delay})
    else:
        delay = queues.back_off_seconds(receive_count)
        # The error's own text is left out: it may quote a user's words.
        where = {"error": type(error).__name__, "where": format_tb(error.__traceback__)}
        logger.error("unknown error, message is retried", extra={**about, **where, "seconds": delay})
    count("MessagesReturned")
    # If this fails, the message becomes visible after the queue's visibility timeout instead.
    with suppress(TransientError):
        queues.retry_later(settings.queue_url, record, delay)


def _run_job[M: Message](
    message: M,
    occasion: str,
    record: dict[str, Any],
    deadline: Deadline,
    process: Process[M],
    database: Database,
    settings: WorkerSettings,
) -> str:
    """Begin, run and end one job.

    Returns:
        Its state: done, failed or skipped; "repeated" if it had ended before; or the word of `Process.run`.
    """
    if deadline.seconds_left() < process.seconds_needed:
        raise TransientError("too little time left in this invocation", retry_after=1)
    now = utc_now()
    job = database.with_db_session(
        jobs.begin,
        jobs.Delivery(record["messageId"], enqueued_at(record) + queues.RETENTION),
        process=process.name,
        subject=message.subject,
        occasion=occasion,
        now=now,
        lease_seconds=settings.lease_seconds,
        user_id=getattr(message, "user_id", None),
        user_of=process.user_of,
    )
    if not isinstance(job, jobs.Job):
        return "repeated"
    if process.budget:
        process.budget.circuits.learn(job.open_circuits)
    if job.taken_over:
        about = {"subject": job.subject, "occasion": job.occasion, "attempts": job.attempts}
        logger.warning("lease expired, job is taken over", extra=about)
    try:
        if job.attempts_exhausted:
            raise PermanentError(f"gave up after {jobs.MAX_ATTEMPTS} attempts")
        return process.run(message, job, deadline) or "done"
    except PermanentError as error:
        _end(job, "failed", str(error), process, database, deadline)
        about = {"subject": job.subject, "occasion": job.occasion}
        logger.error("job failed", extra={**about, "reason": str(error)})
        return "failed"
    except (NothingToDoError, InvalidMessageError) as error:
        _end(job, "skipped", str(error), process, database, deadline)
        if isinstance(error, InvalidMessageError):
            raise
        return "skipped"
    except Exception as error:
        counts = error.counts if isinstance(error, TransientError) else True
        # If the database is unavailable, too, the lease expires.
        with suppress(MojodexError):
            database.with_db_session(jobs.release, job, error, counts=counts, now=utc_now())
        raise
    finally:
        if process.budget:
            process.budget.add(job.spending.usd)


def _end[M: Message](
    job: jobs.Job,
    state: Literal["failed", "skipped"],
    reason: str,
    process: Process[M],
    database: Database,
    deadline: Deadline,
) -> None:
    """End a job that had no effect, with the reason. Wait for the database if it is unavailable.

    The result may have been paid for, such as a model's refusal.
    """
    now = utc_now()

    def save(session: Session) -> None:
        outcome = {"reason": reason, **process.cleanup(session, job, state, reason)}
        if job.attempts_exhausted:
            # A field of its own, because due queries and the purge read it. The reason is for people.
            outcome["attempts_exhausted"] = True
        jobs.finish(session, job, state, outcome, now=now)
        if state == "failed":
            jobs.report_error(session, job.process, job.subject, job.occasion, reason, now)
        session.commit()

    database.with_db_session_patiently(deadline, save)


def _key[M: Message](record: dict[str, Any], process: Process[M]) -> tuple[M, tuple[str, str]]:
    """Return the message of a record, and its job's subject and occasion.

    Raises:
        InvalidMessageError: the message is not valid.
    """
    message = parse(record["body"], process.message)
    return message, (message.subject, process.occasion(message, sent_at(record)))


def parse[M: BaseModel](body: str, model: type[M]) -> M:
    """Parse a message's body.

    Raises:
        InvalidMessageError: with the validation error summary, without the input.
    """
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        # An unknown field's name is the sender's text, and SQS refuses some characters in an attribute.
        reason = "".join(c if c.isprintable() else "?" for c in error_summary(error, "message"))
        raise InvalidMessageError(reason[:MAX_REASON_CHARS]) from None
