"""Crawl the websites that a batch of messages names."""

from datetime import datetime
from typing import Any

from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.typing import LambdaContext
from sqlalchemy.orm import Session

from documents.create_from_website.crawl import crawl, fail_waiting_pages
from documents.create_from_website.settings import CrawlSettings
from documents.message import CREATE_FROM_WEBSITE, CreateFromWebsite
from mojodex.clock import Deadline
from mojodex.database import Database
from mojodex.jobs import Job
from mojodex.observability import logger
from mojodex.worker import Process, run_batch


class Settings(CrawlSettings):
    """Settings of this worker."""


settings = Settings.from_environment()
database = Database(settings)


def _run(message: CreateFromWebsite, job: Job, deadline: Deadline) -> str:
    return crawl(database, settings, message, job, deadline)


def _cleanup(session: Session, job: Job, _state: str, reason: str) -> dict[str, object]:
    return fail_waiting_pages(session, job, reason, settings.refresh_days)


def _occasion(message: CreateFromWebsite, sent: datetime) -> str:
    return message.request_id or sent.isoformat(timespec="milliseconds")


process = Process(
    CREATE_FROM_WEBSITE,
    CreateFromWebsite,
    seconds_needed=210,
    run=_run,
    occasion=_occasion,
    cleanup=_cleanup,
)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """Run a batch of `CreateFromWebsite` messages from SQS, and return the ids of those to retry."""
    return run_batch(event, context, process, database, settings)
