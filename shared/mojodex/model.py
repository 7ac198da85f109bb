"""The language model: a prompt goes in, a valid pydantic object comes out."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Annotated, Any

from openai.types.chat import ChatCompletion, ChatCompletionMessageParam
from openai.types.shared_params import ResponseFormatJSONSchema
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, model_validator

from mojodex.circuit import Circuits
from mojodex.clock import Deadline
from mojodex.errors import MojodexError, PermanentError
from mojodex.jobs import Job
from mojodex.observability import count
from mojodex.prompts import Prompt
from mojodex.provider import (
    Attempt,
    CallFailedError,
    CallNotAllowedError,
    Deployment,
    ModelRefusedError,
    ProviderSettings,
    attempts,
    one_call,
    parse_deployments,
)
from mojodex.spending import Spending, count_of, estimate
from mojodex.text import well_formed
from mojodex.validation import error_summary

# How often an answer of the wrong form is asked for again.
RETRIES_OF_FORM = 2
CHARS_OF_OBJECTION = 1500


class ModelSettings(ProviderSettings):
    """Which models may be asked, and where.

    Attributes:
        llm_models: the models that are available, as `name` or `name=deployment`, with commas; a deployment
            is what the server calls the model (Azure's deployment name, or whatever an OpenAI-compatible
            server expects).
    """

    llm_models: Annotated[tuple[Deployment, ...], BeforeValidator(parse_deployments)]

    @model_validator(mode="after")
    def _models_are_priced(self) -> "ModelSettings":
        self.check_priced([name for name, _deployment in self.llm_models])
        return self

    def models_for(self, prompt: Prompt) -> list[Deployment]:
        """Return the available models that the prompt is written for, best first.

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


@dataclass(frozen=True)
class Model:
    """The language models that the settings name, and the circuits that tell which of them are away.

    Attributes:
        not_taken: options that a server did not take, each with what the server calls the model. They are
            left out from then on, for as long as the execution environment lives.
        spending: where each call is written down.
    """

    settings: ModelSettings
    circuits: Circuits
    not_taken: set[tuple[str, str]] = field(default_factory=set)
    spending: Spending = field(default_factory=Spending)

    def paid_by(self, job: Job) -> "Model":
        """Return the same models, whose calls are paid by a job."""
        return replace(self, spending=job.spending)

    def ask[A: BaseModel](
        self,
        prompt: Prompt,
        variables: dict[str, Any],
        answer: type[A],
        deadline: Deadline,
        *,
        urgent: bool = False,
    ) -> A:
        """Ask one question, and return the first valid answer; see `Question` and its `ask`."""
        return Question(self, prompt, variables, answer, deadline, urgent).ask()


