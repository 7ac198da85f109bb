"""SQS: publish in batches, bring a message back later, delete it, put one that is not valid aside."""

import random
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
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

# SQS: entries in one SendMessageBatch or DeleteMessageBatch.
BATCH_SIZE = 10
# Requests at once: they are waiting. The client keeps ten connections.
REQUESTS_AT_ONCE = 8
# SQS: the longest visibility timeout is 12 hours; half an hour keeps a message well within its queue's
# retention.
LONGEST_DELAY_SECONDS = 1800
FIRST_DELAY_SECONDS = 5
DOUBLE_UNTIL = 9


def publish(queue_url: str, bodies: Iterable[str]) -> None:
    """Send messages, ten a request and several requests at once, in no order.

    Raises:
        TransientError: not all were accepted; some may have been.
    """
    with ThreadPoolExecutor(REQUESTS_AT_ONCE) as threads:
        list(threads.map(partial(_send, queue_url), batched(bodies, BATCH_SIZE, strict=False)))


def _send(queue_url: str, bodies: Sequence[str]) -> None:
    entries: list[SendMessageBatchRequestEntryTypeDef] = [
        {"Id": str(i), "MessageBody": body} for i, body in enumerate(bodies)
    ]
    try:
        refused = sqs().send_message_batch(QueueUrl=queue_url, Entries=entries).get("Failed", [])
    except (BotoCoreError, ClientError) as error:
        raise TransientError(f"queue: {type(error).__name__}") from error
    if refused:
        raise TransientError(f"queue: {len(refused)} messages refused ({refused[0]['Code']})")


def back_off_seconds(receive_count: int, retry_after: float | None = None) -> int:
    """How long a message that failed stays away: 5 s doubled with every receive, half of it random, at least
    `retry_after`.

    Half fixed and half random ("equal jitter", AWS Architecture Blog, Exponential Backoff and Jitter) spreads
    messages that failed together without bringing one back at once.

    Args:
        receive_count: how often it was received, from 1.
        retry_after: seconds that the other side asked for.
    """
    delay = FIRST_DELAY_SECONDS << min(receive_count - 1, DOUBLE_UNTIL)
    delay = min(delay, LONGEST_DELAY_SECONDS)
    jittered = delay / 2 + random.uniform(0, delay / 2)
    return round(min(max(jittered, retry_after or 0), LONGEST_DELAY_SECONDS))


def come_back_in(queue_url: str, record: dict[str, Any], seconds: int) -> None:
    """Make a received message visible again after `seconds`.

    Raises:
        TransientError: SQS did not accept it; the message comes back after the queue's visibility timeout
            instead.
    """
    try:
        sqs().change_message_visibility(
            QueueUrl=queue_url, ReceiptHandle=record["receiptHandle"], VisibilityTimeout=seconds
        )
    except (BotoCoreError, ClientError) as error:
        raise TransientError(f"queue: {type(error).__name__}") from error


def delete(queue_url: str, records: Sequence[dict[str, Any]]) -> None:
    """Delete received messages, ten a request. One that SQS leaves out is still there.

    Raises:
        TransientError: SQS did not accept it.
    """
    for batch in batched(records, BATCH_SIZE, strict=False):
        entries: list[DeleteMessageBatchRequestEntryTypeDef] = [
            {"Id": str(i), "ReceiptHandle": record["receiptHandle"]} for i, record in enumerate(batch)
        ]
        try:
            sqs().delete_message_batch(QueueUrl=queue_url, Entries=entries)
        except (BotoCoreError, ClientError) as error:
            raise TransientError(f"queue: {type(error).__name__}") from error


def dead_letter(queue_url: str, record: dict[str, Any], reason: str) -> None:
    """Put a received message into the dead-letter queue as it is, with the attributes `reason` and
    `message_id`.

    Raises:
        TransientError: SQS did not accept it.
    """
    try:
        sqs().send_message(
            QueueUrl=queue_url,
            # SQS takes no empty body.
            MessageBody=record["body"] or "(empty)",
            MessageAttributes={
                "reason": {"DataType": "String", "StringValue": reason},
                "message_id": {"DataType": "String", "StringValue": record["messageId"]},
            },
        )
    except (BotoCoreError, ClientError) as error:
        raise TransientError(f"dead-letter queue: {type(error).__name__}") from error
