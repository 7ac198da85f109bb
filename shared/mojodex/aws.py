"""AWS clients, made once per execution environment."""

from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

from mojodex.runtime import made_once

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

# botocore's own 60 s and legacy retries would outlast what an invocation has left; these calls take
# milliseconds.
CLIENT_CONFIG = Config(
    connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 3}
)


@made_once
def sqs() -> "SQSClient":
    """The SQS client. boto3 clients are safe to share between threads."""
    return boto3.client("sqs", config=CLIENT_CONFIG)
