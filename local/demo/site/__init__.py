"""The demo's made-up website of Fontaine Preserves: a server on loopback that counts its requests.

Each file in `pages/` has a title, an empty line, and the content between header and footer of `layout.html`.
Some pages are traps for a crawler.
"""

import gzip
import hashlib
import re
import socketserver
import string
import threading
import time
from collections import Counter
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self

from fpdf import FPDF

DIRECTORY = Path(__file__).parent


def _path(file: Path) -> str:
    """Return the path of a file's page: "/blog" for blog/index.html."""
    path = file.relative_to(DIRECTORY / "pages").with_suffix("").as_posix()
    return "/" + path.removesuffix("index").rstrip("/")


PAGES = {_path(file): file for file in sorted((DIRECTORY / "pages").rglob("*.html"))}
# robots.txt forbids it.
FORBIDDEN = "/internal/margins"
# Only the sitemap links to it.
UNLINKED = "/allergens"
# The same page under another address, with slightly different HTML and a canonical link.
ALIASES = {"/shop/jams": "/products/jams"}
REDIRECTS = {"/old-pricing": "/pricing"}
# Redirects to the canary.
LURE = "/out"
BROKEN = "/stock"
CATALOGUE = "/downloads/catalogue.pdf"
# Words of the notices and menus of every page, which no chunk should have.
NOISE = ("We use cookies", "Accept all", "Follow us on")
# Words of the header and the footer of every page, which one chunk should have.
BOILERPLATE = ("Slowly cooked since 1987", "lost property", "All rights reserved")
# The catalogue's pages, with a heading and a paragraph each.
CATALOGUE_PAGES = (
    (
        "Gifts for guests and staff",
        "Every year some forty hotels and offices give their people a box from our kitchen. This catalogue is"
        " for them. All boxes are packed by hand, and leave the house within four working days. We write the"
        " cards for you, in whatever language your guests speak, and put them on top of the paper, where"
        " nobody can miss them. What is returned, because somebody has moved, we keep for two months and send"
        " once more without a charge. Boxes that are to cross a border need a list of what is in them: it is"
        " glued to the outside, in French and in English, and customs officers have liked it so far.",
    ),
    (
        "The wooden box",
        "Six jars of 120 grams in a box of chestnut wood. It costs 41 euros, and 37 euros from fifty boxes"
        " on. From twenty boxes on, your name is burnt into the lid; that takes ten more working days.",
    ),
)
# As long as an answer of a remote server, so that simultaneous requests overlap.
SECONDS_PER_ANSWER = 0.05
_PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010804000000b51c0c020000000b4944415478da6364f80f0001050101"
    "2718e3660000000049454e44ae426082"
)


