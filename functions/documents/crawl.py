"""Finds the pages of a website and stages them: breadth first, in an order that does not depend on chance.

What is found and what is fetched is in `md_background_page`, so that a crawl goes on where it was, in the
next invocation or after its worker was killed. When all is fetched, one message a page goes to ingest_page.
"""

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from pydantic import Field
from sqlalchemy import ColumnElement, Text, and_, cast, func, insert, literal, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from documents import urls
from documents.fetch import FetchError
from documents.message import INGEST_PAGE, CreateFromWebsite, IngestPage
from documents.progress import NO_TEXT, NOTHING_RELEVANT, close, progress, settle
from documents.visit import SECONDS_NEEDED, Read, Visitor, VisitSettings
from mojodex import jobs, queues
from mojodex.clock import Deadline, utc_now
from mojodex.db import db_session
from mojodex.errors import InvalidMessageError, PermanentError
from mojodex.observability import count
from mojodex.schema import BackgroundDocument, BackgroundPage, BackgroundWebsite, MdDocument, MdUser
from mojodex.worker import WorkerSettings

# Fetched at once; of `turns.REQUESTS_AT_ONCE`, one crawl can use all.
THREADS = 2
# Fetched ahead of the page whose turn it is, so that one slow page does not hold up the others.
AHEAD = 4
# Addresses that are looked at for each page that may be stored: redirects, errors and duplicates are some.
ADDRESSES_PER_PAGE = 3
# A line is the site's and not the page's when it is on more than half of its pages, and on three at least.
LEAST_REPEATED = 3
TOO_LONG = f"its address is longer than {urls.LONGEST_NAME} characters"


class CrawlSettings(WorkerSettings, VisitSettings):
    """Settings of the crawler.

    Attributes:
        crawl_page_limit: pages of a site that are stored at most.
        crawl_depth_limit: links that lead from the first page to another one at most.
        crawl_minutes_limit: after so many minutes, what was found is all.
        ingest_page_queue_url: where staged pages go.
    """

    crawl_page_limit: int = Field(ge=1)
    crawl_depth_limit: int = Field(ge=0)
    crawl_minutes_limit: int = Field(ge=1)
    ingest_page_queue_url: str


@dataclass(frozen=True)
class Found:
    """A page that was found and is not fetched yet."""

    page_pk: int
    url: str
    depth: int


def crawl(settings: CrawlSettings, message: CreateFromWebsite, job: jobs.Job, deadline: Deadline) -> str:
    """Crawl a website as far as time allows; leave the rest to a new message, and its pages to ingest_page.

    Args:
        settings: see there.
        message: the request.
        job: what the ledger says of it; held by this invocation.
        deadline: when the invocation ends.

    Returns:
        "continued" or "crawled", for the log.

    Raises:
        InvalidMessageError: there is no such user.
        PermanentError: the first page cannot be had.
        TransientError: as `db_session`, `queues.publish`, `Visitor.read`.
    """
    if not (job.progress or {}).get("crawled"):
        with db_session(settings) as session:
            frontier = _begin(session, message, job)
        if not _visit_all(settings, message, job, frontier, deadline):
            _hand_on(settings, message, job)
            return "continued"
    _publish_pages(settings, job)
    return "crawled"


def unfinished(session: Session, job: jobs.Job, _state: str, reason: str) -> dict[str, object]:
    """What else is written when a crawl ends before its time: none of its pages waits any more."""
    close(session, job.subject, job.occasion, reason)
    return progress(session, job.subject, job.occasion)


def _begin(session: Session, message: CreateFromWebsite, job: jobs.Job) -> deque[Found]:
    """The pages that are to be fetched: the first one, or what an earlier invocation has left."""
    if session.get(MdUser, message.user_id) is None:
        raise InvalidMessageError("there is no such user")
    try:
        first = urls.normalised(message.website_url)
    except ValueError as error:
        raise PermanentError(str(error)) from None
    _add(session, job, message.user_id, [first], depth=0, room=1)
    session.commit()
    pages = session.execute(
        select(BackgroundPage.page_pk, BackgroundPage.url, BackgroundPage.depth)
        .where(*_of(job), BackgroundPage.state == "found")
        .order_by(BackgroundPage.page_pk)
    )
    return deque(Found(*page) for page in pages)


