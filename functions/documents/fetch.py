"""The one function that fetches anything from a website: pages, robots.txt, sitemaps.

Whoever names an address is not trusted, nor is the server behind it: only public addresses are dialled, and
a server can cost neither more time nor more memory than it is given.
"""

import http.client
import ipaddress
import logging
import os
import re
import socket
import ssl
import time
import zlib
from collections.abc import Callable
from contextlib import AbstractContextManager, closing, suppress
from dataclasses import dataclass
from io import BytesIO
from threading import Lock, Timer
from typing import Any, Self
from urllib.parse import urldefrag, urljoin, urlsplit

import requests
import urllib3
from pydantic import field_validator
from requests.adapters import HTTPAdapter
from requests_hardened.ip_filter import EXTRA_BLOCKED_NET_RANGES
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util.ssl_match_hostname import CertificateError

from mojodex.runtime import is_local
from mojodex.settings import Settings

# It warns of bad headers, with the address and what the server sent.
logging.getLogger("urllib3.connection").setLevel(logging.ERROR)

SCHEMES = {"http": 80, "https": 443}
PORTS = (80, 443)
CONNECT_SECONDS = 5.0
MOST_REDIRECTS = 5
REDIRECTS = (301, 302, 303, 307, 308)
READ_BYTES = 65_536
# Of a name in DNS (RFC 1035, 2.3.4).
LONGEST_HOST = 253

GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
# Not public, beyond what Python and requests-hardened know: Teredo and its neighbours, Azure's metadata.
NOT_PUBLIC = (*EXTRA_BLOCKED_NET_RANGES, *map(ipaddress.ip_network, ("2001::/23", "168.63.129.16/32")))
# What stands before the IPv4 address in an ISATAP address; one bit says whether that is unique.
ISATAP, ISATAP_MASK = 0x00005EFE, 0xFDFFFFFF

MEDIA_TYPE = re.compile(r"\s*([\w.+-]{1,60}/[\w.+-]{1,60})\s*(?:[;,]|$)", re.ASCII)
CHARSET = re.compile(r"""charset\s*=\s*["']?([\w.:-]{1,40})""", re.ASCII | re.IGNORECASE)
ETAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e]{0,200}"')
# White space, byte order marks, and the other half of a character of UTF-16.
BEFORE_HTML = b"\xef\xbb\xbf\xff\xfe\x00 \t\r\n\f"

# Of requests and sockets; of urllib3, http.client and zlib while a body is read; of addresses.
BROKEN = (OSError, urllib3.exceptions.HTTPError, http.client.HTTPException, zlib.error, ValueError)
NO_TLS = "a secure connection is not possible"
FAILURES: tuple[tuple[tuple[type[Exception], ...], str, bool], ...] = (
    ((socket.gaierror,), "its name cannot be resolved", False),
    ((ssl.SSLCertVerificationError, CertificateError), "its certificate is not valid", False),
    ((ssl.SSLEOFError, http.client.IncompleteRead), "the connection broke", True),
    ((ssl.SSLError,), NO_TLS, False),
    ((TimeoutError,), "it does not answer in time", True),
    ((ConnectionRefusedError,), "the connection was refused", True),
    ((ConnectionError,), "the connection broke", True),
    ((http.client.HTTPException, requests.exceptions.InvalidHeader), "its answer is not HTTP", False),
    ((zlib.error,), "its content cannot be decoded", False),
    ((ValueError,), "the address is not valid", False),
)


