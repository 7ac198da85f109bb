"""What a user has of a website already, and what a refresh does with it. Nothing here commits."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Select, delete, func, select, update
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from documents.create_from_website.frontier import Address, Found
from documents.document_store import boilerplate_of, was_seen
from documents.progress import DELETED_BY_USER, OPEN
from documents.recipe import recipe_of
from documents.web import urls
from documents.web.errors import GONE
from mojodex.schema import BackgroundDocument, BackgroundPage, BackgroundWebsite, MdDocument

# A page that is gone is looked for so long, since what links to it may not change when it comes back.
GONE_FOR_GOOD = timedelta(days=90)
NEVER = datetime.min.replace(tzinfo=UTC)
# Some sites never change what their sitemap says of a page: after so long, the page itself is asked.
SITEMAP_TRUSTED = timedelta(days=30)
# The clock of a site may be slow, and what was fetched of it may have been in a cache.
CLOCKS_DIFFER = timedelta(hours=1)


def addresses_of_site(session: Session, user_id: str, first: str, now: datetime) -> list[Address]:
    """Return the addresses with which a refresh begins: the first page, the page of each document, and those
    of documents that the user has deleted, which are not to be fetched.

    Args:
        session: the caller's.
        user_id: the documents' author.
        first: where the crawl begins, normalised.
        now: the present moment (aware).

    Returns:
        The first page, then the one that was fetched longest ago, and so on: if the limit of minutes ends a
        refresh, the next one goes on with the others. Pages that were gone follow. Nothing if there are no
        documents.
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
    if all(row.deleted_by_user for row in known.values()) and not _may_come_back(known, gone):
        return []
    # A page that is missing comes last: of two that are the same, the other one stays.
    order = sorted(known.items(), key=lambda each: (bool(each[1].missing_since), each[1].fetched_at or NEVER))
    first_key = urls.key(first)
    addresses = {first_key: Address(first, first_key, 0, None)}
    for key, row in order:
        depth = 0 if key == first_key else 1 if row.depth is None else row.depth
        reason = DELETED_BY_USER if row.deleted_by_user else None
        addresses[key] = Address(urls.normalised(row.name), key, depth, reason, row.document_pk)
    for key, row in gone.items():
        # What has moved for good, or asks not to be indexed, was not missing before.
        if row.missing_since and row.missing_since < row.gone_at and key not in addresses:
            addresses[key] = Address(urls.normalised(row.name), key, row.depth or 1, None)
    return list(addresses.values())


def failed_before(session: Session, user_id: str, first: str, known: Iterable[Address]) -> list[Address]:
    """Return the addresses of pages that could not be fetched the last time, for a reason that may be over by
    now: what leads to them may not change, so that nothing would lead to them again.

    Args:
        session, user_id, first: as of `addresses_of_site`.
        known: what is asked for anyway.
    """
    columns = (BackgroundPage.url, BackgroundPage.depth, BackgroundPage.state)
    more = (BackgroundPage.key, BackgroundPage.reason, BackgroundPage.html_hash)
    last = (
        select(*columns, *more)
        .ext(distinct_on(BackgroundPage.key))
        .where(BackgroundPage.user_id == user_id, BackgroundPage.document_fk.is_(None))
        .order_by(BackgroundPage.key, BackgroundPage.page_pk.desc())
    ).subquery()
    # What was fetched has failed in ingest_page, and would again.
    failed = (last.c.state == "failed") & last.c.html_hash.is_(None)
    is_gone = last.c.reason.in_([f"the page answers {status}" for status in GONE])
    keys, site = {address.key for address in known}, urls.site(first)
    return [
        Address(row.url, row.key, row.depth, None)
        for row in session.execute(select(last).where(failed, ~is_gone))
        if row.key not in keys and urls.site(row.url) == site
    ]


def _may_come_back(deleted: Mapping[str, Any], gone: Mapping[str, Any]) -> bool:
    """Whether a site without documents may come back: not if the user has deleted what was left of it."""
    last = max((row.missing_since or row.gone_at for row in gone.values()), default=None)
    return last is not None and all((row.fetched_at or NEVER) < last for row in deleted.values())


def _documents(user_id: str) -> Select[*tuple[Any, ...]]:
    """Select a user's web pages; of two documents of a page, the one that `ingest_page` updates is first."""
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
    """Return the key of a document's page; None if it is of another site, or has no address."""
    try:
        url = urls.normalised(name)
    except ValueError:
        return None
    return urls.key(url) if urls.site(url) == site else None


def found_pages(
    session: Session, user_id: str, pages: Iterable[BackgroundPage], embedding_model: str
) -> list[Found]:
    """Return the pages that are to be fetched, in order, with what is known of their documents."""
    found = []
    for page in pages:
        if page.state != "found":
            continue
        document = session.get(BackgroundDocument, page.document_fk) if page.document_fk else None
        if document and document.recipe != recipe_of(
            embedding_model, boilerplate_of(session, user_id, page.url)
        ):
            # Made by another recipe, it is made anew, so its page is needed.
            document = None
        found.append(
            Found(
                page.page_pk,
                page.url,
                page.depth,
                page.refusals or 0,
                page.document_fk,
                document.etag if document else None,
                # One that was missing is asked for whatever the sitemap says.
                document.fetched_at if document and not document.missing_since else None,
            )
        )
    return found


def has_not_changed(page: Found, changed: Mapping[str, datetime | None], now: datetime) -> bool:
    """Whether a page need not be fetched, since its site's sitemap says that it has not changed.

    Args:
        page: of a document.
        changed: as of `Visitor.sitemap`, by key.
        now: the present moment (aware).
    """
    last = changed.get(urls.key(page.url))
    if last is None or page.fetched_at is None:
        return False
    return last + CLOCKS_DIFFER < page.fetched_at and now - page.fetched_at < SITEMAP_TRUSTED


def forget(session: Session, user_id: str, first: str) -> None:
    """Forget a website of which there are no documents any more, and none will be made of pages that wait;
    `first` as of `addresses_of_site`.
    """
    waiting = select(BackgroundPage.url).where(
        BackgroundPage.user_id == user_id, BackgroundPage.state.in_(OPEN)
    )
    if any(urls.site(url) == urls.site(first) for url in session.scalars(waiting)):
        return
    session.execute(delete(BackgroundWebsite).filter_by(user_id=user_id, site=urls.site(first)))


def postpone(session: Session, subject: str, refresh_at: datetime) -> None:
    """Let a website, by the subject of its job, not be refreshed before a moment (aware)."""
    # An address has no spaces.
    user_id, _, website_url = subject.rpartition(" ")
    address = func.coalesce(BackgroundWebsite.website_url, BackgroundWebsite.site)
    website = update(BackgroundWebsite).where(BackgroundWebsite.user_id == user_id, address == website_url)
    session.execute(website.values(refresh_at=refresh_at))


def keep(session: Session, page: Found, etag: str | None = None, fetched_at: datetime | None = None) -> str:
    """Let a page end as unchanged.

    Args:
        session: the caller's.
        page: of a document.
        etag, fetched_at: of the answer; None if the page was not asked.

    Returns:
        The document's `html_hash`.
    """
    document = session.get_one(BackgroundDocument, page.document_pk)
    if fetched_at:
        was_seen(session, document.document_fk, etag, fetched_at)
    values = {"state": "unchanged", "html_hash": document.html_hash, "fetched_at": fetched_at}
    session.execute(update(BackgroundPage).where(BackgroundPage.page_pk == page.page_pk).values(**values))
    return document.html_hash or ""
