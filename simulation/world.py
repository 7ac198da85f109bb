"""The world runs plans. It is made once per process."""

import gc
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import ModuleType

from simulation import defects, patches, postgres
from simulation.aws import SecretsManager, Services, Ses, Sqs
from simulation.backend import Asked, Backend
from simulation.deployment import PARAMETERS, Deployment, deployment
from simulation.faults import Fault, Faults
from simulation.feedback import Feedback
from simulation.functions import handlers, import_handlers
from simulation.kernel import Kernel
from simulation.lambdas import Lambdas
from simulation.outside import Outside
from simulation.plan import CALM_DAYS, HOUR, START, Plan
from simulation.provider import Provider
from simulation.sites import Sites
from simulation.sqs import Queue, StoredMessage

# The last messages of the schedules are handled within this time after the schedules stop.
LAST_SECONDS = 2 * HOUR
# New objects before a garbage collection; Python's default is 2,000.
GARBAGE_AFTER = 50_000
# Virtual seconds between two checks whether a run can stop early.
ENOUGH_SECONDS = 6 * HOUR
# Weekdays (Monday is 0). A calm that begins on one of these holds no working night for some time zones.
SATURDAY, SUNDAY = 5, 6


@dataclass
class Run:
    """One run, with nothing shared between runs.

    Attributes:
        plan: the plan of the run.
        metrics: the bundle's counts, by metric.
        tracebacks: of unknown errors: the line of the trace, the error, and the place it was raised.
        expired: messages that SQS dropped at the end of their retention.
        state: the memory outside of invocations (see `Invocation.state`).
        cut_short: whether it ended early.
    """

    plan: Plan
    kernel: Kernel
    faults: Faults
    outside: Outside
    queues: Mapping[str, Queue]
    services: Services
    provider: Provider
    sites: Sites
    lambdas: Lambdas
    backend: Backend
    metrics: Counter[str] = field(default_factory=Counter)
    tracebacks: list[tuple[int, str, str]] = field(default_factory=list)
    expired: list[StoredMessage] = field(default_factory=list)
    state: dict[str, object] = field(default_factory=dict)
    cut_short: bool = False

    @property
    def asked(self) -> Asked:
        """Return the work that was asked for so far."""
        return self.backend.asked


