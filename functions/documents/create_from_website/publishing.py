"""The end of a crawl: which pages stay, which lines are the site's, and a message for each page.

It can be done again: what is published already is not published twice.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import select, update
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
# An address that more than half of the pages name as theirs, and three at least, is a mistake of the site.
LEAST_MISTAKEN = 3
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
    with database.session() as session:
        _skip_named_otherwise(session, job)
        _save_repeated_lines(session, job)
        # Before a message is out: whoever ingests the first page reads them.
        session.commit()
    now = utc_now()
    with database.session() as session:
        website = {"subject": job.subject, "occasion": job.occasion}
        pages = jobs.claim(session, INGEST_PAGE, STAGED_PAGES, website, now=now).claimed
        # Claimed after they are out, as by a schedule: if it dies in between, they are claimed again.
        queues.publish(queue_url, map(_message, pages))
        settle(session, job.subject, job.occasion, now, crawled=True)
        session.commit()


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
    # A PDF names none, and must not outvote the pages.
    mistaken = mistaken_address({page.key: page.canonical for page in pages if not urls.names_file(page.url)})
    for page in pages:
        is_other = page.canonical in kept and page.canonical not in (page.key, mistaken)
        if page.state == "staged" and is_other:
            reason = f"its canonical address is {urls.shown(kept[page.canonical])}"
            end_page(session, page.page_pk, "skipped", reason)
            # Of two that name each other, one stays.
            del kept[page.key]


def mistaken_address(canonical: Mapping[str, str | None]) -> str | None:
    """Find the address that so many pages name as their canonical one that it cannot be; None if none is.

    Many sites name their first page on every page. A list is no such page, however many of its pages
    (`/list?page=2`) name it: they have its path.

    Args:
        canonical: for the key of each page, the key that it names.
    """
    named = Counter(
        other
        for key, other in canonical.items()
        if other is not None and other.partition("?")[0] != key.partition("?")[0]
    )
    for other, pages in named.most_common(1):
        if pages >= LEAST_MISTAKEN and pages > len(canonical) / 2:
            return other
    return None


def _save_repeated_lines(session: Session, job: jobs.Job) -> None:
    """Save which lines are the site's, and which page keeps them: the one where the crawl began."""
    of_job = of_website(job.subject, job.occasion)
    pages = session.execute(
        select(BackgroundPage.user_id, BackgroundPage.url, BackgroundPage.key, BackgroundPage.lines)
        .where(*of_job, BackgroundPage.lines.is_not(None), BackgroundPage.state.in_(KEPT))
        .order_by(BackgroundPage.page_pk)
    ).all()
    session.execute(update(BackgroundPage).where(*of_job).values(lines=None))
    if not pages:
        # It was done before.
        return
    found: dict[str, object] = {"first_page": pages[0].key}
    if len(pages) >= LEAST_REPEATED:
        found["repeated_lines"] = repeated([page.lines for page in pages])
    website = upsert(BackgroundWebsite).values(
        user_id=pages[0].user_id, site=urls.site(pages[0].url), **{"repeated_lines": []} | found
    )
    session.execute(website.on_conflict_do_update(index_elements=["user_id", "site"], set_=found))


def repeated(pages: Sequence[Collection[int]]) -> list[int]:
    """Return the lines that are the site's and not the page's.

    Most pages have them; or some pages do, and they announce another page.

    Args:
        pages: the lines of each page, as of `text.page.line_hashes`.
    """
    on_pages = Counter(line for lines in pages for line in lines)
    often = {line for line, times in on_pages.items() if times >= LEAST_REPEATED}
    most = {line for line in often if on_pages[line] > len(pages) / 2}
    # What stands in a menu on most pages is dropped in any place, as it is where it is no link.
    return sorted(most | {line & ~1 for line in most} | {line for line in often if line & 1})
