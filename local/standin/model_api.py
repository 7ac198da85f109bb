"""The stand-in's answers in OpenAI's form: chat completions by rules, embeddings by a small model.

Each rule of `local.standin.answers` answers one of our prompts. The schema of the answer selects the rule.
"""

import json
import time
import uuid
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field, StringConstraints, ValidationError

from local.standin import embeddings
from local.standin.answers import ANSWERS
from local.standin.answers.prompts import PromptError

CHARS_PER_TOKEN = 4
# OpenAI's own limit.
MOST_TEXTS = 2048


# The fields of requests that matter here.
class _Message(BaseModel):
    role: str
    content: str


class _JsonSchema(BaseModel):
    name: str


class _ResponseFormat(BaseModel):
    type: Literal["json_schema"]
    json_schema: _JsonSchema


class _ChatRequest(BaseModel):
    model: str
    messages: list[_Message] = Field(min_length=1)
    response_format: _ResponseFormat
    stream: bool = False


type _Text = Annotated[str, StringConstraints(strict=True, min_length=1)]


class _EmbeddingsRequest(BaseModel):
    model: str
    input: Annotated[
        list[_Text],
        BeforeValidator(lambda given: [given] if isinstance(given, str) else given),
        Field(min_length=1, max_length=MOST_TEXTS),
    ]
    # OpenAI's SDK asks for base64 by default.
    encoding_format: Literal["float"] = "float"


class RequestError(Exception):
    """A request that cannot be answered. The server answers it with a 400 in OpenAI's form."""

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code


def complete(body: bytes) -> dict[str, Any]:
    """Return a `chat.completion` for the body of a request.

    Raises:
        RequestError: the stand-in cannot answer the request.
    """
    request = _parse(_ChatRequest, body)
    if request.stream:
        raise RequestError("the stand-in does not stream", "unsupported_value")
    name = request.response_format.json_schema.name
    if name not in ANSWERS:
        raise RequestError(f"the stand-in does not know the schema {name!r}", "unknown_schema")
    # The first message of the user is the prompt. Later ones are objections to earlier answers.
    prompt = next((message.content for message in request.messages if message.role == "user"), "")
    try:
        content = json.dumps(ANSWERS[name](prompt), ensure_ascii=False)
    except PromptError as error:
        raise RequestError(str(error)) from None
    read = sum(len(message.content) for message in request.messages) // CHARS_PER_TOKEN
    written = len(content) // CHARS_PER_TOKEN
    return {
        "id": f"chatcmpl-{uuid.uuid4().hex}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": request.model,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": content, "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written},
    }


def embed(body: bytes) -> dict[str, Any]:
    """Return a list of embeddings for the body of a request. Texts are embedded as passages.

    Raises:
        RequestError: the stand-in cannot answer the request.
    """
    request = _parse(_EmbeddingsRequest, body)
    read = embeddings.tokens(request.input)
    return {
        "object": "list",
        "model": request.model,
        "data": [
            {"object": "embedding", "index": index, "embedding": vector}
            for index, vector in enumerate(embeddings.passages(request.input))
        ],
        "usage": {"prompt_tokens": read, "total_tokens": read},
    }


def _parse[R: BaseModel](model: type[R], body: bytes) -> R:
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"][:1]))
        raise RequestError(f"the stand-in cannot read the request: {where}: {first['msg']}") from None
