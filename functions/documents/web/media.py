"""Media types: what a page may be, and what it is when its server does not say."""

from collections.abc import Mapping
from pathlib import PurePosixPath
from types import MappingProxyType
from urllib.parse import urlsplit

from documents.file_signatures import is_pdf, is_word

HTML = ("text/html", "application/xhtml+xml")
PDF = "application/pdf"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
FILES: Mapping[str, str] = MappingProxyType({".pdf": PDF, ".docx": DOCX})
PAGES = (*HTML, *FILES.values(), "application/x-pdf")
# A server sends these for whatever it does not know.
UNSAID = ("", "application/octet-stream", "binary/octet-stream")
# White space, byte order marks, and the other half of a character of UTF-16.
BEFORE_HTML = b"\xef\xbb\xbf\xff\xfe\x00 \t\r\n\f"


def ending(url: str) -> str:
    """Return how the path of an address ends, from the last dot on, in lower case; '' without one."""
    return PurePosixPath(urlsplit(url).path).suffix.lower()


def meant(said: str, url: str) -> str:
    """Return the media type that a server means.

    Args:
        said: its Content-Type in lower case, without parameters; '' if it does not say.
        url: what it answers for. Its ending tells a PDF or Word document of which nothing is said.
    """
    return FILES.get(ending(url), said) if said in UNSAID else said


def fits(media_type: str, body: bytes) -> bool:
    """Whether bytes begin as their type wants; HTML may begin with anything, but not without its type."""
    if media_type in HTML:
        return True
    if media_type == "":
        return body.lstrip(BEFORE_HTML).startswith(b"<")
    return is_pdf(body) or is_word(body)
