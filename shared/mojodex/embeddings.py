"""Embeddings: turn texts into vectors, many in one request."""

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

# The length of `md_document_chunk.embedding`.
DIMENSIONS = 1536
# pgvector stores each number in four bytes.
LARGEST = 3.4e38
# Limits of one request (OpenAI, Embeddings: 2,048 inputs and 300,000 tokens). A token has at least one byte.
INPUTS_PER_REQUEST = 256
BYTES_PER_REQUEST = 300_000


def _parse_deployment(text: str) -> Deployment:
    (deployment,) = parse_deployments(text)
    return deployment


class EmbeddingSettings(ProviderSettings):
    """Settings of the embedding model.

    Attributes:
        embedding_model: as `name` or `name=deployment`. Mojodex must search with the same one, because
            vectors of different models cannot be compared.
    """

    embedding_model: Annotated[Deployment, BeforeValidator(_parse_deployment)]

    @model_validator(mode="after")
    def _embedding_is_priced(self) -> "EmbeddingSettings":
        self.check_priced([self.embedding_model[0]])
        return self


@dataclass(frozen=True)
class EmbeddingModel:
    """The embedding model, the circuits of providers, and a record of what its calls cost."""

    settings: EmbeddingSettings
    circuits: Circuits
    spending: Spending = field(default_factory=Spending)

    def paid_by(self, job: Job) -> "EmbeddingModel":
        """Return the same model, with its cost recorded for a job."""
        return replace(self, spending=job.spending)

    @property
    def name(self) -> str:
        """The model's name. Vectors of another model cannot be compared with its own."""
        name, _deployment = self.settings.embedding_model
        return name

    def embed(self, texts: Sequence[str], deadline: Deadline) -> list[array[float]]:
        """Return one vector of 1536 numbers for each text, in their order.

        Args:
            texts: none is empty.
            deadline: when the invocation ends.

        Raises:
            TransientError: the model gave no such vectors in time.
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
            # Raw, because the SDK handles each number separately, and a response has 400,000.
            response = api.embeddings.with_raw_response.create(
                model=attempt.deployment, input=texts, encoding_format="float", timeout=attempt.timeout
            )
            answer = json.loads(response.content)
        usage = answer.get("usage") if isinstance(answer, dict) else None
        counts = usage if isinstance(usage, dict) else {}
        tokens = count_of(counts.get("prompt_tokens")) or count_of(counts.get("total_tokens"))
        tokens = tokens or sum(map(estimate, texts))
        count("EmbeddingCalls", model=attempt.model)
        count("EmbeddingTokens", tokens, model=attempt.model)
        price = self.settings.price_of(attempt.model)
        self.spending.add(attempt.model, None, price, prompt_tokens=tokens)
        vectors = _vectors(answer)
        if len(vectors) != len(texts):
            raise CallFailedError(f"response lacks a vector of {DIMENSIONS} numbers for each text")
        return vectors


def _bytes(text: str) -> int:
    return len(text.encode())


def _vectors(answer: Any) -> list[array[float]]:
    """Return the vectors of a response in the order of its inputs; [] if one is not valid."""
    try:
        data = sorted(answer["data"], key=lambda item: int(item["index"]))
        # A list would take three times the memory, and a long text has 10,000 vectors.
        vectors = [array("d", item["embedding"]) for item in data]
    except (KeyError, TypeError, ValueError, OverflowError):
        return []
    # Also false for NaN, which compares false with any number.
    fit = all(len(each) == DIMENSIONS and all(abs(n) < LARGEST for n in each) for each in vectors)
    return vectors if fit and [item["index"] for item in data] == list(range(len(data))) else []
