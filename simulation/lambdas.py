"""Lambda: execution environments, invocations, event source mappings, and EventBridge's schedules.

Page titles in quotes are of the AWS Lambda Developer Guide, unless another guide is named.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from simulation.deployment import Deployment, FunctionSettings, Schedule, queue_url
from simulation.faults import Faults
from simulation.kernel import Event, Kernel
from simulation.outside import Invocation
from simulation.sqs import Queue, StoredMessage

type Handler = Callable[[dict[str, Any], Any], Any]

# "Understanding the Lambda execution environment lifecycle": an idle environment is kept for some time. The
# page names no figure, so these are measurements that others have published.
IDLE_SECONDS = (300.0, 2400.0)
INIT_SECONDS = (0.4, 2.5)
# The clocks of two environments differ by up to a minute.
SKEW_SECONDS = (-30.0, 30.0)
# "Using Lambda with Amazon SQS": pollers use long polling.
POLL_SECONDS = (0.005, 0.05)
# EventBridge Scheduler User Guide, "Schedule types": within 60 seconds.
LATE_SECONDS = (0.0, 59.0)
TWICE_SECONDS = (1.0, 90.0)
# "How Lambda handles errors and retries with asynchronous invocation": a minute, then two.
RETRY_SECONDS = (60, 120)
# Long enough for a lease to expire, even on another clock.
DOUBLE_SECONDS = (0.1, 200.0)


@dataclass(eq=False)
class Environment:
    """An execution environment: its memory, and how many seconds its clock is ahead."""

    name: str
    skew: float
    deployment: int
    idle_until: float = 0
    state: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Context:
    """The context object that Lambda passes to a handler."""

    kernel: Kernel
    invocation: Invocation
    function_name: str
    aws_request_id: str
    memory_limit_in_mb: int = 1024
    invoked_function_arn: str = "arn:aws:lambda:eu-west-1:123456789012:function:simulated"

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds left until the timeout."""
        return max(0, int((self.invocation.ends - self.kernel.now) * 1000))


@dataclass(frozen=True)
class Ending:
    """How an invocation ended: `kind` is that of `Answer`; times are seconds since 1970."""

    function: str
    began: float
    ended: float
    kind: str


@dataclass
class Answer:
    """The result of an invocation: its return value, its exception, or its death."""

    kind: Literal["returned", "raised", "died"] = "died"
    value: Any = None


