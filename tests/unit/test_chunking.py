"""Chunks of a text: where they are cut, and the title and headings that each begins with."""

from documents.text.chunks import CHUNK_TOKENS, LONGEST_PIECE, chunks_of
from documents.text.lines import Line
from mojodex.tokens import count_tokens


def test_a_long_line_without_sentences_is_cut_between_words() -> None:
    words = [f"word{number}" for number in range(1000)]

    chunks = chunks_of([Line(" ".join(words))])

    assert " ".join(chunks).split() == words


def test_a_long_line_without_spaces_loses_nothing() -> None:
    text = "".join(f"{number:04}" for number in range(5 * LONGEST_PIECE))

    assert "".join("".join(chunks_of([Line(text)])).split()) == text


def words(name: str, count: int = 60) -> Line:
    return Line(" ".join(f"{name}{number}" for number in range(count)))


def test_each_chunk_begins_with_the_title_and_the_headings_above_it() -> None:
    lines = [
        Line("Visit us", 1),
        words("a"),
        Line("Prices", 2),
        words("b"),
        Line("Groups", 3),
        words("c"),
        Line("Contact", 2),
        words("d"),
    ]

    paths = [chunk.partition("\n")[0] for chunk in chunks_of(lines, "Mill museum")]

    assert list(dict.fromkeys(paths)) == [
        "Mill museum > Visit us",
        "Mill museum > Visit us > Prices",
        "Mill museum > Visit us > Prices > Groups",
        "Mill museum > Visit us > Contact",
    ]


def test_a_heading_that_the_title_contains_is_not_repeated() -> None:
    (chunk,) = chunks_of([Line("Prices", 1), words("a", 20)], "Prices - Mill museum")

    assert chunk.startswith("Prices - Mill museum\na0 a1 ")


def test_a_heading_that_is_only_a_part_of_a_word_of_the_title_is_kept() -> None:
    (chunk,) = chunks_of([Line("Pacs", 2), words("a", 20)], "Se marier ou se pacser")

    assert chunk.startswith("Se marier ou se pacser > Pacs\na0 a1 ")


def test_the_title_and_headings_count_in_the_size_of_a_chunk() -> None:
    chunks = chunks_of([Line("Prices", 1), words("a", 600)], "A museum of mills " * 4)

    assert max(count_tokens(chunk) for chunk in chunks) <= CHUNK_TOKENS + 2


def test_headings_without_a_text_are_kept() -> None:
    names = [f"Person number {number}" for number in range(40)]

    chunks = chunks_of([Line("Our team", 2), *(Line(name, 3) for name in names)], "Mill museum")

    said = [line for chunk in chunks for line in chunk.splitlines()]
    assert [line for line in said if line.startswith("Person")] == names
    assert "Our team" in said


def test_a_heading_stays_with_the_text_below_it() -> None:
    # The heading closes the section before it, which is just large enough.
    lines = [words("a", 47), Line("Prices of all that is here and more", 2), words("b", 50)]

    first, *others = chunks_of(lines)

    assert "Prices" not in first
    assert all(chunk.startswith("Prices of all that is here and more\n") for chunk in others)


def test_a_table_that_is_cut_has_its_header_in_each_chunk() -> None:
    header = "Thing | Price in pounds"
    rows = [Line(f"Bell number {number} | £{number}", header=header) for number in range(60)]

    chunks = chunks_of([Line(header), *rows], "Prices")

    assert len(chunks) > 2
    assert all(chunk.splitlines()[:2] == ["Prices", header] for chunk in chunks)
    assert sum(chunk.count(header) for chunk in chunks) == len(chunks)
