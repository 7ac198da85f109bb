"""Choose the language model: that of the caller's environment, or the stand-in of this repository."""

import os
from dataclasses import dataclass

from local.standin import embeddings

OFFLINE = "offline"
# The model that Mojodex searches with.
EMBEDDING_MODEL = "text-embedding-ada-002"


@dataclass(frozen=True)
class Model:
    """A language model.

    Attributes:
        name: to be shown; `OFFLINE` for the stand-in.
        base_url: of its API; None for OpenAI's own.
        models: value of LLM_MODELS; None for the template's default.
        embedding_model: value of EMBEDDING_MODEL; None for the template's default.
    """

    name: str
    base_url: str | None
    models: str | None = None
    embedding_model: str | None = None


def from_environment() -> Model | None:
    """Return the model of OPENAI_API_KEY and OPENAI_BASE_URL; None if neither is set.

    OPENAI_MODEL and OPENAI_EMBEDDING_MODEL are the server's names for its models.
    """
    url = os.environ.get("OPENAI_BASE_URL") or None
    if not url and not os.environ.get("OPENAI_API_KEY"):
        return None
    model, embedding = (os.environ.get(f"OPENAI_{kind}") for kind in ("MODEL", "EMBEDDING_MODEL"))
    # The prompts are written for gpt-4.1, and for no model of other servers.
    return Model(
        url or "OpenAI",
        url,
        f"gpt-4.1={model}" if model else None,
        f"{EMBEDDING_MODEL}={embedding}" if embedding else None,
    )


def question(text: str) -> list[float]:
    """Embed a question, with the model that embeds the documents.

    Raises:
        openai.OpenAIError: the caller's model does not answer.
    """
    found = from_environment()
    if found is None:
        return embeddings.question(text)
    # Imported here, because the import is slow.
    import openai

    name = (found.embedding_model or EMBEDDING_MODEL).rpartition("=")[2]
    with openai.OpenAI(base_url=found.base_url, api_key=api_key()) as api:
        return api.embeddings.create(model=name, input=text, encoding_format="float").data[0].embedding


def api_key() -> str:
    """Return the API key. The stand-in and many servers accept any text."""
    return os.environ.get("OPENAI_API_KEY") or "none"
