"""A model of a standard SQS queue, without a clock or randomness of its own.

Page titles in quotes are of the Amazon SQS Developer Guide.
"""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from simulation.deployment import QueueSettings

# From "How Amazon SQS fair queues work". A tenant is noisy with thirty messages and over a tenth of all
# messages in flight. It is also noisy with over a tenth of the recent processing time.
NOISY_SHARE, NOISY_IN_FLIGHT = 0.10, 30
# The same page: a tenant is quiet again once it has sent nothing for five minutes, or its backlog is gone.
# The page does not define "recent".
QUIET_SECONDS = RECENT_SECONDS = 300


@dataclass(eq=False)
class StoredMessage:
    """A message in a queue.

    Attributes:
        id, body, attributes: as sent; `attributes` are its MessageAttributes.
        group: its MessageGroupId, or ''.
        sent: when it was sent (seconds since 1970); unchanged by a move to a dead-letter queue.
        visible_at: when it becomes visible.
        received_at: when it was last received.
        receives: how often it was received.
        receipt: the handle of its last receive; '' before the first.
        sender: the invocation that sent it; '' if none did.
    """

    id: str
    body: str
    attributes: dict[str, Any]
    group: str
    sent: float
    visible_at: float
    received_at: float = 0
    receives: int = 0
    receipt: str = ""
    sender: str = ""


@dataclass
class Queue:
    """A standard queue.

    Attributes:
        settings: the queue's settings in the template.
        dead_letters: the queue for messages that were received too often.
        changed: called with the moment at which a message becomes visible.
        moved: called with a message that moved to the dead-letter queue or expired, and the reason.
    """

    settings: QueueSettings
    dead_letters: "Queue | None" = None
    changed: Callable[[float], None] = lambda _moment: None
    moved: Callable[[StoredMessage, str], None] = lambda _message, _why: None
    messages: dict[str, StoredMessage] = field(default_factory=dict)
    # By tenant: when it last sent. Then each piece of work: its end, its tenant and its duration.
    _sent: dict[str, float] = field(default_factory=dict)
    _worked: list[tuple[float, str, float]] = field(default_factory=list)
    _receipts: int = 0

    def send(self, message: StoredMessage) -> None:
        """Put a message into the queue."""
        self.messages[message.id] = message
        self._sent[message.group] = message.sent
        self.changed(message.visible_at)

    def next_visible(self) -> float | None:
        """Return when the next message is visible, possibly in the past; None if the queue is empty."""
        return min((message.visible_at for message in self.messages.values()), default=None)

    def receive(
        self, count: int, now: float, rng: random.Random, hidden: float | None = None
    ) -> list[StoredMessage]:
        """Receive up to `count` messages, in random order except for fairness.

        Args:
            count, now: how many, and when.
            rng: decides the order.
            hidden: seconds until they are visible again; by default the queue's visibility timeout.

        "Amazon SQS visibility timeout": a received message is hidden. "Using dead-letter queues in Amazon
        SQS": a message that was received maxReceiveCount times moves instead, and keeps its time of sending.
        """
        self._expire(now)
        visible = [message for message in self.messages.values() if message.visible_at <= now]
        rng.shuffle(visible)
        received: list[StoredMessage] = []
        for message in self._fairly(visible, now):
            if self.dead_letters and message.receives >= self.settings.max_receive_count:
                self._move(message, now)
                continue
            if len(received) == count:
                break
            message.receives += 1
            message.received_at = now
            message.visible_at = now + (self.settings.visibility if hidden is None else hidden)
            self._receipts += 1
            message.receipt = f"{message.id} {self._receipts}"
            received.append(message)
        return received

    def delete(self, receipt: str, now: float) -> bool:
        """Delete the message of a receipt.

        "DeleteMessage" (API Reference): an older receipt than the newest may succeed without effect.

        Returns:
            Whether it was deleted.
        """
        message = self._held(receipt)
        if message is None:
            return False
        self._note_work(message, now)
        del self.messages[message.id]
        return True

    def change_visibility(self, receipt: str, seconds: float, now: float) -> bool:
        """Make a received message visible after `seconds`. Return whether it was still in flight.

        "ChangeMessageVisibility" (API Reference): it is an error if the message is not in flight.
        """
        message = self._held(receipt)
        if message is None or message.visible_at <= now:
            return False
        self._note_work(message, now)
        message.visible_at = now + seconds
        self.changed(message.visible_at)
        return True

    def in_flight(self, now: float) -> int:
        """Return how many messages are in flight: received and hidden."""
        return sum(message.receives > 0 and message.visible_at > now for message in self.messages.values())

    def _held(self, receipt: str) -> StoredMessage | None:
        message = self.messages.get(receipt.partition(" ")[0])
        return message if message is not None and message.receipt == receipt else None

    def _expire(self, now: float) -> None:
        """Drop messages older than the retention period ("Amazon SQS message quotas")."""
        for message in list(self.messages.values()):
            if message.sent + self.settings.retention <= now:
                del self.messages[message.id]
                self.moved(message, "retention is over")

    def _move(self, message: StoredMessage, now: float) -> None:
        assert self.dead_letters
        del self.messages[message.id]
        message.visible_at, message.receipt, message.receives = now, "", 0
        self.dead_letters.send(message)
        self.moved(message, "received too often")

    def _note_work(self, message: StoredMessage, now: float) -> None:
        if message.group:
            self._worked.append((now, message.group, now - message.received_at))

    def _fairly(self, visible: list[StoredMessage], now: float) -> list[StoredMessage]:
        """Put the messages of quiet tenants first, then noisy tenants with the fewest messages in flight.

        A message without MessageGroupId is its own tenant, so it is quiet.
        """
        if not any(message.group for message in visible):
            return visible
        in_flight = Counter(
            message.group or message.id
            for message in self.messages.values()
            if message.receives and message.visible_at > now
        )
        noisy = self._noisy(in_flight, now)
        if not noisy:
            return visible
        return sorted(
            visible, key=lambda m: (m.group in noisy, in_flight[m.group] if m.group in noisy else 0)
        )

    def _noisy(self, in_flight: Counter[str], now: float) -> set[str]:
        self._worked = [work for work in self._worked if work[0] > now - RECENT_SECONDS]
        seconds: Counter[str] = Counter()
        for _, group, took in self._worked:
            seconds[group] += round(took * 1000)
        tenants = {message.group for message in self.messages.values() if message.group}
        return {
            group
            for group in tenants
            if self._sent.get(group, 0) > now - QUIET_SECONDS
            and (
                (in_flight[group] >= NOISY_IN_FLIGHT and in_flight[group] > NOISY_SHARE * in_flight.total())
                or seconds[group] > NOISY_SHARE * seconds.total() > 0
            )
        }
