"""The addresses that a crawl may read: a whole site, or only those below a path."""

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from documents.web import urls

type Extent = Literal["site", "path"]

# A last segment that is a file and no folder: `/docs/index.html`, but not `/docs/v1.2`.
FILE = re.compile(r"/[^/]*\.[a-z]{2,5}$", re.IGNORECASE)


@dataclass(frozen=True)
class Scope:
    """The addresses that a crawl may read.

    Attributes:
        site: their `urls.site`.
        below: how their `urls.place` begins; '' for the whole site.
    """

    site: str
    below: str = ""

    @property
    def path(self) -> str:
        """The path below which they all are; '' for the whole site."""
        return self.below[self.below.find("/") :] if self.below else ""

    def holds(self, url: str) -> bool:
        """Return whether an address (normalised) is among them."""
        return urls.site(url) == self.site and f"{urls.place(url)}/".startswith(self.below)

    def moved(self, url: str) -> "Scope":
        """Return the scope of the same extent that begins at another address (normalised)."""
        return Scope(urls.site(url), _below(url) if self.below else "")


def scope_of(url: str, extent: Extent | None = None) -> Scope:
    """Return the scope of a crawl.

    Args:
        url: where it begins, normalised.
        extent: "site" is the whole site, "path" everything below the address. None means "path" for an
            address that ends with a slash after a path, such as `/docs/`, and "site" for any other: `/en`
            or `/about.html` is often just the way into a site.
    """
    path = urlsplit(url).path
    below = extent == "path" or (extent is None and path.endswith("/") and path != "/")
    return Scope(urls.site(url), _below(url) if below else "")


def _below(url: str) -> str:
    place = urls.place(url)
    return FILE.sub("", place) + "/" if FILE.search(urlsplit(url).path) else f"{place}/"
