"""SQS: publish messages, retry a received one later, delete it, or move it to the dead-letter queue.

Each message carries its user as MessageGroupId. SQS then treats the queue as a fair one: a user with many
messages in work waits behind the others.
"""

import hashlib
import random
import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import batched
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from mojodex.aws import sqs
from mojodex.errors import TransientError

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import (
        DeleteMessageBatchRequestEntryTypeDef,
        SendMessageBatchRequestEntryTypeDef,
    )

# SQS: the most entries of one SendMessageBatch or DeleteMessageBatch.
BATCH_SIZE = 10
# Requests in flight: they only wait. The client keeps ten connections.
REQUESTS_AT_ONCE = 8
# SQS allows 12 hours. With half an hour, ten receives stay well within a queue's retention.
MAX_DELAY_SECONDS = 1800
FIRST_DELAY_SECONDS = 5
MAX_DOUBLINGS = 9
# SQS: a MessageGroupId has up to 128 ASCII letters, digits and punctuation marks, and no white space.
MESSAGE_GROUP = re.compile(r"[!-~]{1,128}")


@dataclass(frozen=True)
class Outgoing:
    """A message to publish: its body, and the user whose work it is."""

    body: str
    user_id: str


def message_group(user_id: str) -> str:
    """Return the MessageGroupId of a user's messages: the id, or its hash if SQS would refuse the id.

    It is stable: two versions of the bundle, and the backend, must give a user the same group.
    """
    if MESSAGE_GROUP.fullmatch(user_id):
        return user_id
    return hashlib.sha256(user_id.encode()).hexdigest()


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
    entries: list[SendMessageBatchRequestEntryTypeDef] = [
        {"Id": str(i), "MessageBody": message.body, "MessageGroupId": message_group(message.user_id)}
        for i, message in enumerate(messages)
    ]
    with _sqs_errors():
        refused = sqs().send_message_batch(QueueUrl=queue_url, Entries=entries).get("Failed", [])
    if refused:
        raise TransientError(f"queue: {len(refused)} messages refused ({refused[0]['Code']})")


def back_off_seconds(receive_count: int, retry_after: float | None = None) -> int:
    """Return the seconds after which a failed message is retried.

    The delay starts at 5 s and doubles with every receive, up to half an hour. Half of it is random ("equal
    jitter", AWS Architecture Blog, Exponential Backoff and Jitter), so that messages that failed together are
    retried apart, and none at once.

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
    with _sqs_errors("dead-letter queue"):
        sqs().send_message(
            QueueUrl=queue_url,
            # SQS refuses an empty body.
            MessageBody=record["body"] or "(empty)",
            MessageAttributes={
                "reason": {"DataType": "String", "StringValue": reason},
                "message_id": {"DataType": "String", "StringValue": record["messageId"]},
            },
            **({"MessageGroupId": group} if group else {}),
        )
