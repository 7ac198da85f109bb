"""Settings: typed models that are read once from the environment, where the template put them.

A process declares what it needs as a subclass of `Settings`, in the module of its handler. A field
`queue_url` is read from `QUEUE_URL`. A variable that is missing, empty or of the wrong type stops the cold
start with its name.
"""

import os
from collections.abc import Mapping
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from mojodex.validation import error_summary


class SettingsError(Exception):
    """The environment does not hold what a settings model asks for. The text names each variable."""


class Settings(BaseModel):
    """A settings model; `from_environment` is how to make one."""

    model_config = ConfigDict(frozen=True)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Read each field from the variable of its name in capitals; an empty variable counts as not set.

        Raises:
            SettingsError: names each variable that is missing or not valid, never its value.
        """
        found = {
            name: value for name in cls.model_fields if (value := environment.get(name.upper(), "").strip())
        }
        try:
            return cls.model_validate(found)
        except ValidationError as error:
            wrong = error_summary(error, "settings", str.upper)
            raise SettingsError(f"{cls.__module__}: {wrong}") from None
