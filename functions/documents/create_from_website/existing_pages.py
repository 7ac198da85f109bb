"""The documents that a user has of a website, for refreshes. Nothing here commits."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Select, delete, func, select, update
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from documents.create_from_website.frontier import Address, FoundPage
from documents.document_store import boilerplate_of, record_unchanged
from documents.progress import DELETED_BY_USER, OPEN
from documents.recipe import recipe_of
from documents.web import urls
from documents.web.errors import GONE
from mojodex.schema import BackgroundDocument, BackgroundPage, BackgroundWebsite, MdDocument

# A gone page is requested for this long: pages that link to it may not change when it returns.
GONE_FOR_GOOD = timedelta(days=90)
NEVER = datetime.min.replace(tzinfo=UTC)
# Some sites never update their sitemap: after this time, the page itself is requested.
SITEMAP_TRUSTED = timedelta(days=30)
# The clock of a site may be slow, and our copy may be from a cache.
CLOCKS_DIFFER = timedelta(hours=1)


def addresses_of_site(session: Session, user_id: str, first: str, now: datetime) -> list[Address]:
    """Return the addresses with which a refresh begins: the first page, and the page of each document.

    Pages of documents that the user deleted have a reason not to be fetched.

    Args:
        session: the caller's.
        user_id: the documents' author.
        first: where the crawl begins, normalised.
        now: the present moment (aware).

    Returns:
        The first page, then the others, those fetched longest ago first: if the limit of minutes ends a
        refresh, the next one continues with the rest. Gone pages come last. Nothing without documents.
    """
    known: dict[str, Any] = {}
    gone: dict[str, Any] = {}
    for row in session.execute(_documents(user_id)):
        key = _key_of_site(row.name, urls.site(first))
        if key is None or key in known:
            continue
        if row.deleted_by_user and row.gone_at:
            if now - row.gone_at < GONE_FOR_GOOD:
                gone.setdefault(key, row)
        else:
            known[key] = row
    if all(row.deleted_by_user for row in known.values()) and not _may_return(known, gone):
        return []
    # Missing pages come last: of two equal pages, the other one stays.
    order = sorted(known.items(), key=lambda each: (bool(each[1].missing_since), each[1].fetched_at or NEVER))
    first_key = urls.key(first)
    addresses = {first_key: Address(first, first_key, 0, None)}
    for key, row in order:
        depth = 0 if key == first_key else 1 if row.depth is None else row.depth
        reason = DELETED_BY_USER if row.deleted_by_user else None
        addresses[key] = Address(urls.normalised(row.name), key, depth, reason, row.document_pk)
    for key, row in gone.items():
        # A page that moved permanently or has noindex was not missing before.
        if row.missing_since and row.missing_since < row.gone_at and key not in addresses:
            addresses[key] = Address(urls.normalised(row.name), key, row.depth or 1, None)
    return list(addresses.values())


def failed_before(session: Session, user_id: str, first: str, known: Iterable[Address]) -> list[Address]:
    """Return the pages whose last fetch failed for a reason that may be over.

    Pages that link to them may not change, so a refresh would not find them again.

    Args:
        session, user_id, first: as in `addresses_of_site`.
        known: the addresses that are fetched anyway.
    """
    columns = (BackgroundPage.url, BackgroundPage.depth, BackgroundPage.state)
    more = (BackgroundPage.key, BackgroundPage.reason, BackgroundPage.html_hash)
    last = (
        select(*columns, *more)
        .ext(distinct_on(BackgroundPage.key))
        .where(BackgroundPage.user_id == user_id, BackgroundPage.document_fk.is_(None))
        .order_by(BackgroundPage.key, BackgroundPage.page_pk.desc())
    ).subquery()
    # A page with a hash was fetched, failed in ingest_page, and would fail again.
    failed = (last.c.state == "failed") & last.c.html_hash.is_(None)
    is_gone = last.c.reason.in_([f"the page answers {status}" for status in GONE])
    keys, site = {address.key for address in known}, urls.site(first)
    return [
        Address(row.url, row.key, row.depth, None)
        for row in session.execute(select(last).where(failed, ~is_gone))
        if row.key not in keys and urls.site(row.url) == site
    ]


def _may_return(deleted: Mapping[str, Any], gone: Mapping[str, Any]) -> bool:
    """Return whether a site without documents may return: not if the user deleted the last of them."""
    last = max((row.missing_since or row.gone_at for row in gone.values()), default=None)
    return last is not None and all((row.fetched_at or NEVER) < last for row in deleted.values())


def _documents(user_id: str) -> Select[*tuple[Any, ...]]:
    """Select a user's web pages; of two documents of a page, the one that ingest_page updates is first."""
    return (
        select(
            MdDocument.document_pk,
            MdDocument.name,
            MdDocument.deleted_by_user,
            BackgroundDocument.depth,
            BackgroundDocument.fetched_at,
            BackgroundDocument.missing_since,
            BackgroundDocument.gone_at,
        )
        .outerjoin(BackgroundDocument, BackgroundDocument.document_fk == MdDocument.document_pk)
        .where(MdDocument.author_user_id == user_id, MdDocument.document_type == "webpage")
        .order_by(MdDocument.deleted_by_user, MdDocument.document_pk)
    )


