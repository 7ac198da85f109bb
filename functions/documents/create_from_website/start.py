"""The pages with which an invocation of a crawl begins."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from documents.create_from_website import existing_pages, page_store
from documents.create_from_website.frontier import Address, FoundPage
from documents.create_from_website.settings import CrawlSettings
from documents.message import CreateFromWebsite
from documents.web import urls
from mojodex import jobs
from mojodex.clock import utc_now
from mojodex.errors import InvalidMessageError, NothingToDoError
from mojodex.schema import BackgroundPage, MdUser


@dataclass(frozen=True)
class CrawlStart:
    """The pages found so far, in order from the first page; and those of them to fetch."""

    pages: Sequence[BackgroundPage]
    found: Sequence[FoundPage]


def start_crawl(
    session: Session, settings: CrawlSettings, message: CreateFromWebsite, first: str, job: jobs.Job
) -> CrawlStart:
    """Begin with the first page, a refresh's existing pages, or the pages of an earlier invocation.

    Raises:
        InvalidMessageError: there is no such user.
        NothingToDoError: it is a refresh, and there is nothing to refresh.
    """
    if session.get(MdUser, message.user_id) is None:
        raise InvalidMessageError("there is no such user")
    if job.progress is None:
        # If an operator deleted the job's row, the request is new.
        page_store.delete_pages(session, job)
    pages = page_store.pages_of(session, job)
    if not pages:
        # Even if it looks like a file: the server tells its type.
        addresses = [Address(first, urls.key(first), 0, None)]
        if message.refresh:
            addresses = existing_pages.addresses_of_site(session, message.user_id, first, utc_now())
        if message.refresh and addresses:
            addresses += existing_pages.failed_before(session, message.user_id, first, addresses)
        if not addresses:
            existing_pages.forget(session, message.user_id, first)
            session.commit()
            raise NothingToDoError("the website has no documents any more")
        page_store.insert_pages(session, job, message.user_id, addresses)
        pages = page_store.pages_of(session, job)
    # A schedule that republishes the message takes them from here.
    request = message.model_dump(include={"scope", "refresh"})
    jobs.save_progress(session, job, page_store.outcome(session, job, **request))
    return CrawlStart(
        pages, existing_pages.found_pages(session, message.user_id, pages, settings.embedding_model)
    )
