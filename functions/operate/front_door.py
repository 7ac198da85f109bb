"""The routes of Mojodex's own Background, for an unmodified Mojodex backend and scheduler.

Paths, fields and answers are those of `background/app` in hoomano/mojodex. A website or document is published
as the same message that an adapted backend publishes. The other routes run a schedule.
"""

import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.api_gateway import Router
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from documents.message import (
    CREATE_FROM_WEBSITE,
    LONGEST_WEBSITE_URL,
    UPDATE_DOCUMENT,
    CreateFromWebsite,
    UpdateDocument,
)
from mojodex import queues
from mojodex.clock import utc_now
from mojodex.errors import TransientError
from mojodex.jobs import report_error
from mojodex.messages import Message
from mojodex.observability import count, logger
from mojodex.schema import BackgroundJob, MdDocument
from operate import environment
from operate.access import needs
from operate.services import run_schedule

router = Router()  # type: ignore[no-untyped-call]
PATHS = {
    *("/create_document_from_website", "/update_document"),
    *("/extract_todos", "/reschedule_todo", "/events_generation"),
}
INVALID = (400, {"error": "invalid inputs"})
OK = (200, {"success": "ok"})
LARGEST_KEY = 2**31 - 1
# Of one answer, as in Mojodex.
MOST_USERS = 50
# A schedule's clock may be a little behind ours.
CLOCK_TOLERANCE = timedelta(seconds=1)
QUEUED_SINCE = text("""
SELECT subject
FROM md_background_job
WHERE process = :process
    AND state IN ('queued', 'running', 'done', 'failed', 'skipped')
    AND COALESCE(finished_at, queued_at) >= :since
    AND queued_at >= :since
""")
type Answer = tuple[int, dict[str, Any]]


def _answer(error_prefix: str, work: Callable[[dict[str, Any]], Answer]) -> Response[str]:
    """Do the work and answer as Mojodex's Background does: JSON, with `error` after a failure."""
    try:
        request = json.loads(router.current_event.body or "")
        is_json = router.current_event.headers.get("content-type", "").startswith("application/json")
        if not is_json or not isinstance(request, dict) or "datetime" not in request:
            raise ValueError
        status, answer = work(request)
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        status, answer = INVALID
    except TransientError as error:
        logger.warning("request cannot be served now", extra={"reason": str(error)})
        status, answer = 503, {"error": f"{error_prefix} : {error}"}
    return Response(status, "application/json", json.dumps(answer))


@router.get("/")
def welcome() -> Response[str]:
    """Confirm that the service runs."""
    return Response(200, "text/html", "Welcome to Mojodex Background Service.")


@router.post("/create_document_from_website", middlewares=[needs("publish")])
def create_document_from_website() -> Response[str]:
    """Publish the message that makes documents of a website."""

    def work(request: dict[str, Any]) -> Answer:
        # Mojodex's backend accepts addresses with blanks, and addresses too long for a document's name.
        user_id, website_url = _text(request["user_id"]), re.sub(r"\s", "%20", request["website_url"])
        if len(website_url) > LONGEST_WEBSITE_URL:
            environment.database.with_db_session(_fail_website, user_id, website_url)
            return OK
        message = CreateFromWebsite(user_id=user_id, website_url=website_url)
        _publish(CREATE_FROM_WEBSITE, message, user_id)
        return OK

    return _answer("Error parsing website", work)


@router.post("/update_document", middlewares=[needs("publish")])
def update_document() -> Response[str]:
    """Publish the message that updates a document, if the user is its author."""

    def work(request: dict[str, Any]) -> Answer:
        user_id, key, edition = _text(request["user_id"]), request["document_pk"], request.get("edition")
        if key is not None and not re.fullmatch(r"\d{1,10}", _text(key)):
            return 404, {"error": "Error updating document : document_pk is not a number"}
        document_pk = int(key or 0)
        document = MdDocument
        type_query = select(document.document_type).where(
            document.document_pk == min(document_pk, LARGEST_KEY), document.author_user_id == user_id
        )
        with environment.database.session() as session:
            document_type = session.scalar(type_query)
        if document_type is None:
            return 404, {"error": "Document not found for this user"}
        if document_type != "learned_by_mojo":
            edition = None
        message = UpdateDocument(user_id=user_id, document_pk=document_pk, edition=edition)
        _publish(UPDATE_DOCUMENT, message, user_id)
        return OK

    return _answer("Error updating document", work)


