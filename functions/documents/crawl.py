"""Finds the pages of a website and stages them: breadth first, in an order that does not depend on chance.

What is found and what is fetched is in `md_background_page`, so that a crawl goes on where it was, in the
next invocation or after its worker was killed. When all is fetched, one message a page goes to ingest_page.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import batched
from typing import Any

from pydantic import Field
from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from documents import urls
from documents.document import of_page
from documents.fetch import FetchError, FetchSettings
from documents.message import CreateFromWebsite
from documents.progress import KEPT, NO_TEXT, NOTHING_RELEVANT, close, end_page, of_website, progress
from documents.publishing import publish_pages
from documents.visit import SECONDS_NEEDED, Read, Visitor
from mojodex import jobs, queues
from mojodex.clock import Deadline, utc_now
from mojodex.database import Database
from mojodex.errors import InvalidMessageError, PermanentError, TransientError
from mojodex.schema import BackgroundDocument, BackgroundJob, BackgroundPage, MdDocument, MdUser
from mojodex.worker import WorkerSettings

# Fetched at once; of `turns.REQUESTS_AT_ONCE`, one crawl can use all.
THREADS = 2
# Fetched ahead of the page whose turn it is, so that one slow page does not hold up the others.
AHEAD = 8
# Addresses that are looked at for each page that may be stored: redirects, errors and duplicates are some.
ADDRESSES_PER_PAGE = 3
# Of one page, to find out which are the site's; no usual page has more.
MOST_LINES = 5000
# A statement of more than 16 KB would pin its connection behind RDS Proxy.
ROWS_PER_INSERT = 50
# 24 hours, the most that CrawlMinutesLimit allows, are 617 of the shortest invocations that crawl (140 s).
MOST_ROUNDS = 1000
TOO_LONG = f"its address is longer than {urls.LONGEST_NAME} characters"


class CrawlSettings(WorkerSettings, FetchSettings):
    """Settings of the crawler.

    Attributes:
        crawl_page_limit: pages of a site that are stored at most.
        crawl_depth_limit: links that lead from the first page to another one at most.
        crawl_minutes_limit: after so many minutes of reading, what was found is all.
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


def crawl(
    database: Database,
    settings: CrawlSettings,
    message: CreateFromWebsite,
    job: jobs.Job,
    deadline: Deadline,
) -> str:
    """Crawl a website as far as time allows; leave the rest to a new message, and its pages to ingest_page.

    Args:
        database, settings: the worker's.
        message: the request.
        job: what the ledger says of it; held by this invocation.
        deadline: when the invocation ends.

    Returns:
        "continued" or "crawled", for the log.

    Raises:
        InvalidMessageError: there is no such user.
        PermanentError: the first page cannot be had, or the crawl was continued too often.
        TransientError: as `Database.session`, `queues.publish`, `Visitor.read`.
    """
    if not (job.progress or {}).get("crawled"):
        try:
            first = urls.normalised(message.website_url)
        except ValueError as error:
            raise PermanentError(str(error)) from None
        found = database.with_db_session(_begin, message.user_id, first, job)
        visitor = Visitor(database, settings, first, deadline)
        if not _Crawl(database, settings, message, job, visitor, deadline, found).run():
            _continue_later(database, settings, message, job)
            return "continued"
    publish_pages(database, settings.ingest_page_queue_url, job)
    return "crawled"


def fail_waiting_pages(session: Session, job: jobs.Job, _state: str, reason: str) -> dict[str, object]:
    """What else is written when a crawl ends before its time: none of its pages waits any more."""
    close(session, job.subject, job.occasion, reason)
    return progress(session, job.subject, job.occasion)


def _begin(session: Session, user_id: str, first: str, job: jobs.Job) -> Sequence[BackgroundPage]:
    """The pages that are found until now: the first one, or what an earlier invocation has left."""
    if session.get(MdUser, user_id) is None:
        raise InvalidMessageError("there is no such user")
    known = of_website(job.subject, job.occasion)
    if job.progress is None:
        # An operator has deleted the ledger's row, so that the request is new.
        session.execute(delete(BackgroundPage).where(*known))
    pages = session.scalars(select(BackgroundPage).where(*known).order_by(BackgroundPage.page_pk)).all()
    if not pages:
        # Whatever its name looks like: its type is what its server says.
        page = BackgroundPage(
            subject=job.subject,
            occasion=job.occasion,
            user_id=user_id,
            url=first,
            key=urls.key(first),
            depth=0,
            state="found",
            found_at=utc_now(),
        )
        session.add(page)
        session.flush()
        pages = [page]
    session.commit()
    return pages


