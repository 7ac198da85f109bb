"""The work of ingest_page: turn a staged page into a document, or update its document."""

import gzip
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Select, func, select, update
from sqlalchemy.orm import Session, undefer

from documents.document_store import (
    Known,
    Thought,
    boilerplate_of,
    known_of,
    of_page,
    remember,
    was_fetched_later,
    write,
)
from documents.message import CREATE_FROM_WEBSITE, IngestPage
from documents.progress import DELETED_BY_USER, NO_TEXT, NOTHING_RELEVANT, update_progress
from documents.recipe import recipe_of
from documents.text.errors import UnreadableError
from documents.text.reader import Boilerplate, PageText, text_of_page
from documents.thinking import think
from documents.web import urls
from mojodex import jobs
from mojodex.clock import Deadline, utc_now, without_zone
from mojodex.database import Database
from mojodex.embeddings import EmbeddingModel
from mojodex.errors import InvalidMessageError, NothingToDoError
from mojodex.model import Model
from mojodex.observability import count
from mojodex.schema import BackgroundDocument, BackgroundJob, BackgroundPage, MdDocument


@dataclass(frozen=True)
class StagedPage:
    """A staged page, and the state of its document.

    `document_pk` is the document that a refresh updates. `refreshes`: the user did not request the page.
    """

    page_pk: int
    subject: str
    occasion: str
    user_id: str
    url: str
    html: bytes = field(repr=False)
    charset: str | None
    html_hash: str
    etag: str | None
    fetched_at: datetime | None
    depth: int
    document_pk: int | None
    refreshes: bool
    boilerplate: Boilerplate
    known: Known = field(repr=False)


def ingest_page(
    database: Database,
    model: Model,
    embedding_model: EmbeddingModel,
    message: IngestPage,
    job: jobs.Job,
    deadline: Deadline,
) -> None:
    """Ingest one staged page, and end its job.

    Args:
        database, model, embedding_model: the worker's.
        message: names the page.
        job: its job, held by this invocation.
        deadline: when the invocation ends.

    Raises:
        InvalidMessageError: there is no such page.
        NothingToDoError: it is not staged any more, cannot be read, or has no relevant text.
        TransientError, PermanentError: as `thinking.think`, `document_store.write`, `Database.session`,
            `jobs.finish`.
    """
    page = database.with_db_session(collect, message.page_pk)
    try:
        text = text_of_page(page.html, page.charset, page.boilerplate, deadline)
    except UnreadableError as error:
        raise NothingToDoError(error.reason) from None
    if not text.chunks:
        raise NothingToDoError(NO_TEXT)
    thought = think(database, model, embedding_model, job, page.url, text.chunks, page.known, deadline)
    recipe = recipe_of(embedding_model.name, page.boilerplate)
    database.with_db_session(save, page, job, text, thought, recipe, utc_now())


def collect(session: Session, page_pk: int) -> StagedPage:
    """Read the page and the state of its document as plain data.

    Raises:
        InvalidMessageError, NothingToDoError: as `ingest_page`.
    """
    is_of_website = (
        (BackgroundJob.process == CREATE_FROM_WEBSITE)
        & (BackgroundJob.subject == BackgroundPage.subject)
        & (BackgroundJob.occasion == BackgroundPage.occasion)
    )
    found = session.execute(
        select(BackgroundPage, BackgroundJob.outcome["refresh"].as_boolean())
        .outerjoin(BackgroundJob, is_of_website)
        .where(BackgroundPage.page_pk == page_pk)
        .options(undefer(BackgroundPage.html))
    ).one_or_none()
    if found is None:
        raise InvalidMessageError(f"there is no page {page_pk}")
    page, is_refresh = found
    if page.state != "staged" or page.html is None:
        raise NothingToDoError("the page is not staged any more")
    document = session.scalars(_documents_of_page(page.user_id, page.url, page.document_fk)).first()
    return StagedPage(
        page_pk,
        page.subject,
        page.occasion,
        page.user_id,
        page.url,
        gzip.decompress(page.html),
        page.charset,
        page.html_hash or "",
        page.etag,
        page.fetched_at,
        page.depth,
        page.document_fk,
        is_refresh or page.document_fk is not None,
        boilerplate_of(session, page.user_id, page.url),
        known_of(session, document.document_pk) if document else Known(),
    )


