"""One run: a plan goes in, and what was found afterwards comes out."""

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
from simulation.deployment import PARAMETERS, Deployment, deployment, queue_url
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

# After the schedules have stopped, what they published last is done within so many seconds.
LAST_SECONDS = 2 * HOUR
# Objects that are made before Python looks for garbage; its own figure is 2,000.
GARBAGE_AFTER = 50_000
# Virtual seconds between two questions whether a run has shown enough.
ENOUGH_SECONDS = 6 * HOUR
# Weekdays (Monday is 0). In a calm that begins on one of these, not every zone has a working night.
SATURDAY, SUNDAY = 5, 6


@dataclass
class Run:
    """One run: all that belongs to it, and nothing of another one.

    Attributes:
        plan: see there.
        metrics: what the bundle counted, by metric.
        tracebacks: of unknown errors: the line of the trace, the error and where it was raised.
        expired: messages that were lost because their retention was over.
        state: what the world itself keeps (see `Invocation.state`).
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
        """Return what was asked for."""
        return self.backend.asked


@dataclass(eq=False)
class World:
    """What is made once in a process: the server, and the bundle's modules on top of the simulation."""

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
        """Run a plan from its beginning to its end. The database holds what came of it until the next run.

        Args:
            plan: what there is to do, and what goes wrong.
            watch: called at moments, in seconds since the beginning, to look at the run.
            ends: when the schedules stop, in seconds since the beginning; `end_of` the plan without it.
            enough: asked now and then; a run of which it says so ends at once.
        """
        self.server.outside = None
        self.server.empty()
        run = self.bridge.run = self._make(plan)
        self._warm_up()
        self.server.outside = run.outside
        run.backend.start()
        run.lambdas.start()
        for fault in plan.faults:
            run.kernel.call_later(fault.at, lambda fault=fault: self._break(run, fault))  # type: ignore[misc]
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

    def _break(self, run: Run, fault: Fault) -> None:
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
        """Connect each engine once, so that SQLAlchemy's questions to a new server are in no trace."""
        for module in self.modules.values():
            with module.database.engine().connect():
                pass
            module.database.engine().dispose()
        self.server.generation = 0


@contextmanager
def world(defect: str = "") -> Iterator[World]:
    """Make the world; `defect` is one of `defects.DEFECTS`. Only one can be made in a process."""
    settings = deployment()
    modules = import_handlers(settings)
    bridge = patches.Bridge()
    with (
        tempfile.TemporaryDirectory(prefix="mojodex-simulation-") as folder,
        postgres.server(Path(folder) / "postgres") as server,
    ):
        patches.install(bridge, server)
        # What was imported stays, and a run makes many objects that live for long: look for garbage rarely.
        gc.freeze()
        gc.set_threshold(GARBAGE_AFTER, 20, 20)
        with defects.put_back(defect):
            yield World(server, settings, modules, bridge)


def end_of(plan: Plan) -> float:
    """Return when a plan ends, in seconds: with a night of a working day, in every zone, within the calm."""
    end = START + timedelta(seconds=plan.seconds)
    while (end - timedelta(days=CALM_DAYS)).weekday() in (SATURDAY, SUNDAY):
        end += timedelta(days=1)
    return (end - START).total_seconds()


def dead_letters(run: Run) -> dict[str, list[StoredMessage]]:
    """Return what is in each dead-letter queue."""
    targets = {queue.settings.dead_letters for queue in run.queues.values()} - {""}
    return {name: list(run.queues[name].messages.values()) for name in sorted(targets)}


def _note_moves(kernel: Kernel, queue: Queue, expired: list[StoredMessage]):  # type: ignore[no-untyped-def]
    def note(message: StoredMessage, why: str) -> None:
        kernel.trace("leaves", queue.settings.name, message.id, why)
        if why == "retention is over":
            expired.append(message)

    return note


def _discard(state: dict[str, object]) -> None:
    """Close what an execution environment leaves behind."""
    for name, idle in state.items():
        if name.startswith("pool ") and isinstance(idle, list):
            while idle:
                idle.pop().close()
    state.clear()


__all__ = ["Run", "World", "dead_letters", "end_of", "queue_url", "world"]
