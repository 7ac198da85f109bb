"""The meaning of a Content-Type, and whether the body begins like that type."""

import pytest

from documents.file_signatures import OLE, PDF_WITHIN, ZIP
from documents.web.media import DOCX, PDF, fits, media_type_of

BYTES = "application/octet-stream"


@pytest.mark.parametrize(
    ("said", "path", "media_type"),
    [
        ("", "/plan.pdf", PDF),
        (BYTES, "/plan.PDF?version=2", PDF),
        ("binary/octet-stream", "/plan.docx", DOCX),
        (BYTES, "/plan", BYTES),
        (BYTES, "/plan.doc", BYTES),
        (BYTES, "/plan?file=a.pdf", BYTES),
        ("", "/plan", ""),
        ("text/html", "/plan.pdf", "text/html"),
        (PDF, "/plan", PDF),
    ],
)
def test_a_missing_type_is_read_from_the_address(said: str, path: str, media_type: str) -> None:
    assert media_type_of(said, f"https://example.com{path}") == media_type


@pytest.mark.parametrize(
    ("media_type", "body", "expected"),
    [
        (PDF, b"%PDF-1.7", True),
        (PDF, b"#" * (PDF_WITHIN - 5) + b"%PDF-1.7", True),
        (PDF, b"#" * PDF_WITHIN + b"%PDF-1.7", False),
        ("application/x-pdf", b"%PDF-1.7", True),
        (PDF, b"<!doctype html>", False),
        (PDF, b"", False),
        (DOCX, ZIP, True),
        (DOCX, OLE, True),
        # The reverse passes, because the parser notices it.
        (DOCX, b"%PDF-1.7", True),
        (DOCX, b"Hello", False),
        ("text/html", b"Hello", True),
        ("application/xhtml+xml", b"%PDF-1.7", True),
        ("", b"\xef\xbb\xbf\r\n <p>", True),
        ("", b"Hello", False),
        ("", b"%PDF-1.7", False),
    ],
)
def test_a_body_must_begin_like_its_type(media_type: str, body: bytes, expected: bool) -> None:
    assert fits(media_type, body) == expected
