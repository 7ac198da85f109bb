"""Start and stop long-running programs. Another process can stop them, too.

A program runs in a process group of its own, so that Ctrl-C does not reach it and its children end with it.
While it lives, it holds a lock on its pid file. A pid without a lock is never signalled, because another
program may have got the same pid since.
"""

import fcntl
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

GRACE_SECONDS = 5
# Kept, because Python warns if the object of a running child is collected.
_children: dict[int, subprocess.Popen[bytes]] = {}


class StartError(Exception):
    """A program ended at once, or was not ready in time. The text ends with the last lines of its log."""


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def start(
    command: Sequence[str | Path],
    *,
    directory: Path,
    name: str,
    environment: Mapping[str, str],
    ready: Callable[[], bool],
    cwd: Path | None = None,
    seconds: float = 60,
) -> None:
    """Start a program and wait until it is ready.

    Args:
        command: the program and its arguments.
        directory: for `name.pid` and `name.log` (its output).
        name: its name, also in messages.
        environment: its whole environment.
        ready: called until it returns True.
        cwd: its working directory.
        seconds: how long to wait.

    Raises:
        StartError: it ended, or was not ready in time and was stopped.
    """
    directory.mkdir(parents=True, exist_ok=True)
    log = directory / f"{name}.log"
    with (directory / f"{name}.pid").open("w") as pid_file, log.open("wb") as output:
        fcntl.flock(pid_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        child = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            cwd=cwd,
            pass_fds=[pid_file.fileno()],
            start_new_session=True,
        )
        _children[child.pid] = child
        pid_file.write(str(child.pid))
    problem = ""
    deadline = time.monotonic() + seconds
    while not problem and not ready():
        if child.poll() is not None:
            problem = f"{name} ended with exit code {child.returncode}"
        elif time.monotonic() > deadline:
            problem = f"{name} was not ready after {seconds:.0f} s"
        time.sleep(0.05)
    if problem:
        stop(directory, name)
        raise StartError(f"{problem}\n{tail(log)}")


def stop(directory: Path, name: str) -> None:
    """Stop a program and all its children. Do nothing if it is not running."""
    pid_file = directory / f"{name}.pid"
    if not pid_file.exists():
        return
    if _lives(pid_file):
        pid = int(pid_file.read_text())
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGTERM)
            deadline = time.monotonic() + GRACE_SECONDS
            while _lives(pid_file) and time.monotonic() < deadline:
                time.sleep(0.02)
            os.killpg(pid, signal.SIGKILL)
        if child := _children.pop(pid, None):
            child.wait()
    pid_file.unlink()


def tail(log: Path, lines: int = 20) -> str:
    """Return the last lines of a log; '' if there is no log."""
    with suppress(FileNotFoundError):
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    return ""


def _lives(pid_file: Path) -> bool:
    with pid_file.open() as probe:
        try:
            fcntl.flock(probe, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
