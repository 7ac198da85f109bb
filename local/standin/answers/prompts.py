"""What the rules read out of our own rendered prompts."""

import re
from datetime import date


class PromptError(Exception):
    """The prompt does not hold what the rules look for. The text says what is missing."""


def section(prompt: str, tag: str) -> str:
    """The lines between the tags `<tag-NONCE>` and `</tag-NONCE>`.

    Raises:
        PromptError: there is no such pair.
    """
    found = re.search(rf"^<{tag}-(\w+)>\n(.*?)^</{tag}-\1>", prompt, re.MULTILINE | re.DOTALL)
    if not found:
        raise PromptError(f"the stand-in finds no <{tag}> in the prompt")
    return found[2]


def line(prompt: str, pattern: str, what: str) -> str:
    """The first group of a pattern, matched from the beginning of a line.

    Raises:
        PromptError: no line matches; it names `what`.
    """
    found = re.search(rf"^{pattern}", prompt, re.MULTILINE)
    if not found:
        raise PromptError(f"the stand-in finds no {what} in the prompt")
    return found[1]


def today(prompt: str) -> date:
    """The user's day, out of `Today is YYYY-MM-DD …`.

    Raises:
        PromptError: there is no such line.
    """
    return date.fromisoformat(line(prompt, r"Today is (\d{4}-\d\d-\d\d)\b", "line 'Today is YYYY-MM-DD'"))


def is_french(prompt: str) -> bool:
    """Whether the user's language is any kind of French; the rules know no third language.

    Raises:
        PromptError: there is no line `Language: …`.
    """
    return line(prompt, r"Language: (\S+)", "line 'Language: …'").lower().startswith("fr")


def unbroken(french: str) -> str:
    """French text in which no line can begin with a sign that has a space before it."""
    return re.sub(" (?=[!?:;»])|(?<=«) ", "\u202f", french)
