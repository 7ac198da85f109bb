"""The language model: a pydantic object out of a prompt, or an error that says what to do about it.

Every try fits into the time that the invocation has left; the SDK's own timeout (600 s) and silent retries
are switched off. `chat.completions.create` is used with the schema of the answer, and not `parse`, which
throws away the text and the token count of an answer that is not valid, just when both are needed.
"""

import json
import random
import time
from collections.abc import Callable, Iterator
from email.utils import parsedate_to_datetime
from typing import Annotated, Any, Literal

import httpx2
import openai
from openai.types.chat import ChatCompletion, ChatCompletionMessageParam
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, model_validator

from mojodex.clock import Deadline, utc_now
from mojodex.errors import MojodexError, PermanentError, TransientError
from mojodex.observability import count
from mojodex.prompts import Prompt
from mojodex.runtime import made_once
from mojodex.secrets import read_secret
from mojodex.settings import Settings
from mojodex.validation import what_is_wrong

# How often an answer that is nonsense is asked for again, and how often a model is tried before the next one
# is.
NONSENSE_ALLOWED = 2
TRIES_PER_MODEL = 2
# Below this many seconds a call is not begun.
SHORTEST_CALL_SECONDS = 3
# A wait longer than this is not paid for inside an invocation: the next model is asked, or the message comes
# back later.
LONGEST_PAUSE_SECONDS = 3
# Codes of a 400 that is about this content, and so is final (OpenAI, Azure OpenAI). Any other 400 is about
# how we ask, for an operator to put right.
REFUSAL_CODES = ("content_filter", "content_policy_violation", "invalid_prompt")
TOO_LONG_CODES = ("context_length_exceeded", "string_above_max_length")
CHARS_OF_COMPLAINT = 1500


def _parse_models(text: str) -> tuple[tuple[str, str], ...]:
    pairs = (item.partition("=") for item in text.split(",") if item.strip())
    return tuple((name.strip(), deployment.strip() or name.strip()) for name, _, deployment in pairs)


class LlmSettings(Settings):
    """Which models may be asked, and where.

    Attributes:
        llm_secret_arn: secret with the field `api_key`.
        llm_models: the models that are available, as `name` or `name=deployment`, with commas; a deployment
            is what the server calls the model (Azure's deployment name, or whatever an OpenAI-compatible
            server expects).
        llm_provider: `openai` (or any server with its API) or `azure`.
        llm_base_url: address of the API; needed for Azure, otherwise OpenAI's own without it.
        llm_api_version: Azure's API version; needed for Azure.
        llm_timeout_seconds: longest wait for one answer.
    """

    llm_secret_arn: str
    llm_models: Annotated[tuple[tuple[str, str], ...], BeforeValidator(_parse_models)]
    llm_provider: Literal["openai", "azure"] = "openai"
    llm_base_url: str | None = None
    llm_api_version: str | None = None
    llm_timeout_seconds: float = 60

    @model_validator(mode="after")
    def _azure_is_complete(self) -> "LlmSettings":
        if self.llm_provider == "azure" and not (self.llm_base_url and self.llm_api_version):
            raise ValueError("azure needs LLM_BASE_URL and LLM_API_VERSION")
        return self

    def models_for(self, prompt: Prompt) -> list[tuple[str, str]]:
        """The available models that the prompt is written for, best first, each with its deployment.

        Raises:
            ValueError: there is none.
        """
        available = dict(self.llm_models)
        models = [(name, available[name]) for name in prompt.models if name in available]
        if not models:
            raise ValueError(
                f"LLM_MODELS names none of those that {prompt.name}.mpt is for: {', '.join(prompt.models)}"
            )
        return models


class Answer(BaseModel):
    """Base of what a model is to answer; its fields that are text are declared as `str | None`.

    A text that is missing, or is no text, counts as null, and so costs this field and not the whole answer.
    The schema that the model gets still demands every field and allows no other.
    """

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _texts_or_null(cls, answer: Any) -> Any:
        if not isinstance(answer, dict):
            return answer
        texts = {name for name, field in cls.model_fields.items() if field.annotation == str | None}
        given = {name: answer[name] for name in cls.model_fields if name in answer}
        return given | {name: None for name in texts if not isinstance(given.get(name), str)}


