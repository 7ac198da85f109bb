"""Record the visits of a crawl: the states of pages, and their links. Nothing here commits."""

from collections.abc import Iterable, Sequence

from sqlalchemy.orm import Session

from documents.create_from_website import existing_pages, page_store
from documents.create_from_website.frontier import TOO_LONG, Address, FoundPage, Frontier
from documents.create_from_website.page import NotModified, ReadPage, Visited
from documents.document_store import record_found, record_missing
from documents.message import CreateFromWebsite
from documents.progress import KEPT, NOT_TO_BE_INDEXED, end_page
from documents.web import urls
from documents.web.errors import GONE, FetchError
from mojodex import jobs
from mojodex.clock import utc_now


class Recorder:
    """Records the visits of one crawl.

    Args:
        message: the request.
        job: of the website; held by this invocation.
        embedding_model: as in `CrawlSettings`.
        frontier: gets the pages that are found.
    """

    def __init__(
        self, message: CreateFromWebsite, job: jobs.Job, embedding_model: str, frontier: Frontier
    ) -> None:
        self._message, self._job = message, job
        self._embedding_model, self._frontier = embedding_model, frontier

    def record(self, session: Session, page: FoundPage, result: Visited) -> None:
        """Record the result of a visit."""
        if isinstance(result, FetchError):
            self._record_failure(session, page, result)
        elif isinstance(result, NotModified):
            html_hash = existing_pages.keep(session, page, result.etag, result.fetched_at)
            self._frontier.keep(html_hash, page.url)
        else:
            self._record_page(session, page, result)

    def add(self, session: Session, addresses: Iterable[str], depth: int) -> None:
        """Add the new ones of a page's links; `depth` is the page's."""
        self._frontier.add(self._insert(session, self._frontier.links(addresses, depth)))

    def _record_failure(self, session: Session, page: FoundPage, error: FetchError) -> None:
        leads_away = error.status in GONE or (error.moved and not error.again)
        if page.document_pk and leads_away:
            # A redirect in a circle is a mistake that the site may correct, whatever its status.
            is_certain = error.moved == "for good" and (error.unwanted or error.status in GONE)
            self._record_missing(session, page, error.reason, for_good=is_certain)
        else:
            end_page(session, page.page_pk, "skipped" if error.unwanted else "failed", error.reason)

    def _record_page(self, session: Session, page: FoundPage, result: ReadPage) -> None:
        frontier = self._frontier
        if urls.key(result.url) != urls.key(page.url):
            reason = f"it redirects to {urls.shown(result.url)}"
            is_gone = self._record_missing(session, page, reason, for_good=result.redirected == "for good")
            is_for_now = result.redirected == "for now" and urls.site(result.url) != urls.site(page.url)
            if (page.document_pk and not is_gone) or (self._message.refresh and is_for_now):
                # The target of a temporary redirect is no page of the site yet.
                return
            target = self._insert(session, frontier.other_addresses([result.url], page.depth))
            if not target:
                # The target was found before, and is fetched separately.
                return
            (page,) = target
        if len(result.url) > urls.LONGEST_NAME:
            end_page(session, page.page_pk, "skipped", TOO_LONG)
        elif result.noindex:
            self._record_missing(session, page, NOT_TO_BE_INDEXED, for_good=True)
        elif twin := frontier.twin(result.html_hash):
            self._record_missing(session, page, f"it is the same page as {urls.shown(twin)}")
        elif self._stage(session, page, result):
            # An unchanged page has no new links.
            return
        if result.canonical:
            frontier.add(self._insert(session, frontier.other_addresses([result.canonical], page.depth)))
        self.add(session, result.links, page.depth)

    def _stage(self, session: Session, page: FoundPage, result: ReadPage) -> bool:
        """Stage a page. Return whether a refresh found it unchanged."""
        state = page_store.stage(session, page, self._message.user_id, result, self._embedding_model)
        if state in KEPT:
            self._frontier.keep(result.html_hash, result.url)
        if page.document_pk:
            record_found(session, page.document_pk)
        return self._message.refresh and state == "unchanged"

    def _record_missing(
        self, session: Session, page: FoundPage, reason: str, *, for_good: bool = False
    ) -> bool:
        """End a page that cannot be found. Return whether its document has left the index."""
        change = None
        if page.document_pk:
            change = record_missing(session, page.document_pk, utc_now(), for_good=for_good)
        end_page(session, page.page_pk, "skipped", reason, change)
        return change == "gone"

    def _insert(self, session: Session, addresses: Sequence[Address]) -> list[FoundPage]:
        return page_store.insert_pages(session, self._job, self._message.user_id, addresses)
