"""Move the dead letters of a process back to its queue (`make redrive`).

SQS's own StartMessageMoveTask loses when a message was first sent (docs/operations.md). It does not report
which ones are dead letters again, and the emulator does not have it.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from local.runtime.deploy import StackError
from local.runtime.stack import PREFIXES, Stack

# SQS: the most messages of one request, and the most bytes (a quarter of today's limit, and the limit before
# August 2025).
BATCH_SIZE = 10
BATCH_BYTES = 256 * 1024
# Long polling asks all of SQS's servers, so an empty answer means an empty queue.
WAIT_SECONDS = 1
# Longer than sending and deleting ten messages.
VISIBILITY_SECONDS = 60


class Redriven(NamedTuple):
    """The result of a redrive.

    Attributes:
        moved: how many messages were moved.
        reasons: why a worker had refused a message, by the id that the message had then. It was not valid,
            and still is not, unless code or database have changed.
        dead_again: how many of the refused messages were dead letters again before the end; they stay there.
    """

    moved: int
    reasons: dict[str, str]
    dead_again: int


def of_account(stack_name: str) -> tuple[Any, dict[str, str]]:
    """Return an SQS client, and the outputs of a CloudFormation stack, for the environment's AWS account.

    Raises:
        StackError: there is no such stack, or AWS refused or did not answer.
    """
    try:
        # The AWS CLI reads AWS_REGION, boto3 does not.
        session = boto3.Session(region_name=os.environ.get("AWS_REGION"))
        (described,) = session.client("cloudformation").describe_stacks(StackName=stack_name)["Stacks"]
        return session.client("sqs"), {o["OutputKey"]: o["OutputValue"] for o in described.get("Outputs", [])}
    except (BotoCoreError, ClientError) as error:
        raise StackError(f"stack {stack_name}: {error}") from error


def of_local(stack: Stack) -> tuple[Any, dict[str, str]]:
    """Return an SQS client, and the outputs, for a stack on this machine."""
    return stack.client("sqs"), stack.outputs


def redrive(process: str, sqs: Any, outputs: Mapping[str, str]) -> Redriven:
    """Move all dead letters of a process back to its queue.

    After an interruption, a message may be in both queues, which the ledger makes harmless.

    Args:
        process: its name in the ledger, for example "extract_todos".
        sqs: an SQS client.
        outputs: of the stack.

    Raises:
        StackError: there is no such process, it has no dead letters or only hidden ones, or SQS refuses.
    """
    if process not in PREFIXES:
        raise StackError(f"no process {process!r}; there are {', '.join(PREFIXES)}")
    prefix = PREFIXES[process]
    dead_letter_queue_url = outputs[f"{prefix}DeadLetterQueueUrl"]
    try:
        redriven = _move(sqs, dead_letter_queue_url, outputs[f"{prefix}QueueUrl"])
        hidden = 0 if redriven.moved else _hidden(sqs, dead_letter_queue_url)
    except (BotoCoreError, ClientError) as error:
        raise StackError(f"queues of {process}: {error}") from error
    if hidden:
        # By `aws sqs receive-message` or the scheduled redrive, for at most HIDDEN_SECONDS.
        raise StackError(f"{process}: its dead letters ({hidden}) are being read; try again in three minutes")
    if not redriven.moved:
        raise StackError(f"{process} has no dead letters")
    return redriven


def _move(sqs: Any, dead_letter_queue_url: str, queue_url: str) -> Redriven:
    sent: set[str] = set()
    reasons: dict[str, str] = {}
    dead_again: set[str] = set()
    while letters := sqs.receive_message(
        QueueUrl=dead_letter_queue_url,
        MaxNumberOfMessages=BATCH_SIZE,
        MessageAttributeNames=["All"],
        MessageSystemAttributeNames=["MessageGroupId", "SentTimestamp"],
        VisibilityTimeout=VISIBILITY_SECONDS,
        WaitTimeSeconds=WAIT_SECONDS,
    ).get("Messages"):
        to_send = [letter for letter in letters if _attribute(letter, "message_id") not in sent]
        dead_again |= {letter["MessageId"] for letter in letters if letter not in to_send}
        for batch in _batches(to_send):
            sent |= _send(sqs, queue_url, batch)
            _delete(sqs, dead_letter_queue_url, batch)
            reasons |= {
                _attribute(letter, "message_id"): reason
                for letter in batch
                if (reason := _attribute(letter, "reason"))
            }
    return Redriven(len(sent), reasons, len(dead_again))


def _hidden(sqs: Any, queue_url: str) -> int:
    """Return the number of messages that were received, and are hidden until their visibility timeout."""
    name = "ApproximateNumberOfMessagesNotVisible"
    answer = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=[name])
    return int(answer["Attributes"][name])


def _attribute(letter: dict[str, Any], name: str) -> str:
    """Return an attribute that the worker gave to a message; '' if SQS moved it."""
    return str(letter.get("MessageAttributes", {}).get(name, {}).get("StringValue", ""))


def _group(letter: dict[str, Any]) -> dict[str, str]:
    """Return the group of a message as an argument for sending it; {} if it has no group."""
    group = letter.get("Attributes", {}).get("MessageGroupId")
    return {"MessageGroupId": group} if group else {}


def _batches(letters: list[dict[str, Any]]) -> Sequence[list[dict[str, Any]]]:
    """Return one batch, or single messages if together they are too long for one request."""
    if sum(len(letter["Body"].encode()) for letter in letters) <= BATCH_BYTES:
        return [letters] if letters else []
    return [[letter] for letter in letters]


def _sent_at(letter: dict[str, Any]) -> str:
    return _attribute(letter, "sent_at") or str(letter["Attributes"]["SentTimestamp"])


def _send(sqs: Any, queue_url: str, batch: list[dict[str, Any]]) -> set[str]:
    """Send the messages, each in its group, and return the ids of the new messages."""
    entries = [
        {
            "Id": str(i),
            "MessageBody": letter["Body"],
            # The time it was first sent identifies its request.
            "MessageAttributes": {"sent_at": {"DataType": "Number", "StringValue": _sent_at(letter)}},
            **_group(letter),
        }
        for i, letter in enumerate(batch)
    ]
    answer = sqs.send_message_batch(QueueUrl=queue_url, Entries=entries)
    if refused := answer.get("Failed"):
        raise StackError(f"the queue refused {len(refused)} messages ({refused[0]['Code']}); try again")
    return {message["MessageId"] for message in answer["Successful"]}


def _delete(sqs: Any, queue_url: str, batch: list[dict[str, Any]]) -> None:
    entries = [{"Id": str(i), "ReceiptHandle": letter["ReceiptHandle"]} for i, letter in enumerate(batch)]
    answer = sqs.delete_message_batch(QueueUrl=queue_url, Entries=entries)
    if refused := answer.get("Failed"):
        raise StackError(f"{len(refused)} messages are still in the dead-letter queue ({refused[0]['Code']})")
