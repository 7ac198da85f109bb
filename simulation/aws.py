"""Clients of SQS, Secrets Manager and SES that replace boto3's in the bundle's modules."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError

from simulation.feedback import Feedback
from simulation.kernel import Kernel
from simulation.outside import Outside
from simulation.sqs import Queue, StoredMessage

SQS_SECONDS = (0.004, 0.03)
SECRETS_SECONDS = (0.01, 0.08)
SES_SECONDS = (0.08, 0.6)

# The HTTP status and message of each AWS error.
ERRORS: Mapping[str, tuple[int, str]] = {
    "ServiceUnavailable": (503, "Service is unavailable."),
    "InternalServiceError": (500, "Internal error."),
    "ThrottlingException": (429, "Maximum sending rate exceeded."),
    "TooManyRequestsException": (429, "Too many requests."),
    "ServiceUnavailableException": (503, "Service is unavailable."),
    "AccountSuspendedException": (400, "The account is suspended."),
    "SendingPausedException": (400, "Sending is paused."),
    "AccessDeniedException": (400, "Not authorized."),
    "ResourceNotFoundException": (400, "Not found."),
    "MessageNotInflight": (400, "The message is not in flight."),
}


class Boto3:
    """Replaces the module boto3. Its clients call the services of the current run."""

    def __init__(self, services: Callable[[], "Services"]) -> None:
        self._services = services

    def client(self, name: str, **_options: Any) -> Any:
        """Return a client that looks up the current run's services at each call."""
        return _Client(self._services, name)

    def Session(self, **_options: Any) -> "Boto3":
        """Return this object, which also serves as a session."""
        return self


@dataclass(frozen=True)
class _Client:
    services: Callable[[], "Services"]
    name: str

    def __getattr__(self, operation: str) -> Any:
        return getattr(getattr(self.services(), self.name), operation)

    def close(self) -> None:
        """Do nothing: a simulated client has no connection."""


@dataclass(frozen=True)
class Services:
    """The services of one run."""

    sqs: "Sqs"
    secretsmanager: "SecretsManager"
    sesv2: "Ses"


def aws_error(how: str, operation: str) -> Exception:
    """Return the error that botocore raises for a kind of failure."""
    if how == "lost":
        return ReadTimeoutError(endpoint_url="https://aws.example.com")
    if how in ERRORS:
        status, message = ERRORS[how]
        answer: Any = {
            "Error": {"Code": how, "Message": message},
            "ResponseMetadata": {"HTTPStatusCode": status},
        }
        return ClientError(answer, operation)
    return EndpointConnectionError(endpoint_url="https://aws.example.com")


@dataclass(frozen=True)
class Copy:
    """A message that was sent while its queue held others with the same body, all as they were then.

    Attributes:
        at: when it was sent (seconds since 1970).
        queue: the queue's logical id.
        function: the logical id of the function that sent it.
    """

    at: float
    queue: str
    function: str
    message: StoredMessage
    others: tuple[StoredMessage, ...]