class Site:
    """The website, which is served inside of a `with` block.

    Args:
        port: 0 for a free one.

    Attributes:
        url: of its home page.
        requests: the number of requests for each path.
        most_at_once: the highest number of simultaneous requests.
        canary_visits: connections to another server on loopback, to which only hostile links lead.

    Raises:
        OSError: the port is taken.
    """

    def __init__(self, port: int = 0) -> None:
        self._server = _Server(self, port)
        self._canary = _Canary(self)
        self.base = f"http://127.0.0.1:{self._server.server_port}"
        self.url = f"{self.base}/"
        self.requests: Counter[str] = Counter()
        self.most_at_once = self.canary_visits = 0
        self._at_once = 0
        self._lock = threading.Lock()
        self._layout = string.Template((DIRECTORY / "layout.html").read_text())
        self._sources = {path: file.read_text() for path, file in PAGES.items()}
        self._catalogue = _catalogue()
        self._threads = [
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
            for server in (self._server, self._canary)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for server in (self._server, self._canary):
            server.shutdown()
            server.server_close()
        for thread in self._threads:
            thread.join()

    def wait(self) -> None:
        """Serve until interrupted."""
        self._threads[0].join()

    def change(self, path: str, old: str, new: str) -> None:
        """Replace a passage of a page, from the next request on.

        Raises:
            ValueError: the page does not have the passage exactly once.
        """
        source = self._sources[path]
        if source.count(old) != 1:
            raise ValueError(f"{path} has {source.count(old)} times: {old}")
        self._sources[path] = source.replace(old, new)

    def remove(self, path: str) -> None:
        """Remove a page, from the next request on."""
        del self._sources[path]

    def page(self, address: str) -> str:
        """Return the HTML of a page.

        Raises:
            KeyError: there is no page at this address.
        """
        path = ALIASES.get(address, address)
        head, _, main = self._sources[path].partition("\n\n")
        title = re.fullmatch(r"<title>(.*)</title>", head.strip())
        assert title, path
        return self._layout.substitute(
            language="fr" if path.startswith("/fr/") else "en",
            title=title[1],
            base=self.base,
            path=path,
            address=address,
            main=string.Template(main).substitute(canary=self._canary.server_address[1]),
        )

    def answer(self, path: str) -> tuple[HTTPStatus, str, bytes]:
        """Return the answer to a request: status, media type (or target of a redirect), and body."""
        if path in self._sources or path in ALIASES:
            return HTTPStatus.OK, "text/html; charset=utf-8", self.page(path).encode()
        if path == "/robots.txt":
            lines = f"User-agent: *\nDisallow: /internal/\n\nSitemap: {self.base}/sitemap.xml.gz\n"
            return HTTPStatus.OK, "text/plain", lines.encode()
        if path == "/sitemap.xml.gz":
            return HTTPStatus.OK, "application/gzip", gzip.compress(self._sitemap().encode(), mtime=0)
        if path == LURE:
            return HTTPStatus.FOUND, f"http://127.0.0.1:{self._canary.server_address[1]}/", b""
        if path in REDIRECTS:
            return HTTPStatus.MOVED_PERMANENTLY, REDIRECTS[path], b""
        if path == CATALOGUE:
            return HTTPStatus.OK, "application/pdf", self._catalogue
        if path.endswith(".png"):
            return HTTPStatus.OK, "image/png", _PNG
        if path == BROKEN:
            return HTTPStatus.INTERNAL_SERVER_ERROR, "text/html", b"<h1>Something went wrong</h1>"
        return HTTPStatus.NOT_FOUND, "text/html", b"<h1>There is no such page</h1>"

    def _sitemap(self) -> str:
        entries = "".join(
            f"<url><loc>{self.base}{path}</loc></url>" for path in self._sources if path != FORBIDDEN
        )
        return f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{entries}</urlset>'

    def begin(self, path: str) -> None:
        """Count a request."""
        with self._lock:
            self.requests[path] += 1
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)

    def end(self) -> None:
        """Count that a request is answered."""
        with self._lock:
            self._at_once -= 1


def _catalogue() -> bytes:
    """Return a PDF with a page for each of `CATALOGUE_PAGES`."""
    pdf = FPDF()
    pdf.set_title("Fontaine Preserves, gift catalogue")
    for heading, paragraph in CATALOGUE_PAGES:
        pdf.add_page()
        pdf.set_font("Helvetica", size=20)
        pdf.multi_cell(0, 14, heading, new_x="LMARGIN", new_y="NEXT")
        pdf.set_font("Helvetica", size=11)
        pdf.multi_cell(0, 6, paragraph)
    return bytes(pdf.output())


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: "_Server"

    def do_GET(self) -> None:
        site, path = self.server.site, self.path.partition("?")[0]
        site.begin(path)
        try:
            time.sleep(SECONDS_PER_ANSWER)
            status, kind, body = site.answer(path)
            self._reply(status, kind, body)
        finally:
            site.end()

    def _reply(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        etag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
        if status == HTTPStatus.OK and self.headers.get("If-None-Match") == etag:
            status, body = HTTPStatus.NOT_MODIFIED, b""
        self.send_response(status)
        if status.is_redirection and status != HTTPStatus.NOT_MODIFIED:
            self.send_header("Location", kind)
        else:
            self.send_header("Content-Type", kind)
            self.send_header("ETag", etag)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing. The demo prints what matters."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, site: Site, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.site = site


class _Canary(socketserver.TCPServer):
    """A server that counts its connections and closes each at once."""

    def __init__(self, site: Site) -> None:
        super().__init__(("127.0.0.1", 0), socketserver.BaseRequestHandler)
        self.site = site

    def verify_request(self, _request: object, _client_address: object) -> bool:
        self.site.canary_visits += 1
        return False