@router.post("/extract_todos", middlewares=[needs("publish")])
def extract_todos() -> Response[str]:
    """Run the schedule of `extract_todos` and answer the task executions that it queued."""

    def work(_request: dict[str, Any]) -> Answer:
        return 200, {"user_task_execution_pks": sorted(map(int, _queued_by("extract_todos")))}

    return _answer("Error in extract todos route", work)


@router.post("/reschedule_todo", middlewares=[needs("publish")])
def reschedule_todo() -> Response[str]:
    """Run the schedule of `reschedule_todo` and answer the to-dos that it queued."""

    def work(_request: dict[str, Any]) -> Answer:
        return 200, {"todo_pks": sorted(map(int, _queued_by("reschedule_todo")))}

    return _answer("Error in reschedule todos route", work)


@router.post("/events_generation", middlewares=[needs("publish")])
def events_generation() -> Response[str]:
    """Run the schedule of `events` and answer one page of the users that it queued.

    Mojodex's scheduler requests pages until one is not full.
    """

    def work(request: dict[str, Any]) -> Answer:
        event_type = request["event_type"]
        most = min(MOST_USERS, int(request.get("n_events", MOST_USERS)))
        offset = int(request.get("offset", 0))
        if event_type != "todo_daily_emails":
            return 404, {"error": f"Error generating events : Unknown event type {event_type}"}
        if most < 0 or offset < 0:
            return 404, {"error": "Error generating events : n_events and offset must not be negative"}
        # The first page's request queues all users. So later pages read what was queued this hour.
        subjects = _queued_by("events", this_hour=True)
        user_ids = sorted(subject.partition(":")[2] for subject in subjects)
        return 200, {"user_ids": user_ids[offset : offset + most]}

    return _answer("Error generating events", work)


def _text(value: object) -> str:
    """Return a key, a text or a number, as text.

    Raises:
        ValueError: it is neither, or PostgreSQL would refuse the text.
    """
    if isinstance(value, bool) or not isinstance(value, str | int) or b"\0" in str(value).encode():
        raise ValueError
    return str(value)


def _fail_website(session: Session, user_id: str, website_url: str) -> None:
    """Record a failed job, because the address is too long for a document's name. Commits."""
    now = utc_now()
    key = {"process": CREATE_FROM_WEBSITE, "subject": f"{user_id} {website_url[:LONGEST_WEBSITE_URL]}"}
    occasion, reason = now.isoformat(), f"its address is longer than {LONGEST_WEBSITE_URL} characters"
    ended = {"state": "failed", "queued_at": now, "finished_at": now, "outcome": {"reason": reason}}
    session.add(BackgroundJob(**key, occasion=occasion, user_id=user_id, **ended))
    report_error(session, **key, occasion=occasion, reason=reason, now=now)
    session.commit()
    count("JobsFailed", service=CREATE_FROM_WEBSITE)


def _publish(process: str, message: Message, user_id: str) -> None:
    queue_url = environment.settings.queue_urls[process]
    queues.publish(queue_url, [queues.Outgoing(message.model_dump_json(), user_id)])


def _queued_by(process: str, *, this_hour: bool = False) -> list[str]:
    """Run a schedule and return the subjects of jobs queued since its start, or since this hour began."""
    now = utc_now()
    run_schedule(environment.settings.schedules[process])
    since = now.replace(minute=0, second=0, microsecond=0) if this_hour else now - CLOCK_TOLERANCE
    with environment.database.session() as session:
        return list(session.scalars(QUEUED_SINCE, {"process": process, "since": since}))
