"""Save SES's feedback about mails, a batch in one transaction.

It needs no jobs and no rows in the ledger: two events per mail would double it, and saving one twice changes
nothing.
"""

from collections.abc import Collection
from typing import Any

from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.typing import LambdaContext
from sqlalchemy.orm import Session

from mail_feedback.message import SesEvent
from mail_feedback.receipt import receipt
from mojodex import mail_ledger
from mojodex.clock import Deadline
from mojodex.database import Database
from mojodex.errors import InvalidMessageError, TransientError
from mojodex.feedback import Mail
from mojodex.observability import count, logger
from mojodex.worker import QueueSettings, parse, refuse, retry_later

# Seconds that must be left before a transaction begins.
SECONDS_NEEDED = 20


class Settings(QueueSettings):
    """Settings of this worker.

    Attributes:
        ses_configuration_set: name of the configuration set that our mails are sent with.
    """

    ses_configuration_set: str


settings = Settings.from_environment()
database = Database(settings)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """Save a batch of SES's events, and return the ids of messages to retry."""
    deadline = Deadline(context.get_remaining_time_in_millis)
    records = {record["messageId"]: record for record in event["Records"]}
    failed: dict[str, Exception] = {}
    mails: dict[str, Mail] = {}
    for message_id, record in records.items():
        try:
            if mail := _read(record):
                mails[message_id] = mail
        except TransientError as error:
            failed[message_id] = error
    failed |= _save_all(mails, deadline)
    for message_id, why in failed.items():
        retry_later(records[message_id], why, settings, {"message_id": message_id})
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def _read(record: dict[str, Any]) -> Mail | None:
    """Return a message's facts about its mail; None if the message is invalid.

    Raises:
        TransientError: it is invalid, and the dead-letter queue did not accept it.
    """
    try:
        return receipt(parse(record["body"], SesEvent), settings.ses_configuration_set)
    except InvalidMessageError as error:
        refuse(record, str(error), settings, {"message_id": record["messageId"]})
        return None


def _save_all(mails: dict[str, Mail], deadline: Deadline) -> dict[str, Exception]:
    """Save all. After an unknown error, save each alone, so that one cannot hold up the others.

    Returns:
        The errors of the unsaved ones, by message id.
    """
    try:
        _save(mails.values(), deadline)
    except TransientError as error:
        return dict.fromkeys(mails, error)
    except Exception as error:
        if len(mails) == 1:
            return dict.fromkeys(mails, error)
        return {
            failed: why
            for message_id, mail in mails.items()
            for failed, why in _save_all({message_id: mail}, deadline).items()
        }
    return {}


def _save(mails: Collection[Mail], deadline: Deadline) -> None:
    def save(session: Session) -> dict[Any, int]:
        new = mail_ledger.record(session, mails)
        session.commit()
        return new

    if not mails:
        return
    if deadline.seconds_left() < SECONDS_NEEDED:
        raise TransientError("too little time left in this invocation", retry_after=1)
    new = database.with_db_session(save)
    logger.info("feedback saved", extra={"mails": len(mails), **new})
    for fact, times in new.items():
        count(f"Emails{fact.title().replace('_', '')}", times)
    if complaints := [0.0] * new.get("delivered", 0) + [1.0] * new.get("complained", 0):
        # Its average is the share of mails with a complaint.
        count("EmailComplaintShare", complaints)
