"""Embeddings: texts become vectors, many in one request."""

import json
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

from pydantic import BeforeValidator, model_validator

from mojodex.batches import batches
from mojodex.circuit import Circuits
from mojodex.clock import Deadline
from mojodex.jobs import Job
from mojodex.observability import count
from mojodex.provider import (
    Attempt,
    CallFailedError,
    Deployment,
    ProviderSettings,
    attempts,
    one_call,
    parse_deployments,
)
from mojodex.spending import Spending, count_of, estimate

# Of `md_document_chunk.embedding`.
DIMENSIONS = 1536
# pgvector's numbers have four bytes.
LARGEST = 3.4e38
# One request (OpenAI, Embeddings: at most 2,048 inputs and 300,000 tokens). A token is at least one byte, so
# this many bytes cannot be more tokens.
INPUTS_PER_REQUEST = 256
BYTES_PER_REQUEST = 300_000


def _parse_deployment(text: str) -> Deployment:
    (deployment,) = parse_deployments(text)
    return deployment


class EmbeddingSettings(ProviderSettings):
    """Which model turns texts into vectors, and where it is.

    Attributes:
        embedding_model: as `name` or `name=deployment`; the one that Mojodex searches with, because vectors
            of different models cannot be compared.
    """

    embedding_model: Annotated[Deployment, BeforeValidator(_parse_deployment)]

    @model_validator(mode="after")
    def _embedding_is_priced(self) -> "EmbeddingSettings":
        self.check_priced([self.embedding_model[0]])
        return self


@dataclass(frozen=True)
class EmbeddingModel:
    """The model that turns texts into vectors, the circuit that tells whether it is away, and who pays."""

    settings: EmbeddingSettings
    circuits: Circuits
    spending: Spending = field(default_factory=Spending)

    def paid_by(self, job: Job) -> "EmbeddingModel":
        """Return the same model, whose calls are paid by a job."""
        return replace(self, spending=job.spending)

    @property
    def name(self) -> str:
        """The model's name: vectors of another model cannot be compared with its own."""
        name, _deployment = self.settings.embedding_model
        return name

    def embed(self, texts: Sequence[str], deadline: Deadline) -> list[array[float]]:
        """Return one vector of 1536 numbers for each text, in their order.

        Args:
            texts: none is empty.
            deadline: when the invocation ends.

        Raises:
            TransientError: the model did not answer in time, or not with such vectors.
            ModelRefusedError, PermanentError: final for this content.
        """
        requests = batches(texts, _bytes, most=INPUTS_PER_REQUEST, most_bytes=BYTES_PER_REQUEST)
        return [vector for some in requests for vector in self._embed(some, deadline)]

    def _embed(self, texts: list[str], deadline: Deadline) -> list[array[float]]:
        settings = self.settings
        models = [settings.embedding_model]
        for attempt in attempts(models, settings.llm_timeout_seconds, self.circuits, deadline):
            try:
                return self._call(attempt, texts)
            except CallFailedError as failure:
                attempt.failure = failure
                count("EmbeddingErrors", model=attempt.model)
        raise AssertionError("attempts raises when none is left")

    def _call(self, attempt: Attempt, texts: list[str]) -> list[array[float]]:
        """Make one call, and count its tokens; raises as `one_call`."""
        with one_call(self.settings, self.circuits, attempt.model) as api:
            # Raw, because the SDK looks at each number by itself, and a request has 400,000.
            response = api.embeddings.with_raw_response.create(
                model=attempt.deployment, input=texts, encoding_format="float", timeout=attempt.timeout
            )
            answer = json.loads(response.content)
        usage = answer.get("usage") if isinstance(answer, dict) else None
        told = usage if isinstance(usage, dict) else {}
        tokens = count_of(told.get("prompt_tokens")) or count_of(told.get("total_tokens"))
        tokens = tokens or sum(map(estimate, texts))
        count("EmbeddingCalls", model=attempt.model)
        count("EmbeddingTokens", tokens, model=attempt.model)
        price = self.settings.price_of(attempt.model)
        self.spending.add(attempt.model, None, price, prompt_tokens=tokens)
        vectors = _vectors(answer)
        if len(vectors) != len(texts):
            raise CallFailedError(f"response has not one vector of {DIMENSIONS} numbers for each text")
        return vectors


def _bytes(text: str) -> int:
    return len(text.encode())


def _vectors(answer: Any) -> list[array[float]]:
    """Return the vectors of a response in the order of its inputs; none if one is of another kind."""
    try:
        data = sorted(answer["data"], key=lambda item: int(item["index"]))
        # A list of Python's numbers takes three times as much memory, and a long text has 10,000 vectors.
        vectors = [array("d", item["embedding"]) for item in data]
    except (KeyError, TypeError, ValueError, OverflowError):
        return []
    # Also not a number, which is not smaller than anything.
    fit = all(len(each) == DIMENSIONS and all(abs(n) < LARGEST for n in each) for each in vectors)
    return vectors if fit and [item["index"] for item in data] == list(range(len(data))) else []
