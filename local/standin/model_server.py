"""The offline stand-in for OpenAI's models: a server with OpenAI's API that follows rules.

It is NOT a language model. It reads our own prompts, follows the rules of `local.standin.answers` (in
English and French), and answers as chat completions do, so that the bundle runs without a network or a key.
Its embeddings are real, but come from a small model (`local.standin.embeddings`).

    python -m local.standin.model_server --port 0

prints {"port": 54321} and serves on loopback until it is stopped:

    POST /v1/chat/completions, POST /v1/embeddings, GET /v1/models, GET /health
    GET /stats    counts of completions and embeddings
    GET /prompts  the first prompt of each kind, by the name of its answer's schema

It knows the answers named in `ANSWERS`. Any other request gets a 400. When its answer is not valid and it is
asked again, it gives the same answer, so the bundle's fallback takes over.
"""

import argparse
import contextlib
import json
import sys
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from local.standin import embeddings
from local.standin.model_api import RequestError, complete, embed

MODEL = "rule-based-stand-in"
# The paths of a POST.
CALLS: dict[str, Callable[[bytes], dict[str, Any]]] = {
    "/v1/chat/completions": complete,
    "/v1/embeddings": embed,
}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body are two writes: with Nagle's algorithm the second waits 40 ms on a kept connection.
    disable_nagle_algorithm = True
    server: "ModelServer"

    def do_GET(self) -> None:
        if self.path == "/health":
            self._reply(HTTPStatus.OK, {"status": "ok", "model": MODEL})
        elif self.path == "/stats":
            self._reply(HTTPStatus.OK, self.server.stats())
        elif self.path == "/prompts":
            self._reply(HTTPStatus.OK, self.server.prompts)
        elif self.path == "/v1/models":
            models = [
                {"id": name, "object": "model", "created": 0, "owned_by": "mojodex-background"}
                for name in (MODEL, embeddings.MODEL)
            ]
            self._reply(HTTPStatus.OK, {"object": "list", "data": models})
        else:
            self._refuse(HTTPStatus.NOT_FOUND, f"no such address: {self.path}")

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal():
            # Without it, the start of the next request is unknown.
            self.close_connection = True
            self._refuse(HTTPStatus.LENGTH_REQUIRED, "Content-Length is missing")
            return
        body = self.rfile.read(int(length))
        if self.path not in CALLS:
            self._refuse(HTTPStatus.NOT_FOUND, f"no such address: {self.path}")
            return
        try:
            answer = CALLS[self.path](body)
        except RequestError as error:
            self._refuse(HTTPStatus.BAD_REQUEST, str(error), error.code)
        except (ValueError, TypeError, ArithmeticError, LookupError, AttributeError, Warning) as error:
            # dateparser trips over some texts.
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, f"{type(error).__name__}: {error}")
        else:
            self.server.count(self.path, body, answer)
            self._reply(HTTPStatus.OK, answer)

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
        """Log nothing. The demo prints what matters."""


class ModelServer(ThreadingHTTPServer):
    """The stand-in on loopback. `serve_forever` answers, `server_port` is its port.

    Args:
        port: 0 for a free one.

    Raises:
        OSError: the port is taken.
    """

    request_queue_size = 128

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self._lock = threading.Lock()
        self._stats = {"completions": 0, "embeddings": 0, "texts_embedded": 0}
        # By the name of the answer's schema.
        self.prompts: dict[str, str] = {}

    def stats(self) -> dict[str, int]:
        """Return the numbers of answered calls and of embedded texts."""
        with self._lock:
            return self._stats.copy()

    def count(self, path: str, body: bytes, answer: dict[str, Any]) -> None:
        """Count an answer before it is sent, and keep the first prompt of each kind."""
        with self._lock:
            if path == "/v1/embeddings":
                self._stats["embeddings"] += 1
                self._stats["texts_embedded"] += len(answer["data"])
            else:
                self._stats["completions"] += 1
                request = json.loads(body)
                schema = request["response_format"]["json_schema"]["name"]
                self.prompts.setdefault(schema, request["messages"][0]["content"])

    def handle_error(self, request: object, client_address: object) -> None:
        """Report an error, unless the client hung up."""
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
