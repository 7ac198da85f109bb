"""Find the users for whom an event is due, claim them in the ledger, and publish a message for each."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from events.daily_email import audience
from mojodex.clock import Deadline, utc_now
from mojodex.database import Database
from mojodex.observability import logger
from mojodex.schedule import publish_due


class Settings(audience.AudienceSettings):
    """Settings of the schedule: those of each event's audience."""


settings = Settings.from_environment()
database = Database(settings)


@logger.inject_lambda_context
def handler(_event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """Publish due work. EventBridge Scheduler invokes it; the event does not matter."""
    now, deadline = utc_now(), Deadline(context.get_remaining_time_in_millis)
    # A second event adds its own due work here.
    return publish_due(database, audience.due_work(settings, now), now, deadline)
