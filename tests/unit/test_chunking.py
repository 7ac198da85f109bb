"""Lines that are too long for semchunk are cut where a reader would."""

from documents.text.chunks import LONGEST_PIECE, chunks_of
from documents.text.lines import Line


def test_a_long_line_without_sentences_is_cut_between_words() -> None:
    words = [f"word{number}" for number in range(1000)]

    chunks = chunks_of([Line(" ".join(words))])

    assert " ".join(chunks).split() == words


def test_a_long_line_without_spaces_loses_nothing() -> None:
    text = "".join(f"{number:04}" for number in range(5 * LONGEST_PIECE))

    assert "".join("".join(chunks_of([Line(text)])).split()) == text
