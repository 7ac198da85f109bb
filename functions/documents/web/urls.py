"""Addresses of pages: how they are written, when two are the same, which are of one site."""

import hashlib
import ipaddress
import re
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from publicsuffixlist import PublicSuffixList
from w3lib.url import canonicalize_url, safe_url_string, url_query_cleaner

from mojodex.runtime import made_once

# Of md_document.name.
LONGEST_NAME = 255
# Beyond this, PostgreSQL's index takes no key.
LONGEST_KEY = 300
SCHEME = re.compile(r"https?:|[a-z][a-z0-9+.-]*://", re.IGNORECASE)
DEFAULT_PORTS = {"http": 80, "https": 443}
# What campaigns add to an address; the page is the same.
TRACKING = (
    *("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content", "utm_id", "gclid", "fbclid"),
    *("msclkid", "dclid", "yclid", "twclid", "igshid", "mc_cid", "mc_eid", "_ga", "_gl", "_hsenc", "_hsmi"),
)
# What servers add to an address to know a visitor again; each visit would find all pages anew. Only names
# that mean nothing else: a conference has a `session_id`, too.
SESSION_IN_PATH = re.compile(r";jsessionid=[^/;?#]*", re.IGNORECASE)
SESSION = re.compile(r"(?:jsessionid|phpsessid|aspsessionid[a-z]*|cfid|cftoken)(?:=|$)", re.IGNORECASE)
# Endings of what holds no text, and is not even mentioned.
NOT_TEXT = {
    # images
    *(".avif", ".bmp", ".gif", ".ico", ".jpeg", ".jpg", ".png", ".svg", ".tif"),
    *(".tiff", ".webp"),
    # sounds and films
    *(".avi", ".flac", ".m4a", ".m4v", ".mov", ".mp3", ".mp4", ".mpeg", ".ogg"),
    *(".wav", ".webm", ".wmv"),
    # archives, programs
    *(".7z", ".bz2", ".dmg", ".exe", ".gz", ".iso", ".msi", ".pkg", ".rar"),
    *(".tar", ".tgz", ".xz", ".zip"),
    # what pages are made of, data
    *(".css", ".csv", ".eot", ".js", ".json", ".mjs", ".otf", ".rss", ".ttf"),
    *(".woff", ".woff2", ".xml"),
}
# Endings of what holds text, but is no page: the user is told.
NOT_PAGES = {
    ".pdf": "application/pdf",
    ".txt": "text/plain",
    ".doc": "application/msword",
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ".xls": "application/vnd.ms-excel",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".ppt": "application/vnd.ms-powerpoint",
    ".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    ".odt": "application/vnd.oasis.opendocument.text",
    ".rtf": "application/rtf",
}


def normalised(address: str) -> str:
    """An address in one way of writing: https where the scheme is missing, no fragment, no tracking
    parameters, no session id, no default port, the host in lower case.

    Raises:
        ValueError: it is none of http or https, has no host, or carries credentials.
    """
    if not SCHEME.match(address):
        address = f"https://{address}"
    try:
        cleaned = url_query_cleaner(safe_url_string(address), TRACKING, remove=True, unique=False)
        parts = urlsplit(cleaned)
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        host = ""
    if not host or parts.scheme not in DEFAULT_PORTS or "@" in parts.netloc or SCHEME.match(f"{host}:"):
        raise ValueError("the address is not valid")
    netloc = f"[{host}]" if ":" in host else host
    if port is not None and port != DEFAULT_PORTS[parts.scheme]:
        netloc = f"{netloc}:{port}"
    path = SESSION_IN_PATH.sub("", parts.path) or "/"
    query = "&".join(each for each in parts.query.split("&") if not SESSION.match(each))
    return parts._replace(netloc=netloc, path=path, query=query).geturl()


def key(url: str) -> str:
    """What is equal for two addresses of one page: without scheme, `www.` and a slash at the end, and with
    its parameters in order.

    Args:
        url: normalised.
    """
    text = place(url)
    if "/" not in text:
        text += "/"
    if query := urlsplit(canonicalize_url(url)).query:
        text += f"?{query}"
    if len(text) > LONGEST_KEY:
        text = text[: LONGEST_KEY // 2] + hashlib.sha256(text.encode()).hexdigest()
    return text


def place(url: str) -> str:
    """Host and path of an address, without `www.` and a slash at the end.

    Args:
        url: normalised.
    """
    parts = urlsplit(canonicalize_url(url))
    return f"{parts.netloc.removeprefix('www.')}{parts.path.rstrip('/')}"


def shown(url: str) -> str:
    """An address for people to read: a very long one is cut."""
    return url if len(url) <= LONGEST_KEY else f"{url[:LONGEST_KEY]}…"


def names(url: str) -> list[str]:
    """How a document of this page may be named: addresses with the same `key`, this one among them.

    Args:
        url: normalised.
    """
    found = {url}
    for each in (url, canonicalize_url(url)):
        parts = urlsplit(each)
        bare, path = parts.netloc.removeprefix("www."), parts.path.rstrip("/")
        found |= {
            parts._replace(scheme=scheme, netloc=host, path=end).geturl()
            for scheme in DEFAULT_PORTS
            for host in (bare, f"www.{bare}")
            for end in (path or "/", f"{path}/")
        }
    return sorted(name for name in found if key(name) == key(url))


@made_once
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList()


def site(url: str) -> str:
    """What is equal for all addresses of one site: the domain that its owner has registered, or the address
    of a host without a name (with its port).
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return url
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return str(_suffixes().privatesuffix(host) or parts.netloc)
    return parts.netloc


def holds_no_text(url: str) -> bool:
    """Whether the address names an image, an archive or the like."""
    return _ending(url) in NOT_TEXT


def other_type(url: str) -> str | None:
    """The media type of what the address names, if it is a text but not a page."""
    return NOT_PAGES.get(_ending(url))


def _ending(url: str) -> str:
    return PurePosixPath(urlsplit(url).path).suffix.lower()
