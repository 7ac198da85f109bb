"""Cancel a job. If a worker runs it, the worker stops at its next step and saves nothing."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from operate import audit
from operate.jobs.detail import find_job
from operate.jobs.job_id import JobKey
from operate.problems import conflict

# The worker that holds the job then meets `jobs.LeaseLostError`.
CANCEL = text("""
UPDATE md_background_job
SET state = 'failed',
    finished_at = :now,
    retry_message = NULL,
    -- A website keeps its progress. The checkpoint of any other job, a model answer, is dropped.
    outcome = CASE process WHEN 'create_from_website' THEN COALESCE(outcome, '{}') ELSE '{}' END
        || jsonb_build_object('reason', CAST(:reason AS text))
        -- Lets another night move the to-do (due.sql), because this job has decided nothing.
        || CASE process
            WHEN 'reschedule_todo' THEN CAST('{"attempts_exhausted": true}' AS jsonb)
            ELSE CAST('{}' AS jsonb)
        END
WHERE (process, subject, occasion) = (:process, :subject, :occasion)
    AND state IN ('queued', 'running')
    AND (outcome -> 'sending_since') IS NULL
RETURNING state
""")
CLOSE_PAGES = text("""
UPDATE md_background_page SET state = 'failed', reason = :reason, html = NULL, lines = NULL
WHERE subject = :subject AND occasion = :occasion AND state IN ('found', 'staged')
""")
# Otherwise the refresh would be due again at once.
POSTPONE = text("""
UPDATE md_background_website
SET refresh_at = GREATEST(refresh_at, CAST(:now AS timestamptz) + interval '1 day')
WHERE user_id = :user_id AND COALESCE(website_url, site) = :website_url
""")


def cancel(session: Session, key: JobKey, who: str, now: datetime) -> None:
    """Cancel a job that is queued or running. Commits.

    Args:
        session: the caller's.
        key: of the job.
        who: name of the credential.
        now: the present moment (aware).

    Raises:
        Problem: 404, there is no such job; 409, it has ended, its mail is being sent, or it is a page's job.
    """
    job = find_job(session, key)
    if key.process == "ingest_page":
        raise conflict("A page is cancelled with its website.")
    values = {**key._asdict(), "now": now, "reason": f"cancelled by {who}"}
    if key.process == "create_from_website":
        # Pages first, as their workers do. The other order could deadlock.
        session.execute(CLOSE_PAGES, values)
        user_id, _, website_url = key.subject.rpartition(" ")
        session.execute(POSTPONE, {"now": now, "user_id": user_id, "website_url": website_url})
    if session.execute(CANCEL, values).one_or_none() is None:
        if job.state in ("queued", "running"):
            raise conflict("It has just ended, or its mail may already be sent. Look at it again.")
        raise conflict(f"It is already {job.state}.")
    audit.record(session, who, "cancel", key.job_id, now)
    session.commit()
