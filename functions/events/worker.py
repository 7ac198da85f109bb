"""Send the events that a batch of messages names."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.typing import LambdaContext

from events.daily_email import content
from events.daily_email.content import TodoDailyEmailsSettings
from events.mail import delivery
from events.mail.delivery import DeliverySettings, Mail
from events.message import PROCESS, EventType, SendEvent
from mojodex.clock import Deadline
from mojodex.jobs import Job
from mojodex.model import Model
from mojodex.observability import logger
from mojodex.worker import Process, WorkerSettings, run_batch


class Settings(WorkerSettings, TodoDailyEmailsSettings, DeliverySettings):
    """Settings of this worker: those of each event's generator and channel."""


@dataclass(frozen=True)
class Event:
    """What becomes of an event: its generator makes a mail, its channel brings it to the user."""

    generate: Callable[[Settings, Model, SendEvent, Job, Deadline], Mail]
    deliver: Callable[[Settings, Mail, Job, Deadline], None]


EVENTS: dict[EventType, Event] = {
    "todo_daily_emails": Event(content.todo_daily_emails, delivery.deliver),
}

settings = Settings.from_environment()
settings.models_for(content.PROMPT)
model = Model(settings)


def _run(message: SendEvent, job: Job, deadline: Deadline) -> None:
    delivery.check_not_begun(job)
    event = EVENTS[message.event_type]
    event.deliver(settings, event.generate(settings, model, message, job, deadline), job, deadline)


def _occasion(message: SendEvent, sent: datetime) -> str:
    day: date = message.local_date or content.local_date(
        settings, message.user_id, sent, settings.default_timezone_offset
    )
    return day.isoformat()


process = Process(PROCESS, SendEvent, seconds_needed=30, run=_run, occasion=_occasion)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """SQS's target: a batch of `SendEvent` messages in, the ids of those to retry out."""
    return run_batch(event, context, process, settings)
