"""The model provider's API: one client, tries that fit into the invocation, errors that say what to do.

The SDK's own timeout (600 s) and silent retries are switched off.
"""

import json
import random
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from email.utils import parsedate_to_datetime
from typing import Any, Literal

import httpx2
import openai
from pydantic import model_validator

from mojodex.clock import Deadline, utc_now
from mojodex.errors import PermanentError, TransientError
from mojodex.runtime import made_once
from mojodex.secrets import read_secret
from mojodex.settings import Settings

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

# A model's name, and what the server calls it.
type Model = tuple[str, str]


def parse_models(text: str) -> tuple[Model, ...]:
    """The models of `name` or `name=deployment`, with commas."""
    pairs = (item.partition("=") for item in text.split(",") if item.strip())
    return tuple((name.strip(), deployment.strip() or name.strip()) for name, _, deployment in pairs)


class ProviderSettings(Settings):
    """Where models are.

    Attributes:
        llm_secret_arn: secret with the field `api_key`.
        llm_provider: `openai` (or any server with its API) or `azure`.
        llm_base_url: address of the API; needed for Azure, otherwise OpenAI's own without it.
        llm_api_version: Azure's API version; needed for Azure.
        llm_timeout_seconds: longest wait for one answer.
    """

    llm_secret_arn: str
    llm_provider: Literal["openai", "azure"] = "openai"
    llm_base_url: str | None = None
    llm_api_version: str | None = None
    llm_timeout_seconds: float = 60

    @model_validator(mode="after")
    def _azure_is_complete(self) -> "ProviderSettings":
        if self.llm_provider == "azure" and not (self.llm_base_url and self.llm_api_version):
            raise ValueError("azure needs LLM_BASE_URL and LLM_API_VERSION")
        return self


class ModelRefusedError(PermanentError):
    """The model, or its provider's content filter, refuses this content."""


class CallFailedError(Exception):
    """One call failed in a way that another try, another model, or an operator can mend."""

    def __init__(self, why: str, *, retry_after: float | None = None, try_next_model: bool = False) -> None:
        super().__init__(why)
        self.why, self.retry_after, self.try_next_model = why, retry_after, try_next_model


@made_once
def client(settings: ProviderSettings, api_key: str) -> openai.OpenAI:
    """The SDK's client."""
    if settings.llm_provider == "azure":
        assert settings.llm_base_url
        return openai.AzureOpenAI(
            azure_endpoint=settings.llm_base_url,
            api_version=settings.llm_api_version,
            api_key=api_key,
            max_retries=0,
        )
    return openai.OpenAI(base_url=settings.llm_base_url, api_key=api_key, max_retries=0)


def try_models[R](
    settings: ProviderSettings,
    models: Iterable[Model],
    deadline: Deadline,
    call: Callable[[Model, float], R],
    failed: Callable[[Model], None],
) -> R:
    """What `call` gives for the first of the models that does not fail.

    Args:
        settings: the longest wait.
        models: best first.
        deadline: when the invocation ends.
        call: gets a model and the seconds that it may take; raises as `request`.
        failed: told of each model that failed once.

    Raises:
        TransientError: all of them kept failing, or too little time is left.
        ModelRefusedError, PermanentError: as `request`.
    """
    retry_after: float | None = None
    why = "no model"
    for model in models:
        for attempt in range(TRIES_PER_MODEL):
            timeout = min(settings.llm_timeout_seconds, deadline.seconds_left())
            if timeout < SHORTEST_CALL_SECONDS:
                raise TransientError(
                    f"too little time left for the model (last: {why})", retry_after=retry_after
                )
            try:
                return call(model, timeout)
            except CallFailedError as failure:
                why, retry_after = failure.why, failure.retry_after
                failed(model)
                pause = retry_after if retry_after is not None else 0.5 * 2**attempt + random.uniform(0, 0.5)
                if failure.try_next_model or pause > LONGEST_PAUSE_SECONDS or attempt + 1 == TRIES_PER_MODEL:
                    break
                time.sleep(pause)
    raise TransientError(f"language model: {why}", retry_after=retry_after)


def request(
    settings: ProviderSettings,
    send: Callable[[openai.OpenAI], AbstractContextManager[Any]],
    timeout: float,
) -> Any:
    """The JSON of one response, its errors classified.

    Args:
        settings: where the model is.
        send: makes the request with the client and gives the streamed response.
        timeout: seconds for the whole response.

    Raises:
        ModelRefusedError, PermanentError: final for this content.
        CallFailedError: anything else.
    """
    arn = settings.llm_secret_arn
    try:
        api = client(settings, str(read_secret(arn)["api_key"]))
    except KeyError:
        raise TransientError("model secret: api_key is missing") from None
    try:
        # Streamed, because the SDK's timeout is per read, and a server may keep a connection alive for ever.
        with send(api) as response:
            return _read(response.iter_bytes(), until=time.monotonic() + timeout)
    except openai.AuthenticationError:
        # The key may just have been rotated: the next try reads it anew.
        read_secret(arn, force=True)
        raise CallFailedError("key refused (401)") from None
    except openai.RateLimitError as error:
        raise CallFailedError("429", retry_after=_retry_after(error)) from None
    except openai.BadRequestError as error:
        if error.code in REFUSAL_CODES:
            raise ModelRefusedError(f"the model's provider refuses this content ({error.code})") from None
        if error.code in TOO_LONG_CODES:
            raise PermanentError(f"the content is too long for the model ({error.code})") from None
        raise CallFailedError(f"400 ({error.code})", try_next_model=True) from None
    except openai.APIStatusError as error:
        again_later = error.status_code >= 500 or error.status_code in (408, 409, 425)
        raise CallFailedError(
            str(error.status_code), retry_after=_retry_after(error), try_next_model=not again_later
        ) from None
    except (openai.APITimeoutError, httpx2.TimeoutException):
        raise CallFailedError("timeout", try_next_model=True) from None
    except (openai.OpenAIError, httpx2.HTTPError) as error:
        raise CallFailedError(type(error).__name__) from None


def _read(chunks: Iterable[bytes], until: float) -> Any:
    """The JSON that a response holds, read until a moment of `time.monotonic` at most.

    Raises:
        CallFailedError: it takes too long, or is none.
    """
    body = bytearray()
    for chunk in chunks:
        body += chunk
        if time.monotonic() > until:
            raise CallFailedError("timeout", try_next_model=True)
    try:
        return json.loads(body)
    except ValueError:
        raise CallFailedError("response is not JSON") from None


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
