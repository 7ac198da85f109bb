"""Which addresses a crawl may read: those of a site, or only those below a path."""

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from documents.web import urls

type Extent = Literal["site", "path"]

# What looks like a file is no folder: `/docs/index.html`, but not `/docs/v1.2`.
FILE = re.compile(r"/[^/]*\.[a-z]{2,5}$", re.IGNORECASE)


@dataclass(frozen=True)
class Scope:
    """The addresses that are wanted.

    Attributes:
        site: their site, see `urls.site`.
        below: their host and path begin with this, see `urls.place`; '' if the whole site is wanted.
    """

    site: str
    below: str = ""

    @property
    def path(self) -> str:
        """The path below which all wanted addresses are; '' if it does not matter."""
        return self.below[self.below.find("/") :] if self.below else ""

    def holds(self, url: str) -> bool:
        """Whether an address (normalised) is wanted."""
        return urls.site(url) == self.site and f"{urls.place(url)}/".startswith(self.below)

    def moved(self, url: str) -> "Scope":
        """Return the scope of the same extent that begins at another address (normalised)."""
        return Scope(urls.site(url), _below(url) if self.below else "")


def scope_of(url: str, extent: Extent | None = None) -> Scope:
    """Return the scope of an address (normalised).

    Args:
        url: where the crawl begins.
        extent: "site" is the whole site, "path" is what is below the address. None means "path" if the
            address ends with a slash behind a path, as `/docs/` does, and otherwise "site": `/en` or
            `/about.html` is often just the way into a site.
    """
    path = urlsplit(url).path
    below = extent == "path" or (extent is None and path.endswith("/") and path != "/")
    return Scope(urls.site(url), _below(url) if below else "")


def _below(url: str) -> str:
    place = urls.place(url)
    return FILE.sub("", place) + "/" if FILE.search(urlsplit(url).path) else f"{place}/"
