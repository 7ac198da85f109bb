"""Evidence: the user's own words, with which a model must prove that the user promised a step."""

import re
from collections.abc import Iterable, Sequence
from unicodedata import category, name, normalize

from mojodex.text import well_formed

# Fewer words ("ok", "I will") occur anywhere and prove nothing. In scripts without spaces, a character counts
# as half a word: "我明天去买票" is a whole sentence.
LEAST_WORDS = 3
QUOTATION_MARKS = re.compile("[\"'`´‘’‚‛“”„‟«»‹›′″＇＂]")  # noqa: RUF001
SCRIPTS_WITHOUT_SPACES = ("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR", "BOPOMOFO")


class Said:
    """The user's texts, in which to find quotations.

    Args:
        texts: messages and results. A quotation comes from one of them.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self._texts = [(_joined(words(text)), text) for text in texts]

    def source(self, evidence: str) -> str | None:
        """Return the text that contains the evidence as consecutive whole words; None if no text does.

        Letter case, white space, quotation marks and punctuation do not matter.
        """
        quotation = words(evidence)
        if sum(0.5 if _writes_no_spaces(word[0]) else 1 for word in quotation) < LEAST_WORDS:
            return None
        wanted = _joined(quotation)
        return next((text for joined, text in self._texts if wanted in joined), None)


def words(text: str) -> list[str]:
    """Split a text into folded words. In scripts without spaces, each character is a word."""
    folded = fold(text)
    kinds = {letter: _spaced(letter) for letter in set(folded)}
    return folded.translate({ord(letter): spaced for letter, spaced in kinds.items()}).split()


def fold(text: str) -> str:
    """Remove letter case, surplus white space, quotation marks and typography, which do not change words."""
    text = normalize("NFKC", QUOTATION_MARKS.sub("", well_formed(text))).casefold()
    # Classify each distinct character once; a conversation repeats the same eighty.
    kinds = {ord(letter): category(letter) for letter in set(text)}
    text = text.translate(
        {letter: "-" if kind == "Pd" else "" for letter, kind in kinds.items() if kind in ("Pd", "Cf")}
    )
    return " ".join(text.split()).strip(" .,;:!?-")


def _spaced(letter: str) -> str:
    """Return what replaces a character, so that spaces separate all words."""
    # Letters, marks and numbers.
    if category(letter)[0] not in "LMN":
        return " "
    return f" {letter} " if _writes_no_spaces(letter) else letter


def _writes_no_spaces(letter: str) -> bool:
    return name(letter, "").startswith(SCRIPTS_WITHOUT_SPACES)


def _joined(text: Sequence[str]) -> str:
    # Python searches a string faster than a list, and no word contains a space.
    return f" {' '.join(text)} "
