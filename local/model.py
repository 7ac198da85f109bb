"""Which language model is asked: that of the caller's environment, or the stand-in of this repository."""

import os
from dataclasses import dataclass

OFFLINE = "offline"


@dataclass(frozen=True)
class Model:
    """A language model.

    Attributes:
        name: for people; `OFFLINE` for the stand-in.
        base_url: of its API; None for OpenAI's own.
        models: what LLM_MODELS wants; None for the template's own.
    """

    name: str
    base_url: str | None
    models: str | None = None


def from_environment() -> Model | None:
    """The model of OPENAI_API_KEY and OPENAI_BASE_URL, if one of them is set; OPENAI_MODEL names it."""
    url = os.environ.get("OPENAI_BASE_URL") or None
    if not url and not os.environ.get("OPENAI_API_KEY"):
        return None
    model = os.environ.get("OPENAI_MODEL")
    # The prompts are written for gpt-4.1, and name no model of other servers.
    return Model(url or "OpenAI", url, f"gpt-4.1={model}" if model else None)


def api_key() -> str:
    """The key for it; the stand-in, and many servers, want none but something."""
    return os.environ.get("OPENAI_API_KEY") or "none"
