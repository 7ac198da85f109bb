"""Make texts of users and the model safe to show in a mail."""

import re
from unicodedata import category

from mojodex.text import well_formed

WHITE_SPACE = re.compile(r"\s+")
NO_BREAK_SPACES = "\u00a0\u202f"
# Persian words and family emoji need the zero-width (non-)joiner. Elsewhere it only hides text.
JOINERS = "\u200c\u200d"
STRAY_JOINERS = re.compile(f"(?<!\\S)[{JOINERS}]+|[{JOINERS}]+(?!\\S)|(?<=[{JOINERS}])[{JOINERS}]+")
# An address ends at a space, a bracket, a quotation mark, or a script that is written without spaces.
URL = re.compile(
    r"(?:[a-z][a-z0-9+.-]{0,30}://"
    r"|(?<![a-z0-9])(?:www\.|(?:javascript|vbscript|data|mailto|tel|sms|callto|facetime|skype|magnet|sip):(?=\S)))"
    r"[^\s<>()\"'«»\u2e80-\U0010ffff]*",
    re.IGNORECASE,
)
# A dot that could be part of a host name; not that of "3.5".
DOT_OF_NAME = re.compile(r"(?<=\S)\.(?=[^\W\d_]|\d+\.\d)")
WORD_JOINER = "\u2060"


def plain(text: str, most: int) -> str:
    """Make a text one line without hidden characters or anything that mail clients turn into links.

    Args:
        text: from a user or a model; anything.
        most: characters of the result, at least 2. A longer text is cut at a word's end, with "…".
    """
    text = "".join(
        c for c in well_formed(text) if category(c) not in ("Cc", "Cf") or c.isspace() or c in JOINERS
    )
    text = STRAY_JOINERS.sub("", text)
    text = WHITE_SPACE.sub(lambda m: m[0] if m[0] in NO_BREAK_SPACES else " ", text)
    text = URL.sub("[…]", text)
    text = DOT_OF_NAME.sub("." + WORD_JOINER, text)
    return _cut(text.strip(), most)


def _cut(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    end = most - 1
    while end and _belong_together(text[end - 1], text[end]):
        end -= 1
    end = end or most - 1
    # A word longer than half of it, or a script without spaces, is cut anywhere.
    space = text.rfind(" ", end // 2, end + 1)
    return text[: space if space > 0 else end].rstrip(WORD_JOINER).rstrip() + "…"


def _belong_together(one: str, other: str) -> bool:
    """Tell whether two characters are shown as one: marks, joined emoji, skin tones, flags."""
    return (
        one in JOINERS
        or other in JOINERS
        or category(other).startswith("M")
        or "\U0001f3fb" <= other <= "\U0001f3ff"
        or ("\U0001f1e6" <= one <= "\U0001f1ff" and "\U0001f1e6" <= other <= "\U0001f1ff")
    )
