"""The model provider's API: one client, attempts that fit into the invocation, and classified errors.

The SDK's own timeout (600 s) and silent retries are switched off.
"""

import random
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Literal

import httpx2
import openai
from pydantic import model_validator

from mojodex.circuit import Circuits
from mojodex.clock import Deadline, utc_now
from mojodex.errors import PermanentError, TransientError
from mojodex.runtime import made_once
from mojodex.secrets import read_secret
from mojodex.spending import DAILY_SPEND_LIMIT, SpendingSettings

ATTEMPTS_PER_MODEL = 2
# With less time left, no call is begun.
SHORTEST_CALL_SECONDS = 3
# Instead of a longer pause, which is billed, the next model is asked or the message is retried later.
LONGEST_PAUSE_SECONDS = 3
# Codes of a 400 that is about the content, and so is final (OpenAI, Azure OpenAI). Any other 400 is about our
# request, for an operator to correct.
REFUSAL_CODES = ("content_filter", "content_policy_violation", "invalid_prompt")
TOO_LONG_CODES = ("context_length_exceeded", "string_above_max_length")

# A model's name, and the server's name for it.
type Deployment = tuple[str, str]


def parse_deployments(text: str) -> tuple[Deployment, ...]:
    """Parse models as `name` or `name=deployment`, separated by commas."""
    pairs = (item.partition("=") for item in text.split(",") if item.strip())
    return tuple((name.strip(), deployment.strip() or name.strip()) for name, _, deployment in pairs)


class ProviderSettings(SpendingSettings):
    """Settings of the models' provider.

    Attributes:
        llm_secret_arn: secret with the field `api_key`.
        llm_provider: `openai` (or any server with its API) or `azure`.
        llm_base_url: address of the API. Azure needs it; otherwise OpenAI's own is the default.
        llm_api_version: Azure's API version. Azure needs it.
        llm_timeout_seconds: longest time for one call, from connecting to the last byte of the answer.
        llm_service_tier: which tier of the provider answers, at its price; `auto` lets the provider choose.
    """

    llm_secret_arn: str
    llm_provider: Literal["openai", "azure"] = "openai"
    llm_base_url: str | None = None
    llm_api_version: str | None = None
    llm_timeout_seconds: float = 60
    llm_service_tier: Literal["auto", "flex", "default"] = "auto"

    @model_validator(mode="after")
    def _azure_is_complete(self) -> "ProviderSettings":
        if self.llm_provider == "azure" and not (self.llm_base_url and self.llm_api_version):
            raise ValueError("azure needs LLM_BASE_URL and LLM_API_VERSION")
        return self


class ModelRefusedError(PermanentError):
    """The model, or its provider's content filter, refuses this content."""


class CallFailedError(Exception):
    """A failed call. Another attempt, another model, or an operator can help."""

    def __init__(self, why: str, *, retry_after: float | None = None, try_next_model: bool = False) -> None:
        super().__init__(why)
        self.retry_after, self.try_next_model = retry_after, try_next_model


class CallTimedOutError(CallFailedError):
    """No answer came in time. The provider may have produced one, and bill it."""


class CallNotAllowedError(CallFailedError):
    """The provider refused this call (400). Other calls may work, so its circuit does not open.

    Args:
        code: the provider's.
        parameter: the one that it refused, if it names one.
    """

    def __init__(self, code: str | None, parameter: str | None) -> None:
        super().__init__(f"400 ({code})", try_next_model=True)
        self.parameter = parameter


@made_once
def client(settings: ProviderSettings, api_key: str) -> openai.OpenAI:
    """Make the SDK's client, whose `timeout` bounds a whole call."""
    # Imported here, because the HTTP library would lengthen every cold start.
    from mojodex.total_timeout import TotalTimeout

    http_client = httpx2.Client(transport=TotalTimeout(), follow_redirects=True)
    if settings.llm_provider == "azure":
        assert settings.llm_base_url
        return openai.AzureOpenAI(
            azure_endpoint=settings.llm_base_url,
            api_version=settings.llm_api_version,
            api_key=api_key,
            max_retries=0,
            http_client=http_client,
        )
    return openai.OpenAI(
        base_url=settings.llm_base_url, api_key=api_key, max_retries=0, http_client=http_client
    )


@dataclass
class Attempt:
    """One attempt at a call: the model to ask, and the timeout in seconds.

    The caller sets `failure` when the attempt fails.
    """

    model: str
    deployment: str
    timeout: float
    failure: CallFailedError | None = None