def _documents_of_page(user_id: str, url: str, document_pk: int | None) -> Select[MdDocument]:
    """Select a user's documents of a page, the one to update first."""
    return (
        select(MdDocument)
        .where(*of_page(user_id, url, document_pk))
        .order_by(MdDocument.deleted_by_user, MdDocument.document_pk)
    )


def save(
    session: Session,
    page: StagedPage,
    job: jobs.Job,
    text: PageText,
    thought: Thought,
    recipe: str,
    now: datetime,
) -> None:
    """Write the document, its chunks, and the end of the page and its job, in one transaction.

    Raises:
        NothingToDoError: nothing on the page is relevant (an existing document stays as it is), or the user
            deleted the document and did not request it again.
        TransientError: as `document_store.write`, `jobs.finish`.
    """
    if len(thought.left_out) == len(text.chunks):
        raise NothingToDoError(NOTHING_RELEVANT)
    # Of two jobs that make the same document, the later one finds it.
    lock = func.hashtextextended(f"{page.user_id} {urls.key(page.url)}", 0)
    session.execute(select(func.pg_advisory_xact_lock(lock)))
    later = select(BackgroundPage.page_pk).where(
        BackgroundPage.user_id == page.user_id,
        BackgroundPage.key == urls.key(page.url),
        # A refresh inserts its pages when it begins, and may fetch them days later.
        BackgroundPage.fetched_at > page.fetched_at
        if page.fetched_at
        else BackgroundPage.page_pk > page.page_pk,
        BackgroundPage.state.in_(("stored", "unchanged")),
    )
    if session.scalars(later.limit(1)).first() is not None:
        # The document has a later version of the page.
        _end(session, page, job, "unchanged", {"unchanged": True}, now)
        return
    documents = _documents_of_page(page.user_id, page.url, page.document_pk)
    document = session.scalars(documents.with_for_update()).first()
    if document and was_fetched_later(session, document.document_pk, page.fetched_at):
        _end(session, page, job, "unchanged", {"unchanged": True}, now)
        return
    if document and document.deleted_by_user and page.refreshes:
        remembered = session.get(BackgroundDocument, document.document_pk)
        if remembered is None or remembered.gone_at is None:
            raise NothingToDoError(DELETED_BY_USER)
    is_new = document is None or document.deleted_by_user
    if document is None:
        document = MdDocument(
            name=page.url,
            author_user_id=page.user_id,
            creation_date=without_zone(now),
            document_type="webpage",
        )
        session.add(document)
    # Restores a deleted one: the user requested it again, or its gone page returned.
    document.deleted_by_user = False
    session.flush()
    written = write(session, document.document_pk, text.chunks, thought, now)
    facts = {"etag": page.etag, "html_hash": page.html_hash, "fetched_at": page.fetched_at}
    there = {"depth": page.depth, "missing_since": None, "gone_at": None}
    remember(session, document.document_pk, thought, recipe=recipe, **facts, **there)
    outcome = written.outcome(document.document_pk, text.unread_pages)
    if is_new or written.changed:
        _end(session, page, job, "stored", outcome, now, "new" if is_new else "changed")
    else:
        _end(session, page, job, "unchanged", outcome | {"unchanged": True}, now)


def _end(
    session: Session,
    page: StagedPage,
    job: jobs.Job,
    state: str,
    outcome: dict[str, object],
    now: datetime,
    change: str | None = None,
) -> None:
    """End a page and its job, in the transaction with their effect. Commits.

    Raises:
        NothingToDoError: the website was cancelled meanwhile.
    """
    ended = update(BackgroundPage).where(
        BackgroundPage.page_pk == page.page_pk, BackgroundPage.state == "staged"
    )
    ended = ended.values(state=state, change=change, html=None)
    if session.execute(ended.returning(BackgroundPage.page_pk)).one_or_none() is None:
        raise NothingToDoError("the page is not staged any more")
    jobs.finish(session, job, "done", outcome, now=now)
    update_progress(session, page.subject, page.occasion, now)
    session.commit()
    count(f"Pages{state.capitalize()}")


def end_page_of(session: Session, job: jobs.Job, state: str, reason: str) -> dict[str, object]:
    """End the page of a job that ends without a document, and update the website's progress."""
    page = session.execute(
        update(BackgroundPage)
        .where(BackgroundPage.page_pk == int(job.subject), BackgroundPage.state == "staged")
        .values(state=state, reason=reason, html=None)
        .returning(BackgroundPage.subject, BackgroundPage.occasion)
    ).one_or_none()
    if page is not None:
        update_progress(session, page.subject, page.occasion, utc_now())
    return {}
