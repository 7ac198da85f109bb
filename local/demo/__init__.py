"""The demo: a day and a night of a believable account, through the deployed bundle, and what comes out."""

import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import create_engine

from local.demo import documents, ledger, morning, night, operate, prompts, today
from local.demo.seed import seed
from local.demo.stage import DemoError, Stage
from local.runtime import model, stack, terminal
from local.standin import embeddings

__all__ = ["STAND_IN", "DemoError", "run"]

STAND_IN = (
    "NOTE: this is not a language model. Neither OPENAI_API_KEY nor OPENAI_BASE_URL is set, so a"
    " stand-in that only follows simple rules answers in its place, and embeddings are those of a small model"
    " (multilingual-e5-small), a stand-in for OpenAI's. Everything else is real: artifacts, queues,"
    " schedules, functions, Postgres."
)


def run() -> None:
    """Start everything, show each process at work, and stop everything, however it ends.

    Raises:
        DemoError: a queue did not drain, or something else came out than expected.
        StackError, StartError: as `stack.up`.
    """
    directory = Path(tempfile.mkdtemp(prefix="mojodex-demo-"))
    begun = time.monotonic()

    def say(what: str) -> None:
        print(f"  {time.monotonic() - begun:5.1f} s  {what}", flush=True)

    try:
        terminal.heading("The bundle starts on 127.0.0.1")
        running = stack.up(directory, say=say)
        # What is shown is fired by hand, and by nothing else.
        running.stop_schedules()
        if running.model == model.OFFLINE:
            print()
            terminal.paragraph(STAND_IN)
        try:
            wrong = _show(running)
        except Exception:
            print("\nThe last lines that the workers have logged:", *_last_logs(running), sep="\n  ")
            print("\nThe emulator complained:", *stack.complaints(directory), sep="\n  ")
            raise
        if wrong:
            raise DemoError("not as expected:\n  " + "\n  ".join(wrong))
        print(f"\n  All came out as it should, in {time.monotonic() - begun:.0f} seconds.")
    finally:
        print("\nStopping everything.", flush=True)
        stack.down(directory)


def _show(running: stack.Stack) -> list[str]:
    """The whole story; what is not as expected."""
    engine = create_engine(running.database.url, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            embed = embeddings.passages if running.model == model.OFFLINE else None
            stage = Stage(running, connection, seed(connection, datetime.now(UTC), embed))
            parts = (today, night, morning, documents, ledger, prompts, operate)
            return [problem for part in parts for problem in part.show(stage)]
    finally:
        engine.dispose()


def _last_logs(running: stack.Stack) -> list[str]:
    """Without the metrics, which are lines too."""
    processes = (
        *("ExtractTodos", "RescheduleTodo", "Events"),
        *("CreateFromWebsite", "IngestPage", "UpdateDocument", "MailFeedback"),
    )
    return [
        line
        for process in processes
        for line in [line for line in running.logs(f"{process}WorkerFunction") if '"_aws"' not in line][-10:]
    ]
