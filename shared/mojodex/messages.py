"""Messages on the queues: JSON objects, with a model for each process."""

from abc import abstractmethod
from datetime import date
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

# A primary key of Mojodex: a 32-bit integer from 1 upwards. Strict: "7", 7.0 and true are not 7.
PrimaryKey = Annotated[int, Field(strict=True, ge=1, le=2**31 - 1)]

# A user's local day. Strict: "2026-11-24", but neither a moment nor a number.
LocalDate = Annotated[date, Field(strict=True)]

# Mojodex's user_id is text without control characters. PostgreSQL refuses NUL, SQS the last two characters.
UserId = Annotated[
    str, Field(strict=True, min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f\uFFFE\uFFFF]+$")
]


class Message(BaseModel):
    """Base of all messages. An unknown field is an error, so that a misspelt one is not ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @property
    @abstractmethod
    def subject(self) -> str:
        """Return the subject of its job: part of the ledger's key."""
