"""Replacements for threads in the bundle's modules: executor, futures, locks and timers."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Self

from simulation.kernel import Event, Group, Kernel, SimulationError, Task

# Tasks that are submitted together start within this time, in an order that the seed decides.
START_SECONDS = 0.001
# How often a waiting task checks whether a lock is free.
POLL_SECONDS = 0.05


class Future:
    """The result of a call that another task makes."""

    def __init__(self, kernel: Kernel) -> None:
        self._ended = Event(kernel)
        self._result: Any = None
        self._error: BaseException | None = None
        self._cancelled = False

    def run(self, function: Callable[[], Any]) -> None:
        """Make the call. If its process is killed, the future stays without a result."""
        if self._cancelled:
            return
        try:
            self._result = function()
        except Exception as error:
            self._error = error
        self._ended.set()

    def done(self) -> bool:
        """Tell whether the call has ended."""
        return self._ended.happened

    def cancel(self) -> bool:
        """Prevent the call, unless it has begun."""
        self._cancelled = True
        return not self.done()

    def result(self, timeout: float | None = None) -> Any:
        """Wait for the result, and return it or raise the call's error."""
        if error := self.exception(timeout):
            raise error
        return self._result

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait for the end, and return the call's error or None."""
        if not self._ended.wait(timeout):
            raise TimeoutError
        return self._error


class Executor:
    """A ThreadPoolExecutor whose threads are tasks. Inside a transaction it makes each call immediately."""

    def __init__(self, kernel: Kernel, max_workers: int | None = None) -> None:
        self._kernel, self._free = kernel, max_workers or 32
        self._calls: deque[tuple[Future, Callable[[], Any]]] = deque()
        self._futures: list[Future] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.shutdown()

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future:
        """Let another task make the call."""
        future = Future(self._kernel)
        self._futures.append(future)
        caller = self._kernel.current
        if caller is None or caller.holds:
            future.run(lambda: function(*args, **kwargs))
            return future
        self._calls.append((future, lambda: function(*args, **kwargs)))
        if self._free:
            self._free -= 1
            delay = self._kernel.stream("threads").uniform(0, START_SECONDS)
            self._kernel.spawn(self._work, group=caller.group, delay=delay)
        return future

    def map(self, function: Callable[..., Any], *arguments: Iterable[Any]) -> Iterator[Any]:
        """Make a call for each argument, and return the results in the order of the arguments."""
        futures = [self.submit(function, *some) for some in zip(*arguments, strict=False)]
        return (future.result() for future in futures)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Wait for all calls, or cancel those that have not begun."""
        if cancel_futures:
            self._calls.clear()
            return
        if wait:
            for future in self._futures:
                future._ended.wait()

    def _work(self) -> None:
        while self._calls:
            future, call = self._calls.popleft()
            future.run(call)
        self._free += 1


def wait_for_all(futures: Iterable[Future]) -> None:
    """Wait for all futures, as `concurrent.futures.wait` does."""
    for future in futures:
        future._ended.wait()


class Lock:
    """A lock between the tasks of one process; other processes are not affected.

    It is reentrant, so it replaces RLock too.
    """

    def __init__(self, kernel: Callable[[], Kernel]) -> None:
        self._kernel = kernel
        # By process: the owner, and how often it holds the lock.
        self._owners: dict[Group | None, tuple[Task, int]] = {}

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Take the lock. If `blocking`, wait up to `timeout` seconds; a negative timeout has no limit."""
        kernel = self._kernel()
        task = kernel.current
        if task is None:
            return True
        ends = kernel.now + timeout if timeout >= 0 else None
        while (held := self._owners.get(task.group)) and held[0] is not task:
            if not blocking or (ends is not None and kernel.now >= ends):
                return False
            if task.holds:
                raise SimulationError("a task waits for a lock inside a transaction")
            kernel.sleep(POLL_SECONDS)
        self._owners[task.group] = (task, held[1] + 1 if held else 1)
        return True

    def release(self) -> None:
        """Release the lock."""
        task = self._kernel().current
        if task is None:
            return
        _, times = self._owners.pop(task.group)
        if times > 1:
            self._owners[task.group] = (task, times - 1)

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(self, *_error: object) -> None:
        self.release()


class Timer:
    """A threading.Timer in virtual time."""

    def __init__(self, kernel: Kernel, seconds: float, function: Callable[[], None]) -> None:
        self.daemon = False
        self._kernel, self._seconds, self._function = kernel, seconds, function
        self._cancelled = False

    def start(self) -> None:
        """Start the timer."""
        self._kernel.call_later(self._seconds, self._fire)

    def cancel(self) -> None:
        """Cancel the timer."""
        self._cancelled = True

    def _fire(self) -> None:
        if not self._cancelled:
            self._function()