def attempts(
    deployments: Iterable[Deployment], longest_seconds: float, circuits: Circuits, deadline: Deadline
) -> Iterator[Attempt]:
    """Yield attempts, with a pause between two, until the caller stops.

    Args:
        deployments: the models to ask, best first.
        longest_seconds: longest timeout of an attempt.
        circuits: those of the models. A model whose circuit is open is left out, except for a probe.
        deadline: when the invocation ends.

    Raises:
        TransientError: the daily spend limit is reached, all models are unavailable or keep failing, or too
            little time is left; as `Circuits.allows`.
    """
    if circuits.is_open(DAILY_SPEND_LIMIT):
        raise TransientError("the daily spend limit is reached")
    failures: list[CallFailedError] = []
    for model, deployment in deployments:
        for number in range(1, ATTEMPTS_PER_MODEL + 1):
            if not circuits.allows(model):
                failures.append(CallFailedError("its circuit is open"))
                break
            timeout = min(longest_seconds, deadline.seconds_left())
            if timeout < SHORTEST_CALL_SECONDS:
                raise _gave_up("too little time left for the model", failures)
            is_probe = circuits.is_open(model)
            attempt = Attempt(model, deployment, timeout)
            yield attempt
            assert attempt.failure
            # A probe's timeout is the model's fault, not the job's.
            failures.append(CallFailedError(str(attempt.failure)) if is_probe else attempt.failure)
            pause = attempt.failure.retry_after
            if pause is None:
                pause = number / 2 + random.uniform(0, 0.5)
            if (
                attempt.failure.try_next_model
                or pause > LONGEST_PAUSE_SECONDS
                or number == ATTEMPTS_PER_MODEL
            ):
                break
            time.sleep(pause)
    raise _gave_up("language model", failures)


def _gave_up(problem: str, failures: Sequence[CallFailedError]) -> TransientError:
    """Make the error for a question that no model answered; see `jobs` for when it counts."""
    last = failures[-1] if failures else CallFailedError("no model was asked")
    return TransientError(
        f"{problem}: {last}",
        retry_after=last.retry_after,
        counts=bool(failures) and all(isinstance(failure, CallTimedOutError) for failure in failures),
    )


@contextmanager
def one_call(settings: ProviderSettings, circuits: Circuits, model: str) -> Iterator[openai.OpenAI]:
    """Yield the SDK's client for one call, classify the call's errors, and update the model's circuit.

    Raises:
        TransientError: the secret cannot be read.
        ModelRefusedError, PermanentError: final for this content.
        CallFailedError: anything else.
    """
    try:
        with _classified_errors(settings) as api:
            yield api
    except (CallNotAllowedError, PermanentError):
        # The model is available. It refused only this call.
        circuits.succeeded(model)
        raise
    except CallFailedError as failure:
        circuits.failed(model, str(failure))
        raise
    circuits.succeeded(model)


@contextmanager
def _classified_errors(settings: ProviderSettings) -> Iterator[openai.OpenAI]:
    """Yield the client, and classify the errors of the call; raises as `one_call`."""
    arn = settings.llm_secret_arn
    try:
        api = client(settings, str(read_secret(arn)["api_key"]))
    except KeyError:
        raise TransientError("model secret: api_key is missing") from None
    try:
        yield api
    except openai.AuthenticationError:
        # The key may just have been rotated. The next attempt uses the new one.
        read_secret(arn, force=True)
        raise CallFailedError("key refused (401)") from None
    except openai.BadRequestError as error:
        if error.code in REFUSAL_CODES:
            raise ModelRefusedError(f"the model's provider refuses this content ({error.code})") from None
        if error.code in TOO_LONG_CODES:
            raise PermanentError(f"the content is too long for the model ({error.code})") from None
        raise CallNotAllowedError(error.code, error.param) from None
    except openai.APIStatusError as error:
        again_later = error.status_code >= 500 or error.status_code in (408, 409, 425, 429)
        raise CallFailedError(
            str(error.status_code), retry_after=_retry_after(error), try_next_model=not again_later
        ) from None
    except openai.APITimeoutError:
        raise CallTimedOutError("timeout", try_next_model=True) from None
    except openai.OpenAIError as error:
        raise CallFailedError(type(error).__name__) from None
    except ValueError:
        raise CallFailedError("response is not JSON") from None


def _retry_after(error: openai.APIStatusError) -> float | None:
    """Return the seconds of Retry-After (RFC 9110, 10.2.3: a number or a date); None without the header."""
    value = error.response.headers.get("retry-after", "")
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(value) - utc_now()).total_seconds())
    except (TypeError, ValueError):
        return None
