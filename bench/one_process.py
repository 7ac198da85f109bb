"""Run jobs in one process, several at a time: `one_process.py MODULE THREADS`, messages on standard input.

Each job goes through the worker's own handler, in a batch of its own. The last line of output is JSON with
the figures. This script is not imported by the bench: it sees the same packages as a function.
"""

import importlib
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

module, threads = sys.argv[1:]
bodies: list[str] = json.load(sys.stdin)
# Keep the worker's own output out of standard output.
output, sys.stdout = sys.stdout, sys.stderr
handler = importlib.import_module(module).handler
SECONDS = 120


class Context:
    function_name, memory_limit_in_mb, aws_request_id = "worker", 1024, "request"
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:worker"

    def __init__(self) -> None:
        self.ends = time.monotonic() + SECONDS

    def get_remaining_time_in_millis(self) -> int:
        return int((self.ends - time.monotonic()) * 1000)


def work(body: str) -> None:
    sent = str(int(time.time() * 1000))
    record: dict[str, Any] = {
        "messageId": body,
        "receiptHandle": "receipt",
        "body": body,
        "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": sent},
        "messageAttributes": {},
        "eventSource": "aws:sqs",
    }
    answer = handler({"Records": [record]}, Context())
    assert not answer["batchItemFailures"], answer


with ThreadPoolExecutor(int(threads)) as pool:
    # Two rounds warm up clients, connections and compiled statements.
    warming = 2 * int(threads)
    list(pool.map(work, bodies[:warming]))
    began, used = time.perf_counter(), time.process_time()
    list(pool.map(work, bodies[warming:]))
    took = {"seconds": time.perf_counter() - began, "processor": time.process_time() - used}
print(json.dumps(took), file=output)
