"""Clients of AWS services, and calls of the bundle's other functions."""

import os
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ReadTimeoutError

from mojodex.aws import CLIENT_CONFIG
from mojodex.errors import TransientError
from mojodex.runtime import made_once

# API Gateway gives up after 30 seconds.
LONGEST_WAIT_SECONDS = 20
ANSWER_SECONDS = 4


@made_once
def client(service: str) -> Any:
    """Return the client of a service. It tries once, because an invocation must not be repeated."""
    # The layer's botocore knows only the services that workers call. This package adds the others.
    os.environ["AWS_DATA_PATH"] = str(Path(__file__).with_name("botocore_data"))
    seconds = LONGEST_WAIT_SECONDS if service == "lambda" else ANSWER_SECONDS
    config = CLIENT_CONFIG.merge(Config(read_timeout=seconds, retries={"total_max_attempts": 1}))
    make: Any = boto3.Session().client
    return make(service, config=config)


def run_schedule(function_name: str) -> None:
    """Run a schedule and wait for its end, at most `LONGEST_WAIT_SECONDS`. It continues after that.

    Raises:
        TransientError: it failed, or cannot be started.
    """
    try:
        answer = client("lambda").invoke(FunctionName=function_name, Payload=b"{}")
    except ReadTimeoutError:
        return
    except (BotoCoreError, ClientError) as error:
        raise TransientError(f"the schedule cannot be started ({type(error).__name__})") from error
    if "FunctionError" in answer:
        raise TransientError("the schedule failed; its log says why")


def start(function_name: str) -> None:
    """Start a function without waiting for it.

    Raises:
        TransientError: it cannot be started.
    """
    try:
        client("lambda").invoke(FunctionName=function_name, InvocationType="Event", Payload=b"{}")
    except (BotoCoreError, ClientError) as error:
        raise TransientError(f"{function_name} cannot be started ({type(error).__name__})") from error
