"""Addresses of pages: how they are written, when two are the same, which are of one site."""

import hashlib
import ipaddress
import re
import socket
from urllib.parse import SplitResult, unquote, urlsplit

from publicsuffixlist import PublicSuffixList
from w3lib.url import canonicalize_url, safe_url_string, url_query_cleaner

from documents.web.media import FILES, ending
from mojodex.runtime import made_once

# Of md_document.name.
LONGEST_NAME = 255
# Beyond this, PostgreSQL's index takes no key.
LONGEST_KEY = 300
SCHEME = re.compile(r"https?:|[a-z][a-z0-9+.-]*://", re.IGNORECASE)
DEFAULT_PORTS = {"http": 80, "https": 443}
# A name in DNS (RFC 1035, 2.3.4), with the underscore that some have.
LONGEST_HOST = 253
HOST = re.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")
# The last part of an IPv4 address, however it is spelled; no domain ends so.
NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
DOT = re.compile("%2e", re.IGNORECASE)
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
    ".txt": "text/plain",
    ".doc": "application/msword",
    ".xls": "application/vnd.ms-excel",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".ppt": "application/vnd.ms-powerpoint",
    ".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    ".odt": "application/vnd.oasis.opendocument.text",
    ".rtf": "application/rtf",
}


def normalised(address: str) -> str:
    """An address in one way of writing: https where the scheme is missing, no fragment, no tracking
    parameters, no session id, no default port, no dots as folders, the host and its port as `netloc`.

    Raises:
        ValueError: it is none of http or https, has no host, or carries credentials.
    """
    address = address.strip()
    if not SCHEME.match(address):
        address = f"https://{address}"
    try:
        parts = urlsplit(address)
        path = _without_dots(parts.path.replace("\\", "/"))
        path = SESSION_IN_PATH.sub("", path) or "/"
        query = "&".join(each for each in parts.query.split("&") if not SESSION.match(each))
        safe = safe_url_string(f"{parts.scheme}://{netloc(parts)}{path}?{query}")
    except (ValueError, KeyError):
        raise ValueError("the address is not valid") from None
    return url_query_cleaner(safe, TRACKING, remove=True, unique=False)


def _without_dots(path: str) -> str:
    """A path without the folders . and .., also encoded; urljoin would lose a semicolon at its end."""
    dots = ""
    kept: list[str] = []
    for folder in path.split("/")[1:]:
        dots = DOT.sub(".", folder)
        if dots == "..":
            kept[-1:] = []
        elif dots != ".":
            kept.append(folder)
    if dots in (".", ".."):
        kept.append("")
    return f"/{'/'.join(kept)}"


def netloc(parts: SplitResult) -> str:
    """The host of an http(s) address as it is looked up, with its port unless that is the scheme's own.

    As browsers make it: a name in lower case and in ASCII (IDNA 2008 by UTS 46), an IPv4 address in four
    numbers, an IPv6 address as short as can be. A dot at the end goes.

    Raises:
        ValueError: no host can have this name, the port is none, or there is a user name.
        KeyError: the scheme is another one.
    """
    usual = DEFAULT_PORTS[parts.scheme]
    if "@" in parts.netloc:
        raise ValueError
    host = _host(parts.hostname or "")
    return host if parts.port in (None, usual) else f"{host}:{parts.port}"


def _host(host: str) -> str:
    if ":" in host:
        # With a zone it would be an address of this machine's network.
        if "%" in host:
            raise ValueError
        return f"[{ipaddress.IPv6Address(host)}]"
    host = unquote(host)
    # Before the mapping, which takes long for what is long.
    if len(host) > LONGEST_HOST:
        raise ValueError
    labels = _mapped(host.lower()).removesuffix(".").split(".")
    # Not by idna.encode: it refuses emoji, which have domains.
    name = ".".join(each if each.isascii() else f"xn--{each.encode('punycode').decode()}" for each in labels)
    if len(name) > LONGEST_HOST or not HOST.fullmatch(name):
        raise ValueError
    if not NUMBER.fullmatch(labels[-1]):
        return name
    try:
        return socket.inet_ntoa(socket.inet_aton(name))
    except OSError:
        raise ValueError from None


def _mapped(host: str) -> str:
    if host.isascii():
        return host
    # Few pages need its tables.
    import idna

    return idna.uts46_remap(host, std3_rules=False, transitional=False)


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
        hosts = {bare} if _is_ip_address(parts.hostname or "") else {bare, f"www.{bare}"}
        found |= {
            parts._replace(scheme=scheme, netloc=host, path=end).geturl()
            for scheme in DEFAULT_PORTS
            for host in hosts
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
    if _is_ip_address(host):
        return parts.netloc
    return str(_suffixes().privatesuffix(host) or parts.netloc)


def _is_ip_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def holds_no_text(url: str) -> bool:
    """Whether the address names an image, an archive or the like."""
    return ending(url) in NOT_TEXT


def other_type(url: str) -> str | None:
    """The media type of what the address names, if it is a text but not a page."""
    return NOT_PAGES.get(ending(url))


def names_file(url: str) -> bool:
    """Whether the address names a PDF or a Word document: a page without links."""
    return ending(url) in FILES
