"""The end of a crawl: skip duplicates of pages, find the boilerplate, publish a message for each page.

It can be repeated: pages that are published already are not published again.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import or_, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from documents.create_from_website import existing_pages
from documents.create_from_website.settings import CrawlSettings
from documents.message import INGEST_PAGE, LONGEST_WEBSITE_URL, CreateFromWebsite, IngestPage
from documents.progress import KEPT, end_page, of_website, update_progress
from documents.web import urls
from documents.web.scope import Extent, scope_of
from mojodex import jobs, queues
from mojodex.clock import utc_now
from mojodex.database import Database
from mojodex.schema import BackgroundJob, BackgroundPage, BackgroundWebsite

# A line is boilerplate if it is on more than half of the pages, and on at least three.
LEAST_REPEATED = 3
# A canonical address that more than half of the pages name, and at least three, is the site's mistake.
LEAST_MISTAKEN = 3
# The pages of a website for ingest_page, all at once (see `jobs.claim`).
STAGED_PAGES = """
    SELECT CAST(page_pk AS text) AS subject, '' AS occasion, user_id
    FROM md_background_page AS page
    WHERE page.subject = :subject AND page.occasion = :occasion AND page.state = 'staged'
    ORDER BY page_pk
"""


def publish_pages(
    database: Database, settings: CrawlSettings, message: CreateFromWebsite, job: jobs.Job
) -> None:
    """Publish a message for each page that stays staged, and mark the website as crawled in the ledger.

    Args:
        database, settings: the worker's.
        message: the request.
        job: of the website; held by this invocation.

    Raises:
        TransientError: as `Database.session`, `queues.publish`.
    """
    with database.session() as session:
        _skip_duplicates(session, job)
        _save_website(session, settings, message, job)
        jobs.check_held(session, job)
        # Committed before a message is out, because ingest_page reads the boilerplate.
        session.commit()
    now = utc_now()
    with database.session() as session:
        website = {"subject": job.subject, "occasion": job.occasion}
        pages = jobs.claim(session, INGEST_PAGE, STAGED_PAGES, website, now=now).claimed
        # Publish before the claim commits, like a schedule: after a crash in between, they are claimed again.
        queues.publish(settings.ingest_page_queue_url, map(_message, pages))
        update_progress(session, job.subject, job.occasion, now, crawled=True)
        session.commit()


def _message(page: Any) -> queues.Outgoing:
    return queues.Outgoing(IngestPage(page_pk=int(page.subject)).model_dump_json(), page.user_id)


def _skip_duplicates(session: Session, job: jobs.Job) -> None:
    """Skip the pages whose canonical address is another page that was read as well."""
    pages = session.execute(
        select(
            BackgroundPage.page_pk,
            BackgroundPage.key,
            BackgroundPage.url,
            BackgroundPage.state,
            BackgroundPage.canonical,
            BackgroundPage.document_fk,
        )
        .where(*of_website(job.subject, job.occasion), BackgroundPage.state.in_(KEPT))
        .order_by(BackgroundPage.page_pk)
    ).all()
    kept = {page.key: page.url for page in pages}
    # PDFs name no canonical address, and must not outvote the pages.
    mistaken = mistaken_address({page.key: page.canonical for page in pages if not urls.names_file(page.url)})
    for page in pages:
        is_other = page.canonical in kept and page.canonical not in (page.key, mistaken)
        # A page with a document stays: its canonical address may be a mistake, and a refresh, which does not
        # read every page, cannot tell.
        if page.state == "staged" and is_other and page.document_fk is None:
            reason = f"its canonical address is {urls.shown(kept[page.canonical])}"
            end_page(session, page.page_pk, "skipped", reason)
            # Of two that name each other, one stays.
            del kept[page.key]


def mistaken_address(canonical: Mapping[str, str | None]) -> str | None:
    """Return the canonical address that too many pages name to be right; None if there is none.

    Many sites name their first page on every page. Only the pages of a list (`/list?page=2`) may all name the
    list, since they have its path.

    Args:
        canonical: the key that each page names, by the key of the page.
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


