"""Run a schedule's handler in a process of its own: `cold_start_child.py MODULE SECONDS`.

The last line of output is JSON with the figures. This script is not imported by the bench: it sees the same
packages as a function.
"""

import importlib
import json
import resource
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event

from mojodex import queues

module, seconds = sys.argv[1:]
spent = {"database": 0.0, "longest": 0.0, "publishing": 0.0}
publish = queues.publish
handler = importlib.import_module(module).handler


class Context:
    function_name, memory_limit_in_mb, aws_request_id = "schedule", 512, "request"
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:schedule"

    def get_remaining_time_in_millis(self) -> int:
        return int((ends - time.perf_counter()) * 1000)


@event.listens_for(Engine, "before_cursor_execute")
def _begin(connection: Any, *_rest: Any) -> None:
    connection.info["began"] = time.perf_counter()


@event.listens_for(Engine, "after_cursor_execute")
def _end(connection: Any, *_rest: Any) -> None:
    took = time.perf_counter() - connection.info["began"]
    spent["database"] += took
    spent["longest"] = max(spent["longest"], took)


def _publish(queue_url: str, messages: Iterable[queues.Outgoing]) -> None:
    began = time.perf_counter()
    publish(queue_url, messages)
    spent["publishing"] += time.perf_counter() - began


queues.publish = _publish
began = time.perf_counter()
ends = began + float(seconds)
published = handler({}, Context())["published"]
took = time.perf_counter() - began
# On Linux, getrusage would include the memory of the parent process before exec. VmHWM does not.
status = Path("/proc/self/status")
if status.exists():
    peak = next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM"))
else:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
print(json.dumps({"seconds": took, "peak": peak / 1024, "published": published} | spent))
