"""Fetch an address with everything real but the network: no socket is opened."""

import socket
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from documents.web.errors import FetchError
from documents.web.fetch import FetchSettings, fetch

SETTINGS = FetchSettings(contact_url="https://example.com/crawler", page_bytes_limit=5_000_000)
CHECKS_OF_PORTS = ("documents.web.fetch.check_port", "documents.web.connections.check_port")


@dataclass(frozen=True)
class Attempt:
    """The attempt to fetch one address.

    Attributes:
        reason: why nothing was fetched.
        asked: the names that were looked up.
        dialled: the addresses to which a socket would have been opened.
    """

    reason: str
    asked: tuple[str, ...]
    dialled: tuple[str, ...]


def attempt(url: str, resolve: Callable[[str], list[str]], *, any_port: bool = False) -> Attempt:
    """Fetch an address; every connection is refused.

    Args:
        url: any text; `fetch` must cope with it.
        resolve: returns the addresses of a name, or raises OSError.
        any_port: allow all ports, so that a refusal has another reason.
    """
    asked: list[str] = []
    dialled: list[str] = []

    def getaddrinfo(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        asked.append(host)
        return [(None, None, None, "", (address, port)) for address in resolve(host)]

    def create_connection(address: tuple[str, int], *_: Any, **__: Any) -> socket.socket:
        dialled.append(address[0])
        raise ConnectionRefusedError

    with ExitStack() as patches:
        patches.enter_context(patch.object(socket, "getaddrinfo", getaddrinfo))
        patches.enter_context(patch.object(socket, "create_connection", create_connection))
        for name in CHECKS_OF_PORTS if any_port else ():
            patches.enter_context(patch(name, lambda port: None))
        try:
            fetch(SETTINGS, url, slot=lambda host: nullcontext())
        except FetchError as error:
            return Attempt(error.reason, tuple(asked), tuple(dialled))
    raise AssertionError("something answered")


def numeric(host: str) -> str | None:
    """Return the address that the system's resolver reads in a number such as 0x7f.1; None for a name."""
    try:
        return str(_getaddrinfo(host, None, flags=socket.AI_NUMERICHOST)[0][4][0])
    except (OSError, UnicodeError, ValueError):
        return None


# The real function, because `numeric` runs while a replacement is patched in.
_getaddrinfo = socket.getaddrinfo