class ModelRefusedError(PermanentError):
    """The model, or its provider's content filter, refuses this content."""


@made_once
def _client(settings: LlmSettings, api_key: str) -> openai.OpenAI:
    if settings.llm_provider == "azure":
        assert settings.llm_base_url
        return openai.AzureOpenAI(
            azure_endpoint=settings.llm_base_url,
            api_version=settings.llm_api_version,
            api_key=api_key,
            max_retries=0,
        )
    return openai.OpenAI(base_url=settings.llm_base_url, api_key=api_key, max_retries=0)


def ask[A: BaseModel](
    settings: LlmSettings,
    prompt: Prompt,
    variables: dict[str, Any],
    answer: type[A],
    deadline: Deadline,
    review: Callable[[A], str | None] = lambda _: None,
    correct: Callable[[A, A], A] = lambda _, second: second,
) -> A:
    """Ask a model and get a valid `answer`.

    An answer of the wrong form is asked for again, with what was wrong, at most twice. A valid answer that
    `review` objects to is asked for again once; if the second is not valid, the first one stands.

    Args:
        settings: which models are available.
        prompt: see `prompts`.
        variables: for its template.
        answer: model of the answer; with `extra="forbid"` and no defaults, as strict structured output wants
            it.
        deadline: when the invocation ends.
        review: says what is wrong with an answer, in words for the model; None if nothing is.
        correct: makes one answer of the first and the second; by itself the second replaces the first.

    Raises:
        TransientError: no model answered in time.
        ModelRefusedError: it will not answer this.
        PermanentError: only nonsense came, or the content is too long.
    """
    conversation: list[ChatCompletionMessageParam] = [
        {"role": "user", "content": well_formed(prompt.render(**variables))}
    ]
    for _ in range(1 + NONSENSE_ALLOWED):
        text = _complete(settings, prompt, conversation, answer, deadline)
        try:
            got = answer.model_validate_json(text)
        except ValidationError as error:
            wrong = what_is_wrong(error, "answer")[:CHARS_OF_COMPLAINT]
            conversation += _objection(text, f"It does not have the form that was asked for: {wrong}")
            continue
        objection = review(got)
        if objection is None:
            return got
        try:
            second = _complete(settings, prompt, conversation + _objection(text, objection), answer, deadline)
            return correct(got, answer.model_validate_json(second))
        except (ValidationError, MojodexError):
            return got
    raise PermanentError("the model's answers do not have the form that was asked for")


def well_formed(text: str) -> str:
    """The text without what UTF-8 or PostgreSQL cannot hold: lone surrogates become '?', NUL goes."""
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def _objection(text: str, objection: str) -> list[ChatCompletionMessageParam]:
    return [
        {"role": "assistant", "content": well_formed(text)},
        {"role": "user", "content": f"Your answer cannot be used. {objection}\nAnswer again, in full."},
    ]


def _complete(
    settings: LlmSettings,
    prompt: Prompt,
    conversation: list[ChatCompletionMessageParam],
    answer: type[BaseModel],
    deadline: Deadline,
) -> str:
    """The text of one answer, from the first available model that gives one.

    Raises:
        TransientError: all of them kept failing, or too little time is left.
        ModelRefusedError, PermanentError: as `ask`.
    """
    retry_after: float | None = None
    why = "no model"
    for model, deployment in settings.models_for(prompt):
        for attempt in range(TRIES_PER_MODEL):
            timeout = min(settings.llm_timeout_seconds, deadline.seconds_left())
            if timeout < SHORTEST_CALL_SECONDS:
                raise TransientError(
                    f"too little time left for the model (last: {why})", retry_after=retry_after
                )
            try:
                return _call(settings, prompt.name, model, deployment, conversation, answer, timeout)
            except _ModelFailedError as failure:
                why, retry_after = failure.why, failure.retry_after
                count("LlmErrors", model=model, prompt=prompt.name)
                pause = retry_after if retry_after is not None else 0.5 * 2**attempt + random.uniform(0, 0.5)
                if failure.try_next_model or pause > LONGEST_PAUSE_SECONDS or attempt + 1 == TRIES_PER_MODEL:
                    break
                time.sleep(pause)
    raise TransientError(f"language model: {why}", retry_after=retry_after)


