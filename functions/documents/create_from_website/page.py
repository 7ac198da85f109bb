"""Read the pages of a crawl: fetch each one, and find its links."""

import gzip
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime

from documents.create_from_website.frontier import FoundPage
from documents.text.errors import UnreadableError
from documents.text.reader import outline
from documents.web.directives import AGENT
from documents.web.errors import FetchError, HostRestsError, Redirected
from documents.web.fetch import MOST_REDIRECTS
from documents.web.urls import key, normalised
from documents.web.visit import Visitor, html_hash
from mojodex.clock import Deadline, utc_now

# A larger page without parsed content is not empty.
LARGEST_EMPTY = 100_000
# After this many refusals, a page may be the only one that its host refuses.
MOST_REFUSALS = 3


@dataclass(frozen=True)
class ReadPage:
    """A page that was read.

    Attributes:
        url: its address after redirects, normalised.
        canonical: its canonical address, normalised; None if there is none in the crawl's scope.
        links: the addresses in the crawl's scope to which it links, normalised, in order.
        noindex: whether it asks not to be indexed.
        lines: hashes of its lines (see `text.page.line_hashes`).
        redirected: whether another address redirected here.
        html, charset, html_hash, etag, fetched_at: as in `BackgroundPage`; `html` is not compressed.
    """

    url: str
    canonical: str | None
    links: tuple[str, ...]
    noindex: bool
    lines: frozenset[int] = field(repr=False)
    html: bytes = field(repr=False)
    charset: str | None
    html_hash: str
    etag: str | None
    fetched_at: datetime
    redirected: Redirected = ""

    @property
    def staged(self) -> bytes:
        """The compressed HTML; the same bytes for the same page."""
        return gzip.compress(self.html, mtime=0)


@dataclass(frozen=True)
class NotModified:
    """A page that has not changed, according to its server; fields as in `ReadPage`."""

    etag: str | None
    fetched_at: datetime


# The result of a visit.
type Visited = ReadPage | NotModified | FetchError


class PageReader:
    """Reads the pages of a crawl; safe to use from several threads.

    Args:
        visitor: fetches.
        deadline: when the invocation ends.
        first: the address of the first page.
        any_scheme: whether the first page may be on http as well.
        with_sitemap: whether the pages of the sitemap follow the links of the first page.
        count_refusal: counts a refusal of the page with this primary key, or of the sitemap (first page).
        is_known: as in `Visitor.fetch`.
    """

    def __init__(
        self,
        visitor: Visitor,
        deadline: Deadline,
        first: str,
        *,
        any_scheme: bool,
        with_sitemap: bool,
        count_refusal: Callable[[int], None],
        is_known: Callable[[str], bool],
    ) -> None:
        self._visitor, self._deadline, self._first = visitor, deadline, first
        self._count_refusal, self._is_known = count_refusal, is_known
        self._any_scheme, self._with_sitemap = any_scheme, with_sitemap

    def visit(self, page: FoundPage, pages_wanted: int) -> ReadPage | NotModified:
        """Read a page, unless it has not changed.

        Args:
            page: the page.
            pages_wanted: the most pages to take from the sitemap.

        Raises:
            FetchError: it cannot be fetched, or is no page.
            HostRestsError, TransientError: as `Visitor.fetch`.
        """
        if page.url == self._first:
            return self._read_first(page, pages_wanted)
        is_last_try = page.refusals >= MOST_REFUSALS
        if is_last_try:
            # If its host answers for the first page now, it refuses this page alone.
            with suppress(FetchError):
                self._visitor.fetch(self._first)
        try:
            return self._read(page.url, page.etag)
        except HostRestsError as error:
            if error.answer is None:
                raise
            if is_last_try:
                raise error.answer from None
            self._count_refusal(page.page_pk)
            raise

    def sitemap(self, page: FoundPage, url: str, pages_wanted: int) -> dict[str, datetime | None]:
        """Read the site's sitemap, as `Visitor.sitemap`. If it alone is refused, it counts as missing.

        Args:
            page: the first page.
            url: its address.
            pages_wanted: as in `visit`.
        """
        try:
            return self._visitor.sitemap(url, pages_wanted)
        except HostRestsError as error:
            if page.refusals < MOST_REFUSALS:
                if error.answer:
                    self._count_refusal(page.page_pk)
                raise
            return {}

    def _read_first(self, page: FoundPage, pages_wanted: int) -> ReadPage | NotModified:
        try:
            result = self._read(page.url, page.etag, first=True)
        except FetchError as error:
            if not self._any_scheme or error.status or not error.again:
                raise
            result = self._read(page.url.replace("https://", "http://", 1), page.etag, first=True)
        if isinstance(result, NotModified) or not self._with_sitemap:
            return result
        more = self.sitemap(page, result.url, pages_wanted)
        return replace(result, links=result.links + tuple(more))

    def _read(self, url: str, etag: str | None, *, first: bool = False) -> ReadPage | NotModified:
        """Fetch a page and read its outline. Follow a <meta> refresh like a redirect."""
        redirected: Redirected = ""
        for _ in range(MOST_REDIRECTS + 1):
            fetched_at = utc_now()
            try:
                fetched = self._visitor.fetch(url, etag, first=first, is_known=self._is_known)
            except FetchError as error:
                error.redirected = redirected or error.redirected
                raise
            if fetched.status == 304:
                return NotModified(fetched.etag or etag, fetched_at)
            redirected = redirected or fetched.redirected
            try:
                seen = outline(
                    fetched.body, fetched.charset, fetched.url, AGENT, fetched.directives, self._deadline
                )
            except UnreadableError as error:
                raise FetchError(error.reason, unwanted=True) from None
            if seen is None:
                much = len(fetched.body) > LARGEST_EMPTY
                raise FetchError("it has too many tags" if much else "it is empty", unwanted=True)
            if not self._leads_on(fetched.url, seen.refresh, first=first):
                break
            url, etag, redirected = seen.refresh or "", None, "for now"
        else:
            raise FetchError(f"more than {MOST_REDIRECTS} redirects")
        return ReadPage(
            url=normalised(fetched.url),
            canonical=next(iter(self._visitor.of_site([seen.canonical or ""])), None),
            links=tuple(self._visitor.of_site(seen.links)),
            noindex=seen.noindex,
            lines=seen.lines,
            html=fetched.body,
            charset=fetched.charset,
            html_hash=html_hash(fetched.body),
            etag=fetched.etag,
            fetched_at=fetched_at,
            redirected=redirected,
        )

    def _leads_on(self, url: str, target: str | None, *, first: bool) -> bool:
        """Return whether a <meta> refresh leads to another page that may be fetched."""
        if target is None or not self._visitor.may_follow(target, url, first=first):
            return False
        # Many pages refresh themselves.
        return key(normalised(target)) != key(normalised(url))