def _visit_all(
    settings: CrawlSettings,
    message: CreateFromWebsite,
    job: jobs.Job,
    frontier: deque[Found],
    deadline: Deadline,
) -> bool:
    """Fetch what is found, and what that leads to. Whether nothing is left to be fetched."""
    visitor = Visitor(settings, urls.normalised(message.website_url), deadline)
    with db_session(settings) as session:
        began = session.execute(select(func.min(BackgroundPage.found_at)).where(*_of(job))).scalar_one()
    ends = began + timedelta(minutes=settings.crawl_minutes_limit)
    limit = ""
    for page, result in _visits(visitor, frontier, settings, message, deadline):
        with db_session(settings) as session:
            if isinstance(result, FetchError):
                state = "skipped" if result.unwanted else "failed"
                _end(session, page.page_pk, state, result.reason)
            else:
                frontier += _take_in(session, settings, message, job, page, result)
            pages = session.execute(
                select(func.count()).where(*_of(job), BackgroundPage.state.in_(("staged", "unchanged")))
            ).scalar_one()
            if pages >= settings.crawl_page_limit:
                limit = f"{settings.crawl_page_limit} pages"
            elif utc_now() > ends:
                limit = f"{settings.crawl_minutes_limit} minutes"
            if limit:
                rest = update(BackgroundPage).where(*_of(job), BackgroundPage.state == "found")
                session.execute(rest.values(state="skipped", reason=f"beyond the limit of {limit}"))
            jobs.record(session, job, _outcome(session, job, limits=[limit] if limit else []))
        if page.depth == 0 and isinstance(result, FetchError):
            raise PermanentError(f"the website cannot be read: {result.reason}")
        if limit:
            return True
    return not frontier


def _visits(
    visitor: Visitor,
    frontier: deque[Found],
    settings: CrawlSettings,
    message: CreateFromWebsite,
    deadline: Deadline,
) -> Iterator[tuple[Found, Read | FetchError]]:
    """Fetch the pages of the frontier, to which the caller may add, and give them in its order; ends when it
    is empty, or leaves in it what time does not suffice for.
    """

    def visit(page: Found) -> Read | FetchError:
        try:
            return _read(visitor, page, settings, message)
        except FetchError as error:
            return error

    running: deque[tuple[Found, Future[Read | FetchError]]] = deque()
    with ThreadPoolExecutor(max_workers=THREADS) as threads:
        while True:
            while frontier and len(running) < AHEAD and deadline.seconds_left() > SECONDS_NEEDED:
                page = frontier.popleft()
                running.append((page, threads.submit(visit, page)))
            if not running:
                return
            page, future = running.popleft()
            try:
                yield page, future.result()
            except BaseException:
                threads.shutdown(wait=False, cancel_futures=True)
                raise


def _read(visitor: Visitor, page: Found, settings: CrawlSettings, message: CreateFromWebsite) -> Read:
    """A page with its links; those of the first one are followed by the pages of the sitemap."""
    try:
        read = visitor.read(page.url)
    except FetchError as error:
        # Who leaves out the scheme means the website, with or without TLS.
        if page.depth or error.status or "://" in message.website_url:
            raise
        read = visitor.read(page.url.replace("https://", "http://", 1))
    if page.depth or not settings.crawl_depth_limit:
        return read
    wanted = ADDRESSES_PER_PAGE * settings.crawl_page_limit
    return replace(read, links=read.links + tuple(visitor.sitemap(read.url, wanted)))


def _take_in(
    session: Session,
    settings: CrawlSettings,
    message: CreateFromWebsite,
    job: jobs.Job,
    page: Found,
    read: Read,
) -> list[Found]:
    """Write down what became of a page, and what it leads to; gives the new pages."""
    here, found = urls.key(read.url), []
    room = ADDRESSES_PER_PAGE * settings.crawl_page_limit
    for other, why in ((read.url, "it redirects to"), (read.canonical, "its canonical address is")):
        if other is None or urls.key(other) == urls.key(page.url):
            continue
        _end(session, page.page_pk, "skipped", f"{why} {other}")
        added = _add(session, job, message.user_id, [other], depth=page.depth, room=room + 1)
        if urls.key(other) != here:
            # It has other content, maybe, and is fetched in its turn.
            return added
        if not added:
            return []
        (page,) = added
    if len(read.url) > urls.LONGEST_NAME:
        _end(session, page.page_pk, "skipped", TOO_LONG)
    else:
        _stage(session, message.user_id, job, page, read)
    if page.depth < settings.crawl_depth_limit:
        found = _add(session, job, message.user_id, read.links, depth=page.depth + 1, room=room)
    return found


def _stage(session: Session, user_id: str, job: jobs.Job, page: Found, read: Read) -> None:
    """Keep a page for ingest_page, unless it is known already what will become of it."""
    same = select(BackgroundPage.url).where(
        *_of(job),
        BackgroundPage.html_hash == read.html_hash,
        BackgroundPage.page_pk != page.page_pk,
        BackgroundPage.state.in_(("staged", "unchanged")),
    )
    if twin := session.scalars(same.limit(1)).first():
        _end(session, page.page_pk, "skipped", f"it is the same page as {twin}")
        return
    known = (
        select(MdDocument.document_pk)
        .join(BackgroundDocument, BackgroundDocument.document_fk == MdDocument.document_pk)
        .where(
            MdDocument.author_user_id == user_id,
            MdDocument.name.in_(urls.names(read.url)),
            MdDocument.document_type == "webpage",
            ~MdDocument.deleted_by_user,
            BackgroundDocument.html_hash == read.html_hash,
        )
    )
    before = select(BackgroundPage.reason).where(
        BackgroundPage.user_id == user_id,
        BackgroundPage.key == urls.key(read.url),
        BackgroundPage.html_hash == read.html_hash,
        BackgroundPage.state == "skipped",
        BackgroundPage.reason.in_((NO_TEXT, NOTHING_RELEVANT)),
        ~and_(*_of(job)),
    )
    values: dict[str, object] = {
        "url": read.url,
        "html_hash": read.html_hash,
        "etag": read.etag,
        "charset": read.charset,
        "lines": sorted(read.lines),
    }
    if session.scalars(known.limit(1)).first() is not None:
        values["state"] = "unchanged"
    elif reason := session.scalars(before.limit(1)).first():
        values |= {"state": "skipped", "reason": reason}
    else:
        values |= {"state": "staged", "html": read.staged}
        count("PagesStaged")
    session.execute(update(BackgroundPage).where(BackgroundPage.page_pk == page.page_pk).values(**values))


