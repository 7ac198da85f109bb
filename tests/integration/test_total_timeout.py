"""One call of the model against slow servers of all kinds: it stops at its timeout."""

import gzip
import socket
import ssl
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import openai
import pytest

from mojodex import provider, total_timeout
from mojodex.provider import ProviderSettings
from tests.certificates import certificate

SECONDS = 1.0
# The time of the slow servers. A call without a timeout takes as long.
SERVER_SECONDS = 20.0
MESSAGE = (
    b'{"choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hi"}}]}'
)
JSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"

type Act = Callable[[socket.socket], None]


def say(connection: socket.socket, body: bytes = MESSAGE, headers: bytes = b"") -> None:
    connection.sendall(JSON + headers + b"Content-Length: %d\r\n\r\n" % len(body) + body)


def drip(connection: socket.socket, text: bytes) -> None:
    for n in range(len(text)):
        connection.sendall(text[n : n + 1])
        time.sleep(SERVER_SECONDS / len(text))


def say_nothing(_connection: socket.socket) -> None:
    time.sleep(SERVER_SECONDS)


def drip_headers(connection: socket.socket) -> None:
    drip(connection, JSON)


def pause_between_pieces(connection: socket.socket) -> None:
    """Each pause is shorter than the timeout."""
    for piece in (JSON[:9], JSON[9:20], JSON[20:], b"Content-Length: %d\r\n\r\n" % len(MESSAGE)):
        time.sleep(SECONDS * 0.8)
        connection.sendall(piece)
    connection.sendall(MESSAGE)


def drip_body(connection: socket.socket) -> None:
    connection.sendall(JSON + b"Content-Length: %d\r\n\r\n" % len(MESSAGE))
    drip(connection, MESSAGE)


def flood(connection: socket.socket) -> None:
    """Always have a next byte."""
    connection.sendall(JSON + b"Content-Length: %d\r\n\r\n" % 10**12)
    until = time.monotonic() + SERVER_SECONDS
    while time.monotonic() < until:
        connection.sendall(b" " * 1000)
        time.sleep(0.001)


def redirect(connection: socket.socket) -> None:
    """Answer quickly, each time with another redirect."""
    time.sleep(SECONDS / 3)
    connection.sendall(b"HTTP/1.1 307 Go on\r\nLocation: /v1/chat/completions\r\nContent-Length: 0\r\n\r\n")


