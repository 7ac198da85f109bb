"""A finished task, as plain data."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Line:
    """One message of the conversation; `sender` is user or mojo."""

    sender: str
    text: str


@dataclass(frozen=True)
class Result:
    """The newest version of the task's result."""

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
        """Return the user's texts: their messages, and the result, which is theirs.

        Mojo's proposals are no evidence, because the user did not promise them.
        """
        said = [line.text for line in self.conversation if line.sender == "user"]
        return [*said, self.result.title, self.result.text]
