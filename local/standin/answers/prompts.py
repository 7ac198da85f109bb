"""Read parts of our own rendered prompts."""

import re
from datetime import date


class PromptError(Exception):
    """The prompt lacks a part that the rules need. The text names it."""


def section(prompt: str, tag: str) -> str:
    """Return the lines between the tags `<tag-NONCE>` and `</tag-NONCE>`.

    Raises:
        PromptError: there is no such pair.
    """
    found = re.search(rf"^<{tag}-(\w+)>\n(.*?)^</{tag}-\1>", prompt, re.MULTILINE | re.DOTALL)
    if not found:
        raise PromptError(f"the stand-in finds no <{tag}> in the prompt")
    return found[2]


def line(prompt: str, pattern: str, what: str) -> str:
    """Return the first group of a pattern that matches at the start of a line.

    Raises:
        PromptError: no line matches; it names `what`.
    """
    found = re.search(rf"^{pattern}", prompt, re.MULTILINE)
    if not found:
        raise PromptError(f"the stand-in finds no {what} in the prompt")
    return found[1]


def today(prompt: str) -> date:
    """Return the user's day, from the line `Today is YYYY-MM-DD …`.

    Raises:
        PromptError: there is no such line.
    """
    return date.fromisoformat(line(prompt, r"Today is (\d{4}-\d\d-\d\d)\b", "line 'Today is YYYY-MM-DD'"))


def is_french(prompt: str) -> bool:
    """Tell whether the user's language is a kind of French. Otherwise, the rules use English.

    Raises:
        PromptError: there is no line `Language: …`.
    """
    return line(prompt, r"Language: (\S+)", "line 'Language: …'").lower().startswith("fr")


def unbroken(french: str) -> str:
    """Return French text with narrow no-break spaces beside its punctuation."""
    return re.sub(" (?=[!?:;»])|(?<=«) ", "\u202f", french)
