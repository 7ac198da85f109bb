"""The messages on the queue of events."""

from typing import Literal

from mojodex.messages import LocalDate, Message, UserId

PROCESS = "events"

# A new event needs a name here, its due work (schedule.py), and a generator and a channel (worker.py).
EventType = Literal["todo_daily_emails"]


class SendEvent(Message):
    """Send one event to one user: `{"event_type": "todo_daily_emails", "user_id": "…"}`.

    Attributes:
        event_type: name of the event.
        user_id: the recipient.
        local_date: the user's day for which it is due; by default the day on which the message was sent. A
            user gets an event once a day.
    """

    event_type: EventType
    user_id: UserId
    local_date: LocalDate | None = None

    @property
    def subject(self) -> str:
        return f"{self.event_type}:{self.user_id}"
