"""A page as the crawler reads it: fetched, with where it leads to."""

import gzip
from dataclasses import dataclass, field

from documents.text.errors import UnreadableError
from documents.text.reading import outline
from documents.web.errors import FetchError
from documents.web.urls import normalised
from documents.web.visit import Visitor, html_hash
from mojodex.clock import Deadline

# A page that is larger, and of which nothing can be parsed, is not empty.
LARGEST_EMPTY = 100_000


@dataclass(frozen=True)
class Read:
    """A page that was read.

    Attributes:
        url: where it is, after redirects, normalised.
        canonical: where it says that it is, normalised; None if it does not say, or names another site.
        links: the pages of the same site that it leads to, normalised, in order.
        lines: hashes of its lines (see `text.page.line_hashes`).
        html, charset, html_hash, etag: see `BackgroundPage`; `html` is not compressed.
    """

    url: str
    canonical: str | None
    links: tuple[str, ...]
    lines: frozenset[int] = field(repr=False)
    html: bytes = field(repr=False)
    charset: str | None
    html_hash: str
    etag: str | None

    @property
    def staged(self) -> bytes:
        """The HTML, compressed; the same bytes for the same page."""
        return gzip.compress(self.html, mtime=0)


def read(visitor: Visitor, url: str, deadline: Deadline) -> Read:
    """Fetch a page and look at its links.

    Raises:
        FetchError: it cannot be had, or is no page.
        TransientError: as `Visitor.fetch`, `reading.outline`.
    """
    fetched = visitor.fetch(url)
    try:
        seen = outline(fetched.body, fetched.charset, fetched.url, deadline)
    except UnreadableError as error:
        raise FetchError(error.reason, unwanted=True) from None
    if seen is None:
        much = len(fetched.body) > LARGEST_EMPTY
        raise FetchError("it has too many tags" if much else "it is empty", unwanted=True)
    return Read(
        url=normalised(fetched.url),
        canonical=next(iter(visitor.of_site([seen.canonical or ""])), None),
        links=tuple(visitor.of_site(seen.links)),
        lines=seen.lines,
        html=fetched.body,
        charset=fetched.charset,
        html_hash=html_hash(fetched.body),
        etag=fetched.etag,
    )
