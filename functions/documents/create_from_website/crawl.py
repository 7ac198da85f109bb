"""Finds the pages of a website and stages them: breadth first, in an order that does not depend on chance.

What is found and what is fetched is in `md_background_page`, so that a crawl goes on where it was, in the
next invocation or after its worker was killed. When all is fetched, one message a page goes to ingest_page.
"""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from sqlalchemy.orm import Session

from documents.create_from_website import page_store
from documents.create_from_website.ahead import in_order
from documents.create_from_website.frontier import TOO_LONG, Address, Found, Frontier
from documents.create_from_website.page import Pages, Read
from documents.create_from_website.publishing import publish_pages
from documents.create_from_website.settings import CrawlSettings
from documents.message import CreateFromWebsite
from documents.progress import KEPT, NOT_TO_BE_INDEXED, close, end_page, progress
from documents.web import urls
from documents.web.errors import FetchError, HostRestsError
from documents.web.scope import scope_of
from documents.web.turns import Turns
from documents.web.visit import SECONDS_NEEDED, Visitor
from mojodex import jobs, queues
from mojodex.clock import Deadline, utc_now
from mojodex.database import Database
from mojodex.errors import InvalidMessageError, PermanentError, TransientError
from mojodex.schema import BackgroundPage, MdUser

# Fetched at once; of `turns.REQUESTS_AT_ONCE`, one crawl can use all.
THREADS = 2
# Fetched ahead of the page whose turn it is, so that one slow page does not hold up the others.
AHEAD = 8
# 24 hours, the most that CrawlMinutesLimit allows, are 617 of the shortest invocations that crawl (140 s).
MOST_ROUNDS = 1000


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
        TransientError: as `Database.session`, `queues.publish`, `Visitor.fetch`.
    """
    if not (job.progress or {}).get("crawled"):
        try:
            first = urls.normalised(message.website_url)
        except ValueError as error:
            raise PermanentError(str(error)) from None
        found = database.with_db_session(_begin, message, first, job)
        scope = scope_of(first, message.scope)
        if home := (job.progress or {}).get("home"):
            scope = scope.moved(home)
        turns = Turns(database, deadline, job.queued_at)
        visitor = Visitor(turns, settings, scope, deadline)
        part = _Crawl(database, settings, message, job, visitor, deadline, found)
        if not part.run():
            _continue_later(database, settings, message, job, counts=not part.host_rests)
            return "continued"
    publish_pages(database, settings.ingest_page_queue_url, job)
    return "crawled"


def fail_waiting_pages(session: Session, job: jobs.Job, _state: str, reason: str) -> dict[str, object]:
    """What else is written when a crawl ends before its time: none of its pages waits any more."""
    close(session, job.subject, job.occasion, reason)
    return progress(session, job.subject, job.occasion)


def _begin(
    session: Session, message: CreateFromWebsite, first: str, job: jobs.Job
) -> Sequence[BackgroundPage]:
    """The pages that are found until now: the first one, or what an earlier invocation has left."""
    if session.get(MdUser, message.user_id) is None:
        raise InvalidMessageError("there is no such user")
    if job.progress is None:
        # An operator has deleted the ledger's row, so that the request is new.
        page_store.delete_pages(session, job)
    pages = page_store.pages_of(session, job)
    if not pages:
        # Whatever its name looks like: its type is what its server says.
        page_store.insert_pages(session, job, message.user_id, [Address(first, urls.key(first), 0, None)])
        pages = page_store.pages_of(session, job)
    # A message that a schedule publishes has it from here.
    asked = {"scope": message.scope} if message.scope else {}
    jobs.save_progress(session, job, page_store.outcome(session, job, **asked))
    return pages


class _Crawl:
    """One invocation's part of a crawl: what it knows of the pages, so that it need not ask each time.

    Args:
        database, settings, message, job, deadline: as of `crawl`.
        visitor: fetches the pages.
        pages: that are found until now, in order; the first one is where the crawl began.

    Attributes:
        host_rests: whether it stopped because a host has asked us to slow down.
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
        # Who leaves out the scheme means the website with or without TLS, if it does not speak that.
        any_scheme = not urls.SCHEME.match(message.website_url)
        self._pages = Pages(
            visitor,
            deadline,
            pages[0].url,
            any_scheme=any_scheme,
            with_sitemap=settings.crawl_depth_limit > 0,
            count_refusal=self._count_refusal,
        )
        self.host_rests = False
        self._began = utc_now()
        # Of earlier invocations: time in which nobody could read the website does not count.
        self._seconds_before = float((job.progress or {}).get("seconds", 0))
        limit = timedelta(minutes=settings.crawl_minutes_limit)
        self._ends = self._began + limit - timedelta(seconds=self._seconds_before)
        # A page that was refused is to probe itself: another one just before it may use up what its host lets
        # through.
        refused = any(page.refusals for page in pages if page.state == "found")
        self._ahead = 1 if refused else AHEAD
        self._frontier = Frontier(
            settings.crawl_page_limit,
            settings.crawl_depth_limit,
            {page.key: page.url for page in pages},
            {page.html_hash or "": page.url for page in pages if page.state in KEPT},
            (
                Found(page.page_pk, page.url, page.depth, page.refusals or 0)
                for page in pages
                if page.state == "found"
            ),
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
        except TransientError as error:
            # A host rests, or was busy for too long. What was fetched is worth a message of its own.
            if not got_on:
                raise
            self.host_rests = isinstance(error, HostRestsError)
            return False
        limit = self._limit()
        if limit:
            with self._database.session() as session:
                page_store.skip_found(session, self._job, f"beyond the limit of {limit}")
                found = page_store.outcome(session, self._job, limits=[limit])
                jobs.save_progress(session, self._job, found)
        return bool(limit) or not self._frontier

    def _write_down(self, visits: list[tuple[Found, Read | FetchError]]) -> None:
        failure = None
        with self._database.session() as session:
            for page, result in visits:
                if self._frontier.is_full:
                    break
                if isinstance(result, FetchError):
                    state = "skipped" if result.unwanted else "failed"
                    end_page(session, page.page_pk, state, result.reason)
                    failure = result if page.page_pk == self._first else failure
                else:
                    self._take_in(session, page, result)
            seconds = self._seconds_before + (utc_now() - self._began).total_seconds()
            more = {"home": self._visitor.home} if self._visitor.home else {}
            found = page_store.outcome(session, self._job, seconds=round(seconds), **more)
            jobs.save_progress(session, self._job, found)
        if failure:
            raise PermanentError(f"the website cannot be read: {failure.reason}")

    def _limit(self) -> str:
        """Which limit is reached; '' if none is."""
        if self._frontier.is_full:
            return f"{self._settings.crawl_page_limit} pages"
        return f"{self._settings.crawl_minutes_limit} minutes" if utc_now() > self._ends else ""

    def _visits(self) -> Iterator[list[tuple[Found, Read | FetchError]]]:
        def may_begin(running: int) -> bool:
            in_time = self._deadline.seconds_left() >= SECONDS_NEEDED and utc_now() <= self._ends
            return in_time and running < (1 if self._visitor.slow else self._ahead)

        return in_order(self._frontier, self._visit, may_begin, THREADS)

    def _visit(self, page: Found) -> Read | FetchError:
        try:
            return self._pages.visit(page, self._frontier.addresses_wanted)
        except FetchError as error:
            return error

    def _count_refusal(self, page_pk: int) -> None:
        with self._database.session() as session:
            page_store.count_refusal(session, page_pk)
            session.commit()

    def _take_in(self, session: Session, page: Found, result: Read) -> None:
        """Write down what became of a page, and what it leads to."""
        frontier = self._frontier
        if urls.key(result.url) != urls.key(page.url):
            end_page(session, page.page_pk, "skipped", f"it redirects to {urls.shown(result.url)}")
            target = self._insert(session, frontier.other_addresses([result.url], page.depth))
            if not target:
                # It is fetched in its own turn, or was.
                return
            (page,) = target
        if len(result.url) > urls.LONGEST_NAME:
            end_page(session, page.page_pk, "skipped", TOO_LONG)
        elif result.noindex:
            end_page(session, page.page_pk, "skipped", NOT_TO_BE_INDEXED)
        elif twin := frontier.twin(result.html_hash):
            end_page(session, page.page_pk, "skipped", f"it is the same page as {urls.shown(twin)}")
        elif self._stage(session, page, result) in KEPT:
            frontier.keep(result.html_hash, result.url)
        if result.canonical:
            frontier.add(self._insert(session, frontier.other_addresses([result.canonical], page.depth)))
        frontier.add(self._insert(session, frontier.links(result.links, page.depth)))

    def _stage(self, session: Session, page: Found, result: Read) -> str:
        model = self._settings.embedding_model
        return page_store.stage(session, page.page_pk, self._message.user_id, result, model)

    def _insert(self, session: Session, addresses: Sequence[Address]) -> list[Found]:
        return page_store.insert_pages(session, self._job, self._message.user_id, addresses)


def _continue_later(
    database: Database, settings: CrawlSettings, message: CreateFromWebsite, job: jobs.Job, *, counts: bool
) -> None:
    """Publish the message that goes on with a crawl, then let go of its job.

    Lambda does not stop this loop (RecursiveLoop in template.yaml), so its rounds are counted in the ledger.
    Not those of a host that rests: the crawl has got on, and so comes to an end.

    Raises:
        PermanentError: it was continued too often.
        TransientError: as `Database.session`, `queues.publish`.
    """
    rounds = (job.progress or {}).get("rounds", 0) + counts
    if rounds > MOST_ROUNDS:
        raise PermanentError(f"the crawl does not end: it was continued {MOST_ROUNDS} times")
    rest = message.model_copy(update={"request_id": job.occasion})
    with database.session() as session:
        queues.publish(settings.queue_url, [queues.Outgoing(rest.model_dump_json(), rest.user_id)])
        jobs.continue_later(session, job, page_store.outcome(session, job, rounds=rounds), now=utc_now())
