"""What our code would do with an address: everything but the network is real, and no socket is opened."""

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
    """What was tried for one address.

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
        url: as `fetch.fetch` takes it, or anything else.
        resolve: the addresses of a name; an OSError if it has none.
        any_port: as if all ports were allowed, so that what is refused is refused for another reason.
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
    """The address that the system's resolver reads in numbers, such as 0x7f.1; None for a name."""
    try:
        return str(_getaddrinfo(host, None, flags=socket.AI_NUMERICHOST)[0][4][0])
    except (OSError, UnicodeError, ValueError):
        return None


# The real one: `numeric` is called while another one is in its place.
_getaddrinfo = socket.getaddrinfo
