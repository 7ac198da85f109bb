"""How far a website is: told in the ledger at any moment, ended with its last page."""

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
# What was read and is wanted.
KEPT = ("staged", "unchanged")
ENDED = ("stored", "unchanged", "skipped", "failed")
# So many pages are listed with their reasons; all are in md_background_page.
LISTED = 200
# Why a page is skipped for what it says; it is again when it says the same.
NO_TEXT = "it has no text"
NOTHING_RELEVANT = "nothing on it is relevant"
NOT_TO_BE_INDEXED = "it asks not to be indexed (noindex)"
DELETED_BY_USER = "the user deleted it"


def of_website(subject: str, occasion: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """The condition for the pages of the website with this job."""
    return BackgroundPage.subject == subject, BackgroundPage.occasion == occasion


def end_page(session: Session, page_pk: int, state: str, reason: str, change: str | None = None) -> None:
    """Let a page end without a document. Does not commit."""
    session.execute(
        update(BackgroundPage)
        .where(BackgroundPage.page_pk == page_pk)
        .values(state=state, reason=reason, change=change, html=None)
    )


def progress(session: Session, subject: str, occasion: str, *, refresh: bool) -> dict[str, Any]:
    """How many pages of a website there are in each state, why some are not stored, and what has changed.

    Args:
        session: the caller's.
        subject, occasion: of the website's job.
        refresh: whether it is a refresh. Otherwise, nothing is told of changes: mostly, all is new.
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


def settle(session: Session, subject: str, occasion: str, now: datetime, **more: object) -> None:
    """Write a website's progress into the ledger, in the transaction that has changed a page of it; with the
    last page of a site that is all crawled, its job ends, and is counted. Does not commit.

    Args:
        session: the caller's.
        subject, occasion: of the website's job.
        now: the present moment (aware).
        more: what else the outcome says from now on.
    """
    # Locked, so that of two last pages the later one sees the other.
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
    # The website's, whichever worker has ended its last page.
    count(f"Jobs{job.state.capitalize()}", service=CREATE_FROM_WEBSITE)
    count("PagesSkipped", job.outcome["skipped"], service=CREATE_FROM_WEBSITE)
    count("PagesFailed", job.outcome["failed"], service=CREATE_FROM_WEBSITE)
    if job.state == "done":
        return
    reasons = [page["reason"] for page in job.outcome["not_stored"]]
    reason = f"no page could be stored: {reasons[0]}" if reasons else "no page could be stored"
    job.outcome = {**job.outcome, "reason": reason}
    jobs.report_error(session, CREATE_FROM_WEBSITE, subject, occasion, reason, now)


def close(session: Session, subject: str, occasion: str, reason: str) -> None:
    """Let all pages of a website that wait fail. Does not commit."""
    session.execute(
        update(BackgroundPage)
        .where(*of_website(subject, occasion), BackgroundPage.state.in_(OPEN))
        .values(state="failed", reason=reason, html=None, lines=None)
    )
