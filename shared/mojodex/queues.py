"""SQS: publish messages, retry a received one later, delete it, or move it to the dead-letter queue.

Each message carries its user as MessageGroupId. SQS then treats the queue as a fair queue: a user with many
messages in flight waits behind the others.
"""

import hashlib
import random
import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from itertools import batched
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from mojodex.aws import sqs
from mojodex.batches import batches
from mojodex.errors import TransientError

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import (
        ChangeMessageVisibilityBatchRequestEntryTypeDef,
        DeleteMessageBatchRequestEntryTypeDef,
        MessageAttributeValueTypeDef,
        SendMessageBatchRequestEntryTypeDef,
    )

# SQS: the most entries of one SendMessageBatch or DeleteMessageBatch.
BATCH_SIZE = 10
# SQS: the most bytes of one request are 1 MiB, attributes included; it was a quarter until August 2025.
BATCH_BYTES = 250_000
# Requests in flight. Each only waits. The client keeps ten connections.
REQUESTS_AT_ONCE = 8
# Of every queue in template.yaml: receives before a message becomes a dead letter, and retention.
MAX_RECEIVES = 10
RETENTION = timedelta(days=4)
# Short enough that a backlog is done within two runs of a schedule after an outage. Ten receives then take
# about 45 minutes.
MAX_DELAY_SECONDS = 900
FIRST_DELAY_SECONDS = 5
# How long a received dead letter stays hidden: longer than a run of the redrive.
HIDDEN_SECONDS = 150
MAX_DOUBLINGS = 8
# SQS: a MessageGroupId has up to 128 ASCII letters, digits and punctuation marks, and no white space.
MESSAGE_GROUP = re.compile(r"[!-~]{1,128}")


@dataclass(frozen=True)
class Outgoing:
    """A message to publish.

    Attributes:
        body: its body.
        owner: mostly a user's id (see `message_group`).
        sent_millis: when an earlier copy was first sent, in milliseconds since 1970; None if it is new.
    """

    body: str
    owner: str
    sent_millis: int | None = None


def message_group(owner: str) -> str:
    """Return the MessageGroupId of a user's messages: the id, or its hash if SQS would refuse the id.

    It must stay the same: all versions of the bundle, and the backend, give a user the same group.
    """
    if MESSAGE_GROUP.fullmatch(owner):
        return owner
    return hashlib.sha256(owner.encode()).hexdigest()


@contextmanager
def _sqs_errors(queue: str = "queue") -> Iterator[None]:
    """Classify SQS's errors: each is transient."""
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise TransientError(f"{queue}: {type(error).__name__}") from error


def publish(queue_url: str, messages: Iterable[Outgoing]) -> None:
    """Send messages, ten a request and eight requests in flight, in no particular order.

    Raises:
        TransientError: SQS did not accept all of them; it may have accepted some.
    """
    with ThreadPoolExecutor(REQUESTS_AT_ONCE) as threads:
        list(threads.map(partial(_send, queue_url), batched(messages, BATCH_SIZE, strict=False)))


def _send(queue_url: str, messages: Sequence[Outgoing]) -> None:
    entries: list[SendMessageBatchRequestEntryTypeDef] = []
    for i, message in enumerate(messages):
        entries.append(
            {"Id": str(i), "MessageBody": message.body, "MessageGroupId": message_group(message.owner)}
        )
        if message.sent_millis is not None:
            entries[-1]["MessageAttributes"] = {"sent_at": _attribute(message.sent_millis)}
    with _sqs_errors():
        refused = sqs().send_message_batch(QueueUrl=queue_url, Entries=entries).get("Failed", [])
    if refused:
        raise TransientError(f"queue: {len(refused)} messages refused ({refused[0]['Code']})")


def back_off_seconds(receive_count: int, retry_after: float | None = None) -> int:
    """Return the seconds after which a failed message is retried.

    The delay starts at 5 s and doubles with every receive, up to a quarter of an hour. Half of it is random
    ("equal jitter", AWS Architecture Blog, Exponential Backoff and Jitter), so that messages that failed
    together are retried apart, and none at once.

    Args:
        receive_count: how often SQS has delivered the message, from 1.
        retry_after: seconds that the dependency asked us to wait; the delay is never shorter.
    """
    delay = min(FIRST_DELAY_SECONDS << min(receive_count - 1, MAX_DOUBLINGS), MAX_DELAY_SECONDS)
    jittered = delay / 2 + random.uniform(0, delay / 2)
    return round(min(max(jittered, retry_after or 0), MAX_DELAY_SECONDS))


def retry_later(queue_url: str, record: dict[str, Any], seconds: int) -> None:
    """Make a received message visible again after `seconds`.

    Raises:
        TransientError: SQS did not accept it. The message becomes visible after the queue's visibility
            timeout instead.
    """
    with _sqs_errors():
        sqs().change_message_visibility(
            QueueUrl=queue_url, ReceiptHandle=record["receiptHandle"], VisibilityTimeout=seconds
        )


def delete(queue_url: str, records: Sequence[dict[str, Any]]) -> None:
    """Delete received messages, ten a request. SQS may leave some in the queue; they are delivered again.

    Raises:
        TransientError: SQS did not accept a request.
    """
    for batch in batched(records, BATCH_SIZE, strict=False):
        entries: list[DeleteMessageBatchRequestEntryTypeDef] = [
            {"Id": str(i), "ReceiptHandle": record["receiptHandle"]} for i, record in enumerate(batch)
        ]
        with _sqs_errors():
            sqs().delete_message_batch(QueueUrl=queue_url, Entries=entries)


