"""The message on the queue of reschedule_todo."""

from mojodex.messages import LocalDate, Message, PrimaryKey

PROCESS = "reschedule_todo"


class RescheduleTodo(Message):
    """Move one overdue to-do to a better day: `{"todo_pk": 7}`.

    Attributes:
        todo_pk: key of the `md_todo`.
        local_date: the user's local day; by default the day on which the message was sent. A to-do has one
            job a day.
    """

    todo_pk: PrimaryKey
    local_date: LocalDate | None = None

    @property
    def subject(self) -> str:
        return str(self.todo_pk)
