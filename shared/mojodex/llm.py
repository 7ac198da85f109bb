"""The language model: a pydantic object out of a prompt, or an error that says what to do about it.

`chat.completions.create` is used with the schema of the answer, and not `parse`, which throws away the text
and the token count of an answer that is not valid, just when both are needed.
"""

from collections.abc import Callable
from functools import cache
from typing import Annotated, Any

from openai.types.chat import ChatCompletion, ChatCompletionMessageParam
from openai.types.shared_params import ResponseFormatJSONSchema
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, model_validator

from mojodex.clock import Deadline
from mojodex.errors import MojodexError, PermanentError
from mojodex.observability import count
from mojodex.prompts import Prompt
from mojodex.provider import (
    CallFailedError,
    Model,
    ModelRefusedError,
    ProviderSettings,
    parse_models,
    request,
    try_models,
)
from mojodex.validation import what_is_wrong

# How often an answer that is nonsense is asked for again.
NONSENSE_ALLOWED = 2
CHARS_OF_COMPLAINT = 1500


class LlmSettings(ProviderSettings):
    """Which models may be asked, and where.

    Attributes:
        llm_models: the models that are available, as `name` or `name=deployment`, with commas; a deployment
            is what the server calls the model (Azure's deployment name, or whatever an OpenAI-compatible
            server expects).
    """

    llm_models: Annotated[tuple[Model, ...], BeforeValidator(parse_models)]

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
    """The text of one answer, from the first available model that gives one; raises as `try_models`."""
    return try_models(
        settings,
        settings.models_for(prompt),
        deadline,
        lambda model, timeout: _call(settings, prompt.name, model, conversation, answer, timeout),
        lambda model: count("LlmErrors", model=model[0], prompt=prompt.name),
    )


@cache
def _format(answer: type[BaseModel]) -> ResponseFormatJSONSchema:
    """The schema of the answer, as the API wants it."""
    schema = answer.model_json_schema()
    return {
        "type": "json_schema",
        "json_schema": {"name": answer.__name__, "strict": True, "schema": schema},
    }


def _call(
    settings: LlmSettings,
    prompt_name: str,
    model: Model,
    conversation: list[ChatCompletionMessageParam],
    answer: type[BaseModel],
    timeout: float,
) -> str:
    """One request, its tokens counted; raises as `request`."""
    name, deployment = model
    fields = request(
        settings,
        lambda api: api.chat.completions.with_streaming_response.create(
            model=deployment,
            messages=conversation,
            response_format=_format(answer),
            timeout=timeout,
        ),
        timeout,
    )
    try:
        # As lenient as the SDK is with servers that leave out fields; the message is needed.
        completion = ChatCompletion.construct(**fields)
        choice = completion.choices[0]
        content, refusal = choice.message.content, choice.message.refusal
    except (TypeError, AttributeError, IndexError):
        raise CallFailedError("response has no message") from None

    count("LlmCalls", model=name, prompt=prompt_name)
    if completion.usage:
        count("LlmPromptTokens", completion.usage.prompt_tokens, model=name, prompt=prompt_name)
        count("LlmCompletionTokens", completion.usage.completion_tokens, model=name, prompt=prompt_name)
    if refusal or choice.finish_reason == "content_filter":
        raise ModelRefusedError("the model refuses this content")
    return content or ""
