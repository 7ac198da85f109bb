"""Prompts in Mojodex's `.mpt` format: lines `#! model` at the top, then a Jinja2 template.

    #! gpt-5-mini reasoning_effort=low max_completion_tokens=8000
    #! gpt-4.1 max_completion_tokens=4000
    Find the next steps in the conversation …

    <conversation-{{ nonce }}>
    {{ text }}
    </conversation-{{ nonce }}>

The models are those that the prompt is written for, in order of preference, each with what else is asked of
it (see `Options`). What is the same for all users stands first, so that providers can cache it. What users,
websites and others have written stands behind it, in fences: tags that end in the nonce, which nobody who
writes such a text can know.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from jinja2 import Environment, StrictUndefined, Template
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mojodex.validation import error_summary

MODEL_LINE = "#!"
NONCE_DIGITS = 15
# A prompt is plain text for a model: nothing to escape. A variable that is missing is an error, not an empty
# space.
_ENVIRONMENT = Environment(undefined=StrictUndefined, autoescape=False, trim_blocks=True, lstrip_blocks=True)


class Options(BaseModel):
    """What is asked of a model besides the prompt; names and meanings are those of OpenAI's chat API.

    Attributes:
        reasoning_effort: how much it thinks before it answers.
        max_completion_tokens: tokens of its thinking and its answer together, at most.
        temperature: how much chance is in the answer.
    """

    model_config = ConfigDict(extra="forbid")

    reasoning_effort: Literal["none", "minimal", "low", "medium", "high"] | None = None
    max_completion_tokens: int | None = Field(default=None, ge=1)
    temperature: float | None = Field(default=None, ge=0, le=2)


@dataclass(frozen=True)
class Prompt:
    """A prompt that was read from its file.

    Attributes:
        name: the file's name without its ending; names the prompt in metrics.
        models: the models it is written for, best first, each with its options as the API wants them.
        template: the rest of the file.
    """

    name: str
    models: Mapping[str, Mapping[str, Any]]
    template: Template

    def render(self, **variables: Any) -> str:
        """Render the text for the model.

        The nonce is a hash of all that is in the prompt: the same prompt has the same one, and who writes a
        part of it cannot know it. Tokenizers take three digits for a token.

        Raises:
            jinja2.UndefinedError: the template names a variable that is not given.
        """
        text = self.template.render(**variables, nonce="")
        digest = hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).digest()
        nonce = int.from_bytes(digest) % 10**NONCE_DIGITS
        return self.template.render(**variables, nonce=f"{nonce:0{NONCE_DIGITS}}")


def read_prompt(path: Path) -> Prompt:
    """Read a `.mpt` file.

    Raises:
        ValueError: it names no model, or an option is not valid.
        jinja2.TemplateSyntaxError: the template is not valid.
    """
    lines = path.read_text(encoding="utf-8").splitlines()
    models = {}
    while lines and lines[0].startswith(MODEL_LINE):
        name, *options = lines.pop(0).removeprefix(MODEL_LINE).split() or [""]
        models[name] = _options(options, f"{path.name}, {name}")
    if not models or "" in models:
        raise ValueError(f"{path.name}: the first lines must name models, as '#! model-name'")
    return Prompt(path.stem, models, _ENVIRONMENT.from_string("\n".join(lines)))


def _options(words: list[str], where: str) -> dict[str, Any]:
    given = dict(word.partition("=")[::2] for word in words)
    try:
        return Options.model_validate(given).model_dump(exclude_none=True)
    except ValidationError as error:
        raise ValueError(f"{where}: {error_summary(error, 'options')}") from None