class Lambdas:
    """All functions of the bundle.

    Attributes:
        invocations: how many there were.
        deaths: how many invocations died, by function.
        functions: the settings of all functions.
        endings: how each invocation ended, by the name of its process.
        received: when each message was received (seconds since 1970), by its id.
        doubled: ids of messages that a fault delivered again.
    """

    def __init__(
        self,
        kernel: Kernel,
        faults: Faults,
        deployment: Deployment,
        handlers: Mapping[str, Handler],
        queues: Mapping[str, Queue],
        discard: Callable[[dict[str, object]], None],
    ) -> None:
        self.kernel, self.faults = kernel, faults
        self.invocations = 0
        self.deaths: Counter[str] = Counter()
        self.endings: dict[str, Ending] = {}
        self.received: dict[str, list[float]] = defaultdict(list)
        self.doubled: set[str] = set()
        self.functions = list(deployment.functions.values())
        self.stopped = self.schedules_stopped = False
        self._settings, self._handlers, self._queues = deployment, handlers, queues
        self._discard = discard
        self._idle: dict[str, list[Environment]] = {name: [] for name in deployment.functions}
        self._made = self._deployment = 0
        self._running: dict[Invocation, None] = {}
        self._wakers: dict[str, Event] = {}

    def start(self) -> None:
        """Start to poll the queues and to fire the schedules."""
        for function in self._settings.functions.values():
            if function.source:
                queue = self._queues[function.source.queue]
                queue.changed = self._waker(function.name)
                self.kernel.spawn(_Mapping(self, function, queue).poll)
            if function.schedule:
                self.kernel.spawn(self._fire, function, function.schedule)

    def deploy(self) -> None:
        """Replace all environments. Running invocations finish first ("Lambda function versions")."""
        self._deployment += 1
        self.discard_idle()

    def discard_idle(self) -> None:
        """Discard all idle environments, with their open connections."""
        for idle in self._idle.values():
            while idle:
                self._discard(idle.pop().state)

    def stop_schedules(self) -> None:
        """Fire no more schedules."""
        self.schedules_stopped = True

    def stop(self) -> None:
        """Start nothing more, and kill all running invocations."""
        self.stopped = True
        for invocation in list(self._running):
            self.kernel.kill(invocation, "the simulation ends")

    def resume(self) -> None:
        """Check all queues again, because a paused consumption may continue."""
        for name in list(self._wakers):
            self._wakers.pop(name).set()

    def invoke(self, function: FunctionSettings, event: dict[str, Any]) -> Answer:
        """Invoke a function, and wait until it ends."""
        kernel = self.kernel
        environment = self._environment(function)
        self.invocations += 1
        number = self.invocations
        invocation = Invocation(
            f"{environment.name}/{number}",
            function=function.name,
            ends=kernel.now + function.timeout,
            skew=environment.skew,
            dies=self.faults.next("kill", function.name),
            stalls=self.faults.next("stall", function.name),
            aborts=self.faults.next("abort", function.name),
            state=environment.state,
        )
        ended, answer = Event(kernel), Answer()
        invocation.on_kill = ended.set

        def run() -> None:
            context = Context(kernel, invocation, function.name, str(number))
            try:
                answer.value = self._handlers[function.name](event, context)
                answer.kind = "returned"
            except Exception as error:
                answer.kind, answer.value = "raised", error
                kernel.trace("raised", type(error).__name__)
            ended.set()

        self._running[invocation] = None
        began = kernel.now
        kernel.spawn(run, group=invocation)
        # "Configure Lambda function timeout": Lambda kills the process.
        if not ended.wait(function.timeout):
            kernel.kill(invocation, "timeout")
        del self._running[invocation]
        if invocation.killed:
            self.deaths[function.name] += 1
            answer.kind = "died"
            self._discard(environment.state)
        else:
            environment.idle_until = kernel.now + kernel.stream("idle").uniform(*IDLE_SECONDS)
            self._idle[function.name].append(environment)
        self.endings[invocation.name] = Ending(function.name, began, kernel.now, answer.kind)
        return answer

    def _environment(self, function: FunctionSettings) -> Environment:
        """Take the environment that was used last, or start a new one."""
        idle = self._idle[function.name]
        while idle:
            environment = idle.pop()
            if environment.idle_until > self.kernel.now and environment.deployment == self._deployment:
                return environment
            self._discard(environment.state)
        self._made += 1
        rng = self.kernel.stream("environments")
        environment = Environment(
            f"{function.name}-{self._made}", rng.uniform(*SKEW_SECONDS), self._deployment
        )
        self.kernel.sleep(rng.uniform(*INIT_SECONDS))
        return environment

    def _fire(self, function: FunctionSettings, schedule: Schedule) -> None:
        """Fire a schedule at least once, within a minute (EventBridge Scheduler User Guide)."""
        kernel, rng = self.kernel, self.kernel.stream(f"schedule {function.name}")
        period = schedule.minutes * 60
        moment = kernel.now - kernel.now % 3600 + 3600
        if not schedule.on_the_hour:
            # A rate starts when its schedule is created.
            moment = kernel.now + rng.uniform(0, period)
        while not self.stopped:
            kernel.sleep(max(0.0, moment - kernel.now))
            moment += period
            if self.schedules_stopped:
                return
            if self.faults.is_unavailable("schedules"):
                kernel.trace("schedule is off", function.name)
                continue
            delay = rng.uniform(*LATE_SECONDS)
            if late := self.faults.next("late", function.name):
                delay += late.seconds
            kernel.spawn(self._run_schedule, function, delay=delay)
            if self.faults.next("twice", function.name):
                kernel.spawn(self._run_schedule, function, delay=delay + rng.uniform(*TWICE_SECONDS))

    def _run_schedule(self, function: FunctionSettings) -> None:
        for pause in (0, *RETRY_SECONDS[: function.retries]):
            self.kernel.sleep(pause)
            if self.stopped:
                return
            answer = self.invoke(function, {})
            self.kernel.trace("schedule", function.name, answer.kind, answer.value)
            if answer.kind == "returned":
                return

    def _waker(self, name: str) -> Callable[[float], None]:
        def wake(moment: float) -> None:
            def ring() -> None:
                if event := self._wakers.pop(name, None):
                    event.set()

            self.kernel.call_at(moment, ring)

        return wake


