"""The demo: a day and a night of a made-up account on the deployed bundle."""

import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection, create_engine

from local.demo import account, documents, ledger, morning, night, operate, prompts, today
from local.demo.seed import Account, seed
from local.demo.stage import DemoError, Stage
from local.runtime import model, stack, terminal
from local.standin import embeddings

__all__ = ["STAND_IN", "DemoError", "fill", "run"]

STAND_IN = (
    "NOTE: no language model answers here. Neither OPENAI_API_KEY nor OPENAI_BASE_URL is set, so a stand-in"
    " answers by simple rules, and a small model (multilingual-e5-small) makes the embeddings. Everything"
    " else is real: artifacts, queues, schedules, functions, Postgres."
)


def run() -> None:
    """Start everything, show each process at work, and stop everything in any case.

    Raises:
        DemoError: a queue did not drain, or a result was not as expected.
        StackError, StartError: as `stack.up`.
    """
    directory = Path(tempfile.mkdtemp(prefix="mojodex-demo-"))
    begun = time.monotonic()

    def say(step: str) -> None:
        print(f"  {time.monotonic() - begun:5.1f} s  {step}", flush=True)

    try:
        terminal.heading("The bundle starts on 127.0.0.1")
        running = stack.up(directory, say=say)
        # The demo invokes the functions of the schedules itself.
        running.stop_schedules()
        if running.model == model.OFFLINE:
            print()
            terminal.paragraph(STAND_IN)
        try:
            problems = _show(running)
        except Exception:
            print("\nThe last log lines of the workers:", *_last_logs(running), sep="\n  ")
            print("\nThe last warnings of the emulator:", *stack.complaints(directory), sep="\n  ")
            raise
        if problems:
            raise DemoError("not as expected:\n  " + "\n  ".join(problems))
        print(f"\n  Everything came out as expected, in {time.monotonic() - begun:.0f} seconds.")
    finally:
        print("\nStopping everything.", flush=True)
        stack.down(directory)


def fill(running: stack.Stack) -> None:
    """Insert the demo's account into the database of a running stack, and print its keys."""
    engine = create_engine(running.database.url)
    try:
        with engine.begin() as connection:
            seeded = _seed(running, connection)
        # After the commit: keys that were printed are there, even if the reader of the output has gone.
        with engine.connect() as connection:
            account.show(connection, seeded)
    finally:
        engine.dispose()


def _seed(running: stack.Stack, connection: Connection) -> Account:
    embed = embeddings.passages if running.model == model.OFFLINE else None
    return seed(connection, datetime.now(UTC), embed)


def _show(running: stack.Stack) -> list[str]:
    """Show all parts, and return their problems."""
    engine = create_engine(running.database.url, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            stage = Stage(running, connection, _seed(running, connection))
            parts = (today, night, morning, documents, ledger, prompts, operate)
            return [problem for part in parts for problem in part.show(stage)]
    finally:
        engine.dispose()


def _last_logs(running: stack.Stack) -> list[str]:
    """Return the last log lines of each worker, without metrics."""
    return [
        line
        for prefix in stack.PREFIXES.values()
        for line in [line for line in running.logs(f"{prefix}WorkerFunction") if '"_aws"' not in line][-10:]
    ]
