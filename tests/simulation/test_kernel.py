"""The kernel: virtual time, processes that die, and replacements for threads."""

import time

import pytest

from simulation.executor import Executor, Lock
from simulation.kernel import Event, Group, Kernel, Killed, SimulationError
from simulation.plan import START

DAY = 86_400


@pytest.fixture
def kernel() -> Kernel:
    return Kernel(7, START)


def test_a_month_of_sleep_takes_no_time(kernel: Kernel) -> None:
    began = time.monotonic()
    kernel.spawn(kernel.sleep, 30 * DAY)

    kernel.run(kernel.now + 31 * DAY)

    assert kernel.moment.isoformat() == "2026-12-24T00:00:00+00:00"
    assert time.monotonic() - began < 1


def test_tasks_run_in_the_order_of_their_moments(kernel: Kernel) -> None:
    order = []

    def task(name: str, seconds: float) -> None:
        kernel.sleep(seconds)
        order.append(name)

    kernel.spawn(task, "late", 2)
    kernel.spawn(task, "soon", 1)
    kernel.spawn(task, "as late", 2)
    kernel.run(kernel.now + 3)

    assert order == ["soon", "late", "as late"]


def test_a_killed_process_does_nothing_more(kernel: Kernel) -> None:
    group, done, told = Group("process"), [], []

    def task() -> None:
        try:
            kernel.sleep(10)
            done.append("effect")
        except Killed as killed:
            told.append(str(killed))
            raise

    kernel.spawn(task, group=group)
    kernel.spawn(task, group=group)
    kernel.call_later(5, lambda: kernel.kill(group, "timeout"))
    kernel.run(kernel.now + 20)

    assert (done, told, group.tasks) == ([], ["timeout", "timeout"], {})


def test_a_process_killed_before_its_task_begins_never_begins_it(kernel: Kernel) -> None:
    group, done = Group("process"), []
    kernel.spawn(lambda: done.append("effect"), group=group, delay=2)

    kernel.call_later(1, lambda: kernel.kill(group, "killed"))
    kernel.run(kernel.now + 5)

    assert done == []


def test_no_other_task_runs_inside_a_transaction_and_its_time_passes_afterwards(kernel: Kernel) -> None:
    seen: list[object] = []

    def transaction() -> None:
        task = kernel.current
        assert task
        task.holds += 1
        kernel.sleep(5)
        seen.append(("inside", kernel.now - START.timestamp()))
        task.holds -= 1
        kernel.sleep(1)
        seen.append(("after", kernel.now - START.timestamp()))

    kernel.spawn(transaction)
    kernel.spawn(lambda: seen.append("other"))
    kernel.run(kernel.now + 10)

    assert seen == [("inside", 0), "other", ("after", 6)]


def test_waiting_inside_a_transaction_is_an_error(kernel: Kernel) -> None:
    def transaction() -> None:
        assert kernel.current
        kernel.current.holds += 1
        Event(kernel).wait()

    kernel.spawn(transaction)

    with pytest.raises(SimulationError, match="inside a transaction"):
        kernel.run(kernel.now + 1)


def test_an_event_wakes_all_that_wait_and_a_limit_wakes_one(kernel: Kernel) -> None:
    event, seen = Event(kernel), []
    kernel.spawn(lambda: seen.append(("patient", event.wait(), kernel.now - START.timestamp())))
    kernel.spawn(lambda: seen.append(("hasty", event.wait(1), kernel.now - START.timestamp())))

    kernel.call_later(3, event.set)
    kernel.run(kernel.now + 5)

    assert seen == [("hasty", False, 1), ("patient", True, 3)]


def test_the_same_seed_is_the_same_trace_and_another_one_is_not() -> None:
    def digest(seed: int) -> str:
        kernel = Kernel(seed, START)

        def task() -> None:
            with Executor(kernel, 3) as threads:
                list(threads.map(lambda n: kernel.trace("call", n), range(9)))

        kernel.spawn(task)
        kernel.run(kernel.now + 1)
        assert len(kernel.lines) == 9
        return kernel.digest

    assert digest(1) == digest(1) != digest(2)


def test_an_executor_runs_as_many_calls_at_once_as_it_has_workers(kernel: Kernel) -> None:
    running, most, results = 0, 0, []

    def call(number: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        kernel.sleep(1)
        running -= 1
        return number

    def task() -> None:
        with Executor(kernel, 3) as threads:
            results.extend(threads.map(call, range(10)))

    kernel.spawn(task)
    kernel.run(kernel.now + 10)

    assert (most, results) == (3, list(range(10)))


def test_a_future_raises_what_its_call_raised(kernel: Kernel) -> None:
    seen = []

    def task() -> None:
        with Executor(kernel) as threads:
            seen.append(threads.submit(int, "x").exception())

    kernel.spawn(task)
    kernel.run(kernel.now + 1)

    assert isinstance(seen[0], ValueError)


def test_each_process_has_a_lock_of_its_own(kernel: Kernel) -> None:
    lock, taken = Lock(lambda: kernel), []

    def task(name: str) -> None:
        with lock:
            taken.append((name, round(kernel.now - START.timestamp())))
            kernel.sleep(10)

    one, other = Group("one"), Group("other")
    kernel.spawn(task, "one", group=one)
    kernel.spawn(task, "one again", group=one)
    kernel.spawn(task, "other", group=other)
    kernel.run(kernel.now + 30)

    assert taken == [("one", 0), ("other", 0), ("one again", 10)]