class Sqs:
    """A client of SQS, with boto3's operations and fields.

    Attributes:
        copies: messages that an invocation sent while another with the same body was in the queue.
        sent: messages that invocations sent to workers' queues: queue, body and MessageGroupId.
    """

    def __init__(self, outside: Outside, queues: Mapping[str, Queue]) -> None:
        self.copies: list[Copy] = []
        self.sent: list[tuple[str, str, str]] = []
        self._outside, self._queues = outside, queues
        self._messages = 0

    def send_message(self, *, QueueUrl: str, **entry: Any) -> dict[str, Any]:
        """Send one message."""
        return self._call("send", lambda: {"MessageId": self._send(QueueUrl, entry)})

    def send_message_batch(self, *, QueueUrl: str, Entries: list[dict[str, Any]]) -> dict[str, Any]:
        """Send up to ten messages."""
        assert 1 <= len(Entries) <= 10, "Amazon SQS API Reference, SendMessageBatch"

        def send() -> dict[str, Any]:
            sent = [{"Id": each["Id"], "MessageId": self._send(QueueUrl, each)} for each in Entries]
            return {"Successful": sent, "Failed": []}

        return self._call("send", send)

    def receive_message(
        self,
        *,
        QueueUrl: str,
        MaxNumberOfMessages: int = 1,
        VisibilityTimeout: int | None = None,
        **_more: Any,
    ) -> dict[str, Any]:
        """Receive up to ten messages."""
        queue = self._queue(QueueUrl)

        def receive() -> dict[str, Any]:
            kernel = self._outside.kernel
            rng = kernel.stream(f"receive {QueueUrl}")
            found = queue.receive(MaxNumberOfMessages, kernel.now, rng, VisibilityTimeout)
            return {"Messages": [_as_message(message) for message in found]} if found else {}

        return self._call("receive", receive)

    def delete_message(self, *, QueueUrl: str, ReceiptHandle: str) -> dict[str, Any]:
        """Delete a received message."""
        queue = self._queue(QueueUrl)
        return self._call("delete", lambda: {"": queue.delete(ReceiptHandle, self._outside.kernel.now)})

    def delete_message_batch(self, *, QueueUrl: str, Entries: list[dict[str, Any]]) -> dict[str, Any]:
        """Delete up to ten received messages."""
        assert 1 <= len(Entries) <= 10, "Amazon SQS API Reference, DeleteMessageBatch"
        queue = self._queue(QueueUrl)

        def delete() -> dict[str, Any]:
            for entry in Entries:
                queue.delete(entry["ReceiptHandle"], self._outside.kernel.now)
            return {"Successful": [{"Id": entry["Id"]} for entry in Entries], "Failed": []}

        return self._call("delete", delete)

    def change_message_visibility(
        self, *, QueueUrl: str, ReceiptHandle: str, VisibilityTimeout: int
    ) -> dict[str, Any]:
        """Set when a received message becomes visible again."""
        queue = self._queue(QueueUrl)

        def change() -> dict[str, Any]:
            if not queue.change_visibility(ReceiptHandle, VisibilityTimeout, self._outside.kernel.now):
                raise aws_error("MessageNotInflight", "ChangeMessageVisibility")
            return {}

        return self._call("change", change)

    def change_message_visibility_batch(
        self, *, QueueUrl: str, Entries: list[dict[str, Any]]
    ) -> dict[str, Any]:
        """Set when up to ten received messages become visible again."""
        assert 1 <= len(Entries) <= 10, "Amazon SQS API Reference, ChangeMessageVisibilityBatch"
        queue = self._queue(QueueUrl)

        def change() -> dict[str, Any]:
            answer: dict[str, Any] = {"Successful": [], "Failed": []}
            for entry in Entries:
                seconds = entry["VisibilityTimeout"]
                done = queue.change_visibility(entry["ReceiptHandle"], seconds, self._outside.kernel.now)
                answer["Successful" if done else "Failed"].append({"Id": entry["Id"]})
            return answer

        return self._call("change", change)

    def get_queue_attributes(self, *, QueueUrl: str, **_more: Any) -> dict[str, Any]:
        """Count the visible and the hidden messages of a queue."""
        queue = self._queue(QueueUrl)

        def count() -> dict[str, Any]:
            hidden = queue.in_flight(self._outside.kernel.now)
            visible = len(queue.messages) - hidden
            attributes = {
                "ApproximateNumberOfMessages": str(visible),
                "ApproximateNumberOfMessagesNotVisible": str(hidden),
            }
            return {"Attributes": attributes}

        return self._call("count", count)

    def publish(self, queue: Queue, body: str, group: str = "") -> str:
        """Send a message from outside the bundle, without any fault, and return its id."""
        entry: dict[str, Any] = {"MessageBody": body}
        if group:
            entry["MessageGroupId"] = group
        return self._put(queue, entry)

    def _send(self, url: str, entry: dict[str, Any]) -> str:
        sent = self._put(self._queue(url), entry)
        # If the answer is lost, botocore sends again, and SQS stores a second message.
        if self._outside.faults.next("lost", "send"):
            self._outside.kernel.trace("answer lost", "send")
            self._put(self._queue(url), entry)
        return sent

    def _put(self, queue: Queue, entry: dict[str, Any]) -> str:
        kernel = self._outside.kernel
        self._messages += 1
        message = StoredMessage(
            f"m{self._messages}",
            entry["MessageBody"],
            entry.get("MessageAttributes", {}),
            entry.get("MessageGroupId", ""),
            # SQS reports times in milliseconds.
            round(kernel.now, 3),
            kernel.now + entry.get("DelaySeconds", 0),
        )
        kernel.trace("send", queue.settings.name, message.id, message.body)
        self._note(queue, message)
        queue.send(message)
        return message.id

    def _note(self, queue: Queue, message: StoredMessage) -> None:
        """Record who sends a message to a worker's queue, and the copies of it that are there."""
        invocation = self._outside.invocation
        if invocation is None or not queue.settings.dead_letters:
            return
        message.sender = invocation.name
        self.sent.append((queue.settings.name, message.body, message.group))
        others = tuple(replace(each) for each in queue.messages.values() if each.body == message.body)
        if others:
            now, name = self._outside.kernel.now, queue.settings.name
            self.copies.append(Copy(now, name, invocation.function, replace(message), others))

    def _queue(self, url: str) -> Queue:
        return self._queues[url.rpartition("/")[2]]

    def _call(self, what: str, effect: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        lost = what if what in ("delete", "change") else ""
        return self._outside.call("sqs", effect, SQS_SECONDS, lambda how: aws_error(how, what), lost)


def _as_message(message: StoredMessage) -> dict[str, Any]:
    attributes = {
        "ApproximateReceiveCount": str(message.receives),
        "SentTimestamp": str(round(message.sent * 1000)),
    }
    if message.group:
        attributes["MessageGroupId"] = message.group
    found = {
        "MessageId": message.id,
        "ReceiptHandle": message.receipt,
        "Body": message.body,
        "Attributes": attributes,
    }
    return found | ({"MessageAttributes": message.attributes} if message.attributes else {})


class SecretsManager:
    """A client of Secrets Manager."""

    def __init__(self, outside: Outside, secrets: Mapping[str, Mapping[str, Any]]) -> None:
        self._outside, self._secrets = outside, secrets

    def get_secret_value(self, *, SecretId: str, **_more: Any) -> dict[str, Any]:
        """Return a secret."""
        return self._outside.call(
            "secrets",
            lambda: {"SecretString": json.dumps(self._secrets[SecretId])},
            SECRETS_SECONDS,
            lambda how: aws_error(how, "GetSecretValue"),
        )


class Ses:
    """A client of SES.

    Attributes:
        mails: mails that SES accepted: the address, and the tag that names the job.
        unknown: tags of accepted mails whose answer was lost.
        feedback: publishes SES's events about the mails.
    """

    def __init__(self, outside: Outside, feedback: Feedback) -> None:
        self.mails: list[tuple[str, str]] = []
        self.unknown: list[str] = []
        self.feedback = feedback
        self._outside = outside

    def send_email(
        self, *, Destination: dict[str, Any], EmailTags: list[dict[str, str]], **_more: Any
    ) -> dict[str, Any]:
        """Accept a mail."""
        (address,), (tag,) = Destination["ToAddresses"], EmailTags
        kernel = self._outside.kernel

        def take() -> dict[str, Any]:
            self.mails.append((address, tag["Value"]))
            kernel.trace("mail", tag["Value"])
            message_id = f"ses-{len(self.mails)}"
            self.feedback.schedule_events(message_id, tag["Value"])
            return {"MessageId": message_id}

        def error(how: str) -> Exception:
            if how == "lost":
                self.unknown.append(tag["Value"])
            return aws_error(how, "SendEmail")

        return self._outside.call("ses", take, SES_SECONDS, error, "mail")


class VirtualDatetime:
    """Replaces the class `datetime` in a module. Its `now` is the clock of the invocation."""

    def __init__(self, kernel: Callable[[], Kernel], skew: Callable[[], float]) -> None:
        self._kernel, self._skew = kernel, skew

    def __getattr__(self, name: str) -> Any:
        return getattr(datetime, name)

    def __call__(self, *arguments: Any, **named: Any) -> datetime:
        return datetime(*arguments, **named)  # noqa: DTZ001

    def now(self, zone: Any = None) -> datetime:
        """Return the present moment on the invocation's clock."""
        moment = datetime.fromtimestamp(self._kernel().now + self._skew(), UTC)
        return moment.astimezone(zone) if zone else moment.replace(tzinfo=None)
