"""The pages that a crawl has found, their order, and its limits. Neither fetches nor stores."""

from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from documents.web import urls

# Addresses taken for each page that may be stored, by `_kind`: some are redirects, errors or duplicates.
# Separate limits keep thousands of PDFs from taking the room of pages.
ADDRESSES_PER_PAGE = {"page": 3, "file": 1, "other": 1}
TOO_LONG = f"its address is longer than {urls.LONGEST_NAME} characters"


@dataclass(frozen=True)
class FoundPage:
    """A page that was found and is not fetched yet.

    Attributes:
        page_pk, url, depth, refusals: as in `BackgroundPage`.
        document_pk: the document that a refresh updates from it.
        etag, fetched_at: as in `BackgroundDocument`; None if that is stale, `fetched_at` also if the page was
            missing.
    """

    page_pk: int
    url: str
    depth: int
    refusals: int = 0
    document_pk: int | None = None
    etag: str | None = None
    fetched_at: datetime | None = None


@dataclass(frozen=True)
class Address:
    """A new address; `reason` says why it is not fetched, `document_pk` is as in `FoundPage`."""

    url: str
    key: str
    depth: int
    reason: str | None
    document_pk: int | None = None


class Frontier:
    """The pages of one crawl, breadth first.

    Args:
        page_limit: the most pages to keep.
        depth_limit: the most links from the first page to another one.
        known: the addresses of all known pages, by key (see `urls.key`).
        kept: the addresses of kept pages, by html_hash.
        found: the pages to fetch, in order.
    """

    def __init__(
        self,
        page_limit: int,
        depth_limit: int,
        known: Mapping[str, str],
        kept: Mapping[str, str],
        found: Iterable[FoundPage],
    ) -> None:
        self._page_limit, self._depth_limit = page_limit, depth_limit
        self._keys, self._kept = set(known), dict(kept)
        self._taken = Counter(map(_kind, known.values()))
        self._found = deque(found)

    def __len__(self) -> int:
        """Count the pages that are not fetched yet."""
        return len(self._found)

    @property
    def is_full(self) -> bool:
        """Whether the page limit is reached."""
        return len(self._kept) >= self._page_limit

    @property
    def addresses_wanted(self) -> int:
        """The most addresses of pages to take."""
        return ADDRESSES_PER_PAGE["page"] * self._page_limit

    def waiting(self) -> list[FoundPage]:
        """Return the pages that are not fetched yet."""
        return list(self._found)

    def next(self) -> FoundPage:
        """Take out the page that was found first."""
        return self._found.popleft()

    def remove(self, pages: Collection[int]) -> None:
        """Remove the pages with these primary keys."""
        self._found = deque(page for page in self._found if page.page_pk not in pages)

    def knows(self, key: str) -> bool:
        """Return whether a page with this key was found before."""
        return key in self._keys

    def add(self, pages: Iterable[FoundPage]) -> None:
        """Fetch these pages after all others."""
        self._found.extend(pages)

    def keep(self, html_hash: str, url: str) -> None:
        """Count a page as kept."""
        self._kept[html_hash] = url

    def twin(self, html_hash: str) -> str | None:
        """Return the address of a kept page with the same HTML; None without one."""
        return self._kept.get(html_hash)

    def links(self, addresses: Iterable[str], depth: int) -> list[Address]:
        """Choose the new ones of a page's links, while there is room for them.

        Args:
            addresses: of the links.
            depth: of the page.
        """
        if depth >= self._depth_limit:
            return []
        return self._unknown(addresses, depth + 1, self._has_room)

    def other_addresses(self, addresses: Iterable[str], depth: int) -> list[Address]:
        """Choose the new ones of a page's other addresses; there is always room."""
        return self._unknown(addresses, depth, lambda _url: True)

    def _has_room(self, url: str) -> bool:
        kind = _kind(url)
        return self._taken[kind] < ADDRESSES_PER_PAGE[kind] * self._page_limit

    def _unknown(
        self, addresses: Iterable[str], depth: int, has_room: Callable[[str], bool]
    ) -> list[Address]:
        chosen = []
        for url in addresses:
            key = urls.key(url)
            if key in self._keys or urls.holds_no_text(url) or not has_room(url):
                continue
            self._keys.add(key)
            self._taken[_kind(url)] += 1
            reason = f"type {kind}" if (kind := urls.other_type(url)) else None
            if len(url) > urls.LONGEST_NAME:
                reason = TOO_LONG
            chosen.append(Address(urls.shown(url), key, depth, reason))
        return chosen


def _kind(url: str) -> str:
    """Return the kind of an address: "page", "file" (fetched like a page) or "other"."""
    if urls.other_type(url):
        return "other"
    return "file" if urls.names_file(url) else "page"
