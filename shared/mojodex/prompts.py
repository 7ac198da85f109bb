"""Prompts in Mojodex's `.mpt` format: lines `#! model` at the top, then a Jinja2 template.

    #! gpt-5-mini
    #! gpt-4.1
    Find the next steps in the conversation …

    <conversation-{{ nonce }}>
    {{ text }}
    </conversation-{{ nonce }}>

The models are those that the prompt is written for, in order of preference. What is the same for all users
stands first, so that providers can cache it. What users, websites and others have written stands behind it,
in fences: tags that end in the nonce, which nobody who writes such a text can know.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined, Template

MODEL_LINE = "#!"
NONCE_BYTES = 8
# A prompt is plain text for a model: nothing to escape. A variable that is missing is an error, not an empty
# space.
_ENVIRONMENT = Environment(undefined=StrictUndefined, autoescape=False, trim_blocks=True, lstrip_blocks=True)


@dataclass(frozen=True)
class Prompt:
    """A prompt that was read from its file.

    Attributes:
        name: the file's name without its ending; names the prompt in metrics.
        models: the models it is written for, best first.
        template: the rest of the file.
    """

    name: str
    models: tuple[str, ...]
    template: Template

    def render(self, **variables: Any) -> str:
        """Render the text for the model.

        The nonce is a hash of all that is in the prompt: the same prompt has the same one, and a text that
        holds its own cannot be found (64 bits).

        Raises:
            jinja2.UndefinedError: the template names a variable that is not given.
        """
        text = self.template.render(**variables, nonce="")
        nonce = hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=NONCE_BYTES).hexdigest()
        return self.template.render(**variables, nonce=nonce)


def read_prompt(path: Path) -> Prompt:
    """Read a `.mpt` file.

    Raises:
        ValueError: it names no model.
        jinja2.TemplateSyntaxError: the template is not valid.
    """
    lines = path.read_text(encoding="utf-8").splitlines()
    models: list[str] = []
    while lines and lines[0].startswith(MODEL_LINE):
        models.append(lines.pop(0).removeprefix(MODEL_LINE).strip())
    if not models or not all(models):
        raise ValueError(f"{path.name}: the first lines must name models, as '#! model-name'")
    return Prompt(path.stem, tuple(models), _ENVIRONMENT.from_string("\n".join(lines)))
