"""Secrets from AWS Secrets Manager, kept for five minutes, so that a rotated secret is picked up without a
deployment.
"""

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
# Of all threads that want a secret at a cold start one asks AWS, and the others get its copy.
_asking = Lock()


@made_once
def _provider() -> SecretsProvider:
    # Of the default session, as all clients: one of its own would read botocore's data a second time.
    return SecretsProvider(boto3_client=boto3.client("secretsmanager", config=CLIENT_CONFIG))


def read_secret(arn: str, *, force: bool = False) -> dict[str, Any]:
    """The JSON object that the secret holds.

    Args:
        arn: ARN (or name) of the secret.
        force: ask AWS even if a copy is kept, because the copy was refused.

    Raises:
        TransientError: Secrets Manager did not answer, refused, or the secret is not a JSON object. All of
            these are for an operator to put right, after which the waiting messages work.
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
