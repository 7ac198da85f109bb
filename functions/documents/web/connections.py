"""Connections to public addresses only, with a time limit."""

import ipaddress
import socket
import time
from contextlib import suppress
from threading import Lock, Timer
from typing import Any, Self

from requests.adapters import HTTPAdapter
from requests_hardened.ip_filter import EXTRA_BLOCKED_NET_RANGES
from urllib3.connection import HTTPConnection, HTTPSConnection

from documents.web.errors import FetchError

PORTS = (80, 443)
CONNECT_SECONDS = 5.0

GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
# Python and requests-hardened miss these: Teredo and its neighbours, Azure's metadata service.
NOT_PUBLIC = (*EXTRA_BLOCKED_NET_RANGES, *map(ipaddress.ip_network, ("2001::/23", "168.63.129.16/32")))
# The 32 bits before the IPv4 address in an ISATAP address. The mask ignores the universal/local bit.
ISATAP, ISATAP_MASK = 0x00005EFE, 0xFDFFFFFF


def is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Return whether an address is public, and no translation or tunnel leads elsewhere."""
    isatap = (int(address) >> 32) & ISATAP_MASK == ISATAP
    if address.version == 6 and (isatap or address not in GLOBAL_UNICAST):
        return False
    special = address.is_multicast or any(address in net for net in NOT_PUBLIC)
    return address.is_global and not special


def check_port(port: int) -> None:
    """Raise a FetchError for a port that websites do not use."""
    if port not in PORTS:
        raise FetchError(f"port {port} is not allowed", unwanted=True)


class TimeLimit:
    """Time limit of a request: shuts its sockets down, so that blocked reads return.

    The timeout of requests covers one read only. A server that sends a byte a second never reaches it.
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
        # Replaces any other result: a body that was cut off may look complete.
        if not self.left():
            raise FetchError("it takes too long") from None

    def left(self) -> float:
        return 0 if self._over else max(self._end - time.monotonic(), 0)

    def watch(self, connected: socket.socket) -> None:
        """Shut this socket down, too. Keep a duplicate, since TLS detaches the socket's descriptor."""
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
    """Connection that resolves a name once, checks all of its addresses, and dials only these.

    We use only the list of networks of requests-hardened. Its adapter checks only a name's first address,
    misses fec0::/10 and ::7f00:1, logs, and gives no access to the socket before the response's head.
    Dialling here also leaves the name to urllib3, for the Host header, SNI and the certificate.
    """

    def __init__(self, *args: Any, time_limit: TimeLimit, loopback: bool, **options: Any) -> None:
        super().__init__(*args, **options)
        self._time_limit, self._loopback = time_limit, loopback

    def _new_conn(self) -> socket.socket:
        failed: OSError = TimeoutError()
        for address in self._addresses():
            if not (left := self._time_limit.left()):
                break
            try:
                connected = socket.create_connection((address, self.port), min(CONNECT_SECONDS, left))
            except OSError as error:
                failed = error
            else:
                self._time_limit.watch(connected)
                return connected
        raise failed

    def _addresses(self) -> list[str]:
        """Return IPv4 first: IPv6 often fails in a VPC. One forbidden address makes the name forbidden."""
        answers = socket.getaddrinfo(self._dns_host, self.port, type=socket.SOCK_STREAM)
        found = dict.fromkeys(ipaddress.ip_address(to[0]) for *_, to in answers)
        for address in found:
            if not (self._loopback and address.is_loopback):
                if not is_public(address):
                    raise FetchError("the address is not public", unwanted=True)
                check_port(self.port)
        return [str(address) for address in sorted(found, key=lambda address: address.version)]


class _DiallingTLS(_Dialling, HTTPSConnection):
    """The same connection for https."""


class Adapter(HTTPAdapter):
    """Adapter of requests that uses these connections."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self._options = options

    def get_connection_with_tls_context(self, *args: Any, **options: Any) -> Any:
        pool: Any = super().get_connection_with_tls_context(*args, **options)
        pool.ConnectionCls = _DiallingTLS if pool.scheme == "https" else _Dialling
        pool.conn_kw |= self._options
        return pool
