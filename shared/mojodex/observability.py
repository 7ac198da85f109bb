"""Logs and metrics, in one place: JSON log lines and CloudWatch metrics in the embedded metric format.

Log lines carry ids, counts and reasons, and never a user's words, an e-mail address, a prompt or a secret.
"""

import logging
from threading import Lock

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import MetricUnit, single_metric

METRIC_NAMESPACE = "MojodexBackground"

# Level and service come from POWERTOOLS_LOG_LEVEL and POWERTOOLS_SERVICE_NAME; a function's service is its
# process.
logger = Logger()

# At LogLevel DEBUG Lambda opens the root logger, and these would log secrets, prompts and answers.
for library in ("boto3", "botocore", "urllib3", "openai", "httpx2", "httpcore", "sqlalchemy"):
    logging.getLogger(library).setLevel(logging.WARNING)

# A metric is a printed line; two threads that print at once would share one line and CloudWatch would read
# neither.
_printing = Lock()


def count(metric: str, value: float = 1, **dimensions: str) -> None:
    """Emit one value of one metric.

    Args:
        metric: its name, in CloudWatch's CamelCase.
        value: what to add.
        dimensions: name and value of each dimension, beside `service`, which Powertools adds. An alarm must
            name exactly these.
    """
    with (
        _printing,
        single_metric(name=metric, unit=MetricUnit.Count, value=value, namespace=METRIC_NAMESPACE) as line,
    ):
        for name, text in dimensions.items():
            line.add_dimension(name=name, value=text)
