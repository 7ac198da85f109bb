"""Prompts in Mojodex's `.mpt` format: lines `#! model` at the top, then a Jinja2 template.

    #! gpt-5-mini reasoning_effort=low max_completion_tokens=8000
    #! gpt-4.1 max_completion_tokens=4000
    Find the next steps in the conversation …

    <conversation-{{ nonce }}>
    {{ text }}
    </conversation-{{ nonce }}>

The prompt is written for these models, best first, each with its options (see `Options`). Text that is the
same for all users comes first, so that providers can cache it. Text by users, websites and others follows in
fences: tags that end in the nonce, which the author of such a text cannot know.
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
# A prompt is plain text, so nothing is escaped. A missing variable is an error, not an empty string.
_ENVIRONMENT = Environment(undefined=StrictUndefined, autoescape=False, trim_blocks=True, lstrip_blocks=True)


class Options(BaseModel):
    """Options of a model, with the names and meanings of OpenAI's chat API.

    Attributes:
        reasoning_effort: how much the model reasons before it answers.
        max_completion_tokens: the most tokens of reasoning and answer together.
        temperature: the randomness of the answer.
    """

    model_config = ConfigDict(extra="forbid")

    reasoning_effort: Literal["none", "minimal", "low", "medium", "high"] | None = None
    max_completion_tokens: int | None = Field(default=None, ge=1)
    temperature: float | None = Field(default=None, ge=0, le=2)


@dataclass(frozen=True)
class Prompt:
    """A prompt, read from its file.

    Attributes:
        name: the file's name without its extension; the prompt's name in metrics.
        models: the models it is written for, best first, each with its options in the API's form.
        template: the rest of the file.
    """

    name: str
    models: Mapping[str, Mapping[str, Any]]
    template: Template

    def render(self, **variables: Any) -> str:
        """Render the text for the model.

        The nonce is a hash of the whole prompt. The same prompt has the same nonce, and the author of a part
        cannot know it. Its digits make few tokens: most tokenizers put three into one.

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
