"""How PDFs and Word documents begin: who fetches one and who reads it know it by the same bytes."""

PDF = b"%PDF-"
# Some programs write other bytes before it.
PDF_WITHIN = 1024
ZIP = b"PK\x03\x04"
# Begins what Word 97 to 2003 wrote, and what holds an encrypted document.
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def is_pdf(body: bytes) -> bool:
    """Whether a file begins like a PDF."""
    return PDF in body[:PDF_WITHIN]


def is_word(body: bytes) -> bool:
    """Whether a file begins like a Word document: of today, of the time before 2007, or encrypted."""
    return body.startswith((ZIP, OLE))
