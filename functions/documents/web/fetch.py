"""`fetch` sends every request to websites: for pages, robots.txt and sitemaps.

It trusts neither the address nor the server. It dials only public addresses, and limits time and memory.
"""

import logging
import os
import re
import zlib
from collections.abc import Callable
from contextlib import AbstractContextManager, closing, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from io import BytesIO
from urllib.parse import urljoin, urlsplit

import requests
from pydantic import field_validator

from documents.web.connections import CONNECT_SECONDS, Adapter, TimeLimit, check_port
from documents.web.directives import AGENT, directives
from documents.web.errors import BROKEN, FetchError, Redirected, failure
from documents.web.media import fits, media_type_of
from documents.web.urls import DEFAULT_PORTS, key, netloc, normalised
from mojodex.clock import utc_now
from mojodex.runtime import is_local
from mojodex.settings import Settings

# Its warnings about bad headers quote the address and the server.
logging.getLogger("urllib3.connection").setLevel(logging.ERROR)

MOST_REDIRECTS = 5
PERMANENT = (301, 308)
REDIRECTS = (*PERMANENT, 302, 303, 307)
READ_BYTES = 65_536

MEDIA_TYPE = re.compile(r"\s*([\w.+-]{1,60}/[\w.+-]{1,60})\s*(?:[;,]|$)", re.ASCII)
CHARSET = re.compile(r"""charset\s*=\s*["']?([\w.:-]{1,40})""", re.ASCII | re.IGNORECASE)
ETAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e]{0,200}"')
SECONDS = re.compile(r"\d{1,9}", re.ASCII)


class FetchSettings(Settings):
    """Settings for fetching.

    Attributes:
        contact_url: part of the User-Agent: tells the operator of a website who fetches.
        page_bytes_limit: a page that is larger, as sent or decoded, is refused.
        fetch_loopback: allows loopback addresses, on any port; for local runs only.
    """

    contact_url: str
    page_bytes_limit: int
    fetch_loopback: bool = False

    @field_validator("fetch_loopback")
    @classmethod
    def _only_locally(cls, value: bool) -> bool:
        if value and not is_local(os.environ):
            raise ValueError("is for local runs only")
        return value


@dataclass(frozen=True)
class Fetched:
    """A server's answer.

    Attributes:
        url: the address that answered, after redirects.
        status: 200, or 304 if an ETag was sent.
        media_type: in lower case, without parameters; '' if neither header nor address tells it.
        charset: from the Content-Type.
        body: decoded.
        etag: if it is valid.
        directives: of its X-Robots-Tag headers, see `directives`.
        redirected: whether another address redirected here.
    """

    url: str
    status: int
    media_type: str
    charset: str | None
    body: bytes
    etag: str | None
    directives: frozenset[str] = frozenset()
    redirected: Redirected = ""


@dataclass(frozen=True)
class _Redirect:
    """The target of a redirect."""

    url: str
    permanent: bool


def fetch(
    settings: FetchSettings,
    url: str,
    *,
    media_types: tuple[str, ...] = (),
    bytes_limit: int | None = None,
    seconds: float = 20,
    etag: str | None = None,
    may_follow: Callable[[str], bool] = lambda url: True,
    slot: Callable[[str], AbstractContextManager[None]],
) -> Fetched:
    """Fetch an address.

    Args:
        settings: the worker's.
        url: absolute.
        media_types: the wanted ones, () for any. Others are refused before the body is read. If HTML is
            wanted, a body that does not begin like its type is refused, too (see `media`).
        bytes_limit: overrides the settings' limit.
        seconds: limit from connecting to the last byte, for all redirects together, without waiting for
            slots. A DNS lookup cannot be interrupted: it ends when the system's resolver gives up.
        etag: of a copy that we have; a 304 is then an answer.
        may_follow: whether to follow a redirect to an address.
        slot: context of each request to a host; its errors pass through.

    Raises:
        FetchError: with the reason.
    """
    headers = {
        "User-Agent": f"{AGENT}/1.0 (+{settings.contact_url})",
        "Accept": ", ".join(media_types) or "*/*",
        "Accept-Encoding": "gzip, deflate",
        "Connection": "close",
    } | ({"If-None-Match": etag} if etag else {})
    limit = settings.page_bytes_limit if bytes_limit is None else bytes_limit
    first, seen = url, set[str]()
    redirected: Redirected = ""
    try:
        while True:
            request = _request(url, headers, settings.fetch_loopback)
            url = str(request.url)
            host = urlsplit(url).hostname or ""
            if seen and not may_follow(url):
                raise FetchError(f"it redirects to another site ({host})", unwanted=True)
            if url in seen:
                raise FetchError("it redirects in a circle")
            if len(seen) > MOST_REDIRECTS:
                raise FetchError(f"more than {MOST_REDIRECTS} redirects")
            seen.add(url)
            with slot(host), TimeLimit(seconds) as time_limit:
                try:
                    found = _send(request, time_limit, settings.fetch_loopback, media_types, limit)
                except BROKEN as error:
                    raise failure(error) from None
            if isinstance(found, Fetched):
                return replace(found, redirected=redirected)
            seconds, url = time_limit.left(), found.url
            # The ETag belongs to the previous address.
            headers.pop("If-None-Match", None)
            redirected = "for good" if found.permanent and redirected != "for now" else "for now"
    except FetchError as error:
        error.redirected, error.of_same_page = redirected, _is_same_page(first, url)
        raise