class FetchSettings(Settings):
    """Settings of what fetches.

    Attributes:
        contact_url: in the User-Agent: where the operator of a website learns who fetches.
        page_bytes_limit: a larger page is refused, as sent and as decoded.
        fetch_loopback: opens loopback addresses, on any port; for local runs only.
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
    """What a server answered.

    Attributes:
        url: the address that answered, after redirects.
        status: 200, or 304 when an ETag was given.
        media_type: in lower case, without parameters; '' if not said.
        charset: of the Content-Type.
        body: decoded.
        etag: if it is a proper one.
    """

    url: str
    status: int
    media_type: str
    charset: str | None
    body: bytes
    etag: str | None


class FetchError(Exception):
    """Nothing was fetched.

    Attributes:
        reason: for the ledger.
        status: HTTP's, if that is why.
        again: it may work later.
        unwanted: it could be had, maybe, but is not for us.
    """

    def __init__(
        self, reason: str, *, status: int | None = None, again: bool = False, unwanted: bool = False
    ) -> None:
        super().__init__(reason)
        self.reason, self.status, self.again, self.unwanted = reason, status, again, unwanted


def fetch(
    settings: FetchSettings,
    url: str,
    *,
    media_types: tuple[str, ...] = (),
    bytes_limit: int | None = None,
    seconds: float = 20,
    etag: str | None = None,
    may_follow: Callable[[str], bool] = lambda url: True,
    turn: Callable[[str], AbstractContextManager[None]],
) -> Fetched:
    """Fetch what is at an address.

    Args:
        settings: see there.
        url: absolute.
        media_types: what is wanted, () for anything; another one is refused before the body is read. What
            comes without a type must look like HTML, where HTML is wanted.
        bytes_limit: instead of the settings' limit.
        seconds: from connecting to the last byte, of all redirects together, without the waiting for turns.
            A DNS lookup cannot be interrupted: one that hangs ends when the system's resolver gives up.
        etag: of what is known already; 304 is then an answer.
        may_follow: whether a redirect to an address is wanted.
        turn: entered with the host around each request; what it raises goes through.

    Raises:
        FetchError: with the reason.
    """
    headers = {
        "User-Agent": f"MojodexBackground/1.0 (+{settings.contact_url})",
        "Accept": ", ".join(media_types) or "*/*",
        "Accept-Encoding": "gzip, deflate",
        "Connection": "close",
    } | ({"If-None-Match": etag} if etag else {})
    limit = settings.page_bytes_limit if bytes_limit is None else bytes_limit
    seen: set[str] = set()
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
        with turn(host), _Clock(seconds) as clock:
            try:
                found = _send(request, clock, settings.fetch_loopback, media_types, limit)
            except BROKEN as error:
                raise _failure(error) from None
        if isinstance(found, Fetched):
            return found
        seconds, url = clock.left(), found


def is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether an address is on the public internet, and leads nowhere else by translation or a tunnel."""
    isatap = (int(address) >> 32) & ISATAP_MASK == ISATAP
    if address.version == 6 and (isatap or address not in GLOBAL_UNICAST):
        return False
    special = address.is_multicast or address.is_reserved or any(address in net for net in NOT_PUBLIC)
    return address.is_global and not special


def _request(url: str, headers: dict[str, str], loopback: bool) -> requests.PreparedRequest:
    """The request for an address of the right form: what is checked is what requests makes of the address."""
    try:
        parts = urlsplit(url)
        if parts.scheme not in SCHEMES:
            raise FetchError(f"scheme {parts.scheme[:20]} is not allowed", unwanted=True)
        if "@" in parts.netloc:
            raise FetchError("a user name in the address is not allowed", unwanted=True)
        request = requests.Request("GET", urldefrag(url).url, headers).prepare()
        parts = urlsplit(str(request.url))
        port = SCHEMES[parts.scheme] if parts.port is None else parts.port
    except (OSError, ValueError):
        raise FetchError("the address is not valid") from None
    # A percent sign begins a zone id, or hides what the host is.
    if not parts.hostname or "%" in parts.hostname or len(parts.hostname) > LONGEST_HOST:
        raise FetchError("the address is not valid")
    if not loopback:
        _check_port(port)
    return request


def _check_port(port: int) -> None:
    if port not in PORTS:
        raise FetchError(f"port {port} is not allowed", unwanted=True)


class _Clock:
    """Ends a request that takes too long: shuts its socket down, so that whatever waits on it wakes up.

    A timeout of requests is for one read only: a server that sends a byte a second never meets it.
    """

    def __init__(self, seconds: float) -> None:
        self._end, self._over = time.monotonic() + seconds, False
        self._sockets: list[socket.socket] = []
        self._lock = Lock()
        self._timer = Timer(seconds, self._stop)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._timer.cancel()
        with self._lock:
            for watched in self._sockets:
                watched.close()
            self._sockets.clear()
        # Whatever else seems to have happened: a body that was cut off may look complete.
        if not self.left():
            raise FetchError("it takes too long") from None

    def left(self) -> float:
        return 0 if self._over else max(self._end - time.monotonic(), 0)

    def watch(self, connected: socket.socket) -> None:
        """End this one, too. A duplicate of it, since TLS takes the descriptor out of the socket."""
        with self._lock:
            self._sockets.append(connected.dup())
        if self._over:
            self._stop()

    def _stop(self) -> None:
        with self._lock:
            self._over = True
            for watched in self._sockets:
                with suppress(OSError):
                    watched.shutdown(socket.SHUT_RDWR)


