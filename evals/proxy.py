"""A caching proxy between worker and model server, so that the same question is paid for once."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

import httpx2

from tests.http_server import QuietHandler, serve

# Equal to `work.CALL_SECONDS`, because one slow server may have eight questions in progress.
UPSTREAM_SECONDS = 1200


@dataclass(frozen=True)
class Exchange:
    """One answered question. `seconds` is how long the server took when it was first asked."""

    seconds: float
    prompt_tokens: int
    completion_tokens: int


@dataclass
class Proxy:
    """The running proxy.

    Attributes:
        url: its base URL.
        calls: number of questions that went to the server, errors included.
        exchanges: all answered questions, cached ones included.
    """

    url: str = ""
    calls: int = 0
    exchanges: list[Exchange] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


@contextmanager
def caching_proxy(base_url: str, folder: Path, version: str = "") -> Iterator[Proxy]:
    """Run the proxy on a free port of loopback.

    Args:
        base_url: the base URL of the server's API, including /v1.
        folder: keeps the answers, by a hash of the request, which includes the model's name.
        version: part of the hash. Our own servers' answers change with our code.
    """
    folder.mkdir(parents=True, exist_ok=True)
    upstream = httpx2.Client(timeout=UPSTREAM_SECONDS)

    class Handler(QuietHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            kept = folder / f"{hashlib.sha256(version.encode() + body).hexdigest()}.json"
            if kept.exists():
                stored = json.loads(kept.read_text())
                self._count(stored["seconds"], stored["answer"])
                self._reply(200, json.dumps(stored["answer"]).encode())
                return
            with proxy.lock:
                proxy.calls += 1
            began = monotonic()
            try:
                response = upstream.post(
                    base_url.rstrip("/") + self.path,
                    content=body,
                    headers={
                        "Content-Type": "application/json",
                        "Authorization": self.headers.get("Authorization", ""),
                    },
                )
                answer = response.json() if response.status_code == 200 else None
            except (httpx2.HTTPError, ValueError):
                self._reply(502, b'{"error": {"message": "no answer", "code": null}}')
                return
            if answer is not None:
                seconds = round(monotonic() - began, 3)
                # Write and rename, so that an interrupted run leaves no partial answer.
                part = kept.with_suffix(f".{threading.get_ident()}")
                part.write_text(json.dumps({"seconds": seconds, "answer": answer}))
                part.replace(kept)
                self._count(seconds, answer)
            self._reply(response.status_code, response.content, response.headers.get("Retry-After"))

        def _count(self, seconds: float, answer: dict[str, Any]) -> None:
            usage = answer.get("usage") or {}
            exchange = Exchange(seconds, usage.get("prompt_tokens") or 0, usage.get("completion_tokens") or 0)
            with proxy.lock:
                proxy.exchanges.append(exchange)

        def _reply(self, status: int, body: bytes, retry_after: str | None = None) -> None:
            try:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                if retry_after:
                    self.send_header("Retry-After", retry_after)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            except ConnectionError:
                # The worker stopped waiting. The kept answer serves its next attempt.
                self.close_connection = True

    proxy = Proxy()
    with upstream, serve(Handler) as url:
        # The client appends the API's paths to this URL, and the proxy appends them to the server's.
        proxy.url = url
        yield proxy
