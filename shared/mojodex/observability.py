"""Logs and metrics, in one place: JSON log lines and CloudWatch metrics in the embedded metric format.

Log lines carry ids, counts and reasons, never a user's words, an e-mail address, a prompt or a secret.
"""

import json
import logging
import os
import sys
from collections.abc import Sequence

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.metrics.provider.cloudwatch_emf.cloudwatch import AmazonCloudWatchEMFProvider

# The service comes from POWERTOOLS_SERVICE_NAME; a function's service is its process. Without an
# RFC 3339 timestamp, Lambda treats every line as INFO.
logger = Logger(use_rfc3339=True)
# Powertools would use Lambda's own level instead. That stays at INFO or below: above it, Lambda drops the
# metrics, too.
logging.getLogger(logger.name).setLevel(os.environ.get("POWERTOOLS_LOG_LEVEL", "INFO"))

# At LogLevel DEBUG, Lambda sets the root logger to it, and these would log secrets, prompts and answers.
for library in ("boto3", "botocore", "urllib3", "openai", "httpx2", "httpcore", "sqlalchemy"):
    logging.getLogger(library).setLevel(logging.WARNING)


def count(metric: str, value: float | Sequence[float] = 1, **dimensions: str) -> None:
    """Emit one value of one metric, or several, in the namespace of POWERTOOLS_METRICS_NAMESPACE.

    A metric with the dimension `model` is emitted a second time, with the only dimension `scope`: "stack".
    That one adds up all services, prompts and models, so that an alarm can watch the sum.

    Args:
        metric: its name, in CloudWatch's CamelCase.
        value: the value, or several (up to 100, the format's limit) for a metric whose average matters.
        dimensions: name and value of each dimension. Powertools adds `service`. An alarm must name exactly
            these dimensions.
    """
    line = AmazonCloudWatchEMFProvider()
    for each in value if isinstance(value, Sequence) else [value]:
        line.add_metric(name=metric, unit=MetricUnit.Count, value=each)
    for name, text in dimensions.items():
        line.add_dimension(name=name, value=text)
    if "model" in dimensions:
        line.add_dimensions(scope="stack")
    _print(json.dumps(line.serialize_metric_set(), separators=(",", ":")))


def _print(line: str) -> None:
    """Print a line in one write, under the lock of the log lines.

    CloudWatch can read neither of two mixed lines. Powertools prints a metric in two writes.
    """
    handler = logger.registered_handler
    handler.acquire()
    try:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
    finally:
        handler.release()
