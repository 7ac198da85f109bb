"""Documents and their chunks: read the state of a document, and write its chunks in one transaction."""

import hashlib
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import batched

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Integer,
    Text,
    any_,
    cast,
    delete,
    func,
    insert,
    literal,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from documents.text.reader import Boilerplate
from documents.web import urls
from mojodex.errors import TransientError
from mojodex.schema import BackgroundDocument, BackgroundWebsite, MdDocument, MdDocumentChunk

# A missing page that is still missing after this time is gone.
GONE_AFTER = timedelta(days=1)
# A statement of more than 16 KB would pin its connection behind RDS Proxy.
ROWS_PER_INSERT = 150
MOVE = text(
    "UPDATE md_document_chunk SET index = moved.place, deleted = NULL"
    " FROM unnest(CAST(:pks AS integer[]), CAST(:places AS integer[])) AS moved (pk, place)"
    " WHERE document_chunk_pk = moved.pk"
)


@dataclass(frozen=True)
class Known:
    """The state of a document before an update.

    Attributes:
        stored: hashes of its chunks.
        left_out: hashes of irrelevant chunks.
        recipe: how it was made; None if unknown.
    """

    stored: frozenset[str] = frozenset()
    left_out: frozenset[str] = frozenset()
    recipe: str | None = None


@dataclass(frozen=True)
class Thought:
    """The result of `think`: hashes of irrelevant chunks, and vectors by hash.

    They are of the new chunks, or of all chunks if the document's vectors are of another model.
    """

    left_out: frozenset[str]
    vectors: Mapping[str, Sequence[float]] = field(repr=False)


@dataclass(frozen=True)
class Written:
    """The numbers of chunks by what happened to them, and whether the document has changed."""

    kept: int
    new: int
    gone: int
    left_out: int
    changed: bool

    def outcome(self, document_pk: int, unread_pages: int) -> dict[str, object]:
        """Return the outcome for the ledger; `unread_pages` as in `PageText`."""
        counts = {"kept": self.kept, "new": self.new, "gone": self.gone, "left_out": self.left_out}
        unread = {"unread_pages": unread_pages} if unread_pages else {}
        return {"document_pk": document_pk, **counts, **unread}


def of_page(user_id: str, url: str, document_pk: int | None) -> tuple[ColumnElement[bool], ...]:
    """Return the condition for a user's documents of a page, including deleted ones.

    Args:
        user_id: their author.
        url: normalised.
        document_pk: a document that is known to be of this page, whatever its name.
    """
    named = MdDocument.name.in_(urls.names(url))
    return (
        MdDocument.author_user_id == user_id,
        named if document_pk is None else or_(named, MdDocument.document_pk == document_pk),
        MdDocument.document_type == "webpage",
    )


def known_of(session: Session, document_pk: int) -> Known:
    """Read the state of a document."""
    texts = session.scalars(
        select(MdDocumentChunk.chunk_text).where(MdDocumentChunk.document_fk == document_pk)
    )
    hashes = frozenset(map(chunk_hash, texts))
    remembered = session.get(BackgroundDocument, document_pk)
    return Known(hashes, frozenset(remembered.left_out), remembered.recipe) if remembered else Known(hashes)


def texts_of(session: Session, document_pk: int) -> list[str]:
    """Read the texts of a document's chunks, in order."""
    chunks = select(MdDocumentChunk.chunk_text).where(
        MdDocumentChunk.document_fk == document_pk, MdDocumentChunk.deleted.is_(None)
    )
    return list(session.scalars(chunks.order_by(MdDocumentChunk.index, MdDocumentChunk.document_chunk_pk)))


def boilerplate_of(session: Session, user_id: str, url: str) -> Boilerplate:
    """Read the boilerplate of a page's site, and whether this page keeps it.

    Args:
        session: the caller's.
        user_id: the website's user.
        url: of the page, normalised.
    """
    website = session.get(BackgroundWebsite, (user_id, urls.site(url)))
    if website is None:
        return Boilerplate()
    return Boilerplate(frozenset(website.repeated_lines), website.first_page == urls.key(url))


