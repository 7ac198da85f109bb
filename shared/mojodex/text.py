"""Make any text fit for UTF-8 and PostgreSQL."""


def well_formed(text: str) -> str:
    """Return the text without NUL, and with '?' for each lone surrogate: neither can be stored or sent."""
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")
