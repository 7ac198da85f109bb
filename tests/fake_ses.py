"""A scripted SES: an HTTP server with its API that follows a test's script and keeps all requests."""

import json
import threading
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.http_server import QuietHandler, serve


@dataclass(frozen=True)
class Answer:
    """An HTTP answer of SES, or without a code, of something in between."""

    status: int
    code: str | None = None
    message: str = "Something about ada@example.org."
    body: str | None = None


TAKEN = Answer(200)
THROTTLED = Answer(429, "TooManyRequestsException")
# Instead of answering, the server closes the connection or hangs, before or after it took the mail.
CLOSE, TAKE_AND_CLOSE, HANG, TAKE_AND_HANG = "close", "take and close", "hang", "take and hang"

type Act = Answer | str


@dataclass
class FakeSes:
    """The running server.

    Attributes:
        url: for AWS_ENDPOINT_URL_SESV2.
        act: returns the reaction to a request, by the request's number (from 1).
        requests: the bodies of all requests.
        mails: recipient and raw mail of each mail that it took.
    """

    url: str
    act: Callable[[int], Act] = lambda _number: TAKEN
    requests: list[dict[str, Any]] = field(default_factory=list)
    mails: list[tuple[str, bytes]] = field(default_factory=list)
    connections: set[Any] = field(default_factory=set)

    def does(self, *script: Act) -> None:
        """React to requests in this order and repeat the last reaction."""
        begin = len(self.requests)
        self.act = lambda number: script[min(number - begin, len(script)) - 1]


@contextmanager
def fake_ses() -> Iterator[FakeSes]:
    """Run a fake SES on a free port of loopback."""
    done, taking = threading.Event(), threading.Lock()

    class Handler(QuietHandler):
        def do_POST(self) -> None:
            assert self.path == "/v2/email/outbound-emails"
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with taking:
                ses.requests.append(request)
                ses.connections.add(self.client_address)
                act = ses.act(len(ses.requests))
                if act in (TAKE_AND_CLOSE, TAKE_AND_HANG, TAKEN):
                    (recipient,) = request["Destination"]["ToAddresses"]
                    ses.mails.append((recipient, b64decode(request["Content"]["Raw"]["Data"])))
            if act in (HANG, TAKE_AND_HANG):
                done.wait(30)
            if not isinstance(act, Answer):
                self.close_connection = True
                return
            self.send_response(act.status)
            if act.code:
                self.send_header("x-amzn-ErrorType", act.code)
            said = {"MessageId": f"id-{len(ses.mails)}"} if act.status == 200 else {"message": act.message}
            body = (json.dumps(said) if act.body is None else act.body).encode()
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    ses = FakeSes("")
    with serve(Handler) as ses.url:
        try:
            yield ses
        finally:
            done.set()
