"""Send the events in a batch of messages."""

from datetime import date, datetime
from typing import Any

from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.typing import LambdaContext
from sqlalchemy.orm import Session

from events.daily_email import content
from events.daily_email.content import TodoDailyEmailsSettings
from events.mail import delivery
from events.mail.mime import EmailSettings
from events.message import PROCESS, SendEvent
from mojodex.circuit import Circuits
from mojodex.clock import Deadline
from mojodex.database import Database
from mojodex.jobs import Job
from mojodex.model import Model
from mojodex.observability import logger
from mojodex.spending import Budget
from mojodex.worker import Process, WorkerSettings, run_batch


class Settings(WorkerSettings, TodoDailyEmailsSettings, EmailSettings):
    """Settings of this worker: those of each event's generator and channel."""


settings = Settings.from_environment()
database = Database(settings)
circuits = Circuits(database)
budget = Budget(database, settings, circuits)
settings.models_for(content.PROMPT)
model = Model(settings, circuits)


def _run(message: SendEvent, job: Job, deadline: Deadline) -> None:
    delivery.check_not_begun(job)
    # A second event type would branch here, on `message.event_type`.
    mail = content.todo_daily_emails(database, model.paid_by(job), settings, message, job, deadline)
    delivery.deliver(database, circuits, settings, mail, job, deadline)


def _occasion(message: SendEvent, sent: datetime) -> str:
    day: date = message.local_date or database.with_db_session(
        content.local_date, message.user_id, sent, settings.default_timezone_offset
    )
    return day.isoformat()


def _cleanup(_session: Session, job: Job, _state: str, _reason: str) -> dict[str, Any]:
    # An earlier attempt may have sent the mail, so no operator may retry the job.
    sending = (job.progress or {}).get("sending_since")
    return {"sending_since": sending} if sending else {}


process = Process(
    PROCESS,
    SendEvent,
    seconds_needed=30,
    run=_run,
    occasion=_occasion,
    budget=budget,
    cleanup=_cleanup,
)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """Run a batch of `SendEvent` messages from SQS, and return the ids of those to retry."""
    return run_batch(event, context, process, database, settings)
