"""A finished task, as plain data."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Line:
    """One message of the conversation; `sender` is user or mojo."""

    sender: str
    text: str


@dataclass(frozen=True)
class Result:
    """The newest version of what the task produced."""

    title: str
    text: str


@dataclass(frozen=True)
class Task:
    """A finished task: its definition, conversation (oldest first) and result, and the user's open to-dos."""

    name: str
    definition: str
    conversation: list[Line]
    result: Result
    open_todos: list[str]

    @property
    def said(self) -> list[str]:
        """Return what the user has said: their messages, and the result, which is theirs.

        What Mojo proposed is no evidence: the user did not say that they would do it.
        """
        said = [line.text for line in self.conversation if line.sender == "user"]
        return [*said, self.result.title, self.result.text]