def write(
    session: Session, document_pk: int, chunks: Sequence[str], thought: Thought, now: datetime
) -> Written:
    """Replace the chunks of a document, in the caller's transaction. Does not commit.

    A chunk that it has already keeps its row and vector, even if it was marked as deleted.

    Args:
        session: the caller's; it holds a lock on the document.
        document_pk: the document.
        chunks: of the whole text.
        thought: the result of `thinking.think` for them.
        now: the present moment (aware).

    Raises:
        TransientError: the document has changed since it was read.
    """
    rows = session.execute(
        select(
            MdDocumentChunk.document_chunk_pk,
            MdDocumentChunk.index.label("place"),
            MdDocumentChunk.chunk_text,
            MdDocumentChunk.deleted,
        )
        .where(MdDocumentChunk.document_fk == document_pk)
        .order_by(MdDocumentChunk.index, MdDocumentChunk.document_chunk_pk)
    ).all()
    stored = {chunk_hash(row.chunk_text): row for row in reversed(rows)}
    wanted = {chunk_hash(chunk): chunk for chunk in chunks}
    wanted = {each: chunk for each, chunk in wanted.items() if each not in thought.left_out}
    new, moved = [], {}
    for index, (each, chunk) in enumerate(wanted.items()):
        if each in thought.vectors:
            vector = as_vector(thought.vectors[each])
            new.append({"document_fk": document_pk, "index": index, "chunk_text": chunk, "embedding": vector})
        elif row := stored.get(each):
            if row.place != index or row.deleted is not None:
                moved[row.document_chunk_pk] = index
        else:
            raise TransientError("the document was changed in the meantime", retry_after=1)
    if moved:
        session.execute(MOVE, {"pks": list(moved), "places": list(moved.values())})
    for group in batched(new, ROWS_PER_INSERT, strict=False):
        session.execute(insert(MdDocumentChunk).values(list(group)))
    kept = {stored[each].document_chunk_pk for each in wanted if each not in thought.vectors}
    gone = [row.document_chunk_pk for row in rows if row.document_chunk_pk not in kept]
    if gone:
        session.execute(
            delete(MdDocumentChunk).where(
                MdDocumentChunk.document_chunk_pk == any_(literal(gone, ARRAY(Integer)))
            )
        )
    changed = bool(new or gone or moved)
    if changed:
        session.execute(
            update(MdDocument).where(MdDocument.document_pk == document_pk).values(last_update_date=now)
        )
    return Written(len(kept), len(new), len(gone), len(thought.left_out), changed)


def remember(session: Session, document_pk: int, thought: Thought, **facts: object) -> None:
    """Save the document's row of `BackgroundDocument`, in the caller's transaction. Does not commit.

    Args:
        session: the caller's.
        document_pk: the document.
        thought: the result of `thinking.think`.
        facts: the other columns.
    """
    values = {"left_out": sorted(thought.left_out), **facts}
    session.execute(
        upsert(BackgroundDocument)
        .values(document_fk=document_pk, **values)
        .on_conflict_do_update(index_elements=["document_fk"], set_=values)
    )


def was_fetched_later(session: Session, document_pk: int, fetched_at: datetime | None) -> bool:
    """Return whether a document's page was fetched after this time; False if either is unknown."""
    remembered = session.get(BackgroundDocument, document_pk)
    later = remembered.fetched_at if remembered else None
    return bool(later and fetched_at and later > fetched_at)


def record_unchanged(session: Session, document_pk: int, etag: str | None, fetched_at: datetime) -> None:
    """Record that a document's page exists and has not changed. Does not commit."""
    later = or_(BackgroundDocument.fetched_at.is_(None), BackgroundDocument.fetched_at < fetched_at)
    document = update(BackgroundDocument).where(BackgroundDocument.document_fk == document_pk, later)
    session.execute(document.values(etag=etag, fetched_at=fetched_at, missing_since=None))


def record_found(session: Session, document_pk: int) -> None:
    """Record that a document's page exists. Does not commit."""
    was_missing = BackgroundDocument.missing_since.is_not(None)
    document = update(BackgroundDocument).where(BackgroundDocument.document_fk == document_pk, was_missing)
    session.execute(document.values(missing_since=None))


def record_missing(session: Session, document_pk: int, now: datetime, *, for_good: bool = False) -> str:
    """Record that a document's page cannot be found. If it is gone, remove the document from the index.

    Removing deletes its chunks and marks it as deleted. Does not commit.

    Args:
        session: the caller's.
        document_pk: the document.
        now: the present moment (aware).
        for_good: whether it is gone at once, because the page's server says so.

    Returns:
        "gone", or "missing" while it may return.
    """
    values = {"missing_since": func.coalesce(BackgroundDocument.missing_since, now)}
    missing_since = session.execute(
        upsert(BackgroundDocument)
        .values(document_fk=document_pk, left_out=[], missing_since=now)
        .on_conflict_do_update(index_elements=["document_fk"], set_=values)
        .returning(BackgroundDocument.missing_since)
    ).scalar_one()
    if not for_good and (missing_since is None or now - missing_since < GONE_AFTER):
        return "missing"
    document = update(MdDocument).where(MdDocument.document_pk == document_pk, ~MdDocument.deleted_by_user)
    ours = document.values(deleted_by_user=True, last_update_date=now).returning(MdDocument.document_pk)
    if session.execute(ours).scalar() is not None:
        session.execute(delete(MdDocumentChunk).where(MdDocumentChunk.document_fk == document_pk))
        session.execute(
            update(BackgroundDocument)
            .where(BackgroundDocument.document_fk == document_pk)
            .values(gone_at=now, etag=None, html_hash=None)
        )
    return "gone"


def as_vector(vector: Sequence[float]) -> ColumnElement[object]:
    """Return a vector as a value for an INSERT.

    Nine digits keep the value of a float4. pgvector's own processor writes the 17 digits of a float8, which
    took twice as long as the insert itself (`bench.vectors`).
    """
    numbers = array("f", vector)
    text = f"[{','.join(['%.9g'] * len(numbers))}]" % tuple(numbers)
    return cast(literal(text, Text), MdDocumentChunk.embedding.type)


def chunk_hash(text: str) -> str:
    """Hash a chunk, to recognise it later."""
    return hashlib.sha256(text.encode()).hexdigest()
