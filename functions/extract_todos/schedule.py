"""Find finished task executions, claim them in the ledger, and publish a message for each."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from extract_todos.message import PROCESS, ExtractTodos
from mojodex.clock import Deadline, utc_now, without_zone
from mojodex.database import Database
from mojodex.observability import logger
from mojodex.schedule import DueWork, ScheduleSettings, publish_due
from mojodex.sql import read_sql

# Claimed and published in one transaction, in some hundred milliseconds. If it dies, these are sent again.
CLAIMS_PER_TRANSACTION = 200
LARGEST_KEY = 2**31 - 1
DUE = read_sql(Path(__file__).with_name("due.sql"))


class Settings(ScheduleSettings):
    """Settings of the schedule.

    Attributes:
        minimum_age_minutes: a result is finished when it has not changed for this long.
        look_back_days: older results are ignored.
    """

    minimum_age_minutes: int
    look_back_days: int


settings = Settings.from_environment()
database = Database(settings)


@logger.inject_lambda_context
def handler(_event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """Publish due work. EventBridge Scheduler invokes it; the event does not matter."""
    now, deadline = utc_now(), Deadline(context.get_remaining_time_in_millis)
    return publish_due(database, [due_work(settings, now)], now, deadline)


def due_work(settings: Settings, now: datetime) -> DueWork:
    """Describe the work due at `now` (aware): finished executions within the look-back."""
    parameters = {
        "after_date": without_zone(now - timedelta(days=settings.look_back_days)),
        # After all versions of that moment, because the look-back does not include its oldest moment.
        "after_pk": LARGEST_KEY,
        "youngest": without_zone(now - timedelta(minutes=settings.minimum_age_minutes)),
        "page_size": CLAIMS_PER_TRANSACTION,
    }
    return DueWork(PROCESS, DUE, parameters, settings.queue_url, _message)


def _message(row: Any) -> ExtractTodos:
    return ExtractTodos(user_task_execution_pk=int(row.subject))
