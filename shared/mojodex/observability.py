"""Logs and metrics, in one place: JSON log lines and CloudWatch metrics in the embedded metric format.

Log lines carry ids, counts and reasons, and never a user's words, an e-mail address, a prompt or a secret.
"""

import json
import logging
import os
import sys
from collections.abc import Sequence

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.metrics.provider.cloudwatch_emf.cloudwatch import AmazonCloudWatchEMFProvider

# The service comes from POWERTOOLS_SERVICE_NAME; a function's service is its process. Without a timestamp of
# RFC 3339, Lambda takes every line for INFO.
logger = Logger(use_rfc3339=True)
# Powertools would take Lambda's own level instead. That one stays at INFO or below, because above it Lambda
# drops the metrics, too.
logging.getLogger(logger.name).setLevel(os.environ.get("POWERTOOLS_LOG_LEVEL", "INFO"))

# At LogLevel DEBUG Lambda opens the root logger, and these would log secrets, prompts and answers.
for library in ("boto3", "botocore", "urllib3", "openai", "httpx2", "httpcore", "sqlalchemy"):
    logging.getLogger(library).setLevel(logging.WARNING)


def count(metric: str, value: float | Sequence[float] = 1, **dimensions: str) -> None:
    """Emit one value of one metric, or several, in the namespace of POWERTOOLS_METRICS_NAMESPACE.

    A metric with the dimension `model` is emitted a second time, with no dimension but `scope`: "stack". That
    one adds up all services, prompts and models, so that an alarm can watch the sum.

    Args:
        metric: its name, in CloudWatch's CamelCase.
        value: what to add; several (up to 100, the format's limit) for a metric whose average matters.
        dimensions: name and value of each dimension, beside `service`, which Powertools adds. An alarm must
            name exactly these.
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
    """Print a line apart from all others: in one write, under the lock that a log line is written under.

    CloudWatch reads neither of two lines that have mixed. Powertools prints a metric in two writes.
    """
    handler = logger.registered_handler
    handler.acquire()
    try:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
    finally:
        handler.release()
