"""`python -m bench.fan_out`: measure how many messages a second a schedule publishes, and its limit.

1,000 and then 100,000 task executions are due. Each time the real handler of extract_todos runs in a fresh
process, with SQS over HTTP from MiniStack. The limit is the same number of messages sent by SendMessageBatch
alone. Prints a table and writes bench/results/fan_out.json.
"""

import argparse
import sys
import time
from dataclasses import asdict
from functools import partial
from itertools import batched

from bench import database, schedule_time
from bench.database import Cloud, Run, Verdict
from bench.results import write_json
from bench.schedule_time import Executions
from local.runtime import postgres
from mojodex.clock import utc_now

MEMORY_BAR = 1.1
# Long enough for all messages; the template gives the function 120 seconds.
TIMEOUT_SECONDS = 900
# One result each, of the last hours, so that all are due.
LOAD = (
    "INSERT INTO md_task (name_for_system, definition_for_system) VALUES ('minutes', 'Write the minutes')",
    "INSERT INTO md_user (user_id, email, creation_date) VALUES ('user', 'ann@example.com', now())",
    "INSERT INTO md_user_task (user_task_pk, user_id, task_fk) SELECT 1, 'user', task_pk FROM md_task",
    "INSERT INTO md_user_task_execution (user_task_execution_pk, user_task_fk, session_id, json_input_values)"
    " SELECT i, 1, 'session', '{}' FROM generate_series(1, :n) i",
    "INSERT INTO md_produced_text (produced_text_pk, user_id, user_task_execution_fk)"
    " SELECT i, 'user', i FROM generate_series(1, :n) i",
    "INSERT INTO md_produced_text_version (produced_text_fk, creation_date, production)"
    " SELECT i, CAST(:now AS timestamptz) - interval '1 hour' - i * interval '1 second', 'x'"
    " FROM generate_series(1, :n) i",
)


def publish(server: postgres.Database, cloud: Cloud, due: int) -> Run:
    """Let the schedule publish `due` jobs.

    Raises:
        BenchError: it failed, or did not publish each job.
    """
    filled = Executions.create(server, f"due_{due}", due, cloud)
    filled.fill(LOAD, (), "executions", now=utc_now())
    with cloud.queue() as url:
        environment = schedule_time.environment(filled, cloud, url)
        run = database.run_schedule("extract_todos", environment, TIMEOUT_SECONDS)
        if not run.published == cloud.waiting(url) == due:
            raise database.BenchError(f"{due} due, {run.published} published")
    filled.engine.dispose()
    return run


def bound(cloud: Cloud, messages: int) -> float:
    """Return the seconds that SendMessageBatch takes for these messages, ten at a time."""
    bodies = (f'{{"user_task_execution_pk":{i}}}' for i in range(messages))
    with cloud.queue() as url:
        began = time.perf_counter()
        for batch in batched(bodies, 10, strict=False):
            entries = [{"Id": str(i), "MessageBody": body} for i, body in enumerate(batch)]
            cloud.sqs.send_message_batch(QueueUrl=url, Entries=entries)  # type: ignore[arg-type]
        return time.perf_counter() - began


def _run(arguments: argparse.Namespace, server: postgres.Database, cloud: Cloud) -> list[Verdict]:
    few, many = (publish(server, cloud, due) for due in (arguments.few, arguments.many))
    bare = bound(cloud, arguments.many)
    for run in (few, many):
        rest = run.seconds - run.database - run.publishing
        print(
            f"\n{run.published:,} due: {run.published / run.seconds:,.0f} messages a second. Of"
            f" {run.seconds:.1f} s the database took {run.database:.1f}, SQS {run.publishing:.1f}, the rest"
            f" {rest:.1f}; peak {run.peak:.1f} MiB"
        )
    print(f"\nSendMessageBatch alone: {arguments.many / bare:,.0f} messages a second, {bare:.1f} s")
    write_json("fan_out", {"few": asdict(few), "many": asdict(many), "send_message_batch_seconds": bare})
    ratio = many.peak / few.peak
    return [(f"peak memory, ratio {ratio:.2f}, bar {MEMORY_BAR}", ratio <= MEMORY_BAR)]


def main() -> int:
    """Measure, print and judge. Return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.fan_out", description=__doc__)
    for name, default in (("few", 1_000), ("many", 100_000)):
        parser.add_argument(f"--{name}", type=int, default=default, metavar="N", help="(%(default)s)")
    return database.run_bench("fan_out", partial(_run, parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
