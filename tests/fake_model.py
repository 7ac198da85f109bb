"""A scripted model: an HTTP server with OpenAI's API that gives a test's answers and keeps all requests."""

import hashlib
import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.http_server import QuietHandler, serve


@dataclass
class Reply:
    """An answer: `content` in a chat completion, or raw HTTP if `status` is not 200 or `body` is given."""

    content: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    refusal: str | None = None
    finish_reason: str = "stop"
    delay: float = 0
    # Number of spaces before the body, one each 0.2 s, as some proxies keep a connection alive.
    drips: int = 0
    # Number of extra headers, one each 0.2 s.
    header_drips: int = 0
    body: str | None = None
    error_code: str | None = None
    error_param: str | None = None
    # Added to the numbers of tokens.
    usage: dict[str, Any] = field(default_factory=dict)
    # Added to a completion's fields, or replacing them.
    more: dict[str, Any] = field(default_factory=dict)


Script = Callable[[dict[str, Any]], Reply]


@dataclass
class FakeModel:
    """The running server. `script` answers each request; `calls` has the requests' bodies, oldest first."""

    url: str
    script: Script
    calls: list[dict[str, Any]] = field(default_factory=list)
    # The same for embeddings.
    embed: Script = field(default_factory=lambda: embedded)
    embeddings: list[dict[str, Any]] = field(default_factory=list)
    # Called with each request and its client's port before the answer.
    asked_from: Callable[[dict[str, Any], int], None] = lambda _request, _port: None

    def answers(self, *replies: Reply) -> None:
        """Give these replies in turn and repeat the last one."""
        waiting = list(replies)

        def script(_request: dict[str, Any]) -> Reply:
            return waiting.pop(0) if len(waiting) > 1 else waiting[0]

        self.script = script


# A fenced chunk in a prompt: nonce, number, text.
CHUNK = re.compile(r'<chunk-(\w+) number="(\d+)">\n(.*?)\n</chunk-\1>', re.DOTALL)


def prompt_of(request: dict[str, Any]) -> str:
    """Return the text of the first message of a request."""
    return str(request["messages"][0]["content"])


def todos(*steps: tuple[str, str | None, str]) -> Reply:
    """Make a valid answer to extract_todos from steps of (description, due_date, evidence)."""
    keys = ("description", "due_date", "evidence")
    return Reply({"todos": [dict(zip(keys, step, strict=True)) for step in steps]})


def relevance(request: dict[str, Any], irrelevant: Callable[[str], bool] = lambda _: False) -> Reply:
    """Make a valid answer to the question which chunks are relevant."""
    chunks = CHUNK.findall(prompt_of(request))
    return Reply({"verdicts": [{"chunk": int(n), "relevant": not irrelevant(text)} for _, n, text in chunks]})


def vector(text: str) -> list[float]:
    """Make a vector that only this text has."""
    digest = hashlib.sha256(text.encode()).digest()
    return [(digest[i % 32] - 128) / 128 + i / 1e6 for i in range(1536)]


def embedded(request: dict[str, Any]) -> Reply:
    """Make a valid answer to a request for embeddings."""
    data = [
        {"object": "embedding", "index": i, "embedding": vector(text)}
        for i, text in enumerate(request["input"])
    ]
    usage = {"prompt_tokens": 100, "total_tokens": 100}
    return Reply(body=json.dumps({"object": "list", "model": "fake", "data": data, "usage": usage}))


@contextmanager
def fake_model() -> Iterator[FakeModel]:
    """Run a fake model on a free port of loopback."""

    class Handler(QuietHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            embeds = self.path.endswith("/embeddings")
            (model.embeddings if embeds else model.calls).append(request)
            model.asked_from(request, self.client_address[1])
            reply = model.embed(request) if embeds else model.script(request)
            time.sleep(reply.delay)
            body = (reply.body if reply.body is not None else json.dumps(_body(request, reply))).encode()
            try:
                self.send_response(reply.status)
                for name, value in {"Content-Type": "application/json", **reply.headers}.items():
                    self.send_header(name, value)
                for _ in range(reply.header_drips):
                    self.send_header("X-Wait", "1")
                    self.flush_headers()
                    time.sleep(0.2)
                self.send_header("Content-Length", str(reply.drips + len(body)))
                self.end_headers()
                for _ in range(reply.drips):
                    self.wfile.write(b" ")
                    time.sleep(0.2)
                self.wfile.write(body)
            except (BrokenPipeError, ConnectionResetError):
                # Some tests let the client stop waiting.
                self.close_connection = True

    model = FakeModel("", lambda _request: todos())
    with serve(Handler) as url:
        model.url = f"{url}/v1"
        yield model


def _body(request: dict[str, Any], reply: Reply) -> dict[str, Any]:
    if reply.status != 200:
        error = {"message": "no", "type": "error", "param": reply.error_param, "code": reply.error_code}
        return {"error": error}
    content = reply.content if isinstance(reply.content, str | None) else json.dumps(reply.content)
    message = {"role": "assistant", "content": content, "refusal": reply.refusal}
    return {
        "id": "chatcmpl-fake",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": request["model"],
        "choices": [{"index": 0, "message": message, "finish_reason": reply.finish_reason}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120} | reply.usage,
        **reply.more,
    }
