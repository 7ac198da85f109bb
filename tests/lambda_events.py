"""Factories for the events and the context that AWS passes to a function."""

import itertools
import json
import time
from dataclasses import dataclass, field
from typing import Any

_numbers = itertools.count(1)


@dataclass
class FakeContext:
    """A Lambda context with `seconds` left from now."""

    seconds: float = 120
    function_name: str = "function"
    memory_limit_in_mb: int = 128
    invoked_function_arn: str = "arn:aws:lambda:us-east-1:123456789012:function:function"
    aws_request_id: str = "request"
    began: float = field(default_factory=time.monotonic)

    def get_remaining_time_in_millis(self) -> int:
        return max(0, int((self.seconds - (time.monotonic() - self.began)) * 1000))


def sqs_record(body: str, *, receive_count: int = 1, receipt: str = "receipt") -> dict[str, Any]:
    """Make a record of an SQS event."""
    return {
        "messageId": f"message-{next(_numbers)}",
        "receiptHandle": receipt,
        "body": body,
        "attributes": {
            "ApproximateReceiveCount": str(receive_count),
            "SentTimestamp": str(int(time.time() * 1000)),
        },
        "messageAttributes": {},
        "md5OfBody": "",
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:queue",
        "awsRegion": "us-east-1",
    }


def sqs_event(*bodies: Any) -> dict[str, Any]:
    """Make an SQS event; a body that is not text becomes JSON."""
    return {"Records": [sqs_record(b if isinstance(b, str) else json.dumps(b)) for b in bodies]}


def failed_ids(response: Any) -> set[str]:
    """Return the ids of the messages that a partial batch response reports as failed."""
    return {item["itemIdentifier"] for item in response["batchItemFailures"]}
