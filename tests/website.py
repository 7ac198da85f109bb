"""A website on loopback, whose pages a test can change and which records its requests."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock

from tests.http_server import QuietHandler, serve

WORDS = (
    "Our {thing} is made by hand in the old mill by the river, and every single one of them is looked at"
    " twice before it leaves the house. Whoever orders before noon has it on the next working day, wherever"
    " they are."
)


@dataclass
class Page:
    """The answer for one path."""

    body: str | bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "text/html; charset=utf-8"})
    delay: float = 0


@dataclass
class Website:
    """The running site. `requests` has the requested paths, `most` the highest number at once."""

    url: str
    pages: dict[str, Page] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    most: int = 0
    running: int = 0
    before: Callable[[str], None] = lambda _path: None

    def html(self, path: str, *paragraphs: str, links: tuple[str, ...] = (), head: str = "") -> None:
        """Add a page with the site's header and footer."""
        text = "".join(f"<p>{paragraph}</p>" for paragraph in paragraphs)
        menu = "".join(f'<li><a href="{link}">Go to {link}</a></li>' for link in links)
        self.pages[path] = Page(
            f"<!doctype html><html><head><title>{path}</title>{head}</head><body>"
            "<header><p>The old mill, makers of fine things since 1921</p></header>"
            f"<main><h1>About {path}</h1>{text}<ul>{menu}</ul></main>"
            "<footer><p>The old mill, 1 River Road, all rights reserved by the old mill company</p></footer>"
            "</body></html>"
        )

    def simple(self, *paths: str) -> None:
        """Add pages with a paragraph each. The first one links to all others."""
        first, *others = paths
        self.html(first, WORDS.format(thing=f"thing of {first}"), links=tuple(others))
        for path in others:
            self.html(path, WORDS.format(thing=f"thing of {path}"), links=(first,))

    def asked(self) -> list[str]:
        """Return the pages requested since the last call, without robots.txt and sitemaps."""
        asked = [p for p in self.requests if not p.endswith((".txt", ".xml", ".gz"))]
        self.requests.clear()
        return asked


@contextmanager
def website() -> Iterator[Website]:
    """Run a website on a free port of loopback."""
    lock = Lock()

    class Handler(QuietHandler):
        def do_GET(self) -> None:
            with lock:
                site.requests.append(self.path)
                site.headers.append(dict(self.headers))
                site.running += 1
                site.most = max(site.most, site.running)
            try:
                site.before(self.path)
                page = site.pages.get(self.path, Page("gone", status=404))
                time.sleep(page.delay)
                body = page.body.encode() if isinstance(page.body, str) else page.body
                etag = page.headers.get("ETag")
                status = 304 if etag and self.headers.get("If-None-Match") == etag else page.status
                self.send_response(status)
                for name, value in page.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(0 if status == 304 else len(body)))
                self.end_headers()
            finally:
                # Count down before the last byte, since the client may then send its next request.
                with lock:
                    site.running -= 1
            if status != 304:
                self.wfile.write(body)

    site = Website("")
    with serve(Handler) as url:
        site.url = url
        yield site