@contextmanager
def server(act: Act, context: ssl.SSLContext | None = None, *, read: bool = True) -> Iterator[int]:
    """Let `act` answer each request. Yield the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener, ExitStack() as stack:

        def answer(connection: socket.socket) -> None:
            with suppress(OSError):
                stack.enter_context(connection)
                kept = context.wrap_socket(connection, server_side=True) if context else connection
                stack.enter_context(kept)
                while not read or kept.recv(65_536):
                    act(kept)

        def accept() -> None:
            with suppress(OSError):
                while True:
                    threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


@contextmanager
def full_server() -> Iterator[int]:
    """Run a server that accepts no connection and has a full queue. Yield its port."""
    with socket.socket() as listener, ExitStack() as stack:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            with suppress(BlockingIOError):
                waiting.connect(listener.getsockname())
        yield listener.getsockname()[1]


def ask(port: int, words: str = "hi", host: str = "127.0.0.1", scheme: str = "http") -> str | None:
    settings = ProviderSettings(llm_secret_arn="-", llm_base_url=f"{scheme}://{host}:{port}/v1")
    provider.client.cache_clear()  # type: ignore[attr-defined]
    with provider.client(settings, "key") as api:
        completion = api.chat.completions.create(
            model="m", messages=[{"role": "user", "content": words}], timeout=SECONDS
        )
    return completion.choices[0].message.content


@contextmanager
def time_is_up() -> Iterator[None]:
    began = time.monotonic()
    with pytest.raises(openai.APITimeoutError):
        yield
    # The bound is generous because the machine may be busy.
    assert time.monotonic() - began < SERVER_SECONDS / 4


@pytest.mark.parametrize(
    "act",
    [say_nothing, drip_headers, pause_between_pieces, drip_body, flood, redirect],
    ids=lambda a: a.__name__,
)
def test_a_slow_server_times_out(act: Act) -> None:
    with server(act) as port, time_is_up():
        ask(port)


def test_a_server_that_accepts_no_connection_times_out() -> None:
    with full_server() as port, time_is_up():
        ask(port)


def test_a_server_that_reads_nothing_times_out() -> None:
    with server(say_nothing, read=False) as port, time_is_up():
        ask(port, "x" * 20_000_000)


def have_addresses(monkeypatch: pytest.MonkeyPatch, *ports: int) -> None:
    """Resolve each name to these addresses. All are on loopback and differ by their ports."""
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)) for port in ports]
    monkeypatch.setattr(total_timeout, "getaddrinfo", lambda *_given, **_more: found)


def test_many_dead_addresses_share_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    with full_server() as dead:
        have_addresses(monkeypatch, *[dead] * 8)
        with time_is_up():
            ask(dead)


def test_a_dead_address_leaves_time_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    with full_server() as dead, server(say) as port:
        have_addresses(monkeypatch, dead, port)
        assert ask(port) == "hi"


def test_a_name_without_an_address_is_a_failed_connection() -> None:
    with pytest.raises(openai.APIConnectionError):
        ask(1, host="nowhere.invalid")


def test_a_connection_that_breaks_is_a_failed_connection() -> None:
    with server(lambda connection: connection.close()) as port, pytest.raises(openai.APIConnectionError):
        ask(port)


def test_an_answer_may_be_compressed() -> None:
    with server(
        lambda connection: say(connection, gzip.compress(MESSAGE), b"Content-Encoding: gzip\r\n")
    ) as port:
        assert ask(port) == "hi"


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """Return the TLS context of a server on localhost that the client trusts."""
    pem, context = certificate("localhost", tmp_path)
    trusted = tmp_path / "trusted.pem"
    trusted.write_text(pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    return context


def test_tls_is_spoken_and_verified(tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch) -> None:
    with server(say, tls) as port:
        assert ask(port, host="localhost", scheme="https") == "hi"
        monkeypatch.delenv("SSL_CERT_FILE")
        with pytest.raises(openai.APIConnectionError):
            ask(port, host="localhost", scheme="https")


def test_a_server_that_is_slow_within_tls_times_out(tls: ssl.SSLContext) -> None:
    with server(drip_headers, tls) as port, time_is_up():
        ask(port, host="localhost", scheme="https")


def test_a_server_that_is_slow_before_tls_times_out() -> None:
    with server(say_nothing) as port, time_is_up():
        ask(port, scheme="https")


def use_proxy(monkeypatch: pytest.MonkeyPatch, port: int, credentials: str = "") -> None:
    monkeypatch.delenv("NO_PROXY", raising=False)
    for name in ("HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, f"http://{credentials}127.0.0.1:{port}")


def test_a_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    requests = []

    def act(connection: socket.socket) -> None:
        requests.append(connection.recv(65_536))
        say(connection)

    with server(act, read=False) as port:
        use_proxy(monkeypatch, port, "me:secret@")
        assert ask(1, host="model.invalid") == "hi"
    assert requests[0].startswith(b"POST http://model.invalid:1/v1/chat/completions HTTP/1.1\r\n")
    assert b"Proxy-Authorization: Basic " + b64encode(b"me:secret") in requests[0]


def test_tls_is_spoken_through_a_proxy(tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy is also the model's server."""

    def act(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
        with tls.wrap_socket(connection, server_side=True) as tunnel:
            while tunnel.recv(65_536):
                say(tunnel)

    with server(act) as port:
        use_proxy(monkeypatch, port)
        assert ask(1, host="localhost", scheme="https") == "hi"


def test_the_variable_no_proxy_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    with server(say) as port:
        use_proxy(monkeypatch, 1)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        assert ask(port) == "hi"


def test_a_slow_proxy_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    with server(drip_headers) as port:
        use_proxy(monkeypatch, port)
        with time_is_up():
            ask(1, host="model.invalid", scheme="https")


def test_a_proxy_that_refuses_is_a_failed_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    refusal = b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n"
    with server(lambda connection: connection.sendall(refusal)) as port:
        use_proxy(monkeypatch, port)
        with pytest.raises(openai.APIConnectionError):
            ask(1, host="model.invalid", scheme="https")
