"""The deployed bundle under load: publish work, wait until it is done, and return the figures."""

import http.client
import json
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from itertools import batched
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
from sqlalchemy import Engine, create_engine, text

from bench import ROOT, load
from bench.cpu_use import processor_seconds
from bench.database import BenchError
from bench.load import Kind
from bench.model_server import Latency
from local.runtime import deploy, postgres
from local.runtime import stack as local_stack

WORKERS, BATCH = 10, 10
# Enough for all workers of three processes at the same time. An operator would allow fewer.
MAX_CONNECTIONS = 200
# Without progress for this long, the load has failed.
PATIENCE_SECONDS = 120
REPORT = re.compile(r"^REPORT RequestId: \S+\tDuration: (\d+) ms")


@dataclass(frozen=True)
class ModelServer:
    """The running model server."""

    port: int
    process: psutil.Process

    def take(self, latency: Latency) -> None:
        """Set how long calls take from now on."""
        self._request("PUT", "/latency", asdict(latency))

    def answer_with(self, status: int) -> None:
        """Set the HTTP status of chat calls from now on; 200 means an answer."""
        self._request("PUT", "/status", status)

    def stats(self) -> dict[str, Any]:
        """Return `model_server.Stats` since the last call."""
        return dict(self._request("GET", "/stats"))

    def _request(self, method: str, path: str, body: Any = None) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, json.dumps(body))
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()


