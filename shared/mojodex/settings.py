"""Settings: typed models, read once from the environment variables that the template sets.

A process declares its settings as a subclass of `Settings`, in the module of its handler. The field
`queue_url` is read from `QUEUE_URL`. A variable that is missing, empty or of the wrong type fails the cold
start; the error names it.
"""

import os
from collections.abc import Mapping
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from mojodex.validation import error_summary


class SettingsError(Exception):
    """The environment does not fit the settings model. The text names each variable."""


class Settings(BaseModel):
    """Base of all settings models; make one with `from_environment`."""

    model_config = ConfigDict(frozen=True)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Read each field from the variable with its name in capitals. An empty variable counts as not set.

        Raises:
            SettingsError: a variable is missing or not valid. It names each such variable, never its value.
        """
        found = {
            name: value for name in cls.model_fields if (value := environment.get(name.upper(), "").strip())
        }
        try:
            return cls.model_validate(found)
        except ValidationError as error:
            wrong = error_summary(error, "settings", str.upper)
            raise SettingsError(f"{cls.__module__}: {wrong}") from None
