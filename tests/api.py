"""The API in this process: its handler, called with API Gateway's events."""

import base64
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from operate import api
from tests.http_server import QuietHandler, serve
from tests.lambda_events import FakeContext

ADDRESS = "203.0.113.7"
# An HTTP API passes bodies of these types as text, and all others in Base64.
TEXT = ("application/json", "text/", "application/xml", "application/javascript")


@dataclass(frozen=True)
class Answer:
    """An answer of the API."""

    status: int
    headers: dict[str, str]
    body: str
    cookies: list[str] = field(default_factory=list)

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


def event(
    method: str,
    path: str,
    *,
    query: str = "",
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    address: str = ADDRESS,
) -> dict[str, Any]:
    """Make the event of a request, in payload format 2.0."""
    sent = {name.lower(): value for name, value in (headers or {}).items()}
    cookies = [cookie.strip() for cookie in sent.pop("cookie", "").split(";") if cookie.strip()]
    made: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": sent,
        "requestContext": {
            "http": {"method": method, "path": path, "sourceIp": address, "protocol": "HTTP/1.1"},
            "stage": "$default",
            "requestId": "request",
        },
        "isBase64Encoded": False,
    }
    if cookies:
        made["cookies"] = cookies
    if query:
        made["queryStringParameters"] = dict(parse_qsl(query, keep_blank_values=True))
    if body:
        is_text = sent.get("content-type", "").startswith(TEXT)
        made["isBase64Encoded"] = not is_text
        made["body"] = body.decode("utf-8", "replace") if is_text else base64.b64encode(body).decode()
    return made


def answer(event: dict[str, Any]) -> Answer:
    """Answer an event with the handler."""
    context: Any = FakeContext(29)
    found = api.handler(event, context)
    headers = {name.lower(): value for name, value in found["headers"].items()}
    return Answer(found["statusCode"], headers, found.get("body") or "", found.get("cookies", []))


def basic(name: str, secret: str) -> dict[str, str]:
    """Make the header of HTTP Basic."""
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()}


@dataclass
class Client:
    """Sends requests to the API with a named credential, or with none."""

    credentials: Mapping[str, str]
    name: str | None = "operator"

    def as_(self, name: str | None) -> "Client":
        """Return the same client with another credential."""
        return Client(self.credentials, name)

    def send(
        self,
        method: str,
        path: str,
        *,
        json_body: Any = None,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        address: str = ADDRESS,
        **query: Any,
    ) -> Answer:
        """Send a request."""
        sent = dict(basic(self.name, self.credentials[self.name]) if self.name else {}) | dict(headers or {})
        if json_body is not None:
            sent.setdefault("Content-Type", "application/json")
            body = json.dumps(json_body).encode()
        if form is not None:
            sent["Content-Type"] = "application/x-www-form-urlencoded"
            body = urlencode(form).encode()
        queries = urlencode({name: value for name, value in query.items() if value is not None})
        return answer(event(method, path, query=queries, headers=sent, body=body, address=address))

    def get(self, path: str, **query: Any) -> Answer:
        """Send a GET."""
        return self.send("GET", path, **query)

    def post(self, path: str, json_body: Any = None) -> Answer:
        """Send a POST with JSON."""
        return self.send("POST", path, json_body={} if json_body is None else json_body)


@contextmanager
def served() -> Iterator[str]:
    """Serve the API on loopback for a browser, and yield its URL."""
    one_at_a_time = Lock()

    class Handler(QuietHandler):
        def _do(self) -> None:
            address = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            request = event(
                self.command,
                address.path,
                query=address.query,
                headers=dict(self.headers),
                body=body,
                address="127.0.0.1",
            )
            # A Lambda execution environment handles one request at a time.
            with one_at_a_time:
                found = answer(request)
            self.send_response(found.status)
            for name, value in found.headers.items():
                self.send_header(name, value)
            for cookie in found.cookies:
                self.send_header("Set-Cookie", cookie)
            encoded = found.body.encode()
            self.send_header("Content-Length", str(len(encoded)))
            self.end_headers()
            self.wfile.write(encoded)

        do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_OPTIONS = _do

    with serve(Handler) as url:
        yield url
