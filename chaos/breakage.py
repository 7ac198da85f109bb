"""Faults of processes and the database: kills, restarts, cut connections; and schedules that fire often."""

import random
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
from sqlalchemy import Engine, text

from local.runtime import emulator, postgres
from local.runtime.stack import Stack

# A busy emulator sometimes closes a connection just before it is reused.
TRIES = 5
# Of a hundred kills, how many aim at a busy process.
BUSY = 75


@dataclass
class Breakage:
    """Breaks a running stack, and counts what it broke.

    Attributes:
        stack, directory: the stack and its directory (`local.runtime.stack.up`).
        engine: connects to its database without a pool.
        rng: chooses the processes to kill.
        kills: by the function's logical id.
        busy: how many kills hit a busy process.
        restarts, cuts, connections_cut, fired: how many.
    """

    stack: Stack
    directory: Path
    engine: Engine
    rng: random.Random
    kills: Counter[str] = field(default_factory=Counter)
    busy: int = 0
    restarts: int = 0
    cuts: int = 0
    connections_cut: int = 0
    fired: int = 0

    def kill(self) -> bool:
        """Send SIGKILL to one process that runs a function. Return whether there was one."""
        found = self._processes()
        # A batch has a thread for each of its records.
        busy = [each for each in found if each[2] > 1]
        if not found:
            return False
        process, function, threads = self.rng.choice(
            busy if busy and self.rng.uniform(0, 100) < BUSY else found
        )
        process.kill()
        self.kills[function] += 1
        self.busy += threads > 1
        return True

    def restart(self) -> None:
        """Restart Postgres, alternately as after a crash and as an administrator does."""
        postgres.restart(self.directory, mode="fast" if self.restarts % 2 else "immediate")
        self.restarts += 1

    def cut(self) -> None:
        """Terminate the functions' connections to the database."""
        with self.engine.begin() as connection:
            cut = connection.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE application_name = 'mojodex-background'"
                )
            )
            self.connections_cut += len(cut.all())
        self.cuts += 1

    def fire(self) -> None:
        """Fire the next deployed schedule once, through a one-time schedule with the same target."""
        target = self._targets[self.fired % len(self._targets)]
        self.fired += 1
        # It exists already if an earlier answer was lost.
        with suppress(self._scheduler.exceptions.ConflictException):
            self._scheduler.create_schedule(
                Name=f"chaos-{self.fired}",
                ScheduleExpression=f"at({datetime.now(UTC) + timedelta(seconds=1):%Y-%m-%dT%H:%M:%S})",
                FlexibleTimeWindow={"Mode": "OFF"},
                Target=target,
                ActionAfterCompletion="DELETE",
            )

    @cached_property
    def _scheduler(self) -> Any:
        return emulator.client(self.stack.endpoint, "scheduler", tries=TRIES)

    @cached_property
    def _targets(self) -> list[dict[str, Any]]:
        listed = self._scheduler.list_schedules()["Schedules"]
        return [
            self._scheduler.get_schedule(Name=each["Name"], GroupName=each["GroupName"])["Target"]
            for each in listed
        ]

    @cached_property
    def _functions(self) -> dict[str, str]:
        """Return the logical ids by function name."""
        outputs = self.stack.outputs.items()
        return {name: key.removesuffix("Name") for key, name in outputs if key.endswith("FunctionName")}

    def _processes(self) -> list[tuple[psutil.Process, str, int]]:
        """Return every process that runs a function, with its logical id and number of threads."""
        found = []
        pid = int((self.directory / f"{emulator.NAME}.pid").read_text())
        for process in psutil.Process(pid).children():
            with suppress(psutil.Error, KeyError):
                name = process.environ()["AWS_LAMBDA_FUNCTION_NAME"]
                found.append((process, self._functions[name], process.num_threads()))
        return found
