"""A hostile website: each of its pages attacks its client in another way.

It uses bare sockets, since no proper server would send such answers.
"""

import gzip
import socket
import ssl
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from typing import Any

GIGABYTE = 1_000_000_000
HTML = b"<p>Hello</p>"
ZEROS = bytes(1_000_000)


@dataclass
class Site:
    """The running site.

    Attributes:
        host: loopback address that it listens on.
        port: a free one.
        connections: their number so far.
        heads: the heads of all requests.
        done: set when the site stops, so that waiting pages return.
    """

    host: str
    port: int
    scheme: str = "http"
    connections: int = 0
    heads: list[str] = field(default_factory=list)
    done: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        """The address without a slash at the end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    @property
    def paths(self) -> list[str]:
        """The requested paths."""
        return [head.split(" ")[1] for head in self.heads]


# A page handles a connection after the request was read.
type Page = Callable[[socket.socket, Site], Any]


@contextmanager
def serve_pages(
    pages: Callable[[str], Page],
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    tls: ssl.SSLContext | None = None,
) -> Iterator[Site]:
    """Run a site whose pages are given by their paths."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=64)
    site = Site(host, listener.getsockname()[1], "https" if tls else "http")

    def talk(connection: socket.socket) -> None:
        with suppress(OSError, ValueError, IndexError):
            connection.settimeout(20)
            with tls.wrap_socket(connection, server_side=True) if tls else connection as talking:
                head = b""
                while b"\r\n\r\n" not in head:
                    if not (read := talking.recv(65_536)):
                        return
                    head += read
                site.heads.append(head.decode("latin-1"))
                pages(site.paths[-1])(talking, site)

    def run() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            site.connections += 1
            threading.Thread(target=talk, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        site.done.set()
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def answer(
    body: bytes = HTML,
    *headers: str,
    status: str = "200 OK",
    content_type: str = "text/html",
    length: bool = True,
) -> Page:
    """Make a page that answers properly."""
    head = [f"HTTP/1.1 {status}", *headers]
    if content_type:
        head.append(f"Content-Type: {content_type}")
    if length:
        head.append(f"Content-Length: {len(body)}")
    return lambda connection, _: connection.sendall("\r\n".join([*head, "", ""]).encode("utf-8") + body)


def redirect(location: str, status: str = "302 Found") -> Page:
    """Make a redirect with a small body."""
    return answer(HTML, f"Location: {location}", status=status)


def raw(*parts: bytes) -> Page:
    """Make a page that sends these parts and closes."""
    return lambda connection, _: [connection.sendall(part) for part in parts]


def slowly(before: bytes, drip: bytes) -> Page:
    """Make a page that sends `before` at once, then `drip` over and over, a byte each half a second."""

    def page(connection: socket.socket, site: Site) -> None:
        connection.sendall(before)
        while not site.done.is_set():
            for byte in drip:
                if site.done.wait(0.5):
                    return
                connection.sendall(bytes([byte]))

    return page


def for_ever(before: bytes, more: bytes) -> Page:
    """Make a page that sends `before`, then `more` endlessly, as fast as the client reads."""

    def page(connection: socket.socket, site: Site) -> None:
        connection.sendall(before)
        while not site.done.is_set():
            connection.sendall(more)

    return page


def silent(_connection: socket.socket, site: Site) -> None:
    """Take the request and send nothing."""
    site.done.wait(30)


def reset(connection: socket.socket, _site: Site) -> None:
    """Send half a head, then a TCP reset."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@cache
def zeros_compressed(window: int) -> bytes:
    """Compress a gigabyte of zeros as gzip (31), zlib (15) or bare deflate (-15), to about a megabyte."""
    packer = zlib.compressobj(9, zlib.DEFLATED, window)
    begin = packer.flush(zlib.Z_FULL_FLUSH)
    megabyte = packer.compress(ZEROS) + packer.flush(zlib.Z_FULL_FLUSH)
    return begin + megabyte * (GIGABYTE // len(ZEROS)) + packer.flush()


def empty_blocks(connection: socket.socket, site: Site) -> None:
    """Make a gzip that decodes to nothing. A limit on the decoded size alone would never stop it."""
    packer = zlib.compressobj(wbits=31)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: gzip\r\n\r\n"
    connection.sendall(head + packer.flush(zlib.Z_FULL_FLUSH))
    while not site.done.is_set():
        connection.sendall(b"\x00\x00\x00\xff\xff" * 10_000)


OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
LARGE = 50_000_000

PAGES: dict[str, Callable[[], Page]] = {
    "/": answer,
    # Time.
    "/silent": lambda: silent,
    "/slow-status": lambda: slowly(b"", b"HTTP/1.1 200 OK"),
    "/slow-headers": lambda: slowly(OK, b"X-Header: value\r\n"),
    "/slow-body": lambda: slowly(OK + b"\r\n<p>", b"slow "),
    "/slow-sized-body": lambda: slowly(OK + b"Content-Length: 100000\r\n\r\n", b"slow "),
    "/slow-chunks": lambda: slowly(CHUNKED, b"1\r\na\r\n"),
    "/slow-gzip": lambda: slowly(OK + b"Content-Encoding: gzip\r\n\r\n", gzip.compress(ZEROS)),
    "/endless-continue": lambda: for_ever(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "/endless-trailers": lambda: for_ever(CHUNKED + b"0\r\n", b"X: y\r\n" * 1000),
    # Size.
    "/endless-body": lambda: for_ever(OK + b"\r\n", ZEROS),
    "/endless-chunks": lambda: for_ever(CHUNKED, b"10000\r\n" + bytes(65_536) + b"\r\n"),
    "/endless-headers": lambda: for_ever(OK, b"X-Header: value\r\n" * 100),
    "/endless-header": lambda: for_ever(OK + b"X-Header: ", b"value " * 10_000),
    "/endless-status": lambda: for_ever(b"HTTP/1.1 200 ", b"OK" * 10_000),
    "/endless-chunk-size": lambda: for_ever(CHUNKED, b"0" * 10_000),
    "/endless-empty-gzip": lambda: empty_blocks,
    "/large": lambda: raw(OK + b"\r\n", *[ZEROS] * (LARGE // len(ZEROS))),
    "/large-sized": lambda: raw(
        OK + f"Content-Length: {LARGE}\r\n\r\n".encode(), *[ZEROS] * (LARGE // len(ZEROS))
    ),
    "/gzip-bomb": lambda: answer(zeros_compressed(31), "Content-Encoding: gzip"),
    "/deflate-bomb": lambda: answer(zeros_compressed(15), "Content-Encoding: deflate"),
    "/bare-deflate-bomb": lambda: answer(zeros_compressed(-15), "Content-Encoding: deflate"),
    "/nested-gzip": lambda: answer(gzip.compress(zeros_compressed(31)), "Content-Encoding: gzip, gzip"),
    "/redirect-with-bomb": lambda: answer(
        zeros_compressed(31), "Content-Encoding: gzip", "Location: /", status="302 Found"
    ),
    "/redirect-with-endless-body": lambda: for_ever(
        b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Type: text/html\r\n\r\n", ZEROS
    ),
    # Broken HTTP.
    "/broken-chunks": lambda: raw(CHUNKED + b"5\r\nhello\r\nzz\r\n"),
    "/cut-chunks": lambda: raw(CHUNKED + b"ff\r\nhello"),
    "/cut-gzip": lambda: answer(gzip.compress(HTML * 100)[:40], "Content-Encoding: gzip"),
    "/not-gzip": lambda: answer(HTML, "Content-Encoding: gzip"),
    "/unknown-coding": lambda: answer(HTML, "Content-Encoding: br"),
    "/reset": lambda: reset,
    "/closed-at-once": lambda: raw(),
    "/bad-header": lambda: raw(OK + b"no colon here\r\nX-Header: value\r\n\r\n" + HTML),
    "/noise": lambda: raw(b"220 mail.example.org ESMTP\r\n"),
    "/too-short": lambda: raw(OK + b"Content-Length: 500\r\n\r\n" + HTML),
    "/two-lengths": lambda: raw(OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n" + HTML),
    # Redirects.
    "/circle": lambda: redirect("/circle-2"),
    "/circle-2": lambda: redirect("/circle"),
    "/itself": lambda: redirect("#again"),
    "/nowhere": lambda: answer(status="302 Found"),
    "/bad-location": lambda: redirect("http://[::"),
    **{
        f"/to-{target.partition(':')[0]}": lambda target=target: redirect(target)
        for target in (
            "mailto:a@example.org",
            "file:///etc/passwd",
            "javascript:alert(1)",
            "ftp://example.org/",
        )
    },
    # Not a page.
    "/text": lambda: answer(b"Hello", content_type="text/plain"),
    "/pdf": lambda: answer(b"%PDF-1.7", content_type="application/pdf"),
    "/endless-pdf": lambda: for_ever(b"HTTP/1.1 200 OK\r\nContent-Type: application/pdf\r\n\r\n", ZEROS),
    "/no-type": lambda: answer(b"\xef\xbb\xbf\r\n <!doctype html>", content_type=""),
    "/no-type-no-html": lambda: answer(b"\x7fELF", content_type=""),
    "/cookie": lambda: answer(
        HTML, "Set-Cookie: a=b; Path=/", "Location: /cookie-2", status="302 Found", content_type=""
    ),
    "/cookie-2": lambda: answer(HTML, "Set-Cookie: c=d; Path=/"),
}
STATUSES = {
    code: f"{code} Whatever"
    for code in (204, 206, 300, 304, 400, 401, 403, 404, 407, 408, 410, 425, 429, 451, 500, 502, 503, 999)
}


def hostile_page(path: str) -> Page:
    """Return the page of a path: of PAGES, /status/<code>, or one of an endless chain of redirects."""
    path = path.partition("?")[0]
    if path in PAGES:
        return PAGES[path]()
    if path.startswith("/status/"):
        return answer(status=STATUSES[int(path.rpartition("/")[2])])
    if path.startswith("/chain/"):
        return redirect(f"/chain/{int(path.rpartition('/')[2]) + 1}")
    return answer(status="404 Not Found")


@contextmanager
def hostile_site(host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> Iterator[Site]:
    """Run the hostile site."""
    with serve_pages(hostile_page, host=host, tls=tls) as site:
        yield site