class _Dialling(HTTPConnection):
    """Looks a name up once, checks all of its addresses and dials them: no later answer can change anything.

    requests-hardened's adapter would choose the address before urllib3 is asked to connect. It takes the
    first one of a name without a look at the others, lets pass what its list does not have (fec0::/10,
    ::7f00:1), logs, and gives no hold on the socket before the head of the answer is there. So we use its
    list only. To dial here also leaves the name to urllib3, for the Host header, SNI and the certificate.
    """

    def __init__(self, *args: Any, clock: _Clock, loopback: bool, **options: Any) -> None:
        super().__init__(*args, **options)
        self._clock, self._loopback = clock, loopback

    def _new_conn(self) -> socket.socket:
        failed: OSError = TimeoutError()
        for address in self._addresses():
            if not (left := self._clock.left()):
                break
            try:
                connected = socket.create_connection((address, self.port), min(CONNECT_SECONDS, left))
            except OSError as error:
                failed = error
            else:
                self._clock.watch(connected)
                return connected
        raise failed

    def _addresses(self) -> list[str]:
        """IPv4 first: IPv6 is often dead in a VPC. One address that is not allowed spoils the name."""
        answers = socket.getaddrinfo(self._dns_host, self.port, type=socket.SOCK_STREAM)
        found = dict.fromkeys(ipaddress.ip_address(to[0]) for *_, to in answers)
        for address in found:
            if not (self._loopback and address.is_loopback):
                if not is_public(address):
                    raise FetchError("the address is not public", unwanted=True)
                _check_port(self.port)
        return [str(address) for address in sorted(found, key=lambda address: address.version)]


class _DiallingTLS(_Dialling, HTTPSConnection):
    """The same for https."""


class _Adapter(HTTPAdapter):
    """Requests' way to urllib3, with connections of ours."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self._options = options

    def get_connection_with_tls_context(self, *args: Any, **options: Any) -> Any:
        pool: Any = super().get_connection_with_tls_context(*args, **options)
        pool.ConnectionCls = _DiallingTLS if pool.scheme == "https" else _Dialling
        pool.conn_kw |= self._options
        return pool


def _send(
    request: requests.PreparedRequest, clock: _Clock, loopback: bool, media_types: tuple[str, ...], limit: int
) -> Fetched | str:
    """Send one request; what was fetched, or where it redirects to."""
    # Not by a session: that keeps cookies, asks the environment for proxies and passwords, and reads the body
    # of a redirect to its end. The clock ends what takes too long; the timeout of a read is a net below it.
    timeout = (CONNECT_SECONDS, clock.left() + 1)
    with (
        closing(_Adapter(clock=clock, loopback=loopback)) as adapter,
        closing(adapter.send(request, stream=True, timeout=timeout)) as response,
    ):
        url, status, headers = str(request.url), response.status_code, response.headers
        if status in REDIRECTS and (location := headers.get("Location")):
            with suppress(UnicodeError):
                location = location.encode("latin-1").decode()
            return urljoin(url, location)
        if status != 200 and not (status == 304 and "If-None-Match" in request.headers):
            again = status in (408, 425, 429) or 500 <= status < 600
            raise FetchError(f"the page answers {status}", status=status, again=again)
        said = headers.get("Content-Type", "")
        media_type = match[1].lower() if (match := MEDIA_TYPE.match(said)) else ""
        charset = match[1] if (match := CHARSET.search(said)) else None
        etag = match[0] if (match := ETAG.fullmatch(headers.get("ETag", ""))) else None
        if status == 304:
            return Fetched(url, status, media_type, charset, b"", etag)
        if media_type and media_types and media_type not in media_types:
            raise FetchError(f"type {media_type}", unwanted=True)
        body = _body(response, limit)
        if not media_type and "text/html" in media_types and not body.lstrip(BEFORE_HTML).startswith(b"<"):
            raise FetchError("type unknown", unwanted=True)
        return Fetched(url, status, media_type, charset, body, etag)


def _body(response: requests.Response, limit: int) -> bytes:
    """The body, decoded here: what urllib3 decodes can be counted only when it is there.

    One coding is enough; nobody but an attacker sends two.
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
            # Some servers send deflate without the header of zlib, whose first byte ends in 8.
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


def _failure(error: BaseException | None) -> FetchError:
    """What went wrong, in our words: those of the libraries are long and quote the address."""
    while error:
        for types, reason, again in FAILURES:
            if isinstance(error, types):
                later = isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN
                return FetchError(reason, again=again or later)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return FetchError("the connection broke", again=True)
