"""The first bytes of PDFs and Word documents, for fetching and reading alike."""

PDF = b"%PDF-"
# Some programs write other bytes before the signature.
PDF_WITHIN = 1024
ZIP = b"PK\x03\x04"
# Of Word 97 to 2003, and of encrypted documents.
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def is_pdf(body: bytes) -> bool:
    """Return whether a file begins like a PDF."""
    return PDF in body[:PDF_WITHIN]


def is_word(body: bytes) -> bool:
    """Return whether a file begins like a Word document: current, of Word 2003 or older, or encrypted."""
    return body.startswith((ZIP, OLE))
