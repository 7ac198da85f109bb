"""The links of a page, its canonical address, and its directives for robots."""

import re
from itertools import islice
from urllib.parse import urldefrag, urljoin, urlsplit

from lxml import etree

MOST_LINKS = 10_000
# Of an address. With a <base> of 100,000 characters, 10,000 links would take a gigabyte.
MOST_CHARACTERS = 2_048
BEFORE_QUERY = re.compile(r"[^?#]*")
# Browsers ignore further slashes before a host.
MORE_SLASHES = re.compile(r"^((?:https?:)?//)/+", re.IGNORECASE)
# A page that redirects later is meant to be read.
LONGEST_REFRESH_SECONDS = 5
REFRESH = re.compile(
    r"""\s*(\d{1,9})(?:\.\d*)?\s*[;,]\s*(?:url\s*=)?\s*["']?([^"']+)""", re.ASCII | re.IGNORECASE
)


def links(tree: etree._Element, url: str) -> list[str]:
    """Return the http(s) addresses of a page's first 10,000 links: absolute, in order, each once.

    They have no fragments. Links with rel=nofollow are left out, those with `ugc` or `sponsored` are not.

    Args:
        url: of the page.
    """
    base = _base(tree, url)
    elements = islice(tree.iter("a", "area"), MOST_LINKS)
    found = (
        _absolute(base, element.get("href"))
        for element in elements
        if "nofollow" not in element.get("rel", "").lower().split()
    )
    return list(dict.fromkeys(filter(None, found)))


def canonical(tree: etree._Element, url: str) -> str | None:
    """Return the canonical address of a page, absolute; None without one.

    Args:
        url: of the page.
    """
    for element in tree.iter("link"):
        if "canonical" in element.get("rel", "").lower().split():
            return _absolute(_base(tree, url), element.get("href"))
    return None


def directives(tree: etree._Element, agent: str) -> frozenset[str]:
    """Return the directives in the <meta> of a page, in lower case: `noindex`, `nofollow`, `none`, …

    Args:
        agent: our name. A <meta> with this name or `robots` is for us.
    """
    names = ("robots", agent.lower())
    asked = (
        element.get("content", "").lower().split(",")
        for element in tree.iter("meta")
        if element.get("name", "").strip().lower() in names
    )
    return frozenset(directive.strip() for found in asked for directive in found)


def refresh(tree: etree._Element, url: str) -> str | None:
    """Return the address to which a <meta> redirects within five seconds; None without one.

    Args:
        url: of the page.
    """
    for element in tree.iter("meta"):
        if element.get("http-equiv", "").strip().lower() == "refresh":
            match = REFRESH.match(element.get("content", ""))
            if match and int(match[1]) <= LONGEST_REFRESH_SECONDS:
                return _absolute(_base(tree, url), match[2])
    return None


def _base(tree: etree._Element, url: str) -> str:
    """Return the base of a page's links: its first valid <base href>, or its own address."""
    found = (_absolute(url, element.get("href")) for element in tree.iter("base"))
    return next(filter(None, found), url)


def _absolute(base: str, href: str | None) -> str | None:
    """Return an http(s) address without its fragment; None if it is no such address, or too long."""
    try:
        # Like browsers: drop spaces around it and line ends in it, and read backslashes as slashes.
        link = re.sub(r"[\t\r\n]", "", href or "").strip()
        link = BEFORE_QUERY.sub(lambda start: start[0].replace("\\", "/"), link, count=1)
        url = urldefrag(urljoin(base, MORE_SLASHES.sub(r"\1", link))).url
        parts = urlsplit(url)
        # `port` raises ValueError if it is invalid.
        fetchable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        return None
    return parts.geturl() if fetchable and href is not None and len(url) <= MOST_CHARACTERS else None
