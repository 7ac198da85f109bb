"""Crawl a website: find its pages and stage them, breadth first and in a reproducible order.

`md_background_page` holds the pages that were found and fetched. So a crawl continues where it stopped, in
the next invocation or after its worker was killed. After the last page, ingest_page gets a message for each.
"""

from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import urlsplit

from sqlalchemy.orm import Session

from documents.create_from_website import existing_pages, page_store
from documents.create_from_website.frontier import FoundPage, Frontier
from documents.create_from_website.page import PageReader, Visited
from documents.create_from_website.prefetch import in_order
from documents.create_from_website.publishing import publish_pages
from documents.create_from_website.recorder import Recorder
from documents.create_from_website.settings import CrawlSettings
from documents.create_from_website.start import CrawlStart, start_crawl
from documents.message import REFRESH, CreateFromWebsite
from documents.progress import DELETED_BY_USER, KEPT, fail_waiting, progress
from documents.web import urls
from documents.web.errors import FetchError, HostRestsError
from documents.web.host_slots import HostSlots
from documents.web.scope import scope_of
from documents.web.visit import SECONDS_NEEDED, Visitor
from mojodex import jobs, queues
from mojodex.clock import Deadline, utc_now
from mojodex.database import Database
from mojodex.errors import NothingToDoError, PermanentError, TransientError
from mojodex.schema import BackgroundJob

# Pages fetched at once: one crawl may use all of `host_slots.REQUESTS_AT_ONCE`.
THREADS = 2
# Pages fetched ahead of the next one in order, so that a slow page does not delay the others.
AHEAD = 8
# The largest CrawlMinutesLimit, 24 hours, is 617 of the shortest invocations that crawl (140 s).
MOST_ROUNDS = 1000


def crawl(
    database: Database,
    settings: CrawlSettings,
    message: CreateFromWebsite,
    job: jobs.Job,
    deadline: Deadline,
) -> str:
    """Crawl a website as far as time allows; then publish its pages, or a message to continue.

    Args:
        database, settings: the worker's.
        message: the request.
        job: its job, held by this invocation.
        deadline: when the invocation ends.

    Returns:
        "continued" or "crawled", for the log.

    Raises:
        InvalidMessageError: there is no such user.
        PermanentError: the first page cannot be read, or the crawl was continued too often.
        TransientError: as `Database.session`, `queues.publish`, `Visitor.fetch`.
    """
    if not (job.progress or {}).get("crawled"):
        try:
            first = urls.normalised(message.website_url)
        except ValueError as error:
            raise PermanentError(str(error)) from None
        start = database.with_db_session(start_crawl, settings, message, first, job)
        scope = scope_of(first, message.scope)
        if home := (job.progress or {}).get("home"):
            scope = scope.moved(home)
        slots = HostSlots(database, deadline, job.queued_at)
        visitor = Visitor(slots, settings, scope, deadline)
        part = _Crawl(database, settings, message, job, visitor, deadline, start)
        if not part.run():
            _continue_later(database, settings, message, job, counts=not part.host_rests)
            return "continued"
    publish_pages(database, settings, message, job)
    return "crawled"


def fail_waiting_pages(session: Session, job: jobs.Job, reason: str, refresh_days: int) -> dict[str, object]:
    """Fail the waiting pages of a crawl that ends early, postpone its refresh, and return its outcome."""
    fail_waiting(session, job.subject, job.occasion, reason)
    existing_pages.postpone(session, job.subject, utc_now() + timedelta(days=refresh_days))
    row = session.get_one(BackgroundJob, (job.process, job.subject, job.occasion))
    outcome = row.outcome or {}
    # A retry has the same scope.
    scope = {"scope": outcome["scope"]} if outcome.get("scope") else {}
    return progress(session, job.subject, job.occasion, refresh=outcome.get("refresh", False)) | scope


