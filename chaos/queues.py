"""The queues of a running stack: waiting messages and dead letters."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from typing import Any

from chaos.breakage import TRIES
from chaos.load import Message
from local.runtime import emulator
from local.runtime.stack import PREFIXES, Stack

WAITING = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]


@dataclass
class Queues:
    """The queue and the dead-letter queue of every process.

    Attributes:
        stack: the stack of the queues.
        sqs_url: the endpoint for publishing.
        dead: body and reason of the invalid dead letters.
        redriven: all other dead letters, moved back to their queues.
    """

    stack: Stack
    sqs_url: str
    dead: list[tuple[str, str]] = field(default_factory=list)
    redriven: list[Message] = field(default_factory=list)

    def publish(self, messages: list[Message]) -> None:
        """Send messages, as Mojodex's backend does."""
        for process, some in groupby(sorted(messages), key=lambda message: message[0]):
            bodies = [body for _, body in some]
            for begin in range(0, len(bodies), 10):
                entries = [{"Id": str(i), "MessageBody": b} for i, b in enumerate(bodies[begin : begin + 10])]
                self._publisher.send_message_batch(QueueUrl=self._url(process), Entries=entries)

    def waiting(self, *, dead: bool = False) -> dict[str, int]:
        """Count the messages of each queue, or of its dead-letter queue; hidden ones included.

        A dead letter that a redrive has received is hidden for some minutes, longer if the redrive was
        killed.
        """
        found = {}
        for process in PREFIXES:
            url = self._url(process, dead=dead)
            answer = self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=WAITING)
            found[process] = sum(int(answer["Attributes"][name]) for name in WAITING)
        return found

    def redrive(self) -> int:
        """Empty the dead-letter queues: keep invalid messages, and move all others back to their queues.

        Returns:
            How many were moved back.
        """
        before = len(self.redriven)
        for process in PREFIXES:
            for letter in self._take(self._url(process, dead=True)):
                reason = letter.get("MessageAttributes", {}).get("reason")
                if reason:
                    self.dead.append((letter["Body"], reason["StringValue"]))
                else:
                    self._sqs.send_message(QueueUrl=self._url(process), MessageBody=letter["Body"])
                    self.redriven.append((process, letter["Body"]))
        return len(self.redriven) - before

    def _take(self, url: str) -> Iterator[dict[str, Any]]:
        while letters := self._sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        ).get("Messages"):
            for letter in letters:
                yield letter
                self._sqs.delete_message(QueueUrl=url, ReceiptHandle=letter["ReceiptHandle"])

    def _url(self, process: str, *, dead: bool = False) -> str:
        return self.stack.outputs[f"{PREFIXES[process]}{'DeadLetter' if dead else ''}QueueUrl"]

    @cached_property
    def _sqs(self) -> Any:
        return emulator.client(self.stack.endpoint, "sqs", tries=TRIES)

    @cached_property
    def _publisher(self) -> Any:
        return emulator.client(self.sqs_url, "sqs", tries=TRIES)