def _add(
    session: Session, job: jobs.Job, user_id: str, addresses: Sequence[str], *, depth: int, room: int
) -> list[Found]:
    """Write down pages that are not known yet, as long as there are not more than `room`; gives those that
    are to be fetched.
    """
    now = utc_now()
    known = {key for (key,) in session.execute(select(BackgroundPage.key).where(*_of(job)))}
    rows = []
    for url in addresses:
        key = urls.key(url)
        if key in known or urls.holds_no_text(url):
            continue
        if len(known) >= room:
            break
        known.add(key)
        reason = f"type {kind}" if (kind := urls.other_type(url)) else None
        if len(url) > urls.LONGEST_NAME:
            reason = TOO_LONG
        rows.append(
            {
                "subject": job.subject,
                "occasion": job.occasion,
                "user_id": user_id,
                "url": url,
                "key": key,
                "depth": depth,
                "state": "skipped" if reason else "found",
                "reason": reason,
                "found_at": now,
            }
        )
    if not rows:
        return []
    added = session.execute(
        insert(BackgroundPage)
        .values(rows)
        .returning(BackgroundPage.page_pk, BackgroundPage.url, BackgroundPage.depth, BackgroundPage.state)
    )
    return sorted(
        (Found(row.page_pk, row.url, row.depth) for row in added if row.state == "found"),
        key=lambda page: page.page_pk,
    )


def _end(session: Session, page_pk: int, state: str, reason: str) -> None:
    session.execute(
        update(BackgroundPage).where(BackgroundPage.page_pk == page_pk).values(state=state, reason=reason)
    )


def _of(job: jobs.Job) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return BackgroundPage.subject == job.subject, BackgroundPage.occasion == job.occasion


def _outcome(session: Session, job: jobs.Job, **more: object) -> dict[str, Any]:
    before = {"crawled": False, "limits": [], **(job.progress or {})}
    return {**before, **progress(session, job.subject, job.occasion), **more}


def _hand_on(settings: CrawlSettings, message: CreateFromWebsite, job: jobs.Job) -> None:
    """Publish the message that goes on with a crawl, then let go of its job."""
    rest = message.model_copy(update={"request_id": job.occasion})
    with db_session(settings) as session:
        queues.publish(settings.queue_url, [rest.model_dump_json()])
        jobs.hand_on(session, job, _outcome(session, job), now=utc_now())


def _publish_pages(settings: CrawlSettings, job: jobs.Job) -> None:
    """Find out which lines are the site's, and publish a message for each page that is staged."""
    now = utc_now()
    with db_session(settings) as session:
        _save_repeated_lines(session, job)
        staged = select(cast(BackgroundPage.page_pk, Text).label("subject"), literal("").label("occasion"))
        pages = jobs.claim(
            session,
            INGEST_PAGE,
            staged.where(*_of(job), BackgroundPage.state == "staged").order_by(BackgroundPage.page_pk),
            now=now,
        )
        # Claimed after they are out, as by a schedule: if it dies in between, they are claimed again.
        queues.publish(
            settings.ingest_page_queue_url,
            (IngestPage(page_pk=int(page.subject)).model_dump_json() for page in pages if page.claimed),
        )
        jobs.record(session, job, _outcome(session, job, crawled=True))
    with db_session(settings) as session:
        settle(session, job.subject, job.occasion, now)
        session.commit()


def _save_repeated_lines(session: Session, job: jobs.Job) -> None:
    read = select(BackgroundPage.page_pk, BackgroundPage.lines).where(
        *_of(job), BackgroundPage.lines.is_not(None), BackgroundPage.state.in_(("staged", "unchanged"))
    )
    on_pages = Counter(line for page in session.execute(read) for line in page.lines)
    pages = session.execute(select(func.count()).select_from(read.subquery())).scalar_one()
    session.execute(update(BackgroundPage).where(*_of(job)).values(lines=None))
    if pages < LEAST_REPEATED:
        return
    repeated = sorted(
        line for line, times in on_pages.items() if times >= LEAST_REPEATED and times > pages / 2
    )
    first = session.execute(
        select(BackgroundPage.user_id, BackgroundPage.url).where(*_of(job)).order_by(BackgroundPage.page_pk)
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