class _Crawl:
    """One invocation's part of a crawl.

    Args:
        database, settings, message, job, deadline: as in `crawl`.
        visitor: fetches the pages.
        start: the pages to begin with.

    Attributes:
        host_rests: whether it stopped because a host asked us to slow down.
    """

    def __init__(
        self,
        database: Database,
        settings: CrawlSettings,
        message: CreateFromWebsite,
        job: jobs.Job,
        visitor: Visitor,
        deadline: Deadline,
        start: CrawlStart,
    ) -> None:
        self._database, self._settings = database, settings
        self._message, self._job = message, job
        self._visitor, self._deadline = visitor, deadline
        pages = start.pages
        self._first = pages[0]
        # A refresh includes all documents, even beyond the limit.
        documents = sum(page.document_fk is not None and page.reason != DELETED_BY_USER for page in pages)
        self._page_limit = max(settings.crawl_page_limit, documents)
        self._frontier = Frontier(
            self._page_limit,
            settings.crawl_depth_limit,
            {page.key: page.url for page in pages},
            {page.html_hash or "": page.url for page in pages if page.state in KEPT},
            start.found,
        )
        # Without a scheme, http is tried if the website does not speak TLS.
        any_scheme = not urls.SCHEME.match(message.website_url)
        self._reader = PageReader(
            visitor,
            deadline,
            pages[0].url,
            any_scheme=any_scheme,
            with_sitemap=settings.crawl_depth_limit > 0 and not message.refresh,
            count_refusal=self._count_refusal,
            is_known=self._frontier.knows,
        )
        self.host_rests = False
        self._began = utc_now()
        # Time of reading in earlier invocations: the time between them does not count.
        self._seconds_before = float((job.progress or {}).get("seconds", 0))
        limit = timedelta(minutes=settings.crawl_minutes_limit)
        self._ends = self._began + limit - timedelta(seconds=self._seconds_before)
        # A refused page must be the next request: another one before it may use up its host's allowance.
        self._ahead = 1 if any(page.refusals for page in start.found) else AHEAD
        self._recorder = Recorder(message, job, settings.embedding_model, self._frontier)
        # Whether the website has answered. Until then: hosts that still may, and how many pages are broken.
        self._has_answered = bool((job.progress or {}).get("answers"))
        self._hosts = {urlsplit(page.url).netloc for page in start.found}
        self._broken = 0

    def run(self) -> bool:
        """Fetch the pages and those they link to. Return whether nothing is left to fetch.

        Raises:
            PermanentError: the first page cannot be read.
            NothingToDoError: it is a refresh, and the website does not answer.
            TransientError: nothing could be fetched.
        """
        has_progress = False
        try:
            if self._message.refresh and not (self._job.progress or {}).get("sitemap_read"):
                self._read_sitemap()
            for visits in self._visits():
                self._record(visits)
                has_progress = True
                if self._limit():
                    break
        except TransientError as error:
            # A host rests or is busy. Some pages were fetched, so continue with a new message.
            if not has_progress:
                raise
            self.host_rests = isinstance(error, HostRestsError)
            return False
        limit = self._limit()
        if limit:
            with self._database.session() as session:
                page_store.skip_found(session, self._job, f"beyond the limit of {limit}")
                outcome = page_store.outcome(session, self._job, limits=[limit])
                jobs.save_progress(session, self._job, outcome)
        return bool(limit) or not self._frontier

    def _read_sitemap(self) -> None:
        """Keep the pages that have not changed according to the sitemap, and add its new ones."""
        first, frontier = self._first, self._frontier
        page = FoundPage(first.page_pk, first.url, 0, first.refusals or 0)
        try:
            listed = self._reader.sitemap(page, first.url, frontier.addresses_wanted)
        except FetchError:
            listed = {}
        self._has_answered = self._has_answered or bool(listed)
        changed = {urls.key(url): moment for url, moment in listed.items()}
        now = utc_now()
        with self._database.session() as session:
            kept = [page for page in frontier.waiting() if existing_pages.has_not_changed(page, changed, now)]
            for page in kept:
                frontier.keep(existing_pages.keep(session, page), page.url)
            frontier.remove({page.page_pk for page in kept})
            self._recorder.add(session, listed, 0)
            outcome = page_store.outcome(session, self._job, sitemap_read=True)
            jobs.save_progress(session, self._job, outcome)

    def _record(self, visits: list[tuple[FoundPage, Visited]]) -> None:
        failure = None
        with self._database.session() as session:
            for page, result in visits:
                if self._frontier.is_full:
                    break
                self._recorder.record(session, page, result)
                failure = failure or self._fatal(page, result)
            seconds = self._seconds_before + (utc_now() - self._began).total_seconds()
            more = {"home": self._visitor.home} if self._visitor.home else {}
            answers = {"answers": True} if self._has_answered and self._message.refresh else {}
            outcome = page_store.outcome(session, self._job, seconds=round(seconds), **more, **answers)
            jobs.save_progress(session, self._job, outcome)
        if failure and not (self._message.refresh and self._has_answered):
            raise failure

    def _fatal(self, page: FoundPage, result: Visited) -> PermanentError | NothingToDoError | None:
        """Return the error if this result ends the crawl: the website or its first page cannot be read."""
        if not isinstance(result, FetchError):
            self._has_answered = True
            return None
        self._has_answered = self._has_answered or result.is_answer
        reason = f"the website cannot be read: {result.reason}"
        if self._message.refresh:
            if result.status is None:
                self._hosts.discard(urlsplit(page.url).netloc)
            else:
                self._broken += 1
            is_away = not self._hosts or self._broken >= AHEAD
            return NothingToDoError(reason) if is_away else None
        return PermanentError(reason) if page.page_pk == self._first.page_pk else None

    def _limit(self) -> str:
        """Return the limit that is reached; '' if none is."""
        if self._frontier.is_full:
            return f"{self._page_limit} pages"
        return f"{self._settings.crawl_minutes_limit} minutes" if utc_now() > self._ends else ""

    def _visits(self) -> Iterator[list[tuple[FoundPage, Visited]]]:
        def may_begin(running: int) -> bool:
            in_time = self._deadline.seconds_left() >= SECONDS_NEEDED and utc_now() <= self._ends
            return in_time and running < (1 if self._visitor.slow else self._ahead)

        return in_order(self._frontier, self._visit, may_begin, THREADS)

    def _visit(self, page: FoundPage) -> Visited:
        try:
            return self._reader.visit(page, self._frontier.addresses_wanted)
        except FetchError as error:
            return error

    def _count_refusal(self, page_pk: int) -> None:
        with self._database.session() as session:
            page_store.count_refusal(session, page_pk)
            session.commit()


def _continue_later(
    database: Database, settings: CrawlSettings, message: CreateFromWebsite, job: jobs.Job, *, counts: bool
) -> None:
    """Publish the message that continues a crawl, and release its job.

    Lambda does not stop this loop (RecursiveLoop in template.yaml), so the ledger counts the rounds. A round
    that a resting host ended does not count: the crawl made progress, so it ends anyway.

    Raises:
        PermanentError: it was continued too often.
        TransientError: as `Database.session`, `queues.publish`.
    """
    rounds = (job.progress or {}).get("rounds", 0) + counts
    if rounds > MOST_ROUNDS:
        raise PermanentError(f"the crawl does not end: it was continued {MOST_ROUNDS} times")
    rest = message.model_copy(update={"request_id": job.occasion})
    with database.session() as session:
        owner = REFRESH if rest.refresh else rest.user_id
        queues.publish(settings.queue_url, [queues.Outgoing(rest.model_dump_json(), owner)])
        jobs.continue_later(session, job, page_store.outcome(session, job, rounds=rounds), now=utc_now())