@dataclass(eq=False)
class World:
    """The server, and the bundle's modules on top of the simulation."""

    server: postgres.Server
    settings: Deployment
    modules: Mapping[str, ModuleType]
    bridge: patches.Bridge

    def run(
        self,
        plan: Plan,
        watch: Mapping[float, Callable[[Run], None]] = {},
        ends: float | None = None,
        enough: Callable[[Run], bool] = lambda _run: False,
    ) -> Run:
        """Run a plan. The database holds its result until the next run.

        Args:
            plan: the work and the faults.
            watch: functions to call with the run, by the moment in seconds since its beginning.
            ends: when the schedules stop, in seconds since the beginning; by default `end_of` the plan.
            enough: called now and then; the run ends early once it returns True.
        """
        self.server.outside = None
        self.server.empty()
        run = self.bridge.run = self._make(plan)
        self._warm_up()
        self.server.outside = run.outside
        run.backend.start()
        run.lambdas.start()
        for fault in plan.faults:
            run.kernel.call_later(fault.at, lambda fault=fault: self._begin_fault(run, fault))  # type: ignore[misc]
        for moment, look in watch.items():
            run.kernel.call_later(moment, lambda look=look: look(run))  # type: ignore[misc]
        begin = run.kernel.now
        run.kernel.call_later(plan.days * 24 * HOUR, run.faults.calm)
        end = run.services.sesv2.feedback.ends = begin + (end_of(plan) if ends is None else ends)
        while run.kernel.now < end and not run.cut_short:
            run.kernel.run(min(end, run.kernel.now + ENOUGH_SECONDS))
            run.cut_short = enough(run)
        if not run.cut_short:
            run.lambdas.stop_schedules()
            run.kernel.run(end + LAST_SECONDS)
        run.lambdas.stop()
        run.kernel.run(run.kernel.now)
        run.lambdas.discard_idle()
        self.server.outside = None
        return run

    def _make(self, plan: Plan) -> Run:
        kernel = Kernel(plan.seed, START)
        faults = Faults(kernel)
        outside = Outside(kernel, faults)
        queues = {name: Queue(each) for name, each in self.settings.queues.items()}
        expired: list[StoredMessage] = []
        for queue in queues.values():
            queue.dead_letters = queues.get(queue.settings.dead_letters)
            queue.moved = _note_moves(kernel, queue, expired)
        sqs = Sqs(outside, queues)
        secrets = {
            PARAMETERS["DatabaseSecretArn"]: self.server.secret,
            PARAMETERS["LlmSecretArn"]: {"api_key": "simulated"},
        }
        by_process = {process: queues[name] for name, process in self.settings.sources().items()}
        worker = self.settings.functions["MailFeedbackWorkerFunction"]
        feedback = Feedback(
            kernel,
            worker.environment["SES_CONFIGURATION_SET"],
            lambda body: sqs.publish(by_process["mail_feedback"], body),
        )
        services = Services(sqs, SecretsManager(outside, secrets), Ses(outside, feedback))
        sites = Sites(outside)
        lambdas = Lambdas(
            kernel, faults, self.settings, handlers(self.settings, dict(self.modules)), queues, _discard
        )
        backend = Backend(kernel, self.server, sqs, by_process, sites, plan)
        provider = Provider(outside, plan.seed)
        return Run(
            plan,
            kernel,
            faults,
            outside,
            queues,
            services,
            provider,
            sites,
            lambdas,
            backend,
            expired=expired,
        )

    def _begin_fault(self, run: Run, fault: Fault) -> None:
        run.faults.begin(fault)
        match fault.kind:
            case "restart" | "cut":
                self.server.cut()
            case "outage" if fault.target == "postgres":
                self.server.cut()
            case "outage" if fault.target.startswith("queue "):
                run.kernel.call_later(fault.seconds, run.lambdas.resume)
            case "deploy":
                run.lambdas.deploy()

    def _warm_up(self) -> None:
        """Connect each engine once, so that no trace holds SQLAlchemy's first queries to a new server."""
        for module in self.modules.values():
            with module.database.engine().connect():
                pass
            module.database.engine().dispose()
        self.server.generation = 0


@contextmanager
def world(defect: str = "") -> Iterator[World]:
    """Make the world, with one defect of `defects.DEFECTS` if given. Call it once per process."""
    settings = deployment()
    modules = import_handlers(settings)
    bridge = patches.Bridge()
    with (
        tempfile.TemporaryDirectory(prefix="mojodex-simulation-") as folder,
        postgres.server(Path(folder) / "postgres") as server,
    ):
        patches.install(bridge, server)
        # Imported modules stay and a run makes many long-lived objects, so collect garbage rarely.
        gc.freeze()
        gc.set_threshold(GARBAGE_AFTER, 20, 20)
        with defects.put_back(defect):
            yield World(server, settings, modules, bridge)


def end_of(plan: Plan) -> float:
    """Return when a plan ends, in seconds. The calm before it holds a working night for every time zone."""
    end = START + timedelta(seconds=plan.seconds)
    while (end - timedelta(days=CALM_DAYS)).weekday() in (SATURDAY, SUNDAY):
        end += timedelta(days=1)
    return (end - START).total_seconds()


def dead_letters(run: Run) -> dict[str, list[StoredMessage]]:
    """Return the messages of each dead-letter queue."""
    targets = {queue.settings.dead_letters for queue in run.queues.values()} - {""}
    return {name: list(run.queues[name].messages.values()) for name in sorted(targets)}


def _note_moves(kernel: Kernel, queue: Queue, expired: list[StoredMessage]):  # type: ignore[no-untyped-def]
    def note(message: StoredMessage, why: str) -> None:
        kernel.trace("leaves", queue.settings.name, message.id, why)
        if why == "retention is over":
            expired.append(message)

    return note


def _discard(state: dict[str, object]) -> None:
    """Close the open connections of an execution environment."""
    for name, idle in state.items():
        if name.startswith("pool ") and isinstance(idle, list):
            while idle:
                idle.pop().close()
    state.clear()
