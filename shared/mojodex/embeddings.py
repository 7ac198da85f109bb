"""Embeddings: texts become vectors, many in one request."""

from array import array
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Annotated, Any

from pydantic import BeforeValidator

from mojodex.clock import Deadline
from mojodex.observability import count
from mojodex.provider import CallFailedError, Model, ProviderSettings, parse_models, request, try_models

# Of `md_document_chunk.embedding`.
DIMENSIONS = 1536
# pgvector's numbers have four bytes.
LARGEST = 3.4e38
# One request (OpenAI, Embeddings: at most 2,048 inputs and 300,000 tokens). A token is at least one byte, so
# this many bytes cannot be more tokens.
INPUTS_PER_REQUEST = 256
BYTES_PER_REQUEST = 300_000


def _parse_model(text: str) -> Model:
    (model,) = parse_models(text)
    return model


class EmbeddingSettings(ProviderSettings):
    """Which model turns texts into vectors, and where it is.

    Attributes:
        embedding_model: as `name` or `name=deployment`; the one that Mojodex searches with, because vectors
            of different models cannot be compared.
    """

    embedding_model: Annotated[Model, BeforeValidator(_parse_model)]


def embed(settings: EmbeddingSettings, texts: Sequence[str], deadline: Deadline) -> list[array[float]]:
    """One vector of 1536 numbers for each text, in their order.

    Args:
        settings: which model.
        texts: none is empty.
        deadline: when the invocation ends.

    Raises:
        TransientError: the model did not answer in time, or not with such vectors.
        ModelRefusedError, PermanentError: as `provider.request`.
    """
    vectors: list[array[float]] = []
    for batch in _requests(texts):
        vectors += try_models(
            settings,
            [settings.embedding_model],
            deadline,
            partial(_call, settings, batch),
            lambda model: count("EmbeddingErrors", model=model[0]),
        )
    return vectors


def _requests(texts: Sequence[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    room = BYTES_PER_REQUEST
    for text in texts:
        size = len(text.encode())
        if batch and (len(batch) == INPUTS_PER_REQUEST or size > room):
            yield batch
            batch, room = [], BYTES_PER_REQUEST
        batch.append(text)
        room -= size
    if batch:
        yield batch


def _call(settings: EmbeddingSettings, texts: list[str], model: Model, timeout: float) -> list[array[float]]:
    """One request, its tokens counted; raises as `provider.request`."""
    name, deployment = model
    answer = request(
        settings,
        lambda api: api.embeddings.with_streaming_response.create(
            model=deployment, input=texts, encoding_format="float", timeout=timeout
        ),
        timeout,
    )
    vectors = _vectors(answer)
    if len(vectors) != len(texts):
        raise CallFailedError(f"response has not one vector of {DIMENSIONS} numbers for each text")
    count("EmbeddingCalls", model=name)
    usage = answer.get("usage")
    if isinstance(usage, dict) and isinstance(usage.get("prompt_tokens"), int):
        count("EmbeddingTokens", usage["prompt_tokens"], model=name)
    return vectors


def _vectors(answer: Any) -> list[array[float]]:
    """The vectors of a response in the order of its inputs; none if one is of another kind."""
    try:
        data = sorted(answer["data"], key=lambda item: int(item["index"]))
        # A list of Python's numbers takes three times as much memory, and a long text has 10,000 vectors.
        vectors = [array("d", item["embedding"]) for item in data]
    except (KeyError, TypeError, ValueError, OverflowError):
        return []
    # Also not a number, which is not smaller than anything.
    fit = all(len(each) == DIMENSIONS and all(abs(n) < LARGEST for n in each) for each in vectors)
    return vectors if fit and [item["index"] for item in data] == list(range(len(data))) else []
