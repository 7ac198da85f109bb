"""An HTTP transport whose timeout bounds the whole call: connect, TLS, request, headers and body.

httpx2 applies a timeout to each socket operation, so it waits without end for a server that sends a byte now
and then. Here the timeout becomes a moment of `time.monotonic` when the call begins. httpcore2 passes this
moment to each network operation, which may take the time until then. Only the lookup of the host's name is
not bounded: the system's resolver has its own timeout.
"""

import ssl
import time
from socket import SOCK_STREAM, getaddrinfo
from typing import Any
from urllib.request import getproxies, proxy_bypass

import httpcore2
import httpx2

UNTIL = "mojodex.until"
# httpcore2 gives each send of a buffer the whole timeout. A small piece needs one send.
BYTES_PER_WRITE = 16_384
KEEP_ALIVE_SECONDS = 5
FAILURES = (
    httpcore2.NetworkError,
    httpcore2.ProtocolError,
    httpcore2.ProxyError,
    httpcore2.UnsupportedProtocol,
)


class TotalTimeout(httpx2.BaseTransport):
    """The transport. It reads the `read` timeout of a request, and reads responses whole.

    Like httpx2's own, it goes through the HTTP proxy that the environment names (`HTTPS_PROXY`, `HTTP_PROXY`,
    `NO_PROXY`).
    """

    def __init__(self) -> None:
        self._pools: dict[tuple[str, str | None], httpcore2.ConnectionPool] = {}

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request and read its response.

        Raises:
            httpx2.TimeoutException: the response was not complete in time.
            httpx2.RequestError: the connection failed; its text is the name of httpcore2's error.
        """
        timeout = request.extensions["timeout"]["read"]
        # A redirected request keeps the extensions of the first one, so they share its time.
        until = request.extensions.setdefault(UNTIL, time.monotonic() + timeout)
        try:
            response = self._pool(request.url).request(
                request.method,
                str(request.url),
                headers=request.headers.raw,
                content=request.read(),
                extensions={"timeout": dict.fromkeys(("connect", "write", "read"), until)},
            )
        except httpcore2.TimeoutException as error:
            raise httpx2.TimeoutException(f"no answer in {timeout} seconds", request=request) from error
        except FAILURES as error:
            raise httpx2.RequestError(type(error).__name__, request=request) from error
        return httpx2.Response(response.status, headers=response.headers, content=response.content)

    def close(self) -> None:
        """Close all connections."""
        for pool in self._pools.values():
            pool.close()

    def _pool(self, url: httpx2.URL) -> httpcore2.ConnectionPool:
        """Return the connections for a URL: to its proxy, or direct ones."""
        proxy = None if proxy_bypass(url.host) else getproxies().get(url.scheme)
        key = url.scheme, proxy
        if key not in self._pools:
            self._pools[key] = _connection_pool(*key)
        return self._pools[key]


def _connection_pool(scheme: str, proxy: str | None) -> httpcore2.ConnectionPool:
    options: dict[str, Any] = {
        # Reading the CA certificates takes 50 ms.
        "ssl_context": httpx2.create_ssl_context() if scheme == "https" else None,
        "max_connections": None,
        "keepalive_expiry": KEEP_ALIVE_SECONDS,
        "network_backend": _Backend(),
    }
    if proxy is None:
        return httpcore2.ConnectionPool(**options)
    parsed = httpx2.Proxy(proxy if "://" in proxy else f"http://{proxy}")
    return httpcore2.HTTPProxy(str(parsed.url), parsed.raw_auth, **options)


def _left(until: float | None) -> float:
    """Return the seconds left until a moment.

    Raises:
        httpcore2.TimeoutException: no time is left.
    """
    assert until is not None
    left = until - time.monotonic()
    if left <= 0:
        raise httpcore2.TimeoutException
    return left


class _Stream(httpcore2.NetworkStream):
    """A connection whose `timeout` arguments are moments."""

    def __init__(self, stream: httpcore2.NetworkStream) -> None:
        self._stream = stream

    def close(self) -> None:
        self._stream.close()

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for start in range(0, len(buffer), BYTES_PER_WRITE):
            self._stream.write(buffer[start : start + BYTES_PER_WRITE], _left(timeout))

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, _left(timeout)))


class _Backend(httpcore2.SyncBackend):
    """A source of connections whose `timeout` arguments are moments."""

    def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, *more: Any, **options: Any
    ) -> httpcore2.NetworkStream:
        try:
            found = getaddrinfo(host, port, type=SOCK_STREAM)
        except OSError as error:
            raise httpcore2.ConnectError(str(error)) from error
        failure: Exception = httpcore2.ConnectError(f"{host} has no address")
        # The socket module would give the whole time to each address.
        for position, (*_, address) in enumerate(found):
            target, seconds = (str(address[0]), int(address[1])), _left(timeout) / (len(found) - position)
            try:
                return _Stream(super().connect_tcp(*target, seconds, *more, **options))
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
        raise failure
