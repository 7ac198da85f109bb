"""What travels on a queue: JSON objects, each process with its own model."""

from abc import abstractmethod
from datetime import date
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

# A primary key as Mojodex's tables have it: a 32-bit integer, drawn from 1 upwards. Strict: "7", 7.0 and true
# are not 7.
PrimaryKey = Annotated[int, Field(strict=True, ge=1, le=2**31 - 1)]

# A user's local day. Strict: "2026-11-24", and neither a moment nor a number.
LocalDate = Annotated[date, Field(strict=True)]

# Mojodex's user_id is text; PostgreSQL takes no NUL.
UserId = Annotated[str, Field(strict=True, min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f]+$")]


class Message(BaseModel):
    """A message of one process. An unknown field is an error: a misspelt one must not be ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @property
    @abstractmethod
    def subject(self) -> str:
        """What the job is about: the ledger's key."""