def _key_of_site(name: str, site: str) -> str | None:
    """Return the key of a document's page; None for another site or an invalid address."""
    try:
        url = urls.normalised(name)
    except ValueError:
        return None
    return urls.key(url) if urls.site(url) == site else None


def found_pages(
    session: Session, user_id: str, pages: Iterable[BackgroundPage], embedding_model: str
) -> list[FoundPage]:
    """Return the pages to fetch, in order, with the state of their documents."""
    found = []
    for page in pages:
        if page.state != "found":
            continue
        document = session.get(BackgroundDocument, page.document_fk) if page.document_fk else None
        if document and document.recipe != recipe_of(
            embedding_model, boilerplate_of(session, user_id, page.url)
        ):
            # The document is stale, so its page is needed.
            document = None
        found.append(
            FoundPage(
                page.page_pk,
                page.url,
                page.depth,
                page.refusals or 0,
                page.document_fk,
                document.etag if document else None,
                # A missing page is requested whatever the sitemap says.
                document.fetched_at if document and not document.missing_since else None,
            )
        )
    return found


def has_not_changed(page: FoundPage, changed: Mapping[str, datetime | None], now: datetime) -> bool:
    """Return whether the sitemap says that a page has not changed since it was fetched.

    Args:
        page: of a document.
        changed: as in `Visitor.sitemap`, by key.
        now: the present moment (aware).
    """
    last = changed.get(urls.key(page.url))
    if last is None or page.fetched_at is None:
        return False
    return last + CLOCKS_DIFFER < page.fetched_at and now - page.fetched_at < SITEMAP_TRUSTED


def forget(session: Session, user_id: str, first: str) -> None:
    """Delete a website without documents, unless pages of it wait; `first` as in `addresses_of_site`."""
    waiting = select(BackgroundPage.url).where(
        BackgroundPage.user_id == user_id, BackgroundPage.state.in_(OPEN)
    )
    if any(urls.site(url) == urls.site(first) for url in session.scalars(waiting)):
        return
    session.execute(delete(BackgroundWebsite).filter_by(user_id=user_id, site=urls.site(first)))


def postpone(session: Session, subject: str, refresh_at: datetime) -> None:
    """Set the next refresh of a website, by the subject of its job, to a time (aware)."""
    # An address has no spaces.
    user_id, _, website_url = subject.rpartition(" ")
    address = func.coalesce(BackgroundWebsite.website_url, BackgroundWebsite.site)
    website = update(BackgroundWebsite).where(BackgroundWebsite.user_id == user_id, address == website_url)
    session.execute(website.values(refresh_at=refresh_at))


def keep(
    session: Session, page: FoundPage, etag: str | None = None, fetched_at: datetime | None = None
) -> str:
    """End a page as unchanged.

    Args:
        session: the caller's.
        page: of a document.
        etag, fetched_at: of the answer; None if the page was not requested.

    Returns:
        The document's `html_hash`.
    """
    document = session.get_one(BackgroundDocument, page.document_pk)
    if fetched_at:
        record_unchanged(session, document.document_fk, etag, fetched_at)
    values = {"state": "unchanged", "html_hash": document.html_hash, "fetched_at": fetched_at}
    session.execute(update(BackgroundPage).where(BackgroundPage.page_pk == page.page_pk).values(**values))
    return document.html_hash or ""
