"""Read the details of one job, one website or one user."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, case, func, select, text
from sqlalchemy.orm import Session

from mojodex import mail_ledger
from mojodex.schema import BackgroundAudit, BackgroundJob, BackgroundPage, BackgroundWebsite, MdUser
from operate.jobs.job_id import JobKey
from operate.problems import not_found

AUDIT_LINES = 50
MAILS_SHOWN = 10
# Keys of an outcome whose texts need only the right `read`. Other texts may be a user's or a model's words.
WITHOUT_WORDS = frozenset(
    {"reason", "url", "state", "change", "scope", "home", "limits", "ses_message_id", "retried_as", "until"}
)
WITHHELD = "(needs the right read-content)"
PAUSED = text("SELECT paused_at FROM md_background_pause WHERE user_id = :user_id")
# The block of the user's current address, even if it was lifted.
BLOCK = text("""
SELECT block.kind, block.reason, block.since, block.until, block.lifted_at, block.lifted_by
FROM md_background_mail_block AS block
JOIN md_user ON md_user.user_id = block.user_id AND md_user.email = block.address
WHERE block.user_id = :user_id
""")


def find_job(session: Session, key: JobKey, kind: str = "job") -> BackgroundJob:
    """Return the job of a key.

    Raises:
        Problem: 404, there is no such job; the answer names its kind.
    """
    job = session.get(BackgroundJob, tuple(key))
    if job is None:
        raise not_found(kind)
    return job


def audit_of(session: Session, target: str) -> Sequence[BackgroundAudit]:
    """Return the changes of a job or a process, newest first."""
    lines = select(BackgroundAudit).where(BackgroundAudit.target == target)
    return session.scalars(lines.order_by(BackgroundAudit.audit_pk.desc()).limit(AUDIT_LINES)).all()


def attempts(job: BackgroundJob) -> list[dict[str, Any]]:
    """Return the attempts of a job, oldest first: its history, and the last attempt."""
    found = [dict(attempt) for attempt in job.history or []]
    if job.started_at:
        last = {"started": job.started_at.isoformat()}
        if job.finished_at:
            last["ended"] = job.finished_at.isoformat()
            if job.state != "done":
                last |= {"error": job.state.capitalize(), "reason": (job.outcome or {}).get("reason", "")}
        found.append(last)
    return found


def usd(spent: Sequence[dict[str, Any]] | None) -> float:
    """Return the price of a job's model calls, in USD."""
    return round(float(sum(paid.get("usd", 0) for paid in spent or ())), 6)


def without_words(value: Any, name: str = "") -> Any:
    """Return an outcome without texts that may be a user's or a model's words."""
    if isinstance(value, dict):
        return {key: without_words(item, key) for key, item in value.items()}
    if isinstance(value, list):
        return [without_words(item, name) for item in value]
    return value if not isinstance(value, str) or name in WITHOUT_WORDS else WITHHELD


def pages_of(session: Session, key: JobKey, *, limit: int, after: str) -> Sequence[Row[*tuple[Any, ...]]]:
    """Return the pages of a website, ordered by address.

    Args:
        session: the caller's.
        key: of the website's job.
        limit: maximum number of pages.
        after: `key` of the last page already seen.
    """
    page = BackgroundPage
    return session.execute(
        select(page.page_pk, page.key, page.url, page.state, page.reason, page.change, page.depth)
        .where(page.subject == key.subject, page.occasion == key.occasion, page.key > after)
        .order_by(page.key)
        .limit(limit)
    ).all()


def find_user(session: Session, user_id: str) -> dict[str, Any] | None:
    """Return what the bundle knows about a user, without words and without the e-mail address.

    Returns:
        None if there is no such user; else `todo_email_reception`, `mail_paused_at`, `mail_block`, `mails`
        and `websites`.
    """
    wants = session.scalar(select(MdUser.todo_email_reception).where(MdUser.user_id == user_id))
    if wants is None:
        return None
    paused_at: datetime | None = session.scalar(PAUSED, {"user_id": user_id})
    block = session.execute(BLOCK, {"user_id": user_id}).one_or_none()
    mails = mail_ledger.mails_of(session, user_id)[:MAILS_SHOWN]
    site = BackgroundWebsite
    websites = session.execute(
        select(
            site.site,
            site.website_url,
            site.scope,
            # NULL instead of infinity, which means never.
            case((func.isfinite(site.refresh_at), site.refresh_at)).label("refresh_at"),
        )
        .where(site.user_id == user_id)
        .order_by(site.site)
        .limit(200)
    ).all()
    return {
        "todo_email_reception": wants,
        "mail_paused_at": paused_at,
        "mail_block": dict(block._mapping) if block else None,
        "mails": [{"sent_at": mail.sent_at, "state": mail.state} for mail in mails],
        "websites": [dict(website._mapping) for website in websites],
    }
