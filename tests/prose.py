"""Bounds for the pages' sentences, paragraphs and table cells, and the words that the glossary replaces.

`python -m tests.prose [PAGE …]` prints what is out of bounds, by default in all pages.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.pages import DOCS, PAGES, without_code
from tools import pages

MOST_WORDS, MOST_CELL, MOST_LINES, LONGEST_LINE = 30, 120, 5, 120
BY_HAND = [page for page in PAGES if page not in pages.PAGES]

_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_CODE = re.compile(r"`[^`]*`")
# Not behind an abbreviation or a number of a list.
_SENTENCE_END = re.compile(r"(?<!\be\.g)(?<!\bi\.e)(?<![0-9])[.!?](?=[\s)\"”*]|$)")


def faults(text: str) -> Iterator[str]:
    """Describe what is out of bounds in a page in Markdown."""
    text = without_code(re.sub(r"<picture>.*?</picture>", "", text, flags=re.DOTALL))
    for block in re.split(r"\n\s*\n", text):
        lines = [line for line in block.splitlines() if line.strip()]
        rows = [line for line in lines if line.lstrip().startswith("|")]
        for row in rows:
            for cell in re.split(r"(?<!\\)\|", _LINK.sub(r"\1", row)):
                if len(cell.strip()) > MOST_CELL:
                    yield f"cell of {len(cell.strip())} characters: {cell.strip()}"
                yield from _long_sentences(cell)
        for item in _items([line for line in lines if line not in rows]):
            if len(item) > MOST_LINES:
                yield f"paragraph of {len(item)} lines: {item[0]}"
            yield from (
                f"line of {len(line)} characters: {line}" for line in item if len(line) > LONGEST_LINE
            )
            yield from _long_sentences(" ".join(item))


def _items(lines: list[str]) -> Iterator[list[str]]:
    """Split a block at the beginnings of list items and headings."""
    item: list[str] = []
    for line in lines:
        if item and re.match(r"\s*([-*]|\d+\.) |#", line):
            yield item
            item = []
        item.append(line)
    if item:
        yield item


def _long_sentences(text: str) -> Iterator[str]:
    plain = _CODE.sub("code", _LINK.sub(r"\1", text))
    for sentence in _SENTENCE_END.split(plain):
        words = [word for word in sentence.split() if re.search(r"\w", word)]
        if len(words) > MOST_WORDS:
            yield f"sentence of {len(words)} words: {sentence.strip()}"


def unused_words() -> list[str]:
    """The phrases of the glossary's column "not"."""
    table = (DOCS / "glossary.md").read_text().partition("## Words we do not use")[2]
    return re.findall(r'"([^"]+)"', table)


def main(paths: list[str]) -> int:
    """Print what is out of bounds in the pages, and return the exit code."""
    found = 0
    for page in map(Path, paths) if paths else PAGES:
        for fault in faults(page.read_text()):
            found += 1
            sys.stdout.write(f"{page}: {fault}\n")
    sys.stdout.write(
        f"{sum(len(page.read_bytes()) for page in BY_HAND if page.is_relative_to(DOCS))} bytes of docs\n"
    )
    return int(found > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
