"""What the demo prints, in lines of at most `WIDTH` columns."""

import textwrap
from collections.abc import Sequence

WIDTH = 96
# A mail's own lines have 76 columns.
FRAME_WIDTH = 80


def heading(text: str) -> None:
    """A new part."""
    print(f"\n\n══ {text} {'═' * (WIDTH - len(text) - 4)}\n")


def title(text: str) -> None:
    """A new thing within a part."""
    print(f"\n{text}\n{'─' * min(len(text), WIDTH)}")


def paragraph(text: str, indent: str = "  ", following: str | None = None) -> None:
    """A text, wrapped; `indent` stands before its first line, `following` before the others."""
    following = " " * len(indent) if following is None else following
    print(textwrap.fill(text, WIDTH, initial_indent=indent, subsequent_indent=following))


def with_note(text: str, note: str) -> None:
    """A text on the left, wrapped, and a short note on the right of its first line."""
    width = WIDTH - len(note) - 6
    first, *others = textwrap.wrap(text, width)
    print(f"  ▸ {first:<{width}}  {note}", *(f"    {line}" for line in others), sep="\n")


def frame(lines: Sequence[str]) -> None:
    """Lines in a frame; what is longer than it is cut off."""
    print(f"  ╭{'─' * (FRAME_WIDTH + 4)}╮")
    for line in lines:
        print(f"  │  {_cut(line, FRAME_WIDTH):<{FRAME_WIDTH}}  │")
    print(f"  ╰{'─' * (FRAME_WIDTH + 4)}╯")


def table(rows: Sequence[Sequence[str]]) -> None:
    """Rows of cells in columns, the first row as their heads."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for number, row in enumerate(rows):
        line = "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        print(_cut(f"  {line}".rstrip(), WIDTH))
        if number == 0:
            print(f"  {'  '.join('─' * width for width in widths)}"[:WIDTH])


def _cut(line: str, width: int) -> str:
    return line if len(line) <= width else line[: width - 1] + "…"
