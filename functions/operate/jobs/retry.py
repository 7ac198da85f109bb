"""Retry failed jobs: one, or all that match a filter."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.orm import Session

from mojodex.clock import utc_now
from mojodex.errors import TransientError
from mojodex.jobs import APPEND
from mojodex.observability import logger
from mojodex.queues import RETENTION
from mojodex.republishing import republish
from mojodex.schema import BackgroundJob
from mojodex.sql import read_sql
from operate import audit, environment
from operate.jobs.detail import find_job
from operate.jobs.job_id import JobKey
from operate.jobs.listing import Filter, key_of_row
from operate.problems import conflict
from operate.services import start

# One transaction retries them, in about a second.
MOST_AT_ONCE = 10_000
# `why_not` explains these conditions to people.
RETRYABLE = """
job.state = 'failed' AND CASE job.process
    WHEN 'extract_todos' THEN true
    WHEN 'reschedule_todo' THEN true
    WHEN 'events' THEN COALESCE(job.outcome ->> 'reason', '') NOT LIKE 'it is not known whether%'
        AND NOT COALESCE(job.outcome ? 'sending_since', false)
    -- The ledger keeps the request from the first page on.
    WHEN 'create_from_website' THEN job.user_id IS NOT NULL AND NOT job.outcome ? 'retried_as'
        AND COALESCE(CAST(job.outcome ->> 'found' AS integer), 0) > 0
    WHEN 'update_document' THEN job.user_id IS NOT NULL AND strpos(job.occasion, ' ') = 0
    ELSE false
