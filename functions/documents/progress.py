"""The progress of a website in the ledger; its job ends with its last page."""

from collections import Counter
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import Session

from documents.message import CREATE_FROM_WEBSITE
from mojodex import jobs
from mojodex.observability import count
from mojodex.schema import BackgroundJob, BackgroundPage

OPEN = ("found", "staged")
# Pages that were read and are wanted.
KEPT = ("staged", "unchanged")
ENDED = ("stored", "unchanged", "skipped", "failed")
# The most pages that the ledger lists; md_background_page has all.
LISTED = 200
# Reasons to skip a page for its content. With the same content, it is skipped again.
NO_TEXT = "it has no text"
NOTHING_RELEVANT = "nothing on it is relevant"
NOT_TO_BE_INDEXED = "it asks not to be indexed (noindex)"
DELETED_BY_USER = "the user deleted it"


def of_website(subject: str, occasion: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Return the condition for the pages of the website with this job."""
    return BackgroundPage.subject == subject, BackgroundPage.occasion == occasion


def end_page(session: Session, page_pk: int, state: str, reason: str, change: str | None = None) -> None:
    """End a page without a document. Does not commit."""
    session.execute(
        update(BackgroundPage)
        .where(BackgroundPage.page_pk == page_pk)
        .values(state=state, reason=reason, change=change, html=None)
    )


def progress(session: Session, subject: str, occasion: str, *, refresh: bool) -> dict[str, Any]:
    """Count the pages of a website by state, and list those that were not stored or have changed.

    Args:
        session: the caller's.
        subject, occasion: of the website's job.
        refresh: whether it is a refresh. Otherwise changes are not listed: usually all pages are new.
    """
    pages = of_website(subject, occasion)
    counts = select(BackgroundPage.state, func.count()).where(*pages).group_by(BackgroundPage.state)
    states = Counter(dict(session.execute(counts).all()))
    not_stored = session.execute(
        select(BackgroundPage.url, BackgroundPage.state, BackgroundPage.reason)
        .where(*pages, BackgroundPage.reason.is_not(None))
        .order_by(BackgroundPage.page_pk)
        .limit(LISTED)
    )
    changes = (
        select(BackgroundPage.url, BackgroundPage.change)
        .where(*pages, BackgroundPage.change.is_not(None))
        .order_by(BackgroundPage.page_pk)
        .limit(LISTED)
    )
    changed = session.execute(changes).all() if refresh else []
    return {
        "found": states.total(),
        "waiting": sum(states[state] for state in OPEN),
        **{state: states[state] for state in ENDED},
        "not_stored": [{"url": page.url, "state": page.state, "reason": page.reason} for page in not_stored],
        **({"refresh": True, "changes": [dict(page._mapping) for page in changed]} if refresh else {}),
    }


def update_progress(session: Session, subject: str, occasion: str, now: datetime, **more: object) -> None:
    """Save a website's progress in the ledger. With the last page of a finished crawl, end its job.

    Belongs into the transaction that changed a page. Does not commit.

    Args:
        session: the caller's.
        subject, occasion: of the website's job.
        now: the present moment (aware).
        more: other entries of the outcome.
    """
    # Locked, so that of two concurrent last pages the later one sees the other.
    job = session.scalars(
        select(BackgroundJob)
        .filter_by(process=CREATE_FROM_WEBSITE, subject=subject, occasion=occasion)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one_or_none()
    if job is None:
        return
    session.flush()
    before = job.outcome or {}
    refresh = before.get("refresh", False)
    job.outcome = {**before, **progress(session, subject, occasion, refresh=refresh), **more}
    if job.state not in ("queued", "running") or not job.outcome.get("crawled") or job.outcome["waiting"]:
        return
    job.finished_at = now
    is_done = refresh or job.outcome["stored"] + job.outcome["unchanged"]
    job.state = "done" if is_done else "failed"
    # Counted for the website, whichever worker ended its last page.
    count(f"Jobs{job.state.capitalize()}", service=CREATE_FROM_WEBSITE)
    count("PagesSkipped", job.outcome["skipped"], service=CREATE_FROM_WEBSITE)
    count("PagesFailed", job.outcome["failed"], service=CREATE_FROM_WEBSITE)
    if job.state == "done":
        return
    reasons = [page["reason"] for page in job.outcome["not_stored"]]
    reason = f"no page could be stored: {reasons[0]}" if reasons else "no page could be stored"
    job.outcome = {**job.outcome, "reason": reason}
    jobs.report_error(session, CREATE_FROM_WEBSITE, subject, occasion, reason, now)


def fail_waiting(session: Session, subject: str, occasion: str, reason: str) -> None:
    """Fail all waiting pages of a website. Does not commit."""
    session.execute(
        update(BackgroundPage)
        .where(*of_website(subject, occasion), BackgroundPage.state.in_(OPEN))
        .values(state="failed", reason=reason, html=None, lines=None)
    )
