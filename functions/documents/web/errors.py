"""Why something could not be fetched, in our words: those of the libraries are long and quote the address."""

import http.client
import socket
import ssl
import zlib
from typing import Literal

import requests
import urllib3
from urllib3.util.ssl_match_hostname import CertificateError

from mojodex.errors import TransientError

# Of requests and sockets; of urllib3, http.client and zlib while a body is read; of addresses.
BROKEN = (OSError, urllib3.exceptions.HTTPError, http.client.HTTPException, zlib.error, ValueError)
# Statuses of a page that is not there.
GONE = (404, 410)
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


# For good (301, 308), for now (another status), or not at all.
type Redirected = Literal["for good", "for now", ""]


class FetchError(Exception):
    """Nothing was fetched.

    Attributes:
        reason: for the ledger.
        status: HTTP's, if that is why.
        again: it may work later.
        unwanted: it could be had, maybe, but is not for us.
        retry_after: seconds for which the server does not want to be asked, if it says so.
        redirected: whether the address had redirected to another one before.
        of_same_page: whether that one has the same `urls.key`: with TLS, with `www.`, with a slash.
    """

    def __init__(
        self,
        reason: str,
        *,
        status: int | None = None,
        again: bool = False,
        unwanted: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(reason)
        self.reason, self.status, self.again, self.unwanted = reason, status, again, unwanted
        self.retry_after = retry_after
        self.redirected: Redirected = ""
        self.of_same_page = False

    @property
    def moved(self) -> Redirected:
        """Whether the page had led to another page before."""
        return "" if self.of_same_page else self.redirected

    @property
    def slow_down(self) -> bool:
        """Whether the server asks us to slow down: it has too many requests, or is overloaded."""
        return self.status in (429, 503)

    @property
    def is_answer(self) -> bool:
        """Whether the server, or our own rules, have said something about this page that will not change by
        waiting: others of the same host may be had.
        """
        return bool(self.unwanted or self.redirected or self.status) and not self.again

    @property
    def unanswered(self) -> bool:
        """Whether there was no answer, but may be one later."""
        return self.again and self.status is None


class HostRestsError(TransientError):
    """The host has asked us to slow down, and is not asked for some time.

    Args:
        seconds: until it may be asked.
        answer: with what it has just asked so; None if it has done that before, and was not asked now.
    """

    def __init__(self, seconds: float, answer: FetchError | None = None) -> None:
        super().__init__("the host has asked us to slow down", retry_after=seconds)
        self.answer = answer


def failure(error: BaseException | None) -> FetchError:
    """Say what went wrong when one of `BROKEN` was raised."""
    while error:
        for types, reason, again in FAILURES:
            if isinstance(error, types):
                later = isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN
                return FetchError(reason, again=again or later)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return FetchError("the connection broke", again=True)
