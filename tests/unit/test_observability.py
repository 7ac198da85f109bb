"""A function's output for CloudWatch, in an environment like Lambda's."""

import json
import subprocess
import sys
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests import ROOT

PROGRAM = """
from mojodex.observability import count, logger

logger.debug("a debug line")
logger.info("an info line")
logger.warning("a warning line")
logger.error("an error line")
count("JobsDone")
count("LlmErrors", 2, model="m", prompt="p")
"""


# A stream that lets other threads run after each write, as the operating system may.
THREADS = """
import sys, time
from concurrent.futures import ThreadPoolExecutor

class Yielding:
    def __init__(self, stream):
        self.stream = stream
    def write(self, text):
        self.stream.write(text)
        time.sleep(0.0001)
    def flush(self):
        self.stream.flush()

sys.stdout = Yielding(sys.stdout)
from mojodex.observability import count, logger

def job(number):
    logger.info("job ended", extra={"subject": number})
    count("JobsDone")

with ThreadPoolExecutor(20) as threads:
    list(threads.map(job, range(300)))
"""


def printed(level: str, *, of_lambda: str, program: str = PROGRAM) -> list[dict[str, Any]]:
    """Lines that a function prints at a LogLevel, with Lambda's own level set."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={
            "PYTHONPATH": str(ROOT / "shared"),
            "POWERTOOLS_SERVICE_NAME": "extract_todos",
            "POWERTOOLS_METRICS_NAMESPACE": "MojodexBackground/staging",
            "POWERTOOLS_LOG_LEVEL": level,
            "AWS_LAMBDA_LOG_LEVEL": of_lambda,
        },
        capture_output=True,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize(
    ("level", "of_lambda", "kept"),
    [
        ("DEBUG", "DEBUG", ["DEBUG", "INFO", "WARNING", "ERROR"]),
        ("INFO", "INFO", ["INFO", "WARNING", "ERROR"]),
        ("WARNING", "INFO", ["WARNING", "ERROR"]),
        ("ERROR", "INFO", ["ERROR"]),
    ],
)
def test_a_log_level_drops_lines_of_ours_and_no_metric(level: str, of_lambda: str, kept: list[str]) -> None:
    lines = printed(level, of_lambda=of_lambda)

    assert [line["level"] for line in lines if "level" in line] == kept
    assert [
        line["_aws"]["CloudWatchMetrics"][0]["Metrics"][0]["Name"] for line in lines if "_aws" in line
    ] == [
        "JobsDone",
        "LlmErrors",
    ]


def test_lines_do_not_mix_when_jobs_finish_at_the_same_time() -> None:
    """CloudWatch ignores two records on one line. Metrics were once printed in two writes."""
    lines = printed("INFO", of_lambda="INFO", program=THREADS)

    assert len([line for line in lines if "_aws" in line]) == 300
    assert {line["subject"] for line in lines if "subject" in line} == {*range(300)}


def test_a_log_lines_timestamp_is_rfc_3339() -> None:
    """Lambda takes a line with any other timestamp for INFO."""
    for line in printed("INFO", of_lambda="INFO"):
        if "level" in line:
            assert "T" in line["timestamp"]
            assert datetime.fromisoformat(line["timestamp"]).utcoffset() == timedelta()


def test_metrics_of_models_are_also_summed_for_the_stack() -> None:
    done, errors = [line for line in printed("INFO", of_lambda="INFO") if "_aws" in line]
    directives = [line["_aws"]["CloudWatchMetrics"][0] for line in (done, errors)]

    assert [directive["Namespace"] for directive in directives] == ["MojodexBackground/staging"] * 2
    assert [set(each) for each in directives[0]["Dimensions"]] == [{"service"}]
    assert [set(each) for each in directives[1]["Dimensions"]] == [{"service", "model", "prompt"}, {"scope"}]
    assert errors["scope"] == "stack"
    assert errors["LlmErrors"] == [2]
