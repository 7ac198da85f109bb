"""AWS clients, made once per execution environment."""

from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

from mojodex.runtime import made_once

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

# botocore's default of 60 s and its retries could outlast the invocation. These calls take milliseconds.
CLIENT_CONFIG = Config(
    connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 3}
)


@made_once
def sqs() -> "SQSClient":
    """Return the SQS client. Threads may share it."""
    return boto3.client("sqs", config=CLIENT_CONFIG)
