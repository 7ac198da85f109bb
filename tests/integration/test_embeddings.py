"""Embeddings: requests for texts, and the handling of each kind of answer."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from mojodex.clock import Deadline
from mojodex.embeddings import BYTES_PER_REQUEST, INPUTS_PER_REQUEST, EmbeddingModel
from mojodex.errors import PermanentError, TransientError
from mojodex.provider import ModelRefusedError
from tests.fake_model import FakeModel, Reply, embedded, vector
from tests.integration.conftest import Documents

AT_ONCE = {"Retry-After": "0"}
type Embed = Callable[..., list[list[float]]]


@pytest.fixture
def embedding(documents: Documents) -> Embed:
    def call(*texts: str, seconds: float = 60) -> list[list[float]]:
        embedding_model = EmbeddingModel(documents.pages.worker_settings, documents.pages.worker.circuits)
        vectors = embedding_model.embed(texts, Deadline(lambda: int((seconds + 5) * 1000)))
        return [list(each) for each in vectors]

    return call


def answers(model: FakeModel, *replies: Reply | None) -> None:
    """Give these answers in turn, and then the last one again. None is a valid answer."""
    waiting = list(replies)

    def script(request: dict[str, Any]) -> Reply:
        reply = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        return reply or embedded(request)

    model.embed = script


def changed(change: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any]], Reply]:
    def script(request: dict[str, Any]) -> Reply:
        body = json.loads(str(embedded(request).body))
        return Reply(body=json.dumps(change(body)))

    return script


def test_each_text_has_its_own_vector(embedding: Embed, model: FakeModel) -> None:
    assert embedding("one", "two", "three") == [vector("one"), vector("two"), vector("three")]
    (request,) = model.embeddings
    assert request == {
        "model": "text-embedding-ada-002",
        "input": ["one", "two", "three"],
        "encoding_format": "float",
    }


def test_without_texts_no_request_is_sent(embedding: Embed, model: FakeModel) -> None:
    assert embedding() == []
    assert model.embeddings == []


@pytest.mark.parametrize("number", [1, 255, 256, 257, 512, 513])
def test_a_request_has_at_most_256_texts(embedding: Embed, model: FakeModel, number: int) -> None:
    texts = [str(n) for n in range(number)]

    vectors = embedding(*texts)

    assert [text for request in model.embeddings for text in request["input"]] == texts
    assert len(model.embeddings) == -(-number // INPUTS_PER_REQUEST)
    assert vectors[-1] == vector(texts[-1])


@pytest.mark.parametrize(
    ("sizes", "requests"),
    [
        ([100_000, 100_000, 100_000], [3]),
        ([100_000, 100_000, 100_001], [2, 1]),
        ([BYTES_PER_REQUEST], [1]),
        ([BYTES_PER_REQUEST + 1, 1], [1, 1]),
        ([1, BYTES_PER_REQUEST + 1, 1], [1, 1, 1]),
    ],
)
def test_the_bytes_of_a_request_are_limited(
    embedding: Embed, model: FakeModel, sizes: list[int], requests: list[int]
) -> None:
    """A letter of two bytes counts as two."""
    texts = ["é" * (size // 2) + "x" * (size % 2) for size in sizes]

    embedding(*texts)

    assert [len(request["input"]) for request in model.embeddings] == requests


def test_vectors_are_sorted_by_their_index(embedding: Embed, model: FakeModel) -> None:
    model.embed = changed(lambda body: body | {"data": body["data"][::-1]})

    assert embedding("one", "two") == [vector("one"), vector("two")]


def test_a_request_names_the_deployment_of_the_model(
    make_documents: Callable[..., Documents], model: FakeModel
) -> None:
    documents = make_documents(embedding_model="text-embedding-ada-002=mine")

    EmbeddingModel(documents.pages.worker_settings, documents.pages.worker.circuits).embed(
        ["one"], Deadline(lambda: 60_000)
    )

    assert model.embeddings[0]["model"] == "mine"


@pytest.mark.parametrize("status", [401, 408, 409, 429, 500, 502, 503])
def test_a_transient_error_is_tried_once_more(embedding: Embed, model: FakeModel, status: int) -> None:
    answers(model, Reply(status=status, headers=AT_ONCE), None)

    assert embedding("one") == [vector("one")]
    assert len(model.embeddings) == 2


@pytest.mark.parametrize("status", [429, 500])
def test_an_error_that_persists_is_transient(embedding: Embed, model: FakeModel, status: int) -> None:
    answers(model, Reply(status=status, headers=AT_ONCE))

    with pytest.raises(TransientError, match=str(status)):
        embedding("one")
    assert len(model.embeddings) == 2


def test_a_long_wait_is_left_to_the_queue(embedding: Embed, model: FakeModel) -> None:
    answers(model, Reply(status=429, headers={"Retry-After": "60"}))

    with pytest.raises(TransientError) as raised:
        embedding("one")

    assert raised.value.retry_after == 60
    assert len(model.embeddings) == 1


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply(status=400, error_code="content_filter"), ModelRefusedError),
        (Reply(status=400, error_code="context_length_exceeded"), PermanentError),
        (Reply(status=400, error_code="other"), TransientError),
        (Reply(status=403), TransientError),
        (Reply(status=404), TransientError),
    ],
)
def test_an_answer_that_is_final_is_not_tried_again(
    embedding: Embed, model: FakeModel, reply: Reply, error: type[Exception]
) -> None:
    answers(model, reply)

    with pytest.raises(error):
        embedding("one")
    assert len(model.embeddings) == 1


ODD: dict[str, Callable[[dict[str, Any]], Any]] = {
    "no data": lambda body: {},
    "a list": lambda body: [],
    "null": lambda body: None,
    "text": lambda body: body | {"data": "x"},
    "no index": lambda body: body | {"data": [{"embedding": body["data"][0]["embedding"]}]},
    "index of text": lambda body: body | {"data": [body["data"][0] | {"index": "a"}]},
    "index 1": lambda body: body | {"data": [body["data"][0] | {"index": 1}]},
    "base64": lambda body: body | {"data": [body["data"][0] | {"embedding": "AAAA"}]},
    "too short": lambda body: body | {"data": [body["data"][0] | {"embedding": [0.1] * 1535}]},
    "none": lambda body: body | {"data": []},
    "NaN": lambda body: body | {"data": [body["data"][0] | {"embedding": [float("nan")] * 1536}]},
    "infinity": lambda body: body | {"data": [body["data"][0] | {"embedding": [1e400] * 1536}]},
    "huge": lambda body: body | {"data": [body["data"][0] | {"embedding": [10**400] * 1536}]},
    "beyond float4": lambda body: body | {"data": [body["data"][0] | {"embedding": [1e300] * 1536}]},
}


@pytest.mark.parametrize("odd", ODD)
def test_an_invalid_vector_is_never_accepted(embedding: Embed, model: FakeModel, odd: str) -> None:
    model.embed = changed(ODD[odd])

    with pytest.raises(TransientError):
        embedding("one", seconds=4)


def test_a_model_that_hangs_times_out(embedding: Embed, model: FakeModel) -> None:
    answers(model, Reply(drips=60))

    with pytest.raises(TransientError, match="timeout"):
        embedding("one", seconds=3.2)


def test_without_enough_time_no_request_is_sent(embedding: Embed, model: FakeModel) -> None:
    with pytest.raises(TransientError, match="too little time"):
        embedding("one", seconds=2)
    assert model.embeddings == []


def test_tokens_are_counted(embedding: Embed, model: FakeModel, capsys: pytest.CaptureFixture[str]) -> None:
    model.embed = changed(lambda body: body | {"usage": None})
    embedding("one")
    model.embed = embedded
    embedding("two")

    printed = capsys.readouterr().out
    assert printed.count('"EmbeddingTokens":[100.0]') == 1
    assert printed.count('"EmbeddingCalls":[1.0]') == 2
