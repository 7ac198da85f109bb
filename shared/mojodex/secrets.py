"""Secrets from AWS Secrets Manager, cached for five minutes, so that a rotation needs no deployment."""

from threading import Lock
from typing import Any

import boto3
from aws_lambda_powertools.utilities.parameters import (
    GetParameterError,
    SecretsProvider,
    TransformParameterError,
)

from mojodex.aws import CLIENT_CONFIG
from mojodex.errors import TransientError
from mojodex.runtime import made_once

MAX_AGE_SECONDS = 300
# At a cold start one thread asks AWS; the others wait and get the cached copy.
_asking = Lock()


@made_once
def _provider() -> SecretsProvider:
    # The default session's client: a session of its own would read botocore's data a second time.
    return SecretsProvider(boto3_client=boto3.client("secretsmanager", config=CLIENT_CONFIG))


def read_secret(arn: str, *, force: bool = False) -> dict[str, Any]:
    """Return the JSON object that the secret holds.

    Args:
        arn: ARN (or name) of the secret.
        force: ask AWS even if there is a cached copy, because a server refused the copy.

    Raises:
        TransientError: Secrets Manager did not answer or refused, or the secret is not a JSON object. Waiting
            messages succeed once an operator has corrected it.
    """
    try:
        with _asking:
            secret: Any = _provider().get(arn, transform="json", max_age=MAX_AGE_SECONDS, force_fetch=force)
    except (GetParameterError, TransformParameterError) as error:
        # The error's own text may quote the secret.
        raise TransientError(f"secret cannot be read ({type(error).__name__})") from None
    if not isinstance(secret, dict):
        raise TransientError("secret is not a JSON object")
    return secret