def _is_same_page(url: str, other: str) -> bool:
    try:
        return key(normalised(url)) == key(normalised(other))
    except ValueError:
        return False


def _request(url: str, headers: dict[str, str], loopback: bool) -> requests.PreparedRequest:
    """Prepare the request for an address, or refuse the address.

    Normalises the host before requests parses it: two parsers may see two hosts in `http://a\\@b`.
    """
    try:
        parts = urlsplit(url)
        if parts.scheme not in DEFAULT_PORTS:
            raise FetchError(f"scheme {parts.scheme[:20]} is not allowed", unwanted=True)
        if "@" in parts.netloc:
            raise FetchError("a user name in the address is not allowed", unwanted=True)
        port = DEFAULT_PORTS[parts.scheme] if parts.port is None else parts.port
        url = parts._replace(netloc=netloc(parts), fragment="").geturl()
        request = requests.Request("GET", url, headers).prepare()
    except ValueError:
        raise FetchError("the address is not valid") from None
    if not loopback:
        check_port(port)
    return request


def _send(
    request: requests.PreparedRequest,
    time_limit: TimeLimit,
    loopback: bool,
    media_types: tuple[str, ...],
    limit: int,
) -> Fetched | _Redirect:
    """Send one request, and return the answer or redirect."""
    # No session: it keeps cookies, takes proxies and passwords from the environment, and reads the whole body
    # of a redirect. The read timeout only backs up the time limit.
    timeout = (CONNECT_SECONDS, time_limit.left() + 1)
    with (
        closing(Adapter(time_limit=time_limit, loopback=loopback)) as adapter,
        closing(adapter.send(request, stream=True, timeout=timeout)) as response,
    ):
        url, status, headers = str(request.url), response.status_code, response.headers
        if status in REDIRECTS and (location := headers.get("Location")):
            with suppress(UnicodeError):
                location = location.encode("latin-1").decode()
            return _Redirect(urljoin(url, location), status in PERMANENT)
        if status != 200 and not (status == 304 and "If-None-Match" in request.headers):
            again = status in (408, 425, 429) or 500 <= status < 600
            wait = _retry_after(headers.get("Retry-After", ""), utc_now())
            raise FetchError(f"the page answers {status}", status=status, again=again, retry_after=wait)
        content_type = headers.get("Content-Type", "")
        media_type = media_type_of(match[1].lower() if (match := MEDIA_TYPE.match(content_type)) else "", url)
        charset = match[1] if (match := CHARSET.search(content_type)) else None
        etag = match[0] if (match := ETAG.fullmatch(headers.get("ETag", ""))) else None
        if status == 304:
            return Fetched(url, status, media_type, charset, b"", etag)
        if media_type and media_types and media_type not in media_types:
            raise FetchError(f"type {media_type}", unwanted=True)
        body = _body(response, limit)
        if "text/html" in media_types and not fits(media_type, body):
            reason = f"its content does not match its type ({media_type})" if media_type else "type unknown"
            raise FetchError(reason, unwanted=True)
        # requests joins several headers, so that an agent's name would apply to the next one.
        robots_tag = directives(response.raw.headers.getlist("X-Robots-Tag"))
        return Fetched(url, status, media_type, charset, body, etag, robots_tag)


def _retry_after(header: str, now: datetime) -> float | None:
    """Return the seconds that a server asks us to wait: a number or a date (RFC 9110, 10.2.3)."""
    if SECONDS.fullmatch(header):
        return float(header)
    try:
        # A date without a zone is in HTTP's zone, UTC.
        moment = parsedate_to_datetime(header)
        return (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds()
    except (ValueError, OverflowError):
        return None


def _body(response: requests.Response, limit: int) -> bytes:
    """Return the decoded body. urllib3 would decode each part whole, before we can count its bytes.

    Accepts one encoding; only an attacker sends two.
    """
    coding = response.headers.get("Content-Encoding", "").strip().lower() or "identity"
    if coding not in ("identity", "gzip", "x-gzip", "deflate"):
        raise FetchError("its content encoding is not known")
    too_large = FetchError(f"larger than {limit} bytes", unwanted=True)
    if (response.raw.length_remaining or 0) > limit:
        raise too_large
    body, received, decoder = BytesIO(), 0, None
    for part in response.raw.stream(READ_BYTES, decode_content=False):
        received += len(part)
        if decoder is None and coding != "identity":
            # Some servers send deflate without zlib's header, whose first byte ends in 8.
            window = zlib.MAX_WBITS if part[0] & 15 == 8 else -zlib.MAX_WBITS
            decoder = zlib.decompressobj(window if coding == "deflate" else 16 + zlib.MAX_WBITS)
        while part:
            body.write(decoder.decompress(part, READ_BYTES) if decoder else part)
            part = decoder.unconsumed_tail if decoder else b""
            if max(received, body.tell()) > limit:
                raise too_large
        if decoder and decoder.eof:
            break
    if decoder:
        body.write(decoder.flush())
        if not decoder.eof:
            raise zlib.error("it ends too early")
    return body.getvalue()
