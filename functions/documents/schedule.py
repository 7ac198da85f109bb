"""Publish the websites to refresh, and republish pages and websites whose messages are lost."""

from datetime import datetime
from pathlib import Path
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import Field

from documents.message import CREATE_FROM_WEBSITE, INGEST_PAGE, REFRESH, CreateFromWebsite, IngestPage
from mojodex.clock import Deadline, utc_now
from mojodex.database import Database, DatabaseSettings
from mojodex.observability import logger
from mojodex.schedule import DueWork, publish_due
from mojodex.sql import read_sql

# Claimed and published in one transaction, as in extract_todos.
PAGE_SIZE = 200
# The most refreshes at a time. Two workers, the fewest, run five each, and finish this many before the next
# run if a website takes half a minute.
REFRESHES_AT_A_TIME = 200
DUE_PAGES, DUE_WEBSITES, DUE_REFRESHES = (
    read_sql(Path(__file__).with_name(f"due_{name}.sql")) for name in ("pages", "websites", "refreshes")
)


class Settings(DatabaseSettings):
    """Settings of this schedule.

    Attributes:
        create_from_website_queue_url: the queue for websites.
        ingest_page_queue_url: the queue for pages.
        refresh_days: days between two refreshes of a website; 0: never.
    """

    create_from_website_queue_url: str
    ingest_page_queue_url: str
    refresh_days: int = Field(ge=0)


settings = Settings.from_environment()
database = Database(settings)


@logger.inject_lambda_context
def handler(_event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """Publish due work. EventBridge Scheduler invokes it; the event does not matter."""
    now, deadline = utc_now(), Deadline(context.get_remaining_time_in_millis)
    return publish_due(database, due_work(settings, now), now, deadline)


def due_work(settings: Settings, now: datetime) -> list[DueWork]:
    """Describe the due work: staged pages, websites with waiting pages, and websites to refresh."""
    websites = settings.create_from_website_queue_url
    refreshes = {"today": now, "at_a_time": REFRESHES_AT_A_TIME}
    first_page = {"after_pk": 0, "page_size": PAGE_SIZE}
    return [
        DueWork(INGEST_PAGE, DUE_PAGES, first_page, settings.ingest_page_queue_url, _page_message),
        DueWork(CREATE_FROM_WEBSITE, DUE_WEBSITES, first_page, websites, _website_message),
        *(
            [DueWork(CREATE_FROM_WEBSITE, DUE_REFRESHES, refreshes, websites, _refresh_message, REFRESH)]
            if settings.refresh_days
            else []
        ),
    ]


def _page_message(row: Any) -> IngestPage:
    return IngestPage(page_pk=int(row.subject))


def _website_message(row: Any) -> CreateFromWebsite:
    website_url = row.subject.removeprefix(f"{row.user_id} ")
    return CreateFromWebsite(
        user_id=row.user_id,
        website_url=website_url,
        scope=row.scope,
        refresh=row.refresh,
        request_id=row.occasion,
    )


def _refresh_message(row: Any) -> CreateFromWebsite:
    return CreateFromWebsite(
        user_id=row.user_id,
        website_url=row.website_url,
        scope=row.scope,
        refresh=True,
        request_id=row.occasion,
    )
