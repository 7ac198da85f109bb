"""Media types: which ones are pages, and which one a server means."""

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
# Servers send these for content that they do not know.
UNSAID = ("", "application/octet-stream", "binary/octet-stream")
# White space, byte order marks, and the zero byte of an ASCII character in UTF-16.
BEFORE_HTML = b"\xef\xbb\xbf\xff\xfe\x00 \t\r\n\f"


def ending(url: str) -> str:
    """Return the suffix of an address's path in lower case, such as `.pdf`; '' without one."""
    return PurePosixPath(urlsplit(url).path).suffix.lower()


def media_type_of(content_type: str, url: str) -> str:
    """Return the media type that a server means.

    Args:
        content_type: the Content-Type in lower case, without parameters; '' if there is none.
        url: the address that answered. Its suffix tells a PDF or Word document whose type is not given.
    """
    return FILES.get(ending(url), content_type) if content_type in UNSAID else content_type


def fits(media_type: str, body: bytes) -> bool:
    """Return whether a body begins like its type. Declared HTML may begin with anything."""
    if media_type in HTML:
        return True
    if media_type == "":
        return body.lstrip(BEFORE_HTML).startswith(b"<")
    return is_pdf(body) or is_word(body)
