"""Put the simulation under the bundle's modules: time, randomness, threads, AWS, HTTP and the database.

Each object to replace (the module `time`, the class ThreadPoolExecutor, …) is found in every module, so a new
module of the bundle needs no change here.
"""

import concurrent.futures
import logging
import random
import sys
import threading
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import boto3
import httpx2
from aws_lambda_powertools.utilities.parameters import SecretsProvider
from aws_lambda_powertools.utilities.parameters import base as parameters

from documents.web import connections
from mojodex import clock, database, jobs, observability, secrets, total_timeout, wire
from simulation import sites as websites
from simulation.aws import Boto3, VirtualDatetime
from simulation.environments import give_each_its_own
from simulation.executor import Executor, Lock, Timer, wait_for_all
from simulation.kernel import Kernel
from simulation.postgres import Server
from tests import ROOT

# Classes of the bundle whose objects keep state in a module.
KEEP_STATE = ("Circuits",)
FOLDERS = (ROOT / "functions", ROOT / "shared")


class Bridge:
    """Connects the bundle's modules to the current run.

    Attributes:
        run: the current run; set before it begins.
    """

    def __init__(self) -> None:
        self.run: Any = None

    def kernel(self) -> Kernel:
        """Return the kernel of the current run."""
        kernel: Kernel = self.run.kernel
        return kernel

    def skew(self) -> float:
        """Return how many seconds the invocation's clock is ahead."""
        invocation = self.run.outside.invocation if self.run else None
        return invocation.skew if invocation else 0.0

    def state(self) -> dict[str, Any]:
        """Return the memory of the present execution environment."""
        invocation = self.run.outside.invocation
        kept: dict[str, Any] = invocation.state if invocation else self.run.state
        return kept

    def secrets_provider(self) -> SecretsProvider:
        """Return the secrets cache of the present execution environment."""
        state = self.state()
        if "secrets" not in state:
            state["secrets"] = SecretsProvider(boto3_client=self.run.services.secretsmanager)
        provider: SecretsProvider = state["secrets"]
        return provider


def install(bridge: Bridge, server: Server) -> None:
    """Patch all imported modules. Call it once per process, after all handlers are imported."""
    kernel = bridge.kernel
    virtual_datetime = VirtualDatetime(kernel, bridge.skew)
    replacements: dict[int, Any] = {
        id(time): _Time(bridge),
        id(random): _Random(kernel),
        id(boto3): Boto3(lambda: bridge.run.services),
        id(concurrent.futures.ThreadPoolExecutor): lambda *a, **o: Executor(kernel(), *a, **o),
        id(concurrent.futures.wait): wait_for_all,
        id(threading.Lock): partial(Lock, kernel),
        id(threading.RLock): partial(Lock, kernel),
        id(threading.Timer): lambda *a: Timer(kernel(), *a),
        id(connections.Adapter): lambda **o: websites.Adapter(bridge.run.sites, **o),
        id(observability.count): lambda metric, value=1, **_d: bridge.run.metrics.update(
            {metric: value if isinstance(value, int | float) else sum(value)}
        ),
    }
    lock = type(threading.Lock())
    for module in bundle_modules():
        for name, value in list(vars(module).items()):
            if type(value).__name__ in KEEP_STATE:
                give_each_its_own(value, bridge.state)
            elif isinstance(value, lock):
                setattr(module, name, Lock(kernel))
            elif id(value) in replacements:
                setattr(module, name, replacements[id(value)])
    transport = httpx2.MockTransport(lambda request: bridge.run.provider.handle(request))
    _set(clock, "datetime", virtual_datetime)
    _set(parameters, "datetime", virtual_datetime)
    _set(secrets, "_provider", bridge.secrets_provider)
    _set(total_timeout, "TotalTimeout", lambda *_a, **_o: transport)
    _set(wire, "Connection", server.connect)
    _set(database, "create_engine", server.make_engine)
    _set(jobs, "begin", _recording_job(bridge, jobs.begin))
    _redirect_logs(lambda record: _trace(bridge, record))


def bundle_modules() -> Iterable[ModuleType]:
    """Return the imported modules of the bundle, by name."""
    for name in sorted(sys.modules):
        file = getattr(sys.modules[name], "__file__", None)
        if file and any(Path(file).is_relative_to(folder) for folder in FOLDERS):
            yield sys.modules[name]


def _set(module: ModuleType, name: str, value: object) -> None:
    """Replace an attribute, which must exist."""
    getattr(module, name)
    setattr(module, name, value)


def _recording_job(bridge: Bridge, begin: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap `jobs.begin` so that the task knows its job."""

    def begin_and_record(*args: Any, **options: Any) -> Any:
        begun = begin(*args, **options)
        if isinstance(begun, jobs.Job) and (task := bridge.kernel().current):
            task.job = f"{begun.process} {begun.subject} {begun.occasion}"
        return begun

    return begin_and_record


class _Time:
    """Replaces the module `time`."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge

    def sleep(self, seconds: float) -> None:
        """Sleep in virtual time."""
        self._bridge.kernel().sleep(seconds)

    def monotonic(self) -> float:
        """Return the virtual time in seconds."""
        return self._bridge.kernel().now

    perf_counter = monotonic

    def time(self) -> float:
        """Return the seconds since 1970 on the invocation's clock."""
        return self._bridge.kernel().now + self._bridge.skew()


class _Random:
    """Replaces the module `random`: the numbers come from the seed."""

    def __init__(self, kernel: Callable[[], Kernel]) -> None:
        self._kernel = kernel

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kernel().stream("bundle"), name)


class _Handler(logging.Handler):
    def __init__(self, write: Callable[[logging.LogRecord], None]) -> None:
        super().__init__()
        self._write = write

    def emit(self, record: logging.LogRecord) -> None:
        self._write(record)


def _redirect_logs(write: Callable[[logging.LogRecord], None]) -> None:
    """Write the bundle's warnings and errors to the trace, and drop all other log lines."""
    found = logging.getLogger(observability.logger.name)
    found.handlers = [_Handler(write)]
    found.setLevel(logging.WARNING)
    found.propagate = False


def _trace(bridge: Bridge, record: logging.LogRecord) -> None:
    if bridge.run is None:
        return
    about = SimpleNamespace(**vars(record))
    names = ("subject", "occasion", "reason", "seconds", "error", "attempts")
    words = [f"{name}={value}" for name in names if (value := getattr(about, name, None)) is not None]
    bridge.kernel().trace("log", record.getMessage(), *words)
    if where := getattr(about, "where", None):
        bridge.run.tracebacks.append((len(bridge.kernel().lines), str(about.error), "".join(where)))
