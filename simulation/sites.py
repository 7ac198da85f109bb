"""Websites: a few small ones in memory, behind a replacement of the adapter of `documents.web.fetch`."""

from dataclasses import dataclass, field
from io import BytesIO
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from requests.structures import CaseInsensitiveDict

from simulation.outside import Outside
from tests.website import WORDS

PAGE_SECONDS = (0.05, 1.2)
PAGES = 5


@dataclass
class Sites:
    """All websites. The pages of a site link to each other.

    Attributes:
        editions: the current edition of each site, by host.
        gone: addresses of removed pages, each with the moment (seconds since 1970).
    """

    outside: Outside
    editions: dict[str, int] = field(default_factory=dict)
    gone: dict[str, float] = field(default_factory=dict)

    def get(self, url: str) -> tuple[int, str]:
        """Return the status and the HTML of an address."""
        parts = urlsplit(url)
        host = parts.hostname or ""
        if host not in self.editions or parts.path not in paths() or url in self.gone:
            return 404, "gone"
        return 200, html(host, parts.path, self.editions[host])


def paths() -> list[str]:
    """Return the paths of a site's pages."""
    return ["/", *(f"/{number}" for number in range(1, PAGES))]


def marker(host: str, path: str, edition: int) -> str:
    """Return text that only this edition of this page contains."""
    return f"blue thing {edition} of {host}{path}"


def html(host: str, path: str, edition: int) -> str:
    """Return the HTML of a page."""
    said = [f"red thing of {host}{path}", marker(host, path, edition), f"green thing of {host}{path}"]
    text = "".join(f"<p>{WORDS.format(thing=thing)}</p>" for thing in said)
    menu = "".join(f'<li><a href="{other}">Go to {other}</a></li>' for other in paths() if other != path)
    return (
        f"<!doctype html><html><head><title>{path}</title></head><body><main><h1>About {path}</h1>{text}"
        f"<ul>{menu}</ul></main></body></html>"
    )


class Adapter:
    """Replaces `documents.web.connections.Adapter`."""

    def __init__(self, sites: Sites, **_options: Any) -> None:
        self._sites = sites

    def send(self, request: requests.PreparedRequest, **_options: Any) -> requests.Response:
        """Answer a request."""
        url = str(request.url)
        status, body = self._sites.outside.call(
            "websites", lambda: self._sites.get(url), PAGE_SECONDS, lambda _how: ConnectionResetError()
        )
        content = body.encode()
        headers = {"Content-Type": "text/html; charset=utf-8", "Content-Length": str(len(content))}
        response = requests.Response()
        response.status_code, response.headers = status, CaseInsensitiveDict(headers)
        response.raw = urllib3.HTTPResponse(
            body=BytesIO(content), headers=headers, status=status, preload_content=False
        )
        return response

    def close(self) -> None:
        """Do nothing: the adapter has no connection."""