class _Crawl:
    """One invocation's part of a crawl: what it knows of the pages, so that it need not ask each time.

    Args:
        database, settings, message, job, deadline: as of `crawl`.
        visitor: fetches the pages.
        pages: that are found until now, in order; the first one is where the crawl began.
    """

    def __init__(
        self,
        database: Database,
        settings: CrawlSettings,
        message: CreateFromWebsite,
        job: jobs.Job,
        visitor: Visitor,
        deadline: Deadline,
        pages: Sequence[BackgroundPage],
    ) -> None:
        self._database, self._settings = database, settings
        self._message, self._job = message, job
        self._visitor, self._deadline = visitor, deadline
        self._first = pages[0].page_pk
        self._began = utc_now()
        # Of earlier invocations: time in which nobody could read the website does not count.
        self._seconds_before = float((job.progress or {}).get("seconds", 0))
        limit = timedelta(minutes=settings.crawl_minutes_limit)
        self._ends = self._began + limit - timedelta(seconds=self._seconds_before)
        self._keys = {page.key for page in pages}
        self._kept = {page.html_hash or "": page.url for page in pages if page.state in KEPT}
        self._frontier = deque(
            Found(page.page_pk, page.url, page.depth) for page in pages if page.state == "found"
        )

    def run(self) -> bool:
        """Fetch what is found, and what that leads to. Whether nothing is left to be fetched.

        Raises:
            PermanentError: the first page cannot be had.
            TransientError: nothing could be fetched.
        """
        got_on = False
        try:
            for visits in self._visits():
                self._write_down(visits)
                got_on = True
                if self._limit():
                    break
        except TransientError:
            # A host was busy for too long, say. What was fetched is worth a message of its own.
            if not got_on:
                raise
            return False
        limit = self._limit()
        if limit:
            with self._database.session() as session:
                rest = update(BackgroundPage).where(
                    *of_website(self._job.subject, self._job.occasion), BackgroundPage.state == "found"
                )
                session.execute(rest.values(state="skipped", reason=f"beyond the limit of {limit}"))
                jobs.save_progress(session, self._job, _outcome(session, self._job, limits=[limit]))
        return bool(limit) or not self._frontier

    def _write_down(self, visits: list[tuple[Found, Read | FetchError]]) -> None:
        failure = None
        with self._database.session() as session:
            for page, result in visits:
                if len(self._kept) >= self._settings.crawl_page_limit:
                    break
                if isinstance(result, FetchError):
                    state = "skipped" if result.unwanted else "failed"
                    end_page(session, page.page_pk, state, result.reason)
                    failure = result if page.page_pk == self._first else failure
                else:
                    self._take_in(session, page, result)
            seconds = self._seconds_before + (utc_now() - self._began).total_seconds()
            jobs.save_progress(session, self._job, _outcome(session, self._job, seconds=round(seconds)))
        if failure:
            raise PermanentError(f"the website cannot be read: {failure.reason}")

    def _limit(self) -> str:
        """Which limit is reached; '' if none is."""
        if len(self._kept) >= self._settings.crawl_page_limit:
            return f"{self._settings.crawl_page_limit} pages"
        return f"{self._settings.crawl_minutes_limit} minutes" if utc_now() > self._ends else ""

    def _visits(self) -> Iterator[list[tuple[Found, Read | FetchError]]]:
        """Fetch the pages of the frontier, which grows meanwhile, and give them in its order, those together
        that are there already. Ends when it is empty, or leaves in it what time does not suffice for.
        """
        running: deque[tuple[Found, Future[Read | FetchError]]] = deque()
        with ThreadPoolExecutor(max_workers=THREADS) as threads:
            while True:
                while self._frontier and len(running) < (1 if self._visitor.slow else AHEAD):
                    if self._deadline.seconds_left() < SECONDS_NEEDED or utc_now() > self._ends:
                        break
                    page = self._frontier.popleft()
                    running.append((page, threads.submit(self._visit, page)))
                if not running:
                    return
                try:
                    visits = [(running[0][0], running.popleft()[1].result())]
                    while running and running[0][1].done():
                        visits.append((running[0][0], running.popleft()[1].result()))
                    yield visits
                except BaseException:
                    threads.shutdown(wait=False, cancel_futures=True)
                    raise

    def _visit(self, page: Found) -> Read | FetchError:
        """A page with its links; those of the first one are followed by the pages of the sitemap."""
        try:
            read = self._read(page)
            if page.page_pk != self._first or not self._settings.crawl_depth_limit:
                return read
            wanted = ADDRESSES_PER_PAGE * self._settings.crawl_page_limit
            return replace(read, links=read.links + tuple(self._visitor.sitemap(read.url, wanted)))
        except FetchError as error:
            return error

    def _read(self, page: Found) -> Read:
        try:
            return self._visitor.read(page.url)
        except FetchError as error:
            # Who leaves out the scheme means the website with or without TLS, if it does not speak that.
            named = urls.SCHEME.match(self._message.website_url)
            if page.page_pk != self._first or named or error.status or not error.again:
                raise
            return self._visitor.read(page.url.replace("https://", "http://", 1))

    def _take_in(self, session: Session, page: Found, read: Read) -> None:
        """Write down what became of a page, and what it leads to."""
        if urls.key(read.url) != urls.key(page.url):
            end_page(session, page.page_pk, "skipped", f"it redirects to {urls.shown(read.url)}")
            target = self._add(session, [read.url], page.depth, bounded=False)
            if not target:
                # It is fetched in its own turn, or was.
                return
            self._frontier.remove(target[0])
            (page,) = target
        if len(read.url) > urls.LONGEST_NAME:
            end_page(session, page.page_pk, "skipped", TOO_LONG)
        else:
            self._stage(session, page, read)
        if read.canonical:
            self._add(session, [read.canonical], page.depth, bounded=False)
        if page.depth < self._settings.crawl_depth_limit:
            self._add(session, read.links, page.depth + 1)

    def _stage(self, session: Session, page: Found, read: Read) -> None:
        """Keep a page for ingest_page, unless it is known already what will become of it."""
        if twin := self._kept.get(read.html_hash):
            end_page(session, page.page_pk, "skipped", f"it is the same page as {urls.shown(twin)}")
            return
        values: dict[str, object] = {
            "url": read.url,
            "html_hash": read.html_hash,
            "etag": read.etag,
            "charset": read.charset,
            "canonical": read.canonical and urls.key(read.canonical),
            "lines": sorted(read.lines)[:MOST_LINES],
        }
        if self._is_unchanged(session, read):
            values["state"] = "unchanged"
        elif reason := self._skipped_before(session, read):
            values |= {"state": "skipped", "reason": reason}
        else:
            values |= {"state": "staged", "html": read.staged}
        if values["state"] in KEPT:
            self._kept[read.html_hash] = read.url
        session.execute(update(BackgroundPage).where(BackgroundPage.page_pk == page.page_pk).values(**values))

    def _is_unchanged(self, session: Session, read: Read) -> bool:
        document = (
            select(MdDocument.document_pk)
            .join(BackgroundDocument, BackgroundDocument.document_fk == MdDocument.document_pk)
            .where(
                *of_page(self._message.user_id, read.url),
                ~MdDocument.deleted_by_user,
                BackgroundDocument.html_hash == read.html_hash,
            )
        )
        return session.scalars(document.limit(1)).first() is not None

    def _skipped_before(self, session: Session, read: Read) -> str | None:
        """Why an earlier request has skipped the same page for what it says."""
        before = select(BackgroundPage.reason).where(
            BackgroundPage.user_id == self._message.user_id,
            BackgroundPage.key == urls.key(read.url),
            BackgroundPage.html_hash == read.html_hash,
            BackgroundPage.state == "skipped",
            BackgroundPage.reason.in_((NO_TEXT, NOTHING_RELEVANT)),
        )
        return session.scalars(before.limit(1)).first()

    def _add(
        self, session: Session, addresses: Sequence[str], depth: int, *, bounded: bool = True
    ) -> list[Found]:
        """Write down pages that are not known yet, if `bounded` as long as there is room for them; gives
        those that are to be fetched, which are in the frontier then.
        """
        now = utc_now()
        rows = []
        for url in addresses:
            key = urls.key(url)
            if key in self._keys or urls.holds_no_text(url):
                continue
            if bounded and len(self._keys) >= ADDRESSES_PER_PAGE * self._settings.crawl_page_limit:
                break
            self._keys.add(key)
            reason = f"type {kind}" if (kind := urls.other_type(url)) else None
            if len(url) > urls.LONGEST_NAME:
                reason = TOO_LONG
            rows.append(
                {
                    "subject": self._job.subject,
                    "occasion": self._job.occasion,
                    "user_id": self._message.user_id,
                    "url": urls.shown(url),
                    "key": key,
                    "depth": depth,
                    "state": "skipped" if reason else "found",
                    "reason": reason,
                    "found_at": now,
                }
            )
        columns = (BackgroundPage.page_pk, BackgroundPage.url, BackgroundPage.depth, BackgroundPage.state)
        pages = []
        for some in batched(rows, ROWS_PER_INSERT, strict=False):
            added = session.execute(insert(BackgroundPage).values(list(some)).returning(*columns))
            pages += [Found(row.page_pk, row.url, row.depth) for row in added if row.state == "found"]
        pages.sort(key=lambda page: page.page_pk)
        self._frontier += pages
        return pages


def _outcome(session: Session, job: jobs.Job, **more: object) -> dict[str, Any]:
    """What the ledger says, with the pages as they are now."""
    key = (job.process, job.subject, job.occasion)
    before = session.get_one(BackgroundJob, key).outcome or {"crawled": False, "limits": []}
    return {**before, **progress(session, job.subject, job.occasion), **more}


def _continue_later(
    database: Database, settings: CrawlSettings, message: CreateFromWebsite, job: jobs.Job
) -> None:
    """Publish the message that goes on with a crawl, then let go of its job.

    Lambda does not stop this loop (RecursiveLoop in template.yaml), so its rounds are counted in the ledger.

    Raises:
        PermanentError: it was continued too often.
        TransientError: as `Database.session`, `queues.publish`.
    """
    rounds = (job.progress or {}).get("rounds", 0) + 1
    if rounds > MOST_ROUNDS:
        raise PermanentError(f"the crawl does not end: it was continued {MOST_ROUNDS} times")
    rest = message.model_copy(update={"request_id": job.occasion})
    with database.session() as session:
        queues.publish(settings.queue_url, [queues.Outgoing(rest.model_dump_json(), rest.user_id)])
        jobs.continue_later(session, job, _outcome(session, job, rounds=rounds), now=utc_now())