def dead_letter(queue_url: str, record: dict[str, Any], reason: str) -> None:
    """Copy a received message to the dead-letter queue, with the attributes `reason` and `message_id`.

    The copy keeps the message's group.

    Raises:
        TransientError: SQS did not accept it.
    """
    group = record["attributes"].get("MessageGroupId")
    # SQS refuses an empty body.
    _send_copy(queue_url, record["body"] or "(empty)", group, reason=reason, message_id=record["messageId"])


def _send_copy(queue_url: str, body: str, group: str | None, **attributes: str) -> None:
    """Send a copy of a message to the dead-letter queue; raises as `dead_letter`."""
    in_group: Any = {"MessageGroupId": group} if group else {}
    with _sqs_errors("dead-letter queue"):
        sqs().send_message(
            QueueUrl=queue_url,
            MessageBody=body,
            MessageAttributes={
                name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()
            },
            **in_group,
        )


@dataclass(frozen=True)
class DeadLetter:
    """A message in a dead-letter queue.

    Attributes:
        message_id: SQS's id, the same as in its former queue.
        receipt_handle: of this receive.
        body: as it was sent.
        sent_millis: when it was first sent, in milliseconds since 1970.
        redrives: how often `redrive` returned it to its queue.
        group: its MessageGroupId; None if it has none.
        reason: why it stays here; None if SQS moved it.
    """

    message_id: str
    receipt_handle: str
    body: str
    sent_millis: int
    redrives: int
    group: str | None
    reason: str | None


def dead_letters(dead_letter_queue_url: str) -> Iterator[DeadLetter]:
    """Receive each message of a dead-letter queue once. They stay hidden for `HIDDEN_SECONDS`.

    Raises:
        TransientError: SQS did not answer.
    """
    while True:
        with _sqs_errors("dead-letter queue"):
            messages = sqs().receive_message(
                QueueUrl=dead_letter_queue_url,
                MaxNumberOfMessages=BATCH_SIZE,
                MessageSystemAttributeNames=["SentTimestamp", "MessageGroupId"],
                MessageAttributeNames=["All"],
                VisibilityTimeout=HIDDEN_SECONDS,
                # Long polling asks all of SQS's servers, so an empty answer means an empty queue.
                WaitTimeSeconds=1,
            )
        for message in messages.get("Messages", []):
            attributes = message.get("MessageAttributes", {})
            own = {name: value.get("StringValue", "") for name, value in attributes.items()}
            yield DeadLetter(
                message["MessageId"],
                message["ReceiptHandle"],
                message["Body"],
                _number(own.get("sent_at")) or int(message["Attributes"]["SentTimestamp"]),
                _number(own.get("redrives")),
                message["Attributes"].get("MessageGroupId"),
                own.get("reason"),
            )
        if not messages.get("Messages"):
            return


def _number(text: str | None) -> int:
    """Parse an attribute, which any sender may set; 0 if it is not a number."""
    return int(text) if text and text.isdecimal() else 0


def redrive(queue_url: str, dead_letter_queue_url: str, letters: Iterable[DeadLetter]) -> None:
    """Return messages to their queue, in this order, with the time they were first sent and their redrives.

    Raises:
        TransientError: SQS did not accept all of them. Some may be in both queues.
    """
    for batch in batches(letters, _bytes, most=BATCH_SIZE, most_bytes=BATCH_BYTES):
        entries = [_entry(str(i), letter) for i, letter in enumerate(batch)]
        with _sqs_errors():
            answer = sqs().send_message_batch(QueueUrl=queue_url, Entries=entries)
            sqs().delete_message_batch(
                QueueUrl=dead_letter_queue_url,
                Entries=[
                    {"Id": sent["Id"], "ReceiptHandle": batch[int(sent["Id"])].receipt_handle}
                    for sent in answer["Successful"]
                ],
            )
        if refused := answer.get("Failed"):
            raise TransientError(f"queue: {len(refused)} messages refused ({refused[0]['Code']})")


def _bytes(letter: DeadLetter) -> int:
    return len(letter.body.encode())


def _entry(entry_id: str, letter: DeadLetter) -> "SendMessageBatchRequestEntryTypeDef":
    entry: SendMessageBatchRequestEntryTypeDef = {
        "Id": entry_id,
        "MessageBody": letter.body,
        "MessageAttributes": {
            "sent_at": _attribute(letter.sent_millis),
            "redrives": _attribute(letter.redrives + 1),
        },
    }
    if letter.group:
        entry["MessageGroupId"] = letter.group
    return entry


def _attribute(number: int) -> "MessageAttributeValueTypeDef":
    return {"DataType": "Number", "StringValue": str(number)}


def set_aside(dead_letter_queue_url: str, letter: DeadLetter, reason: str) -> None:
    """Replace a dead letter by a copy with the reason why it stays here.

    Raises:
        TransientError: SQS did not accept a request. Both may be there.
    """
    about = {"reason": reason, "message_id": letter.message_id, "sent_at": str(letter.sent_millis)}
    _send_copy(dead_letter_queue_url, letter.body, letter.group, **about)
    with _sqs_errors("dead-letter queue"):
        sqs().delete_message(QueueUrl=dead_letter_queue_url, ReceiptHandle=letter.receipt_handle)


def show(queue_url: str, letters: Iterable[DeadLetter]) -> None:
    """Make received messages visible at once. Those that SQS does not accept become visible later."""
    for batch in batched(letters, BATCH_SIZE, strict=False):
        entries: list[ChangeMessageVisibilityBatchRequestEntryTypeDef] = [
            {"Id": str(i), "ReceiptHandle": letter.receipt_handle, "VisibilityTimeout": 0}
            for i, letter in enumerate(batch)
        ]
        with _sqs_errors("dead-letter queue"):
            sqs().change_message_visibility_batch(QueueUrl=queue_url, Entries=entries)
