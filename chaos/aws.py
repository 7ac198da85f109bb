"""Clients of a busy emulator, which now and then closes a connection that was about to be used again."""

from typing import Any

import boto3
from botocore.config import Config

from local import emulator
from local.stack import CREDENTIALS

TRIES = 5


def client(service: str, endpoint: str) -> Any:
    """A boto3 client that tries again, other than `local.stack.Stack.client`."""
    # Typed for services whose stubs are installed only.
    make: Any = boto3.client
    return make(
        service,
        endpoint_url=endpoint,
        region_name=emulator.REGION,
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        config=Config(proxies={}, retries={"mode": "standard", "total_max_attempts": TRIES}),
    )
