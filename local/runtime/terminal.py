"""Print texts and tables in lines of at most `WIDTH` columns."""

import textwrap
from collections.abc import Sequence

WIDTH = 96
# A mail's lines have at most 76 columns.
FRAME_WIDTH = 80


def heading(text: str) -> None:
    """Print the heading of a part."""
    print(f"\n\n══ {text} {'═' * (WIDTH - len(text) - 4)}\n")


def title(text: str) -> None:
    """Print a title within a part."""
    print(f"\n{text}\n{'─' * min(len(text), WIDTH)}")


def paragraph(text: str, indent: str = "  ", following: str | None = None) -> None:
    """Print a wrapped text. `indent` begins its first line, `following` the others."""
    following = " " * len(indent) if following is None else following
    print(textwrap.fill(text, WIDTH, initial_indent=indent, subsequent_indent=following))


def with_note(text: str, note: str) -> None:
    """Print a wrapped text, with a short note to the right of its first line."""
    width = WIDTH - len(note) - 6
    first, *others = textwrap.wrap(text, width)
    print(f"  ▸ {first:<{width}}  {note}", *(f"    {line}" for line in others), sep="\n")


def frame(lines: Sequence[str]) -> None:
    """Print lines in a frame; longer lines are cut off."""
    print(f"  ╭{'─' * (FRAME_WIDTH + 4)}╮")
    for line in lines:
        print(f"  │  {_cut(line, FRAME_WIDTH):<{FRAME_WIDTH}}  │")
    print(f"  ╰{'─' * (FRAME_WIDTH + 4)}╯")


def table(rows: Sequence[Sequence[str]]) -> None:
    """Print a table; the first row holds the heads of its columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for number, row in enumerate(rows):
        line = "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        print(_cut(f"  {line}".rstrip(), WIDTH))
        if number == 0:
            print(f"  {'  '.join('─' * width for width in widths)}"[:WIDTH])


def _cut(line: str, width: int) -> str:
    return line if len(line) <= width else line[: width - 1] + "…"
