"""The dead letters of a process, moved back to its queue: `make redrive`.

SQS's own StartMessageMoveTask does the same on AWS (docs/operations.md); the emulator has none, and it does
not tell which messages will be back at once.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from local.runtime.deploy import StackError
from local.runtime.stack import PREFIXES, Stack

# SQS: messages in one request, and bytes of all of them together (a quarter of what it takes today, and what
# it took before August 2025).
BATCH_SIZE = 10
BATCH_BYTES = 256 * 1024
# Long polling asks all of SQS's servers, so an empty answer means an empty queue.
WAIT_SECONDS = 1
# Longer than it takes to send and delete ten.
VISIBILITY_SECONDS = 60


class Redriven(NamedTuple):
    """What was moved.

    Attributes:
        moved: how many messages.
        reasons: why a worker had put a message aside, by the message's id in its queue then: it was not
            valid, and is not now, unless code or database have changed.
        came_back: how many of those were dead letters again before the last was moved; they are left there.
    """

    moved: int
    reasons: dict[str, str]
    came_back: int


def of_account(stack_name: str) -> tuple[Any, dict[str, str]]:
    """A client of SQS, and the outputs of a CloudFormation stack of the AWS account that the environment
    names.

    Raises:
        StackError: there is no such stack, or AWS does not tell.
    """
    try:
        (described,) = boto3.client("cloudformation").describe_stacks(StackName=stack_name)["Stacks"]
        return boto3.client("sqs"), {o["OutputKey"]: o["OutputValue"] for o in described.get("Outputs", [])}
    except (BotoCoreError, ClientError) as error:
        raise StackError(f"stack {stack_name}: {error}") from error


def of_local(stack: Stack) -> tuple[Any, dict[str, str]]:
    """The same of a stack on this machine."""
    return stack.client("sqs"), stack.outputs


def redrive(process: str, sqs: Any, outputs: Mapping[str, str]) -> Redriven:
    """Move all dead letters of a process back to its queue.

    If it is interrupted, a message may be in both queues, which the ledger makes harmless.

    Args:
        process: as in the ledger, for example "extract_todos".
        sqs: client of SQS.
        outputs: of the stack.

    Raises:
        StackError: there is no such process, it has no dead letters, or SQS refuses a request.
    """
    if process not in PREFIXES:
        raise StackError(f"no process {process!r}; there are {', '.join(PREFIXES)}")
    prefix = PREFIXES[process]
    try:
        redriven = _move(sqs, outputs[f"{prefix}DeadLetterQueueUrl"], outputs[f"{prefix}QueueUrl"])
    except (BotoCoreError, ClientError) as error:
        raise StackError(f"queues of {process}: {error}") from error
    if not redriven.moved:
        raise StackError(f"{process} has no dead letters")
    return redriven


def _move(sqs: Any, dead_letter_queue_url: str, queue_url: str) -> Redriven:
    sent: set[str] = set()
    reasons: dict[str, str] = {}
    came_back: set[str] = set()
    while letters := sqs.receive_message(
        QueueUrl=dead_letter_queue_url,
        MaxNumberOfMessages=BATCH_SIZE,
        MessageAttributeNames=["All"],
        MessageSystemAttributeNames=["MessageGroupId", "SentTimestamp"],
        VisibilityTimeout=VISIBILITY_SECONDS,
        WaitTimeSeconds=WAIT_SECONDS,
    ).get("Messages"):
        to_send = [letter for letter in letters if _attribute(letter, "message_id") not in sent]
        came_back |= {letter["MessageId"] for letter in letters} - {letter["MessageId"] for letter in to_send}
        for batch in _batches(to_send):
            sent |= _send(sqs, queue_url, batch)
            _delete(sqs, dead_letter_queue_url, batch)
            reasons |= {
                _attribute(letter, "message_id"): reason
                for letter in batch
                if (reason := _attribute(letter, "reason"))
            }
    return Redriven(len(sent), reasons, len(came_back))


def _attribute(letter: dict[str, Any], name: str) -> str:
    """Return an attribute that the worker gave to a message; '' if SQS moved it."""
    return str(letter.get("MessageAttributes", {}).get(name, {}).get("StringValue", ""))


def _group(letter: dict[str, Any]) -> dict[str, str]:
    """Return the group of a message, as an argument to send it; none if its sender gave it none."""
    group = letter.get("Attributes", {}).get("MessageGroupId")
    return {"MessageGroupId": group} if group else {}


def _batches(letters: list[dict[str, Any]]) -> Sequence[list[dict[str, Any]]]:
    """All at once, or one by one when they are too long for one request."""
    if sum(len(letter["Body"].encode()) for letter in letters) <= BATCH_BYTES:
        return [letters] if letters else []
    return [[letter] for letter in letters]


def _sent_at(letter: dict[str, Any]) -> str:
    return _attribute(letter, "sent_at") or str(letter["Attributes"]["SentTimestamp"])


def _send(sqs: Any, queue_url: str, batch: list[dict[str, Any]]) -> set[str]:
    """Send the messages, each in its group; the ids of the new messages."""
    entries = [
        {
            "Id": str(i),
            "MessageBody": letter["Body"],
            # When it was sent first tells which request it is, so it must not be lost.
            "MessageAttributes": {"sent_at": {"DataType": "Number", "StringValue": _sent_at(letter)}},
            **_group(letter),
        }
        for i, letter in enumerate(batch)
    ]
    answer = sqs.send_message_batch(QueueUrl=queue_url, Entries=entries)
    if refused := answer.get("Failed"):
        raise StackError(f"the queue refuses {len(refused)} messages ({refused[0]['Code']}); try again")
    return {message["MessageId"] for message in answer["Successful"]}


def _delete(sqs: Any, queue_url: str, batch: list[dict[str, Any]]) -> None:
    entries = [{"Id": str(i), "ReceiptHandle": letter["ReceiptHandle"]} for i, letter in enumerate(batch)]
    answer = sqs.delete_message_batch(QueueUrl=queue_url, Entries=entries)
    if refused := answer.get("Failed"):
        raise StackError(f"{len(refused)} messages are still in the dead-letter queue ({refused[0]['Code']})")
