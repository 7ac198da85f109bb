"""Find the users for whom an event is due, claim them in the ledger, and publish a message for each."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from sqlalchemy import Row
from sqlalchemy.orm import Session

from events.daily_email import audience
from events.message import EventType, SendEvent
from mojodex.clock import Deadline, utc_now
from mojodex.database import Database
from mojodex.observability import logger
from mojodex.schedule import Rows, publish_due


class Settings(audience.AudienceSettings):
    """Settings of the schedule: those of each event's audience."""


# Each event's audience: claims a page of the users for whom it is due (see `publish_due`).
AUDIENCES: dict[EventType, Callable[[Settings, datetime, Session, Any], tuple[Rows, Any]]] = {
    "todo_daily_emails": audience.claim_page,
}

settings = Settings.from_environment()
database = Database(settings)


@logger.inject_lambda_context
def handler(_event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """EventBridge Scheduler's target. The event does not matter: due is a state of the database."""
    now, deadline = utc_now(), Deadline(context.get_remaining_time_in_millis)
    published = 0
    for event_type, claim_page in AUDIENCES.items():
        published += publish_due(
            database,
            settings.queue_url,
            partial(claim_page, settings, now),
            partial(_message, event_type),
            deadline,
        )
    return {"published": published}


def _message(event_type: EventType, row: Row[*tuple[Any, ...]]) -> str:
    message = SendEvent(event_type=event_type, user_id=row.user_id, local_date=row.local_date)
    return message.model_dump_json()
