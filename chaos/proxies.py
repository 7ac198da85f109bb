"""Proxies between the functions and the emulator: an SES that throttles, an SQS that delivers twice."""

import http.client
import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

from chaos.plan import Fate, Plan
from tests.http_server import QuietHandler, serve

# The pause between the two copies of a message, so that their times of sending differ.
APART_SECONDS = 0.01
# How long SES takes to answer after it accepts a mail. A kill can strike in this time.
ANSWER_SECONDS = 0.3
# Headers that describe a connection, not its content.
OWN_HEADERS = {"host", "connection", "content-length", "transfer-encoding", "date", "server"}


@dataclass
class Proxies:
    """The running proxies.

    Attributes:
        ses_url, sqs_url: for AWS_ENDPOINT_URL_SESV2 and AWS_ENDPOINT_URL_SQS.
        mails: mails that SES accepted: the address, and the tag that names the job.
        sent: how often each body was sent; a message sent twice counts twice.
        doubled: how many messages were sent twice.
    """

    ses_url: str = ""
    sqs_url: str = ""
    mails: list[tuple[str, str]] = field(default_factory=list)
    sent: Counter[str] = field(default_factory=Counter)
    doubled: int = 0


@contextmanager
def proxies(plan: Plan, endpoint: str) -> Iterator[Proxies]:
    """Run both proxies in front of the emulator at `endpoint`."""
    running, counting = Proxies(), Lock()

    class Handler(QuietHandler):
        def read(self) -> dict[str, Any]:
            self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            return dict(json.loads(self.body or b"{}"))

        def forward(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
            connection = http.client.HTTPConnection(urlsplit(endpoint).netloc, timeout=30)
            try:
                headers = {k: v for k, v in self.headers.items() if k.lower() not in OWN_HEADERS}
                connection.request(self.command, self.path, body, headers)
                answer = connection.getresponse()
                return answer.status, dict(answer.getheaders()), answer.read()
            finally:
                connection.close()

        def answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in headers.items():
                if name.lower() not in OWN_HEADERS:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    class Ses(Handler):
        def do_POST(self) -> None:
            request = self.read()
            (tag,) = (tag["Value"] for tag in request["EmailTags"])
            if plan.mail(tag) == Fate.TOO_MANY:
                error = {"x-amzn-ErrorType": "TooManyRequestsException"}
                self.answer(429, error, b'{"message": "Maximum sending rate exceeded."}')
                return
            answer = self.forward(self.body)
            if answer[0] == http.HTTPStatus.OK:
                (address,) = request["Destination"]["ToAddresses"]
                running.mails.append((address, tag))
            time.sleep(ANSWER_SECONDS if plan.on else 0)
            self.answer(*answer)

    class Sqs(Handler):
        def do_POST(self) -> None:
            request = self.read()
            entries = request.get("Entries", [])
            answer = self.forward(self.body)
            if self.headers.get("X-Amz-Target") == "AmazonSQS.SendMessageBatch":
                again = [each for each in entries if plan.message(each["MessageBody"]) == Fate.TWICE]
                with counting:
                    running.sent.update(each["MessageBody"] for each in entries + again)
                    running.doubled += len(again)
                if again:
                    time.sleep(APART_SECONDS)
                    self.forward(json.dumps({**request, "Entries": again}).encode())
            self.answer(*answer)

    with serve(Ses) as running.ses_url, serve(Sqs) as running.sqs_url:
        yield running