class _ModelFailedError(Exception):
    """One call failed in a way that another try, another model, or an operator can mend."""

    def __init__(self, why: str, *, retry_after: float | None = None, try_next_model: bool = False) -> None:
        super().__init__(why)
        self.why, self.retry_after, self.try_next_model = why, retry_after, try_next_model


def _call(
    settings: LlmSettings,
    prompt_name: str,
    model: str,
    deployment: str,
    conversation: list[ChatCompletionMessageParam],
    answer: type[BaseModel],
    timeout: float,
) -> str:
    """One request, its errors classified, its tokens counted.

    Raises:
        ModelRefusedError, PermanentError: final for this content.
        _ModelFailedError: anything else.
    """
    arn = settings.llm_secret_arn
    try:
        client = _client(settings, str(read_secret(arn)["api_key"]))
    except KeyError:
        raise TransientError("model secret: api_key is missing") from None
    try:
        # Streamed, because the SDK's timeout is per read, and a server may keep a connection alive for ever.
        with client.chat.completions.with_streaming_response.create(
            model=deployment,
            messages=conversation,
            response_format={
                "type": "json_schema",
                "json_schema": {
                    "name": answer.__name__,
                    "strict": True,
                    "schema": answer.model_json_schema(),
                },
            },
            timeout=timeout,
        ) as response:
            completion = _read(response.iter_bytes(), until=time.monotonic() + timeout)
    except openai.AuthenticationError:
        # The key may just have been rotated: the next try reads it anew.
        read_secret(arn, force=True)
        raise _ModelFailedError("key refused (401)") from None
    except openai.RateLimitError as error:
        raise _ModelFailedError("429", retry_after=_retry_after(error)) from None
    except openai.BadRequestError as error:
        if error.code in REFUSAL_CODES:
            raise ModelRefusedError(f"the model's provider refuses this content ({error.code})") from None
        if error.code in TOO_LONG_CODES:
            raise PermanentError(f"the content is too long for the model ({error.code})") from None
        raise _ModelFailedError(f"400 ({error.code})", try_next_model=True) from None
    except openai.APIStatusError as error:
        again_later = error.status_code >= 500 or error.status_code in (408, 409, 425)
        raise _ModelFailedError(
            str(error.status_code), retry_after=_retry_after(error), try_next_model=not again_later
        ) from None
    except (openai.APITimeoutError, httpx2.TimeoutException):
        raise _ModelFailedError("timeout", try_next_model=True) from None
    except (openai.OpenAIError, httpx2.HTTPError) as error:
        raise _ModelFailedError(type(error).__name__) from None

    count("LlmCalls", model=model, prompt=prompt_name)
    if completion.usage:
        count("LlmPromptTokens", completion.usage.prompt_tokens, model=model, prompt=prompt_name)
        count("LlmCompletionTokens", completion.usage.completion_tokens, model=model, prompt=prompt_name)
    choice = completion.choices[0]
    if choice.message.refusal or choice.finish_reason == "content_filter":
        raise ModelRefusedError("the model refuses this content")
    return choice.message.content or ""


def _read(chunks: Iterator[bytes], until: float) -> ChatCompletion:
    """The completion that a response holds, read until a moment of `time.monotonic` at most.

    Raises:
        _ModelFailedError: it takes too long, or is none.
    """
    body = bytearray()
    for chunk in chunks:
        body += chunk
        if time.monotonic() > until:
            raise _ModelFailedError("timeout", try_next_model=True)
    try:
        fields = json.loads(body)
    except ValueError:
        raise _ModelFailedError("response is not JSON") from None
    try:
        # As lenient as the SDK is with servers that leave out fields; this one is needed.
        completion = ChatCompletion.construct(**fields)
        completion.choices[0].message.content  # noqa: B018
    except (TypeError, AttributeError, IndexError):
        raise _ModelFailedError("response has no message") from None
    return completion


def _retry_after(error: openai.APIStatusError) -> float | None:
    """Seconds in the Retry-After header, which holds seconds or a date (RFC 9110, 10.2.3); None if it does
    not say.
    """
    value = error.response.headers.get("retry-after", "")
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(value) - utc_now()).total_seconds())
    except (TypeError, ValueError):
        return None
