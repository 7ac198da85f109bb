"""SQL statements in files of their own, beside the code that runs them."""

import re
from pathlib import Path


def read_sql(path: Path) -> str:
    """Read a statement, without its comments: a colon in a comment is not a bind parameter."""
    return re.sub(r"\s*--.*", "", path.read_text(encoding="utf-8"))