@dataclass
class Question[A: BaseModel]:
    """One question, and what was said about it so far.

    Attributes:
        model: who is asked.
        prompt: what is asked.
        variables: those of the prompt's template.
        answer: the form of the answer; with `extra="forbid"` and no defaults, as strict structured output
            demands.
        deadline: when the invocation ends.
        urgent: whether it is too late for a tier that may have to be waited for.
    """

    model: Model
    prompt: Prompt
    variables: dict[str, Any]
    answer: type[A]
    deadline: Deadline
    urgent: bool = False

    def __post_init__(self) -> None:
        text = well_formed(self.prompt.render(**self.variables))
        self._messages: list[ChatCompletionMessageParam] = [{"role": "user", "content": text}]

    def ask(self) -> A:
        """Return the first valid answer. The model is told what is wrong with an invalid one, at most twice.

        Raises:
            TransientError: no model answered in time.
            ModelRefusedError: the model will not answer this.
            PermanentError: no answer was valid, or the content is too long.
        """
        for _ in range(1 + RETRIES_OF_FORM):
            try:
                return self._next_answer()
            except ValidationError as error:
                wrong = error_summary(error, "answer")[:CHARS_OF_OBJECTION]
                self._object(f"It does not have the form that was asked for: {wrong}")
        raise PermanentError("the model's answers do not have the form that was asked for")

    def ask_again(self, objection: str) -> A | None:
        """Return a second answer after a valid one; None if no valid one comes, so that the first one stands.

        Args:
            objection: what is wrong with the first one, in words for the model.
        """
        self._object(objection)
        try:
            return self._next_answer()
        except (ValidationError, MojodexError):
            return None

    def _object(self, objection: str) -> None:
        request = f"Your answer cannot be used. {objection}\nAnswer again, in full."
        self._messages.append({"role": "user", "content": request})

    def _next_answer(self) -> A:
        """Let the first available model answer; raises as `ask`, or pydantic's ValidationError."""
        settings = self.model.settings
        models, seconds = settings.models_for(self.prompt), settings.llm_timeout_seconds
        for attempt in attempts(models, seconds, self.model.circuits, self.deadline):
            try:
                text = self._call(attempt)
            except CallFailedError as failure:
                attempt.failure = failure
                count("LlmErrors", model=attempt.model, prompt=self.prompt.name)
            else:
                self._messages.append({"role": "assistant", "content": well_formed(text)})
                return self.answer.model_validate_json(text)
        raise AssertionError("attempts raises when none is left")

    def _call(self, attempt: Attempt) -> str:
        """Make one call, count what it costs, and return the text; raises as `one_call`."""
        completion, tier = self._completion(attempt)
        self._count(attempt.model, completion, tier)
        try:
            # The SDK lets servers leave out fields; the message is needed.
            choice = completion.choices[0]
            content, refusal = choice.message.content, choice.message.refusal
        except (TypeError, AttributeError, IndexError):
            raise CallFailedError("response has no message") from None
        if refusal or choice.finish_reason == "content_filter":
            raise ModelRefusedError("the model refuses this content")
        return content or ""

    def _count(self, model: str, completion: ChatCompletion, tier: object) -> None:
        """Count a call and its tokens: in metrics, and in what its job has spent."""
        # The SDK takes whatever a server sends.
        usage = getattr(completion, "usage", None)
        read = count_of(getattr(usage, "prompt_tokens", None))
        written = count_of(getattr(usage, "completion_tokens", None))
        if not read:
            read = sum(estimate(str(message.get("content"))) for message in self._messages)
            written = estimate(str(getattr(completion, "choices", "")))
        # Both are part of the sums. Cached tokens are cheaper; reasoning tokens are not in the answer.
        cached = count_of(_detail(usage, "prompt_tokens_details", "cached_tokens"))
        reasoning = count_of(_detail(usage, "completion_tokens_details", "reasoning_tokens"))
        count("LlmCalls", model=model, prompt=self.prompt.name)
        count("LlmPromptTokens", read, model=model, prompt=self.prompt.name)
        count("LlmCompletionTokens", written, model=model, prompt=self.prompt.name)
        if cached:
            count("LlmCachedTokens", cached, model=model, prompt=self.prompt.name)
        if reasoning:
            count("LlmReasoningTokens", reasoning, model=model, prompt=self.prompt.name)
        self.model.spending.add(
            model,
            tier,
            self.model.settings.price_of(model),
            prompt_tokens=read,
            cached_tokens=cached,
            completion_tokens=written,
            reasoning_tokens=reasoning,
        )

    def _completion(self, attempt: Attempt) -> tuple[ChatCompletion, object]:
        """Make one call, and again without options that the server does not take; raises as `one_call`.

        Returns:
            The answer, and the service tier that has given it; None if nobody says.
        """
        wanted = {**self.prompt.models[attempt.model], **self._tier()}
        options = {
            name: value
            for name, value in wanted.items()
            if (attempt.deployment, name) not in self.model.not_taken
        }
        while True:
            try:
                completion = self._create(attempt, options)
                break
            except CallNotAllowedError as failure:
                if not options:
                    raise
                # Many servers do not say which one they do not know.
                refused = {failure.parameter} if failure.parameter in options else set(options)
                options = {name: value for name, value in options.items() if name not in refused}
        # Only now it is known that the options were the reason.
        self.model.not_taken.update((attempt.deployment, name) for name in wanted.keys() - options.keys())
        return completion, getattr(completion, "service_tier", None) or options.get("service_tier")

    def _tier(self) -> dict[str, str]:
        tier = self.model.settings.llm_service_tier
        if tier == "auto":
            return {}
        return {"service_tier": "default" if self.urgent else tier}

    def _create(self, attempt: Attempt, options: Mapping[str, Any]) -> ChatCompletion:
        # Not `parse`, which drops the text and the tokens of an invalid answer, just when both are needed.
        with one_call(self.model.settings, self.model.circuits, attempt.model) as api:
            completion: ChatCompletion = api.chat.completions.create(
                model=attempt.deployment,
                messages=self._messages,
                response_format=_format(self.answer),
                timeout=attempt.timeout,
                **options,
            )
            return completion


def _detail(usage: Any, details: str, name: str) -> object:
    return getattr(getattr(usage, details, None), name, None)


@cache
def _format(answer: type[BaseModel]) -> ResponseFormatJSONSchema:
    """Return the schema of an answer, as the API wants it."""
    schema = answer.model_json_schema()
    return {
        "type": "json_schema",
        "json_schema": {"name": answer.__name__, "strict": True, "schema": schema},
    }
