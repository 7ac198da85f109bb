"""The pages of a crawl in `md_background_page`, and its outcome in the ledger. Nothing here commits."""

from collections.abc import Sequence
from itertools import batched
from typing import Any

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.orm import Session

from documents.create_from_website.frontier import Address, FoundPage
from documents.create_from_website.page import ReadPage
from documents.document_store import boilerplate_of, of_page, record_unchanged
from documents.progress import NO_TEXT, NOTHING_RELEVANT, of_website, progress
from documents.recipe import recipe_of
from documents.web import urls
from mojodex import jobs
from mojodex.clock import utc_now
from mojodex.schema import BackgroundDocument, BackgroundJob, BackgroundPage, MdDocument

# Lines stored of one page, to find boilerplate; usual pages have fewer.
MOST_LINES = 5000
# A statement of more than 16 KB would pin its connection behind RDS Proxy.
ROWS_PER_INSERT = 50


def pages_of(session: Session, job: jobs.Job) -> Sequence[BackgroundPage]:
    """Read the pages found so far, in order; the crawl began with the first."""
    pages = select(BackgroundPage).where(*of_website(job.subject, job.occasion))
    return session.scalars(pages.order_by(BackgroundPage.page_pk)).all()


def delete_pages(session: Session, job: jobs.Job) -> None:
    """Delete all pages of a crawl."""
    session.execute(delete(BackgroundPage).where(*of_website(job.subject, job.occasion)))


def insert_pages(
    session: Session, job: jobs.Job, user_id: str, addresses: Sequence[Address]
) -> list[FoundPage]:
    """Insert pages, and return those to fetch."""
    now = utc_now()
    rows = [
        {
            "subject": job.subject,
            "occasion": job.occasion,
            "user_id": user_id,
            "url": address.url,
            "key": address.key,
            "depth": address.depth,
            "state": "skipped" if address.reason else "found",
            "reason": address.reason,
            "found_at": now,
            "document_fk": address.document_pk,
        }
        for address in addresses
    ]
    columns = (BackgroundPage.page_pk, BackgroundPage.url, BackgroundPage.depth, BackgroundPage.state)
    pages = []
    for group in batched(rows, ROWS_PER_INSERT, strict=False):
        added = session.execute(insert(BackgroundPage).values(list(group)).returning(*columns))
        pages += [FoundPage(row.page_pk, row.url, row.depth) for row in added if row.state == "found"]
    return sorted(pages, key=lambda page: page.page_pk)


def count_refusal(session: Session, page_pk: int) -> None:
    """Count an answer "slow down" for a page."""
    refusals = func.coalesce(BackgroundPage.refusals, 0) + 1
    session.execute(update(BackgroundPage).where(BackgroundPage.page_pk == page_pk).values(refusals=refusals))


def stage(session: Session, page: FoundPage, user_id: str, read: ReadPage, embedding_model: str) -> str:
    """Stage a page for ingest_page, unless its result is known already. Return its state."""
    values: dict[str, object] = {
        "url": read.url,
        "html_hash": read.html_hash,
        "etag": read.etag,
        "charset": read.charset,
        "fetched_at": read.fetched_at,
        "canonical": read.canonical and urls.key(read.canonical),
        # None for a PDF: it has no boilerplate.
        "lines": sorted(read.lines)[:MOST_LINES] or None,
    }
    state = "staged"
    if document_pk := _unchanged_document(session, page, user_id, read, embedding_model):
        state = "unchanged"
        record_unchanged(session, document_pk, read.etag, read.fetched_at)
    elif reason := _skipped_before(session, user_id, read):
        state = "skipped"
        values["reason"] = reason
    else:
        values["html"] = read.staged
    staged = update(BackgroundPage).where(BackgroundPage.page_pk == page.page_pk)
    session.execute(staged.values(state=state, **values))
    return state


def _unchanged_document(
    session: Session, page: FoundPage, user_id: str, read: ReadPage, embedding_model: str
) -> int | None:
    document = (
        select(BackgroundDocument.document_fk, BackgroundDocument.recipe)
        .select_from(MdDocument)
        .join(BackgroundDocument, BackgroundDocument.document_fk == MdDocument.document_pk)
        .where(
            *of_page(user_id, read.url, page.document_pk),
            ~MdDocument.deleted_by_user,
            BackgroundDocument.html_hash == read.html_hash,
        )
    )
    found = session.execute(document.limit(1)).one_or_none()
    # If the document is stale, the same page must be ingested again.
    current = recipe_of(embedding_model, boilerplate_of(session, user_id, read.url))
    return found.document_fk if found and found.recipe == current else None


def _skipped_before(session: Session, user_id: str, read: ReadPage) -> str | None:
    """Return the reason if an earlier crawl skipped the page for the same content."""
    before = select(BackgroundPage.reason).where(
        BackgroundPage.user_id == user_id,
        BackgroundPage.key == urls.key(read.url),
        BackgroundPage.html_hash == read.html_hash,
        BackgroundPage.state == "skipped",
        BackgroundPage.reason.in_((NO_TEXT, NOTHING_RELEVANT)),
    )
    return session.scalars(before.limit(1)).first()


def skip_found(session: Session, job: jobs.Job, reason: str) -> None:
    """Skip all pages that are not fetched yet."""
    found = update(BackgroundPage).where(
        *of_website(job.subject, job.occasion), BackgroundPage.state == "found"
    )
    session.execute(found.values(state="skipped", reason=reason))


def outcome(session: Session, job: jobs.Job, **more: object) -> dict[str, Any]:
    """Return the job's outcome, with the current progress of its pages."""
    key = (job.process, job.subject, job.occasion)
    before = session.get_one(BackgroundJob, key).outcome or {"crawled": False, "limits": []}
    known = before | more
    refresh = known.get("refresh", False)
    return {**before, **progress(session, job.subject, job.occasion, refresh=refresh), **more}