END
"""
FAILED_ATTEMPT = """jsonb_build_array(jsonb_build_object(
    'started', job.started_at, 'ended', job.finished_at, 'error', 'Failed', 'reason', job.outcome ->> 'reason'
))"""
RETRY = text(
    read_sql(Path(__file__).with_name("retry.sql")).format(
        retryable=RETRYABLE, append=APPEND.format(row="job", attempt=FAILED_ATTEMPT)
    )
)
# No index finds a part of a text, so this many failed jobs of each process are scanned.
SEARCHED = 20_000
MATCHING = """
SELECT process, subject, occasion
FROM (
    SELECT failed.*
    FROM unnest(CAST(:processes AS text[])) AS its (process)
    CROSS JOIN LATERAL (
        SELECT job.process, job.subject, job.occasion, job.outcome,
            COALESCE(job.finished_at, job.queued_at) AS changed_at
        FROM md_background_job AS job
        WHERE job.process = its.process AND {retryable} {conditions}
        ORDER BY COALESCE(job.finished_at, job.queued_at) DESC
        LIMIT :searched
    ) AS failed
    {fits}
    ORDER BY changed_at DESC
    LIMIT :most
) AS newest
ORDER BY changed_at
"""
CONDITIONS = {
    "user_id": "AND job.user_id = :user_id",
    "since": "AND COALESCE(job.finished_at, job.queued_at) >= :since",
}
FITS = "WHERE strpos(lower(failed.outcome ->> 'reason'), lower(:reason)) > 0"
# Cancelled jobs are retried only if the filter names their reason.
NOT_CANCELLED = "WHERE NOT starts_with(COALESCE(failed.outcome ->> 'reason', ''), 'cancelled by ')"
# A page is retried with its website.
NEVER_RETRIED = "ingest_page"


def why_not(job: BackgroundJob) -> str | None:
    """Return why a job cannot be retried; None if it can."""
    outcome = job.outcome or {}
    if job.state != "failed":
        return f"Only failed jobs can be retried, and this one is {job.state}."
    if job.process == NEVER_RETRIED:
        return "A page is retried with its website. Retry the website, or request it again."
    unknown = str(outcome.get("reason", "")).startswith("it is not known whether")
    if job.process == "events" and (unknown or "sending_since" in outcome):
        return "It is not known whether the mail was sent. A retry could send it twice."
    if job.process == "update_document" and " " in job.occasion:
        return "The ledger does not keep the text of an update. Send the update again."
    if "retried_as" in outcome:
        return "It was already retried, under another occasion."
    if job.process == "create_from_website" and not outcome.get("found"):
        return "It failed before its first page, so its request is not kept. Request the website again."
    if job.process in ("create_from_website", "update_document") and job.user_id is None:
        return "An earlier release recorded the job without its user. Send its message again."
    return None


def retry_one(session: Session, key: JobKey, who: str, now: datetime) -> JobKey:
    """Queue one failed job again, with its message. Commits.

    Args:
        session: the caller's.
        key: of the job.
        who: name of the credential.
        now: the present moment (aware).

    Returns:
        The key of the job that is queued now. A website has a new one.

    Raises:
        Problem: 404, there is no such job; 409, it cannot be retried.
    """
    job = find_job(session, key)
    if reason := why_not(job):
        raise conflict(reason)
    queued = _retry(session, [key], now)
    if not queued:
        raise conflict("Somebody else has just changed the job. Look at it again.")
    audit.record(session, who, "retry", key.job_id, now)
    session.commit()
    return queued[0]


def matching(session: Session, wanted: Filter) -> Sequence[JobKey]:
    """Return the newest `MOST_AT_ONCE` failed jobs that match and can be retried, oldest first."""
    given = {name: value for name in (*CONDITIONS, "reason") if (value := getattr(wanted, name))}
    statement = MATCHING.format(
        retryable=RETRYABLE,
        conditions=" ".join(CONDITIONS[name] for name in CONDITIONS if name in given),
        fits=FITS if wanted.reason else NOT_CANCELLED,
    )
    bounds = {"most": MOST_AT_ONCE, "searched": SEARCHED if wanted.reason else MOST_AT_ONCE}
    processes = [process for process in wanted.processes if process != NEVER_RETRIED]
    found = session.execute(text(statement), {**given, **bounds, "processes": processes}).all()
    return [key_of_row(row) for row in found]


def retry_all(session: Session, wanted: Filter, confirmed: int, who: str, now: datetime) -> int:
    """Queue all failed jobs that match a filter again, each with its message. Commits.

    Args:
        session: the caller's.
        wanted: filter.
        confirmed: number of jobs that the operator expects.
        who: name of the credential.
        now: the present moment (aware).

    Returns:
        The number of queued jobs.

    Raises:
        Problem: 409, another number of jobs matches; the problem's `matching` is that number.
    """
    keys = matching(session, wanted)
    if len(keys) != confirmed:
        raise conflict("The number of jobs has changed. Confirm the new one.", matching=len(keys))
    queued = len(_retry(session, keys, now))
    details = {name: str(value) for name, value in vars(wanted).items() if value} | {"jobs": queued}
    audit.record(session, who, "retry all", wanted.process or "all", now, details)
    session.commit()
    return queued


def retry_now(key: JobKey, who: str) -> JobKey:
    """Queue a failed job again, publish its message, and return the queued job's key.

    Raises:
        Problem, TransientError: as `retry_one`.
    """
    queued = environment.database.with_db_session(retry_one, key, who, utc_now())
    try:
        republish(environment.database, environment.settings.queue_urls, queued)
    except TransientError as error:
        # The redrive publishes it within five minutes.
        logger.warning("message waits in the ledger", extra={"reason": str(error)})
    return queued


def retry_all_now(wanted: Filter, confirmed: int, who: str) -> int:
    """Queue all failed jobs of a filter again, start publishing them, and return their number.

    Raises:
        Problem, TransientError: as `retry_all`.
    """
    queued = environment.database.with_db_session(retry_all, wanted, confirmed, who, utc_now())
    try:
        start(environment.settings.schedules["redrive"])
    except TransientError as error:
        # Its schedule starts it within five minutes.
        logger.warning("messages wait in the ledger", extra={"reason": str(error)})
    return queued


def _retry(session: Session, keys: Sequence[JobKey], now: datetime) -> list[JobKey]:
    parameters = {
        "processes": [key.process for key in keys],
        "subjects": [key.subject for key in keys],
        "occasions": [key.occasion for key in keys],
        "now": now,
        "expires_at": now + RETENTION,
        "new_occasion": f"retry {now.isoformat(timespec='milliseconds')}",
    }
    return [key_of_row(row) for row in session.execute(RETRY, parameters)]
