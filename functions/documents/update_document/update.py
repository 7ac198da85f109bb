"""The work of update_document: save a new edition of a text, or fetch a web page again.

If an update fails, the document stays as it was.
"""

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from documents.document_store import (
    Known,
    Thought,
    boilerplate_of,
    known_of,
    record_found,
    remember,
    texts_of,
    was_fetched_later,
    write,
)
from documents.message import UpdateDocument
from documents.progress import DELETED_BY_USER, NOT_TO_BE_INDEXED
from documents.recipe import model_of, recipe_of
from documents.text.chunks import chunks_of
from documents.text.errors import UnreadableError
from documents.text.lines import Line
from documents.text.reader import Boilerplate, outline, text_of_page
from documents.thinking import ThinkingSettings, think
from documents.web import urls
from documents.web.directives import AGENT
from documents.web.errors import FetchError
from documents.web.fetch import FetchSettings
from documents.web.host_slots import HostSlots
from documents.web.scope import scope_of
from documents.web.visit import Visitor, html_hash
from mojodex import jobs
from mojodex.clock import Deadline, utc_now
from mojodex.database import Database
from mojodex.embeddings import EmbeddingModel
from mojodex.errors import InvalidMessageError, NothingToDoError, PermanentError, TransientError
from mojodex.model import Model
from mojodex.observability import count
from mojodex.schema import BackgroundDocument, MdDocument
from mojodex.text import well_formed

NOT_CHANGED = "it has not changed"
# A later message fetches the page anyway, so this update is skipped.
SUPERSEDED = "a later message updates it"
# Begins a heading in an edition, as in Markdown; more of them make a lower heading.
HEADING = "#"


class UpdatingSettings(ThinkingSettings, FetchSettings):
    """Settings for updates."""


@dataclass(frozen=True)
class Document:
    """A document to update, and its state; `url` is the address of its page, None for a text."""

    document_pk: int
    name: str
    url: str | None
    etag: str | None
    html_hash: str | None
    boilerplate: Boilerplate
    known: Known = field(repr=False)


@dataclass(frozen=True)
class Edition:
    """The new content of a document: for a text, `sent` is the time of its message.

    For a page, the other fields are as in `BackgroundDocument` and `PageText`.
    """

    chunks: list[str] = field(repr=False)
    sent: datetime | None = None
    etag: str | None = None
    html_hash: str | None = None
    fetched_at: datetime | None = None
    unread_pages: int = 0


def update_document(
    database: Database,
    model: Model,
    embedding_model: EmbeddingModel,
    settings: UpdatingSettings,
    message: UpdateDocument,
    job: jobs.Job,
    deadline: Deadline,
) -> str:
    """Update one document, and end its job.

    Args:
        database, model, embedding_model, settings: the worker's.
        message: the request.
        job: its job, held by this invocation. Its occasion begins with the time of the message.
        deadline: when the invocation ends.

    Returns:
        "done", or "skipped" when the document has these chunks already.

    Raises:
        InvalidMessageError: there is no such document.
        PermanentError: it is another user's, or its page cannot be fetched or read.
        NothingToDoError: it is deleted, has not changed, asks not to be indexed, or would be empty; or a
            later message updates it.
        TransientError: as `thinking.think`, `document_store.write`, `Database.session`, `jobs.finish`.
    """
    document = database.with_db_session(collect, message)
    recipe = recipe_of(embedding_model.name, document.boilerplate)
    if document.url:
        if job.superseded:
            raise NothingToDoError(SUPERSEDED)
        slots = HostSlots(database, deadline, job.queued_at)
        fetched = _fetch_edition(slots, settings, document, document.url, recipe, deadline)
        if fetched is None:
            database.with_db_session(_record_page_found, document.document_pk)
            raise NothingToDoError(NOT_CHANGED)
        edition = fetched
    elif message.edition is None and model_of(document.known.recipe) not in (None, embedding_model.name):
        # The text stays; only its vectors are made again.
        edition = Edition(database.with_db_session(texts_of, document.document_pk))
    else:
        edition = _cut_edition(message.edition or "", datetime.fromisoformat(job.occasion.partition(" ")[0]))
    thought = think(
        database, model, embedding_model, job, document.name, edition.chunks, document.known, deadline
    )
    return database.with_db_session(save, document, job, edition, thought, recipe, utc_now())


def collect(session: Session, message: UpdateDocument) -> Document:
    """Read the state of the document as plain data; raises as `update_document`."""
    document = session.get(MdDocument, message.document_pk)
    if document is None:
        raise InvalidMessageError(f"there is no document {message.document_pk}")
    if document.author_user_id != message.user_id:
        raise PermanentError("the document is another user's")
    if document.deleted_by_user:
        raise NothingToDoError(DELETED_BY_USER)
    remembered = session.get(BackgroundDocument, document.document_pk)
    try:
        url = urls.normalised(document.name) if document.document_type == "webpage" else None
    except ValueError as error:
        raise PermanentError(str(error)) from None
    return Document(
        document.document_pk,
        document.name,
        url,
        remembered.etag if remembered else None,
        remembered.html_hash if remembered else None,
        boilerplate_of(session, message.user_id, url) if url else Boilerplate(),
        known_of(session, document.document_pk),
    )


