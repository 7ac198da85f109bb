"""Where a socket may be opened, and for how long: only public addresses are dialled."""

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
# Not public, beyond what Python and requests-hardened know: Teredo and its neighbours, Azure's metadata.
NOT_PUBLIC = (*EXTRA_BLOCKED_NET_RANGES, *map(ipaddress.ip_network, ("2001::/23", "168.63.129.16/32")))
# What stands before the IPv4 address in an ISATAP address; one bit says whether that is unique.
ISATAP, ISATAP_MASK = 0x00005EFE, 0xFDFFFFFF


def is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether an address is on the public internet, and leads nowhere else by translation or a tunnel."""
    isatap = (int(address) >> 32) & ISATAP_MASK == ISATAP
    if address.version == 6 and (isatap or address not in GLOBAL_UNICAST):
        return False
    special = address.is_multicast or any(address in net for net in NOT_PUBLIC)
    return address.is_global and not special


def check_port(port: int) -> None:
    """Raise a FetchError for a port that websites do not use."""
    if port not in PORTS:
        raise FetchError(f"port {port} is not allowed", unwanted=True)


class Clock:
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

    def __init__(self, *args: Any, clock: Clock, loopback: bool, **options: Any) -> None:
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
                check_port(self.port)
        return [str(address) for address in sorted(found, key=lambda address: address.version)]


class _DiallingTLS(_Dialling, HTTPSConnection):
    """The same for https."""


class Adapter(HTTPAdapter):
    """Requests' way to urllib3, with connections of ours."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self._options = options

    def get_connection_with_tls_context(self, *args: Any, **options: Any) -> Any:
        pool: Any = super().get_connection_with_tls_context(*args, **options)
        pool.ConnectionCls = _DiallingTLS if pool.scheme == "https" else _Dialling
        pool.conn_kw |= self._options
        return pool
