"""Prompts in Mojodex's `.mpt` format: lines `#! model` at the top, then a Jinja2 template.

    #! gpt-5-mini
    #! gpt-4.1
    You are helping {{ user.name }} …

The models are those that the prompt is written for, in order of preference.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined, Template

MODEL_LINE = "#!"
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

        Raises:
            jinja2.UndefinedError: the template names a variable that is not given.
        """
        return self.template.render(**variables)


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
