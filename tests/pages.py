"""The pages in Markdown, and their code blocks."""

import re
from pathlib import Path

from tests import ROOT

DOCS = ROOT / "docs"
README = ROOT / "README.md"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md"))]


def blocks(language: str, page: Path = README) -> list[str]:
    """Return the contents of a page's fenced blocks of one language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


def without_code(text: str) -> str:
    """Remove the fenced blocks of a page."""
    return re.sub(r"^ *```.*?^ *```$", "", text, flags=re.MULTILINE | re.DOTALL)


def commands(page: Path = README) -> list[str]:
    """Return the commands that a page says to run on this machine, in order."""
    lines = [line.partition("#")[0].strip() for block in blocks("sh", page) for line in block.splitlines()]
    return [line for line in lines if line]
