"""Evidence: the user's own words, with which a model must prove that the user said they would take a step."""

import re
from collections.abc import Iterable
from unicodedata import category, normalize

from mojodex.text import well_formed

# A shorter quotation ("ok", "I") is found anywhere and proves nothing. "我明天去" is a whole sentence.
MIN_CHARS = 4
QUOTATION_MARKS = re.compile("[\"'`´‘’‚‛“”„‟«»‹›′″＇＂]")  # noqa: RUF001


def is_quoted(evidence: str, texts: Iterable[str]) -> bool:
    """Tell whether evidence is long enough and is in one of the texts. All of them are folded, see `fold`."""
    return len(evidence) >= MIN_CHARS and any(evidence in text for text in texts)


def fold(text: str) -> str:
    """Remove what does not change the words: letter case, white space, quotation marks, typography."""
    text = normalize("NFKC", QUOTATION_MARKS.sub("", well_formed(text))).casefold()
    # Classify each distinct character once; a conversation repeats the same eighty.
    kinds = {ord(letter): category(letter) for letter in set(text)}
    text = text.translate(
        {letter: "-" if kind == "Pd" else "" for letter, kind in kinds.items() if kind in ("Pd", "Cf")}
    )
    return " ".join(text.split()).strip(" .,;:!?-")