def _save_website(
    session: Session, settings: CrawlSettings, message: CreateFromWebsite, job: jobs.Job
) -> None:
    """Save a website's boilerplate, the page that keeps it, and the time and address of its next refresh."""
    of_job = of_website(job.subject, job.occasion)
    columns = (
        BackgroundPage.url,
        BackgroundPage.key,
        BackgroundPage.state,
        BackgroundPage.lines,
        BackgroundPage.document_fk,
    )
    kept = session.execute(
        select(*columns).where(*of_job, BackgroundPage.state.in_(KEPT)).order_by(BackgroundPage.page_pk)
    ).all()
    # PDFs, and pages that a refresh did not fetch, have no lines.
    read = [page for page in kept if page.lines is not None]
    session.execute(update(BackgroundPage).where(*of_job).values(lines=None))
    missing = select(BackgroundPage.page_pk).where(*of_job, BackgroundPage.change == "missing")
    days = 1 if session.scalars(missing.limit(1)).first() else settings.refresh_days
    refresh_at = utc_now() + timedelta(days=days)
    if message.refresh:
        existing_pages.postpone(session, job.subject, refresh_at)
    if not kept:
        return
    first = urls.normalised(message.website_url)
    home = _home(session, job)
    new = {page.key for page in kept if page.document_fk is None}
    if home and message.refresh and urls.key(home) not in new:
        # The first page may redirect there temporarily.
        home = ""
    site = urls.site(home or first)
    before = session.get(BackgroundWebsite, (message.user_id, site))
    extent: Extent = "path" if scope_of(first, message.scope).below else "site"
    if before and (before.scope, extent) == ("site", "path"):
        # The whole site is refreshed already, not just this path.
        return
    address = home or message.website_url
    if len(address) > LONGEST_WEBSITE_URL:
        address = site
    found: dict[str, object] = {"refresh_at": refresh_at, "website_url": address, "scope": extent}
    # A page that a refresh did not read may keep the boilerplate, too, unless it is a file.
    keeping = read or [page for page in kept if message.refresh and not urls.names_file(page.url)]
    if keeping and not (message.refresh and before and _has_first_page(session, job, before)):
        found["first_page"] = keeping[0].key
    # Few pages do not show the boilerplate. The few that a refresh finds changed would give another one each
    # time, and make all documents stale.
    changed = [page for page in read if page.state == "staged"]
    if len(read) >= LEAST_REPEATED and (not message.refresh or len(changed) > len(kept) / 2):
        found["repeated_lines"] = repeated([page.lines for page in read])
    website = upsert(BackgroundWebsite).values(
        user_id=message.user_id, site=site, **{"repeated_lines": []} | found
    )
    session.execute(website.on_conflict_do_update(index_elements=["user_id", "site"], set_=found))


def _home(session: Session, job: jobs.Job) -> str:
    """Return the address to which the first page redirected, from the ledger; '' if it did not."""
    ledger = session.get_one(BackgroundJob, (job.process, job.subject, job.occasion))
    home: str = (ledger.outcome or {}).get("home", "")
    return home


def _has_first_page(session: Session, job: jobs.Job, website: BackgroundWebsite) -> bool:
    """Return whether the page that keeps the boilerplate still exists, as far as a refresh can tell."""
    page = select(BackgroundPage.page_pk).where(
        *of_website(job.subject, job.occasion),
        BackgroundPage.key == website.first_page,
        BackgroundPage.change.is_distinct_from("gone"),
        # The first page of a refresh is listed, even if an earlier one found it gone.
        or_(BackgroundPage.document_fk.is_not(None), BackgroundPage.state.in_(KEPT)),
    )
    return session.scalars(page.limit(1)).first() is not None


def repeated(pages: Sequence[Collection[int]]) -> list[int]:
    """Return the boilerplate: lines on most pages, and lines on some pages that announce another page.

    Args:
        pages: the lines of each page, from `text.page.line_hashes`.
    """
    on_pages = Counter(line for lines in pages for line in lines)
    often = {line for line, times in on_pages.items() if times >= LEAST_REPEATED}
    most = {line for line in often if on_pages[line] > len(pages) / 2}
    # A line that is a link on most pages is boilerplate where it is no link, too.
    return sorted(most | {line & ~1 for line in most} | {line for line in often if line & 1})
