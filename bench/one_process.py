"""Runs jobs in one process, so many at a time: `reference.py MODULE THREADS`, messages on standard input.

Each job goes through the worker's own handler, alone in its batch. Prints what it took as JSON. Not a module
of the bench: it sees what a function sees.
"""

import importlib
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

module, threads = sys.argv[1:]
bodies: list[str] = json.load(sys.stdin)
# Of the worker's own lines nothing is wanted.
told, sys.stdout = sys.stdout, sys.stderr
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
    # Clients, connections, compiled statements: two rounds.
    warming = 2 * int(threads)
    list(pool.map(work, bodies[:warming]))
    began, used = time.perf_counter(), time.process_time()
    list(pool.map(work, bodies[warming:]))
    took = {"seconds": time.perf_counter() - began, "processor": time.process_time() - used}
print(json.dumps(took), file=told)
