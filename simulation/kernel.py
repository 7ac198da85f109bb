"""The kernel: virtual time, and greenlets of which one runs at a time.

Nothing here reads a clock or draws a random number that the seed does not decide, so a seed repeats its
run exactly. A task gives way only in `sleep` and `Event.wait`.
"""

import hashlib
import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from greenlet import greenlet


class Killed(BaseException):
    """The process that runs this code is dead; nothing it does from now on may have an effect.

    It is not an `Exception`, because nothing in the bundle may catch it.
    """


class SimulationError(Exception):
    """The simulation itself is faulty."""


@dataclass(eq=False)
class Group:
    """The tasks of one process, which die together.

    Attributes:
        name: for the trace.
        killed: why the process is dead; '' while it lives.
        tasks: the tasks that have not ended, oldest first.
        on_kill: called when the process is killed.
    """

    name: str
    killed: str = ""
    tasks: dict["Task", None] = field(default_factory=dict)
    on_kill: Callable[[], None] = lambda: None


@dataclass(eq=False)
class Task:
    """A greenlet of the kernel.

    Attributes:
        group: its process; None for a task outside the bundle.
        holds: its number of open transactions. While there is one, the kernel does not switch tasks.
        debt: seconds that it slept inside a transaction; added to its next sleep.
        token: counts its wake-up calls; only the newest one takes effect.
        job: the job it works on, inherited by the tasks that it starts.
    """

    greenlet: greenlet
    group: Group | None
    holds: int = 0
    debt: float = 0
    token: int = 0
    job: str = ""


class Kernel:
    """Virtual time.

    Args:
        seed: decides every random number.
        start: the moment (aware) at which time begins.
    """

    def __init__(self, seed: int, start: datetime) -> None:
        self.seed = seed
        # Seconds since 1970, UTC.
        self.now = start.timestamp()
        self.current: Task | None = None
        self.lines: list[str] = []
        self._hash = hashlib.sha256()
        self._hub = greenlet.getcurrent()
        self._waiting: list[tuple[float, int, Callable[[], None]]] = []
        self._sequence = 0
        self._streams: dict[str, random.Random] = {}

    @property
    def moment(self) -> datetime:
        """Return the present moment (aware, UTC)."""
        return datetime.fromtimestamp(self.now, UTC)

    @property
    def digest(self) -> str:
        """Return the hash of the trace so far."""
        return self._hash.hexdigest()

    def stream(self, name: str) -> random.Random:
        """Return the random numbers for one purpose. Separate streams keep small changes of a plan small."""
        if name not in self._streams:
            self._streams[name] = random.Random(f"{self.seed} {name}")
        return self._streams[name]

    def trace(self, *words: object) -> None:
        """Add one line to the trace: the moment, the process, and the words."""
        group = self.current.group if self.current else None
        line = f"{self.moment:%m-%d %H:%M:%S.%f} {group.name if group else '-'} {' '.join(map(str, words))}"
        self._hash.update(line.encode())
        self.lines.append(line)

    def call_at(self, moment: float, function: Callable[[], None]) -> None:
        """Call a function at a moment (seconds since 1970). The function must not sleep."""
        self._sequence += 1
        heapq.heappush(self._waiting, (max(moment, self.now), self._sequence, function))

    def call_later(self, seconds: float, function: Callable[[], None]) -> None:
        """Call a function after some seconds. The function must not sleep."""
        self.call_at(self.now + seconds, function)

    def spawn(
        self, function: Callable[..., Any], *args: Any, group: Group | None = None, delay: float = 0
    ) -> Task:
        """Start a task after `delay` seconds. An exception other than `Killed` ends the simulation."""

        def run() -> None:
            try:
                if group is None or not group.killed:
                    function(*args)
            except Killed:
                pass
            finally:
                if group is not None:
                    group.tasks.pop(task, None)

        job = self.current.job if self.current else ""
        task = Task(greenlet(run, parent=self._hub), group, job=job)
        if group is not None:
            group.tasks[task] = None
        self.wake(task, delay)
        return task

    def sleep(self, seconds: float) -> None:
        """Let virtual time pass for this task. Inside a transaction, the time passes after it.

        Raises:
            Killed: the task's process was killed meanwhile.
        """
        task = self._task()
        if task.holds:
            task.debt += seconds
            return
        self.wake(task, seconds + task.debt)
        task.debt = 0
        self._park()

    def wake(self, task: Task, delay: float = 0) -> None:
        """Resume a waiting task after `delay` seconds. This replaces earlier wake-up calls."""
        task.token += 1
        token = task.token

        def resume() -> None:
            if task.token == token and not task.greenlet.dead:
                self.current = task
                try:
                    task.greenlet.switch()
                finally:
                    self.current = None

        self.call_later(delay, resume)

    def kill(self, group: Group, reason: str) -> None:
        """Kill a process: `Killed` is raised in each of its tasks, now."""
        if group.killed:
            return
        group.killed = reason
        self.trace("kill", group.name, reason)
        for task in list(group.tasks):
            if task is not self.current:
                self.wake(task)
        group.on_kill()

    def check(self) -> None:
        """Raise `Killed` if the process of the current task is dead."""
        group = self._task().group
        if group is not None and group.killed:
            raise Killed(group.killed)

    def run(self, until: float) -> None:
        """Let time pass until a moment (seconds since 1970)."""
        self._hub = greenlet.getcurrent()
        while self._waiting and self._waiting[0][0] <= until:
            self.now, _, function = heapq.heappop(self._waiting)
            function()
        self.now = max(self.now, until)

    def _park(self) -> None:
        """Give way until another task or a timer wakes this task."""
        self._hub.switch()
        self.check()

    def _task(self) -> Task:
        if self.current is None:
            raise SimulationError("only a task of the kernel can wait")
        return self.current


class Event:
    """Something that happens once, and that tasks can wait for."""

    def __init__(self, kernel: Kernel) -> None:
        self.happened = False
        self._kernel = kernel
        self._waiting: list[Task] = []

    def set(self) -> None:
        """Mark the event as happened, and resume all waiting tasks."""
        self.happened = True
        for task in self._waiting:
            self._kernel.wake(task)
        self._waiting.clear()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until it happens, for at most `seconds`.

        Returns:
            Whether it has happened.

        Raises:
            Killed: the process was killed meanwhile.
        """
        if self.happened:
            return True
        task = self._kernel._task()
        if task.holds:
            raise SimulationError("a task waits inside a transaction: nobody could wake it")
        self._waiting.append(task)
        # Without a limit, too, an earlier wake-up call must not end this wait.
        task.token += 1
        if seconds is not None:
            self._kernel.wake(task, seconds)
        try:
            self._kernel._park()
        finally:
            if task in self._waiting:
                self._waiting.remove(task)
        return self.happened
