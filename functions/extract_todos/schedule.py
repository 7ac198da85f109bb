"""Find the task executions that have ended, claim them in the ledger, and publish a message for each."""

from datetime import datetime, timedelta
from functools import partial
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from sqlalchemy import Row, Select, Text, and_, cast, literal, or_, select, true, tuple_
from sqlalchemy.orm import Session, aliased

from extract_todos.message import PROCESS, ExtractTodos
from mojodex import jobs
from mojodex.clock import Deadline, utc_now, without_zone
from mojodex.database import Database
from mojodex.observability import logger
from mojodex.schedule import Rows, ScheduleSettings, publish_due
from mojodex.schema import MdProducedText, MdProducedTextVersion, MdUserTaskExecution

# Claimed and published in one transaction: some hundred milliseconds, and what is sent again if it dies in
# the middle.
CLAIMS_PER_TRANSACTION = 200

type Place = tuple[datetime, int]


class Settings(ScheduleSettings):
    """Settings of the schedule.

    Attributes:
        minimum_age_minutes: a result that was left alone for this long is finished.
        look_back_days: a result older than this is not looked at any more.
    """

    minimum_age_minutes: int
    look_back_days: int


settings = Settings.from_environment()
database = Database(settings)


@logger.inject_lambda_context
def handler(_event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """EventBridge Scheduler's target. The event does not matter: due is a state of the database."""
    claim_page = partial(_claim_page, settings, utc_now())
    deadline = Deadline(context.get_remaining_time_in_millis)
    return {"published": publish_due(database, settings.queue_url, claim_page, _message, deadline)}


def _claim_page(
    settings: Settings, now: datetime, session: Session, after: Place | None
) -> tuple[Rows, Place | None]:
    rows = jobs.claim(session, PROCESS, due(settings, now, after), now=now)
    if len(rows) < CLAIMS_PER_TRANSACTION:
        return rows, None
    return rows, max((row.creation_date, row.produced_text_version_pk) for row in rows)


def _message(row: Row[*tuple[Any, ...]]) -> str:
    return ExtractTodos(user_task_execution_pk=int(row.subject)).model_dump_json()


def due(settings: Settings, now: datetime, after: Place | None) -> Select[str, str, datetime, int]:
    """The next batch of due executions, in the order of their newest produced-text version.

    It walks the index on the versions' creation dates, over the look-back only, so that its cost follows what
    was written in these days and not what exists; each batch goes on behind the last one. All else is looked
    up version by version: no subquery has a form that the planner can turn into a join (they have LIMIT,
    OFFSET, or are scalar), because with old statistics it chose joins that read whole tables.

    Args:
        settings: the window.
        now: the present moment (aware).
        after: creation date and primary key of the version where the last batch ended; None for the first
            batch.

    Returns:
        A query of (subject, occasion, creation_date, produced_text_version_pk).
    """
    utc = without_zone(now)
    oldest = utc - timedelta(days=settings.look_back_days)
    youngest = utc - timedelta(minutes=settings.minimum_age_minutes)
    version, text, execution = MdProducedTextVersion, MdProducedText, MdUserTaskExecution
    place = tuple_(version.creation_date, version.produced_text_version_pk)

    its_execution = (
        select(execution.user_task_execution_pk)
        .join(text, text.user_task_execution_fk == execution.user_task_execution_pk)
        .where(
            text.produced_text_pk == version.produced_text_fk,
            text.deleted_by_user.is_(None),
            execution.todos_extracted.is_(None),
            execution.deleted_by_user.is_(None),
        )
        .limit(1)
        .correlate(version)
        .lateral("its_execution")
    )
    newer, its_text = aliased(MdProducedTextVersion), aliased(MdProducedText)
    newer_version = (
        select(newer.produced_text_version_pk)
        .where(
            newer.produced_text_fk == its_text.produced_text_pk,
            or_(
                newer.creation_date > version.creation_date,
                and_(
                    newer.creation_date == version.creation_date,
                    newer.produced_text_version_pk > version.produced_text_version_pk,
                ),
            ),
        )
        .limit(1)
        .correlate(version, its_text)
        .lateral("newer_version")
    )
    is_newest = (
        ~select(its_text.produced_text_pk)
        .join(newer_version, true())
        .where(
            its_text.user_task_execution_fk == its_execution.c.user_task_execution_pk,
            its_text.deleted_by_user.is_(None),
        )
        .offset(0)
        .correlate(version, its_execution)
        .exists()
    )
    subject = cast(its_execution.c.user_task_execution_pk, Text)
    claimed = jobs.claimed(PROCESS, subject, literal(""), now).correlate(its_execution).exists()
    query = (
        select(
            subject.label("subject"),
            literal("", Text).label("occasion"),
            version.creation_date,
            version.produced_text_version_pk,
        )
        .join(its_execution, true())
        .where(
            version.creation_date > oldest,
            version.creation_date <= youngest,
            is_newest,
            ~claimed,
        )
        .order_by(version.creation_date, version.produced_text_version_pk)
        .limit(CLAIMS_PER_TRANSACTION)
    )
    return query if after is None else query.where(place > after)