def _cut_edition(text: str, sent: datetime) -> Edition:
    """Cut a text into the chunks of a new edition.

    Raises:
        NothingToDoError: there are none.
    """
    lines = [line.strip() for line in well_formed(text).splitlines()]
    if not any(lines):
        raise NothingToDoError("the edition is empty")
    chunks = chunks_of(Line(line, len(line) - len(line.lstrip(HEADING))) for line in lines if line)
    if not chunks:
        raise NothingToDoError("the edition is too short")
    return Edition(chunks, sent=sent)


def _fetch_edition(
    slots: HostSlots,
    settings: UpdatingSettings,
    document: Document,
    url: str,
    recipe: str,
    deadline: Deadline,
) -> Edition | None:
    """Fetch the page of a document; None if it has not changed and the document is not stale.

    Raises:
        NothingToDoError: it asks not to be indexed.
        PermanentError: it cannot be fetched or read, has moved, or has no text.
        TransientError: its host is busy with other requests, or rests.
    """
    is_stale = document.known.recipe != recipe
    fetched_at = utc_now()
    try:
        visitor = Visitor(slots, settings, scope_of(url, "site"), deadline)
        fetched = visitor.fetch(url, None if is_stale else document.etag)
        moved = urls.key(urls.normalised(fetched.url)) != urls.key(url)
    except FetchError as error:
        raise PermanentError(f"the page cannot be fetched: {error.reason}") from None
    except ValueError as error:
        raise PermanentError(str(error)) from None
    if moved:
        raise PermanentError(f"the page has moved to {fetched.url}")
    new_hash = html_hash(fetched.body)
    if fetched.status == 304 or (new_hash == document.html_hash and not is_stale):
        return None
    try:
        seen = outline(fetched.body, fetched.charset, fetched.url, AGENT, fetched.directives, deadline)
        if seen and seen.noindex:
            raise NothingToDoError(NOT_TO_BE_INDEXED)
        text = text_of_page(fetched.body, fetched.charset, document.boilerplate, deadline)
    except UnreadableError as error:
        raise PermanentError(f"the page cannot be read: {error.reason}") from None
    if not text.chunks:
        raise PermanentError("the page has no text any more")
    return Edition(
        text.chunks,
        etag=fetched.etag,
        html_hash=new_hash,
        fetched_at=fetched_at,
        unread_pages=text.unread_pages,
    )


def _record_page_found(session: Session, document_pk: int) -> None:
    """Record that a page exists, in case a refresh missed it."""
    record_found(session, document_pk)
    session.commit()


def save(
    session: Session,
    document: Document,
    job: jobs.Job,
    edition: Edition,
    thought: Thought,
    recipe: str,
    now: datetime,
) -> str:
    """Write the chunks and the end of the job in one transaction; raises as `update_document`."""
    if len(thought.left_out) == len(edition.chunks):
        raise NothingToDoError("nothing in it is relevant")
    pk = document.document_pk
    held = select(MdDocument.document_pk).where(MdDocument.document_pk == pk, ~MdDocument.deleted_by_user)
    if session.execute(held.with_for_update()).scalar() is None:
        raise NothingToDoError(DELETED_BY_USER)
    remembered = session.get(BackgroundDocument, pk)
    if edition.sent and remembered and remembered.edition_sent and remembered.edition_sent > edition.sent:
        raise NothingToDoError("a later edition was saved")
    keeps_text = document.url is None and edition.sent is None
    if keeps_text and remembered and remembered.recipe != document.known.recipe:
        raise TransientError("the document was changed in the meantime", retry_after=1)
    if was_fetched_later(session, pk, edition.fetched_at):
        raise NothingToDoError(NOT_CHANGED)
    written = write(session, pk, edition.chunks, thought, now)
    facts = {"etag": edition.etag, "html_hash": edition.html_hash, "fetched_at": edition.fetched_at}
    facts |= {"missing_since": None}
    sent = edition.sent or (remembered.edition_sent if remembered else None)
    remember(session, pk, thought, recipe=recipe, edition_sent=sent, **facts)
    if written.changed:
        jobs.finish(session, job, "done", written.outcome(pk, edition.unread_pages), now=now)
    else:
        jobs.finish(session, job, "skipped", {"reason": NOT_CHANGED}, now=now)
    session.commit()
    if not written.changed:
        return "skipped"
    count("DocumentsUpdated")
    return "done"
