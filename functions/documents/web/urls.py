"""Addresses of pages: their normal form, which ones are one page, and which ones are one site."""

import hashlib
import ipaddress
import re
import socket
from urllib.parse import SplitResult, unquote, urlsplit

from publicsuffixlist import PublicSuffixList
from w3lib.url import canonicalize_url, safe_url_string, url_query_cleaner

from documents.web.media import FILES, ending
from mojodex.runtime import made_once

# The length of md_document.name.
LONGEST_NAME = 255
# Keeps keys within the size limit of PostgreSQL's indexes.
LONGEST_KEY = 300
SCHEME = re.compile(r"https?:|[a-z][a-z0-9+.-]*://", re.IGNORECASE)
DEFAULT_PORTS = {"http": 80, "https": 443}
# A name in DNS (RFC 1035, 2.3.4); some have underscores.
LONGEST_HOST = 253
HOST = re.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")
# The last part of an IPv4 address in any spelling; no domain ends like this.
NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
DOT = re.compile("%2e", re.IGNORECASE)
# Parameters that campaigns add; the page is the same.
TRACKING = (
    *("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content", "utm_id", "gclid", "fbclid"),
    *("msclkid", "dclid", "yclid", "twclid", "igshid", "mc_cid", "mc_eid", "_ga", "_gl", "_hsenc", "_hsmi"),
)
# Session ids: with them, all pages would be new on each visit. Only names without another meaning: a
# conference has a `session_id`, too.
SESSION_IN_PATH = re.compile(r";jsessionid=[^/;?#]*", re.IGNORECASE)
SESSION = re.compile(r"(?:jsessionid|phpsessid|aspsessionid[a-z]*|cfid|cftoken)(?:=|$)", re.IGNORECASE)
# Files without text: links to them are ignored.
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
    # parts of pages, data
    *(".css", ".csv", ".eot", ".js", ".json", ".mjs", ".otf", ".rss", ".ttf"),
    *(".woff", ".woff2", ".xml"),
}
# Files with text that we cannot read: they are listed as skipped.
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
    """Return an address in its normal form.

    It has https if the scheme is missing, host and port as in `netloc`, and no fragment, tracking parameters,
    session id or dot segments.

    Raises:
        ValueError: it is not http or https, has no host, or has credentials.
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
    """Remove the segments . and .., also encoded ones; urljoin would lose a final semicolon."""
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
    """Return the host of an http(s) address as it is looked up, with its port unless that is the default.

    As in browsers: a name in lower case and ASCII (IDNA 2008 by UTS 46), an IPv4 address as four numbers, an
    IPv6 address in its shortest form, and no final dot.

    Raises:
        ValueError: the host or port is invalid, or there is a user name.
        KeyError: the scheme is another one.
    """
    usual = DEFAULT_PORTS[parts.scheme]
    if "@" in parts.netloc:
        raise ValueError
    host = _host(parts.hostname or "")
    return host if parts.port in (None, usual) else f"{host}:{parts.port}"


def _host(host: str) -> str:
    if ":" in host:
        # A zone would make it an address of this machine's network.
        if "%" in host:
            raise ValueError
        return f"[{ipaddress.IPv6Address(host)}]"
    host = unquote(host)
    # Checked first: mapping a long host takes long.
    if len(host) > LONGEST_HOST:
        raise ValueError
    labels = _mapped(host.lower()).removesuffix(".").split(".")
    # idna.encode would refuse emoji, which have domains.
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
    """Return what all addresses of a page share: no scheme, `www.` or final slash, and sorted parameters.

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
    """Return host and path of an address, without `www.` and final slash.

    Args:
        url: normalised.
    """
    parts = urlsplit(canonicalize_url(url))
    return f"{parts.netloc.removeprefix('www.')}{parts.path.rstrip('/')}"


def shown(url: str) -> str:
    """Return an address for people to read: a very long one is cut."""
    return url if len(url) <= LONGEST_KEY else f"{url[:LONGEST_KEY]}…"


def names(url: str) -> list[str]:
    """Return the names that a page's document may have: addresses with the same `key`, this one included.

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
    """Return the site of an address: its registered domain, or host and port if it has none."""
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
    """Return whether an address names an image, an archive or the like."""
    return ending(url) in NOT_TEXT


def other_type(url: str) -> str | None:
    """Return the media type of an address that names a text file we cannot read."""
    return NOT_PAGES.get(ending(url))


def names_file(url: str) -> bool:
    """Return whether an address names a PDF or Word document: a page without links."""
    return ending(url) in FILES
