"""The offline stand-in for a language model: an OpenAI-compatible HTTP server that follows rules.

It is NOT a language model. It reads our own prompts, follows the rules of `local.answers` (in English and
French), and answers as chat completions do, so that the bundle runs without network and key.

    python -m local.model_server --port 0

prints {"port": 54321} and serves on loopback until it is stopped: POST /v1/chat/completions, GET /v1/models,
GET /health. It knows the answers named in `ANSWERS`; anything else gets a 400. Asked once more because an
answer was no use, it answers the same: rules cannot do better, and the bundle's fallback shows.
"""

import argparse
import contextlib
import json
import sys
import time
import uuid
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError

from local.answers import ANSWERS
from local.answers.prompts import PromptError

MODEL = "rule-based-stand-in"
CHARS_PER_TOKEN = 4


# The request, as far as it matters here.
class _Message(BaseModel):
    role: str
    content: str


class _JsonSchema(BaseModel):
    name: str


class _ResponseFormat(BaseModel):
    type: Literal["json_schema"]
    json_schema: _JsonSchema


class _ChatRequest(BaseModel):
    model: str
    messages: list[_Message] = Field(min_length=1)
    response_format: _ResponseFormat
    stream: bool = False


class RequestError(Exception):
    """The request cannot be answered; goes out as a 400 in OpenAI's form."""

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code


def complete(body: bytes) -> dict[str, Any]:
    """A `chat.completion` for the body of a request.

    Raises:
        RequestError: not a request that the stand-in can answer.
    """
    try:
        request = _ChatRequest.model_validate_json(body)
    except ValidationError as error:
        raise RequestError(f"the stand-in cannot read the request: {error.errors()[0]['msg']}") from None
    if request.stream:
        raise RequestError("the stand-in does not stream", "unsupported_value")
    name = request.response_format.json_schema.name
    if name not in ANSWERS:
        raise RequestError(f"the stand-in does not know the schema {name!r}", "unknown_schema")
    # The prompt is the first thing that the user says; what follows are objections to earlier answers.
    prompt = next((message.content for message in request.messages if message.role == "user"), "")
    try:
        content = json.dumps(ANSWERS[name](prompt), ensure_ascii=False)
    except PromptError as error:
        raise RequestError(str(error)) from None
    read = sum(len(message.content) for message in request.messages) // CHARS_PER_TOKEN
    written = len(content) // CHARS_PER_TOKEN
    return {
        "id": f"chatcmpl-{uuid.uuid4().hex}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": request.model,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": content, "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written},
    }


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body are two writes: with Nagle's algorithm the second waits 40 ms on a kept connection.
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        if self.path == "/health":
            self._reply(HTTPStatus.OK, {"status": "ok", "model": MODEL})
        elif self.path == "/v1/models":
            model = {"id": MODEL, "object": "model", "created": 0, "owned_by": "mojodex-background"}
            self._reply(HTTPStatus.OK, {"object": "list", "data": [model]})
        else:
            self._refuse(HTTPStatus.NOT_FOUND, f"no such address: {self.path}")

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal():
            # Where the next request would begin is not known.
            self.close_connection = True
            self._refuse(HTTPStatus.LENGTH_REQUIRED, "Content-Length is missing")
            return
        body = self.rfile.read(int(length))
        if self.path != "/v1/chat/completions":
            self._refuse(HTTPStatus.NOT_FOUND, f"no such address: {self.path}")
            return
        try:
            self._reply(HTTPStatus.OK, complete(body))
        except RequestError as error:
            self._refuse(HTTPStatus.BAD_REQUEST, str(error), error.code)
        except (ValueError, TypeError, ArithmeticError, LookupError, AttributeError, Warning) as error:
            # dateparser trips over some texts.
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, f"{type(error).__name__}: {error}")

    def _refuse(self, status: HTTPStatus, message: str, code: str | None = None) -> None:
        kind = "server_error" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "invalid_request_error"
        self._reply(status, {"error": {"message": message, "type": kind, "param": None, "code": code}})

    def _reply(self, status: HTTPStatus, value: dict[str, Any]) -> None:
        body = json.dumps(value, ensure_ascii=False).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing: whoever drives the demo prints what matters."""


class ModelServer(ThreadingHTTPServer):
    """The stand-in on loopback; `serve_forever` answers, `server_port` says where.

    Args:
        port: 0 for a free one.

    Raises:
        OSError: the port is taken.
    """

    request_queue_size = 128

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is no news; anything else is reported."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description="Offline stand-in for a language model: rules, not a model.")
    parser.add_argument("--port", type=int, default=0, help="0 (default) for a free one")
    with ModelServer(parser.parse_args().port) as server, contextlib.suppress(KeyboardInterrupt):
        print(json.dumps({"port": server.server_port}), flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
