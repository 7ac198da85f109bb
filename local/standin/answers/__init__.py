"""The rules of the offline stand-in for a language model: each answers one of our prompts."""

from collections.abc import Callable
from typing import Any

from local.standin.answers.daily_email import daily_email
from local.standin.answers.extraction import extraction
from local.standin.answers.relevance import relevance
from local.standin.answers.rescheduling import rescheduling

# By the name of the answer's JSON schema.
ANSWERS: dict[str, Callable[[str], dict[str, Any]]] = {
    "Extraction": extraction,
    "Rescheduling": rescheduling,
    "DailyEmail": daily_email,
    "Relevance": relevance,
}
