"""The message on the queue of extract_todos."""

from mojodex.messages import Message, PrimaryKey

PROCESS = "extract_todos"


class ExtractTodos(Message):
    """Extract the to-dos of one task execution, once: `{"user_task_execution_pk": 123}`."""

    user_task_execution_pk: PrimaryKey

    @property
    def subject(self) -> str:
        return str(self.user_task_execution_pk)
