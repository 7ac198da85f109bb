"""Why a fetch failed, in our words: the messages of libraries are long and quote the address."""

import http.client
import socket
import ssl
import zlib
from typing import Literal

import requests
import urllib3
from urllib3.util.ssl_match_hostname import CertificateError

from mojodex.errors import TransientError

# From requests and sockets; from urllib3, http.client and zlib while reading a body; from invalid addresses.
BROKEN = (OSError, urllib3.exceptions.HTTPError, http.client.HTTPException, zlib.error, ValueError)
# A page with one of these statuses does not exist.
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


# Permanently (301, 308), temporarily (another status), or not at all.
type Redirected = Literal["for good", "for now", ""]


class FetchError(Exception):
    """Nothing was fetched.

    Attributes:
        reason: for the ledger.
        status: the HTTP status, if that is the cause.
        again: whether a later try may succeed.
        unwanted: whether our rules refuse it, although it may exist.
        retry_after: seconds that the server asks us to wait, if it does.
        redirected: whether the address had redirected to another one before.
        of_same_page: whether that one has the same `urls.key`: only scheme, `www.` or a slash differ.
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
        """Whether, and how, the page had redirected to another page before."""
        return "" if self.of_same_page else self.redirected

    @property
    def slow_down(self) -> bool:
        """Whether the server asks us to slow down: too many requests, or overload."""
        return self.status in (429, 503)

    @property
    def is_answer(self) -> bool:
        """Whether the server or our rules gave a final answer; the host's other pages may be readable."""
        return bool(self.unwanted or self.redirected or self.status) and not self.again

    @property
    def unanswered(self) -> bool:
        """Whether there was no answer, but a later try may get one."""
        return self.again and self.status is None


class HostRestsError(TransientError):
    """The host asked us to slow down, and gets no requests for some time.

    Args:
        seconds: until the next request is allowed.
        answer: the host's answer to this request; None if it rested already, and nothing was sent.
    """

    def __init__(self, seconds: float, answer: FetchError | None = None) -> None:
        super().__init__("the host has asked us to slow down", retry_after=seconds)
        self.answer = answer


def failure(error: BaseException | None) -> FetchError:
    """Turn one of `BROKEN` into a FetchError."""
    while error:
        for types, reason, again in FAILURES:
            if isinstance(error, types):
                later = isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN
                return FetchError(reason, again=again or later)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return FetchError("the connection broke", again=True)