@contextmanager
def model_server() -> Iterator[ModelServer]:
    """Run the server of `bench.model_server`."""
    command = [sys.executable, "-m", "bench.model_server"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout
            yield ModelServer(json.loads(child.stdout.readline())["port"], psutil.Process(child.pid))
        finally:
            child.terminate()


@dataclass(frozen=True)
class Run:
    """The figures of one load.

    Attributes:
        jobs: number of jobs.
        seconds: from the first message published to the last job committed.
        waits: seconds from published to committed, for each job.
        calls: model calls, by schema.
        latency: mean seconds of a chat call.
        most: the most chat calls at a time.
        processor: CPU seconds, by user.
        connections: the most connections to the database.
        invocations: number of invocations of the worker.
        billed: seconds of all invocations.
        memory: GB of one worker.
        logged: bytes of all log lines.
        last: the model's last request, as JSON.
    """

    jobs: int
    seconds: float
    waits: list[float]
    calls: dict[str, int]
    latency: float
    most: int
    processor: Counter[str]
    connections: int
    invocations: int
    billed: float
    memory: float
    logged: int
    last: str


@dataclass(frozen=True)
class Bundle:
    """The deployed bundle, its database, and the model server."""

    stack: local_stack.Stack
    engine: Engine
    model: ModelServer

    def rows(self, sql: str, **values: Any) -> list[Any]:
        """Return all rows of a query."""
        with self.engine.begin() as connection:
            return list(connection.execute(text(sql), values))

    def run(self, kind: Kind, jobs: int) -> Run:
        """Publish `jobs` jobs, and wait until all of them are done."""
        messages = load.fill(self.engine, kind, jobs)
        self.model.stats()
        processor = self._processor()
        began = time.time()
        published = self.publish(kind, messages)
        connections = self._wait(kind, began, jobs)
        spent = self._processor()
        spent.subtract(processor)
        stats = self.model.stats()
        finished = {
            row.subject: row.at
            for row in self.rows(
                "SELECT subject, state, extract(epoch FROM finished_at)::float AS at FROM md_background_job"
                " WHERE process = :p AND started_at >= to_timestamp(:b)",
                p=kind.process,
                b=began,
            )
            if row.state == "done"
        }
        if finished.keys() != messages.keys():
            raise BenchError(f"{kind.process}: {len(finished)} of {jobs} jobs done")
        # The log lines of an invocation arrive after its end.
        time.sleep(0.5)
        lines = self.stack.logs(kind.worker, since=began)
        invocations = [int(found[1]) / 1000 for line in lines if (found := REPORT.match(line))]
        function = self.stack.client("lambda").get_function_configuration(
            FunctionName=self.stack.function_name(kind.worker)
        )
        chat = sum(calls for name, calls in stats["calls"].items() if name != "embeddings")
        return Run(
            jobs,
            max(finished.values()) - began,
            [finished[subject] - at for subject, at in published.items()],
            stats["calls"],
            stats["seconds"] / max(chat, 1),
            stats["most"],
            spent,
            connections,
            len(invocations),
            sum(invocations),
            function["MemorySize"] / 1024,
            sum(len(line.encode()) for line in lines),
            stats["last"][kind.schema],
        )

    def publish(self, kind: Kind, messages: dict[str, str]) -> dict[str, float]:
        """Send all messages, and return when each was sent."""
        sqs, published = self.stack.client("sqs"), {}
        for batch in batched(messages.items(), 10, strict=False):
            published.update(dict.fromkeys((subject for subject, _ in batch), time.time()))
            entries = [{"Id": str(place), "MessageBody": body} for place, (_, body) in enumerate(batch)]
            sqs.send_message_batch(QueueUrl=self.stack.outputs[kind.queue], Entries=entries)
        return published

    def _wait(self, kind: Kind, began: float, jobs: int) -> int:
        """Wait until `jobs` jobs have ended, and return the most connections seen."""
        most, ended, changed = 0, -1, time.monotonic()
        while ended < jobs:
            if time.monotonic() - changed > PATIENCE_SECONDS:
                raise BenchError(f"{kind.process}: only {ended} of {jobs} jobs have ended, without progress")
            time.sleep(0.2)
            ((now, connections),) = self.rows(
                "SELECT (SELECT count(*) FROM md_background_job WHERE process = :p"
                " AND started_at >= to_timestamp(:b) AND finished_at IS NOT NULL),"
                " (SELECT count(*) FROM pg_stat_activity WHERE application_name = 'mojodex-background')",
                p=kind.process,
                b=began,
            )
            most = max(most, connections)
            if now != ended:
                ended, changed = now, time.monotonic()
        return most

    def _processor(self) -> Counter[str]:
        ours = {"bench": psutil.Process(), "model": self.model.process}
        return processor_seconds(self.stack, self.engine, ours)

    def let(self, kind: Kind, *, workers: int, batch: int) -> None:
        """Set how many workers may run at a time, and their batch size."""
        functions = self.stack.client("lambda")
        (mapping,) = functions.list_event_source_mappings(FunctionName=self.stack.function_name(kind.worker))[
            "EventSourceMappings"
        ]
        functions.update_event_source_mapping(
            UUID=mapping["UUID"], BatchSize=batch, ScalingConfig={"MaximumConcurrency": workers}
        )

    def connections_at_once(self, kinds: Sequence[Kind], jobs: int) -> tuple[int, int]:
        """Load all queues at the same time. Return the most connections seen, and the allowed number."""
        messages = [(kind, load.fill(self.engine, kind, jobs)) for kind in kinds]
        began = time.time()
        for kind, some in messages:
            self.publish(kind, some)
        most = max(self._wait(kind, began, jobs) for kind in kinds)
        functions = self.stack.client("lambda")
        allowed = 0
        for kind in kinds:
            name = self.stack.function_name(kind.worker)
            variables = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
            allowed += WORKERS * int(variables["DATABASE_POOL_SIZE"])
        return most, allowed

    def reference(self, kind: Kind, jobs: int, threads: int) -> float:
        """Return the seconds per job in one process with `threads` threads and the worker's environment."""
        messages = list(load.fill(self.engine, kind, jobs + 2 * threads).values())
        function = self.stack.client("lambda").get_function_configuration(
            FunctionName=self.stack.function_name(kind.worker)
        )
        environment = {
            **function["Environment"]["Variables"],
            **self.stack.environment(),
            "DATABASE_POOL_SIZE": str(threads),
            "PYTHONPATH": f"{ROOT / 'functions'}:{ROOT / 'shared'}",
        }
        done = subprocess.run(
            [sys.executable, ROOT / "bench" / "one_process.py", f"{kind.process}.worker", str(threads)],
            input=json.dumps(messages),
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        if done.returncode:
            raise BenchError(f"{kind.process}, {threads} threads: {done.stderr[-2000:]}")
        took = json.loads(done.stdout)
        return float(took["seconds"] / jobs)


@contextmanager
def deployed() -> Iterator[Bundle]:
    """Deploy the built bundle with a hundred concurrent jobs per process and without firing schedules."""
    deploy.build()
    with tempfile.TemporaryDirectory(prefix="bench-throughput-") as path, model_server() as model:
        directory = Path(path) / "run"
        try:
            stack = local_stack.up(
                directory,
                parameters={
                    "LlmBaseUrl": f"http://127.0.0.1:{model.port}/v1",
                    **{f"{kind.prefix}Concurrency": str(WORKERS) for kind in load.KINDS},
                },
                say=partial(print, flush=True),
            )
            stack.stop_schedules()
            engine = create_engine(stack.database.url, isolation_level="AUTOCOMMIT")
            with engine.connect() as connection:
                connection.execute(text(f"ALTER SYSTEM SET max_connections = {MAX_CONNECTIONS}"))
            engine.dispose()
            postgres.restart(directory)
            yield Bundle(stack, engine, model)
            engine.dispose()
        finally:
            local_stack.down(directory)
