"""Publishes once more what was asked for and stands still: nobody else finds that its messages are gone."""

from pathlib import Path
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from documents.message import CREATE_FROM_WEBSITE, INGEST_PAGE, CreateFromWebsite, IngestPage
from mojodex.clock import Deadline, utc_now
from mojodex.database import Database, DatabaseSettings
from mojodex.observability import logger
from mojodex.schedule import DueWork, publish_due
from mojodex.sql import read_sql

# Claimed and published in one transaction, see extract_todos.
PAGE_SIZE = 200
DUE_PAGES, DUE_WEBSITES = (
    read_sql(Path(__file__).with_name(name)) for name in ("due_pages.sql", "due_websites.sql")
)


class Settings(DatabaseSettings):
    """Settings of this schedule.

    Attributes:
        create_from_website_queue_url: where websites go.
        ingest_page_queue_url: where pages go.
    """

    create_from_website_queue_url: str
    ingest_page_queue_url: str


settings = Settings.from_environment()
database = Database(settings)


@logger.inject_lambda_context
def handler(_event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """Publish what is due. EventBridge Scheduler invokes it; the event does not matter."""
    now, deadline = utc_now(), Deadline(context.get_remaining_time_in_millis)
    return publish_due(database, due_work(settings), now, deadline)


def due_work(settings: Settings) -> list[DueWork]:
    """Describe what may stand still: web pages that wait for ingest_page, and websites with waiting pages."""
    first_page = {"after_pk": 0, "page_size": PAGE_SIZE}
    return [
        DueWork(INGEST_PAGE, DUE_PAGES, first_page, settings.ingest_page_queue_url, _page_message),
        DueWork(
            CREATE_FROM_WEBSITE,
            DUE_WEBSITES,
            first_page,
            settings.create_from_website_queue_url,
            _website_message,
        ),
    ]


def _page_message(row: Any) -> IngestPage:
    return IngestPage(page_pk=int(row.subject))


def _website_message(row: Any) -> CreateFromWebsite:
    website_url = row.subject.removeprefix(f"{row.user_id} ")
    return CreateFromWebsite(
        user_id=row.user_id, website_url=website_url, scope=row.scope, request_id=row.occasion
    )