@dataclass
class _Mapping:
    """An event source mapping: takes batches from a queue, and deletes the records that succeeded."""

    lambdas: Lambdas
    function: FunctionSettings
    queue: Queue
    running: int = 0

    def poll(self) -> None:
        """Poll, with at most MaximumConcurrency invocations ("Configuring scaling behavior for SQS")."""
        lambdas, source = self.lambdas, self.function.source
        assert source
        kernel, rng = lambdas.kernel, lambdas.kernel.stream(f"poll {source.queue}")
        while not lambdas.stopped:
            moment = self.queue.next_visible()
            paused = lambdas.faults.is_unavailable(f"queue {source.queue}")
            if moment is None or moment > kernel.now or paused or self.running >= source.concurrency:
                event = lambdas._wakers.setdefault(self.function.name, Event(kernel))
                free = self.running < source.concurrency and not paused
                event.wait(max(0.0, moment - kernel.now) if moment is not None and free else None)
                continue
            batch = self._receive(source.batch_size)
            if batch:
                self.running += 1
                kernel.spawn(self._handle, batch)
            kernel.sleep(rng.uniform(*POLL_SECONDS))

    def _handle(self, batch: list[StoredMessage]) -> None:
        lambdas, source = self.lambdas, self.function.source
        assert source
        # "Create and configure an Amazon SQS event source mapping": a full batch or the end of the window.
        if len(batch) < source.batch_size and source.window:
            lambdas.kernel.sleep(source.window)
            batch += self._receive(source.batch_size - len(batch))
        # Copied now, because another receive changes the message.
        records = [self._record(message) for message in batch]
        answer = lambdas.invoke(self.function, {"Records": records})
        self.running -= 1
        if event := lambdas._wakers.pop(self.function.name, None):
            event.set()
        if answer.kind != "returned":
            return
        # "Handling errors for an SQS event source": delete every record that is not reported as failed.
        failed = {item["itemIdentifier"] for item in (answer.value or {}).get("batchItemFailures", [])}
        for record in records:
            if record["messageId"] not in failed:
                self.queue.delete(record["receiptHandle"], lambdas.kernel.now)

    def _receive(self, count: int) -> list[StoredMessage]:
        kernel = self.lambdas.kernel
        name = self.queue.settings.name
        batch = self.queue.receive(count, kernel.now, kernel.stream(f"receive {name}"))
        for message in batch:
            kernel.trace("receive", name, message.id, message.receives, message.body)
            self.lambdas.received[message.id].append(kernel.now)
        if batch and self.lambdas.faults.next("double", name):
            kernel.trace("double", batch[0].id)
            self.lambdas.doubled.add(batch[0].id)
            copy = replace(batch[0])
            kernel.call_later(
                kernel.stream("double").uniform(*DOUBLE_SECONDS), lambda: self._deliver_again(copy)
            )
        return batch

    def _deliver_again(self, copy: StoredMessage) -> None:
        """Deliver a message again, even if it was deleted ("Amazon SQS at-least-once delivery")."""
        message = self.queue.messages.get(copy.id, copy)
        message.visible_at = self.lambdas.kernel.now
        self.queue.send(message)

    def _record(self, message: StoredMessage) -> dict[str, Any]:
        """Return the message as a record of an event ("Using Lambda with Amazon SQS")."""
        attributes = {
            "ApproximateReceiveCount": str(message.receives),
            "SentTimestamp": str(round(message.sent * 1000)),
            "ApproximateFirstReceiveTimestamp": str(round(message.received_at * 1000)),
            "SenderId": "AIDASIMULATED",
        }
        if message.group:
            attributes["MessageGroupId"] = message.group
        return {
            "messageId": message.id,
            "receiptHandle": message.receipt,
            "body": message.body,
            "attributes": attributes,
            "messageAttributes": {
                name: {"stringValue": value["StringValue"], "dataType": value["DataType"]}
                for name, value in message.attributes.items()
            },
            "md5OfBody": "",
            "eventSource": "aws:sqs",
            "eventSourceARN": queue_url(self.queue.settings.name),
            "awsRegion": "eu-west-1",
        }
