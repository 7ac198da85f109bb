"""The child process that reads pages: it can be killed, so that a bad page does not harm others.

It starts with the first page and lives as long as the execution environment. It gets one page at a time
through a pipe, and answers in JSON: a page that takes it over cannot take over the worker with an answer. Its
environment holds no credentials. It is no sandbox, since it runs as the worker's user.
"""

import atexit
import json
import os
import signal
import subprocess
import sys
from multiprocessing.connection import Connection, Pipe
from threading import Lock
from typing import Any

from documents.text.errors import UnreadableError
from mojodex.clock import Deadline
from mojodex.errors import TransientError

# Processor time for one page. Most need milliseconds, 5 MB of text about three seconds.
SECONDS = 4
# In addition to the idle process. The tree of 5 MB of HTML takes about 100 MB.
MEMORY_BYTES = 300 * 2**20
# Elapsed time from the start of the process to the answer: it may share a slow processor.
PATIENCE_SECONDS = 40
TOO_LONG = f"reading it takes more than {SECONDS} seconds"
TOO_MUCH = f"reading it takes more than {MEMORY_BYTES >> 20} MB of memory"
BREAKS = "it breaks the parser"
# How a page can end the process. PDFium aborts or traps when it gets no more memory.
ENDED_BY = {
    -signal.SIGPROF: TOO_LONG,
    **dict.fromkeys((-signal.SIGSEGV, -signal.SIGBUS), BREAKS),
    **dict.fromkeys(
        (-signal.SIGABRT, -signal.SIGTRAP, -signal.SIGILL),
        f"{BREAKS}, or takes more than {MEMORY_BYTES >> 20} MB of memory",
    ),
}
# The variables that Python needs on Lambda.
ENVIRONMENT = ("LD_LIBRARY_PATH", "PATH", "LANG")


class ChildProcess:
    """The process and the pipe to it. Safe to use from several threads: they wait for each other."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: Connection | None = None
        atexit.register(self.end)

    def read(self, function: str, body: bytes, deadline: Deadline, **arguments: Any) -> Any:
        """Read a page in the process.

        Args:
            function: the name of a function in `child.READS`.
            body: the page.
            deadline: when the invocation ends.
            arguments: other arguments of the function, as JSON values.

        Returns:
            The result of the function, as JSON values.

        Raises:
            UnreadableError: reading it takes too much time or memory, or breaks the process.
            TransientError: the other pages of the batch take too long, or the machine is too slow.
            RuntimeError: the process does not start, was killed, or met an unknown error.
        """
        wait = deadline.seconds_left() - PATIENCE_SECONDS
        if wait <= 0 or not self._lock.acquire(timeout=wait):
            raise TransientError("too little time left in this invocation", retry_after=1)
        try:
            return self._ask(json.dumps({"function": function, **arguments}).encode(), body)
        finally:
            self._lock.release()

    def _ask(self, request: bytes, body: bytes) -> Any:
        try:
            pipe = self._running_pipe()
            pipe.send_bytes(request)
            pipe.send_bytes(body)
            if not pipe.poll(PATIENCE_SECONDS):
                self.end()
                raise TransientError("a page could not be read in time", retry_after=1)
            answer = json.loads(pipe.recv_bytes())
        except (OSError, EOFError):
            status = self.end()
            if status in ENDED_BY:
                raise UnreadableError(ENDED_BY[status]) from None
            raise RuntimeError(f"the process that reads pages has ended ({status})") from None
        if "failed" in answer:
            raise RuntimeError(f"a page could not be read: {answer['failed']}")
        if "refused" in answer:
            # It may not have freed all of its memory.
            if answer["refused"] == TOO_MUCH:
                self.end()
            raise UnreadableError(answer["refused"])
        return answer["found"]

    def _running_pipe(self) -> Connection:
        """Return the pipe to the process; start it if necessary."""
        if self._pipe is not None:
            return self._pipe
        ours, theirs = Pipe()
        environment = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "documents.text.child", str(theirs.fileno())],
                env=environment | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
            )
        self._pipe = ours
        # Waits until it is ready; raises EOFError if it cannot start.
        ours.recv_bytes()
        return ours

    def end(self) -> int | None:
        """Kill the process and return its exit status; None if there was none."""
        process, pipe = self._process, self._pipe
        self._process = self._pipe = None
        if pipe is not None:
            pipe.close()
        if process is None:
            return None
        # No effect if it has ended already.
        process.kill()
        return process.wait()
