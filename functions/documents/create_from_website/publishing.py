"""The end of a crawl: which pages stay, which lines are the site's, and a message for each page.

It can be done again: what is published already is not published twice.
"""

from collections import Counter
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from documents.message import INGEST_PAGE, IngestPage
from documents.progress import KEPT, end_page, of_website, settle
from documents.web import urls
from mojodex import jobs, queues
from mojodex.clock import utc_now
from mojodex.database import Database
from mojodex.schema import BackgroundPage, BackgroundWebsite

# A line is the site's and not the page's when it is on more than half of its pages, and on three at least.
LEAST_REPEATED = 3
# The pages of a website that go to ingest_page, all of them at once (see `jobs.claim`).
STAGED_PAGES = """
    SELECT CAST(page_pk AS text) AS subject, '' AS occasion, user_id
    FROM md_background_page AS page
    WHERE page.subject = :subject AND page.occasion = :occasion AND page.state = 'staged'
    ORDER BY page_pk
"""


def publish_pages(database: Database, queue_url: str, job: jobs.Job) -> None:
    """Publish a message for each page of a website that stays staged, and say in the ledger that all is
    crawled.

    Args:
        database: holds the pages.
        queue_url: of ingest_page.
        job: of the website; held by this invocation.

    Raises:
        TransientError: as `Database.session`, `queues.publish`.
    """
    now = utc_now()
    with database.session() as session:
        _skip_named_otherwise(session, job)
        _save_repeated_lines(session, job)
        website = {"subject": job.subject, "occasion": job.occasion}
        pages = jobs.claim(session, INGEST_PAGE, STAGED_PAGES, website, now=now).claimed
        # Claimed after they are out, as by a schedule: if it dies in between, they are claimed again.
        queues.publish(queue_url, map(_message, pages))
        settle(session, job.subject, job.occasion, now, crawled=True)
        session.commit()


def repeated_lines(on_pages: Counter[int], pages: int) -> list[int]:
    """Return the lines that are the site's and not a page's, sorted.

    Args:
        on_pages: by the hash of a line, on how many pages it is.
        pages: how many were read.
    """
    return sorted(line for line, times in on_pages.items() if times >= LEAST_REPEATED and times > pages / 2)


def _message(page: Any) -> queues.Outgoing:
    return queues.Outgoing(IngestPage(page_pk=int(page.subject)).model_dump_json(), page.user_id)


def _skip_named_otherwise(session: Session, job: jobs.Job) -> None:
    """Skip the pages that say of themselves that they are another one, if that one was read as well."""
    pages = session.execute(
        select(
            BackgroundPage.page_pk,
            BackgroundPage.key,
            BackgroundPage.url,
            BackgroundPage.state,
            BackgroundPage.canonical,
        )
        .where(*of_website(job.subject, job.occasion), BackgroundPage.state.in_(KEPT))
        .order_by(BackgroundPage.page_pk)
    ).all()
    kept = {page.key: page.url for page in pages}
    for page in pages:
        if page.state == "staged" and page.canonical in kept and page.canonical != page.key:
            reason = f"its canonical address is {urls.shown(kept[page.canonical])}"
            end_page(session, page.page_pk, "skipped", reason)
            # Of two that name each other, one stays.
            del kept[page.key]


def _save_repeated_lines(session: Session, job: jobs.Job) -> None:
    of_job = of_website(job.subject, job.occasion)
    read = select(BackgroundPage.page_pk, BackgroundPage.lines).where(
        *of_job,
        BackgroundPage.lines.is_not(None),
        BackgroundPage.state.in_(KEPT),
    )
    on_pages = Counter(line for page in session.execute(read) for line in page.lines)
    pages = session.execute(select(func.count()).select_from(read.subquery())).scalar_one()
    session.execute(update(BackgroundPage).where(*of_job).values(lines=None))
    if pages < LEAST_REPEATED:
        return
    repeated = repeated_lines(on_pages, pages)
    first = session.execute(
        select(BackgroundPage.user_id, BackgroundPage.url).where(*of_job).order_by(BackgroundPage.page_pk)
    ).first()
    assert first is not None
    website = upsert(BackgroundWebsite).values(
        user_id=first.user_id, site=urls.site(first.url), repeated_lines=repeated
    )
    session.execute(
        website.on_conflict_do_update(
            index_elements=["user_id", "site"], set_={"repeated_lines": website.excluded.repeated_lines}
        )
    )
