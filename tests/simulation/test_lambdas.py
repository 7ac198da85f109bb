"""The model of Lambda: batches, killed environments, schedules."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from simulation.deployment import Deployment, FunctionSettings, QueueSettings, Schedule, Source
from simulation.faults import Fault, Faults
from simulation.kernel import Kernel
from simulation.lambdas import Lambdas
from simulation.plan import START
from simulation.sqs import Queue, StoredMessage

VISIBILITY, TIMEOUT, WINDOW = 600, 60, 5


class Bundle:
    """A worker with a queue and a schedule, which record each invocation's input and time."""

    def __init__(self) -> None:
        self.kernel = Kernel(1, START)
        self.faults = Faults(self.kernel)
        self.queue = Queue(QueueSettings("queue", VISIBILITY, 345_600))
        self.batches: list[tuple[float, list[str]]] = []
        self.running = self.most = self.schedule_runs = 0
        self.work: Callable[[list[dict[str, Any]]], Any] = lambda _records: {"batchItemFailures": []}
        source = Source("queue", batch_size=10, window=WINDOW, concurrency=2)
        functions = [
            FunctionSettings("worker", "", TIMEOUT, {"POWERTOOLS_SERVICE_NAME": "w"}, 0, source, None),
            FunctionSettings("schedule", "", TIMEOUT, {}, 0, None, Schedule(60, on_the_hour=True)),
        ]
        deployment = Deployment({"queue": self.queue.settings}, {f.name: f for f in functions})
        handlers = {"worker": self._handle, "schedule": self._schedule}
        self.discarded: list[dict[str, object]] = []
        self.lambdas = Lambdas(
            self.kernel, self.faults, deployment, handlers, {"queue": self.queue}, self.discarded.append
        )
        self.lambdas.start()

    @property
    def seconds(self) -> float:
        return self.kernel.now - START.timestamp()

    def send(self, *names: str) -> None:
        now = self.kernel.now
        for name in names:
            self.queue.send(StoredMessage(name, json.dumps(name), {}, "", now, now))

    def run(self, seconds: float) -> None:
        self.kernel.run(self.kernel.now + seconds)

    def _handle(self, event: dict[str, Any], _context: Any) -> Any:
        self.batches.append((self.seconds, [record["messageId"] for record in event["Records"]]))
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            return self.work(event["Records"])
        finally:
            self.running -= 1

    def _schedule(self, _event: dict[str, Any], _context: Any) -> dict[str, int]:
        self.schedule_runs += 1
        return {"published": 0}


@pytest.fixture
def bundle() -> Bundle:
    return Bundle()


def test_a_record_that_is_not_reported_as_failed_is_deleted(bundle: Bundle) -> None:
    bundle.work = lambda _records: {"batchItemFailures": [{"itemIdentifier": "b"}]}
    bundle.send("a", "b", "c")

    bundle.run(100)

    assert list(bundle.queue.messages) == ["b"]
    assert bundle.queue.messages["b"].visible_at == pytest.approx(START.timestamp() + VISIBILITY, abs=5)


def test_a_batch_waits_for_its_window_and_includes_messages_that_arrive_meanwhile(bundle: Bundle) -> None:
    bundle.send("a")
    bundle.kernel.call_later(WINDOW - 1, lambda: bundle.send("b"))

    bundle.run(100)

    assert [sorted(names) for _, names in bundle.batches] in ([["a", "b"]], [["a"], ["b"]])
    assert bundle.batches[0][0] >= WINDOW


def test_a_batch_that_raises_is_retried_after_the_visibility_timeout(bundle: Bundle) -> None:
    def fail(_records: Any) -> None:
        raise ValueError

    bundle.work = fail
    bundle.send("a")

    bundle.run(VISIBILITY - 1)
    assert len(bundle.batches) == 1
    bundle.run(100)
    assert len(bundle.batches) == 2


def test_a_function_that_takes_too_long_dies_and_its_environment_with_it(bundle: Bundle) -> None:
    bundle.work = lambda _records: bundle.kernel.sleep(TIMEOUT + 1)
    bundle.send("a")

    bundle.run(VISIBILITY - 1)

    assert bundle.lambdas.deaths == {"worker": 1}
    assert len(bundle.discarded) == 1
    assert list(bundle.queue.messages) == ["a"]


def test_no_more_invocations_run_at_once_than_the_mapping_allows(bundle: Bundle) -> None:
    bundle.work = lambda _records: bundle.kernel.sleep(20) or {"batchItemFailures": []}
    bundle.send(*(f"m{number}" for number in range(100)))

    bundle.run(400)

    assert bundle.most == 2
    assert not bundle.queue.messages


def test_a_paused_queue_is_polled_only_after_the_pause(bundle: Bundle) -> None:
    bundle.faults.begin(Fault(0, "outage", "queue queue", seconds=1000, how="paused"))
    bundle.kernel.call_later(1000, bundle.lambdas.resume)
    bundle.send("a")

    bundle.run(999)
    assert bundle.batches == []
    bundle.run(100)
    assert [names for _, names in bundle.batches] == [["a"]]


def test_a_doubled_message_is_delivered_again_after_it_was_done(bundle: Bundle) -> None:
    bundle.faults.begin(Fault(0, "double", "queue"))
    bundle.send("a")

    bundle.run(400)

    assert [names for _, names in bundle.batches].count(["a"]) == 2


def test_a_schedule_runs_on_the_hour_at_least_once(bundle: Bundle) -> None:
    bundle.run(24 * 3600 + 100)
    assert bundle.schedule_runs == 24

    bundle.faults.begin(Fault(0, "twice", "schedule"))
    bundle.run(3600)
    assert bundle.schedule_runs == 26


def test_schedules_that_are_off_do_not_run(bundle: Bundle) -> None:
    bundle.faults.begin(Fault(0, "outage", "schedules", seconds=5 * 3600 + 60, how="off"))

    bundle.run(8 * 3600 + 100)

    assert bundle.schedule_runs == 3


def test_a_deployment_replaces_environments(bundle: Bundle) -> None:
    bundle.send("a")
    bundle.run(20)
    bundle.lambdas.deploy()
    bundle.send("b")
    bundle.run(20)

    names = {line.split(" ")[1] for line in bundle.kernel.lines}
    assert len(bundle.batches) == 2
    assert len(bundle.discarded) == 1, names
