"""Publishes once more what was asked for and stands still: nobody else finds that its messages are gone."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from sqlalchemy import Row, Select, Text, cast, func, literal, select
from sqlalchemy.orm import Session

from documents.message import CREATE_FROM_WEBSITE, INGEST_PAGE, CreateFromWebsite, IngestPage
from documents.progress import OPEN
from mojodex import jobs
from mojodex.clock import Deadline, utc_now
from mojodex.database import Database, DatabaseSettings
from mojodex.observability import logger
from mojodex.schedule import publish_due
from mojodex.schema import BackgroundJob, BackgroundPage

# Claimed and published in one transaction, see extract_todos.
PAGE_SIZE = 200


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
    """EventBridge's target; answers with how many messages it published. The event does not matter."""
    now, deadline = utc_now(), Deadline(context.get_remaining_time_in_millis)
    pages = publish_due(
        database, settings.ingest_page_queue_url, partial(_claim_pages, now), _page_message, deadline
    )
    websites = publish_due(
        database,
        settings.create_from_website_queue_url,
        partial(_claim_websites, now),
        _website_message,
        deadline,
    )
    return {"published": pages + websites}


def _claim_pages(now: datetime, session: Session, after: int | None) -> tuple[Sequence[Row[Any]], int | None]:
    """Claim the next of the pages that wait for ingest_page."""
    subject = cast(BackgroundPage.page_pk, Text)
    its_job = (BackgroundJob.process == INGEST_PAGE) & (BackgroundJob.subject == subject)
    query = (
        select(subject.label("subject"), literal("").label("occasion"), BackgroundPage.page_pk)
        # Before the crawl has ended, a page has no job.
        .join(BackgroundJob, its_job & (BackgroundJob.occasion == ""))
        .where(BackgroundPage.state == "staged", BackgroundPage.page_pk > (after or 0))
        .order_by(BackgroundPage.page_pk)
        .limit(PAGE_SIZE)
    )
    return _claim(session, INGEST_PAGE, query, now)


def _claim_websites(
    now: datetime, session: Session, after: int | None
) -> tuple[Sequence[Row[Any]], int | None]:
    """Claim the next of the websites that have pages which wait."""
    of_website = (BackgroundPage.subject, BackgroundPage.occasion, BackgroundPage.user_id)
    page_pk = func.min(BackgroundPage.page_pk).label("page_pk")
    query = (
        select(*of_website, page_pk)
        .join(
            BackgroundJob,
            (BackgroundJob.process == CREATE_FROM_WEBSITE)
            & (BackgroundJob.subject == BackgroundPage.subject)
            & (BackgroundJob.occasion == BackgroundPage.occasion),
        )
        .where(BackgroundPage.state.in_(OPEN))
        .group_by(*of_website)
        .having(page_pk > (after or 0))
        .order_by(page_pk)
        .limit(PAGE_SIZE)
    )
    return _claim(session, CREATE_FROM_WEBSITE, query, now)


def _claim(
    session: Session, process: str, due: Select[*tuple[Any, ...]], now: datetime
) -> tuple[Sequence[Row[Any]], int | None]:
    rows = jobs.claim(session, process, due, now=now)
    return rows, rows[-1].page_pk if len(rows) == PAGE_SIZE else None


def _page_message(row: Any) -> str:
    return IngestPage(page_pk=row.page_pk).model_dump_json()


def _website_message(row: Any) -> str:
    website_url = row.subject.removeprefix(f"{row.user_id} ")
    return CreateFromWebsite(
        user_id=row.user_id, website_url=website_url, request_id=row.occasion
    ).model_dump_json()
