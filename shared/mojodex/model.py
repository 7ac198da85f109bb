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

# After an answer of the wrong form.
RETRIES_OF_FORM = 2
CHARS_OF_OBJECTION = 1500


class ModelSettings(ProviderSettings):
    """Settings of the language models.

    Attributes:
        llm_models: the available models, as `name` or `name=deployment`, separated by commas. A deployment
            is the server's name for the model (Azure's deployment name, or what another server expects).
    """

    llm_models: Annotated[tuple[Deployment, ...], BeforeValidator(parse_deployments)]

    @model_validator(mode="after")
    def _models_are_priced(self) -> "ModelSettings":
        self.check_priced([name for name, _deployment in self.llm_models])
        return self

    def models_for(self, prompt: Prompt) -> list[Deployment]:
        """Return the available models that the prompt is written for, best first.

        Raises:
            ValueError: none of its models is available.
        """
        available = dict(self.llm_models)
        models = [(name, available[name]) for name in prompt.models if name in available]
        if not models:
            raise ValueError(
                f"LLM_MODELS names no model that {prompt.name}.mpt is for: {', '.join(prompt.models)}"
            )
        return models


class Answer(BaseModel):
    """Base of a model's answers. Subclasses declare their text fields as `str | None`.

    A field whose text is missing or not a string becomes null, so that the rest of the answer stays usable.
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
    """The language models of the settings, the circuits of providers, and a record of what calls cost.

    Attributes:
        refused_options: deployments and the names of options that their server refused. Later calls in the
            same execution environment leave these options out.
        spending: the record of calls.
    """

    settings: ModelSettings
    circuits: Circuits
    refused_options: set[tuple[str, str]] = field(default_factory=set)
    spending: Spending = field(default_factory=Spending)

    def paid_by(self, job: Job) -> "Model":
        """Return the same models, with their cost recorded for a job."""
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
        """Ask one question, and return the first valid answer; see `Question.ask`."""
        return Question(self, prompt, variables, answer, deadline, urgent).ask()


@dataclass
class Question[A: BaseModel]:
    """One question, with the conversation about it so far.

    Attributes:
        model: the models to ask.
        prompt: the text to send.
        variables: of the prompt's template.
        answer: class of the answer, with `extra="forbid"` and no defaults, as strict structured output needs.
        deadline: when the invocation ends.
        urgent: whether it is too late for a slow service tier.
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
        """Return the first valid answer. After an invalid one, send its validation errors, at most twice.

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
                self._add_objection(f"It does not have the form that was asked for: {wrong}")
        raise PermanentError("the model's answers do not have the form that was asked for")

    def ask_again(self, objection: str) -> A | None:
        """Return a second answer after a valid one; None if it is not valid, so that the first one stands.

        Args:
            objection: the fault of the first one, in words for the model.
        """
        self._add_objection(objection)
        try:
            return self._next_answer()
        except (ValidationError, MojodexError):
            return None

    def _add_objection(self, objection: str) -> None:
        request = f"Your answer cannot be used. {objection}\nAnswer again, in full."
        self._messages.append({"role": "user", "content": request})

    def _next_answer(self) -> A:
        """Return an answer of the first available model; raises as `ask`, or pydantic's ValidationError."""
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
        """Make one call, count its tokens, and return the text; raises as `one_call`."""
        completion, tier = self._completion(attempt)
        self._count(attempt.model, completion, tier)
        try:
            # The SDK accepts a response without these fields.
            choice = completion.choices[0]
            content, refusal = choice.message.content, choice.message.refusal
        except (TypeError, AttributeError, IndexError):
            raise CallFailedError("response has no message") from None
        if refusal or choice.finish_reason == "content_filter":
            raise ModelRefusedError("the model refuses this content")
        return content or ""

    def _count(self, model: str, completion: ChatCompletion, tier: object) -> None:
        """Count a call and its tokens, in metrics and in the job's spending."""
        # The SDK does not validate responses.
        usage = getattr(completion, "usage", None)
        read = count_of(getattr(usage, "prompt_tokens", None))
        written = count_of(getattr(usage, "completion_tokens", None))
        if not read:
            read = sum(estimate(str(message.get("content"))) for message in self._messages)
            written = estimate(str(getattr(completion, "choices", "")))
        # Parts of the numbers above. Cached tokens are cheaper. Reasoning tokens are not in the answer.
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
        """Make one call, and repeat it without the options that the server refuses; raises as `one_call`.

        Returns:
            The answer, and the service tier that gave it; None if it is unknown.
        """
        wanted = {**self.prompt.models[attempt.model], **self._tier()}
        options = {
            name: value
            for name, value in wanted.items()
            if (attempt.deployment, name) not in self.model.refused_options
        }
        while True:
            try:
                completion = self._create(attempt, options)
                break
            except CallNotAllowedError as failure:
                if not options:
                    raise
                # Many servers do not name the option that they refuse.
                refused = {failure.parameter} if failure.parameter in options else set(options)
                options = {name: value for name, value in options.items() if name not in refused}
        # The call succeeded without these options, so they were the reason.
        refused_options = {(attempt.deployment, name) for name in wanted.keys() - options.keys()}
        self.model.refused_options.update(refused_options)
        return completion, getattr(completion, "service_tier", None) or options.get("service_tier")

    def _tier(self) -> dict[str, str]:
        tier = self.model.settings.llm_service_tier
        if tier == "auto":
            return {}
        return {"service_tier": "default" if self.urgent else tier}

    def _create(self, attempt: Attempt, options: Mapping[str, Any]) -> ChatCompletion:
        # Not `parse`: it drops the text and the tokens of an invalid answer, and both are needed.
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
    """Return the schema of an answer in the API's form."""
    schema = answer.model_json_schema()
    return {
        "type": "json_schema",
        "json_schema": {"name": answer.__name__, "strict": True, "schema": schema},
    }
