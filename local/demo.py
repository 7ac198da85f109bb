"""The demo: a believable account, the real schedule function, queue and worker, and what comes out."""

import sys
import tempfile
import textwrap
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, create_engine, text

from local import stack
from local.seed import SeededTask, seed

WIDTH = 96
SECONDS_TO_DRAIN = 180
FINAL = ("done", "failed", "skipped")
STAND_IN = (
    "NOTE: this is not a language model. Neither OPENAI_API_KEY nor OPENAI_BASE_URL is set, so a rule-based"
    " stand-in that only knows sentence patterns answers in its place. Everything else is real: artifacts,"
    " queues, schedules, functions, Postgres."
)

LEDGER = text(
    "SELECT process, subject, state, attempts, queued_at, started_at, finished_at, outcome"
    " FROM md_background_job ORDER BY queued_at, subject"
)
TODOS = text(
    "SELECT t.todo_pk, t.description, (SELECT s.scheduled_date FROM md_todo_scheduling s"
    " WHERE s.todo_fk = t.todo_pk ORDER BY s.creation_date DESC, s.todo_scheduling_pk DESC LIMIT 1)"
    " AS due FROM md_todo t WHERE t.user_task_execution_fk = :pk ORDER BY t.todo_pk"
)


class DemoError(Exception):
    """The demo did not end as it should. The text says how."""


def run() -> None:
    """Start everything, show extract_todos at work, and stop everything, however it ends.

    Raises:
        DemoError: the queue did not drain, or, with the stand-in model, other to-dos came out than expected.
        StackError, StartError: as `stack.up`.
    """
    directory = Path(tempfile.mkdtemp(prefix="mojodex-demo-"))
    begun = time.monotonic()

    def say(what: str) -> None:
        print(f"  {time.monotonic() - begun:5.1f} s  {what}", flush=True)

    try:
        _title("Starting the bundle on 127.0.0.1")
        running = stack.up(directory, say=say)
        if running.model == "offline":
            print("\n" + textwrap.fill(STAND_IN, WIDTH))
        try:
            _show(running)
        except Exception:
            # Without the metrics, which are lines too.
            logs = [line for line in running.logs("ExtractTodosWorkerFunction") if '"_aws"' not in line]
            print("\nThe last lines that the worker has logged:", *logs[-20:], sep="\n  ")
            print("\nThe emulator complained:", *stack.complaints(directory), sep="\n  ")
            raise
    finally:
        print("\nStopping everything.", flush=True)
        stack.down(directory)


def _show(running: stack.Stack) -> None:
    engine = create_engine(running.database.url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        now = datetime.now(UTC)
        tasks = seed(connection, now)
        _title(
            f"An account with {len(tasks)} finished tasks; the schedule function looks for those that are due"
        )
        answer, succeeded = running.invoke("ExtractTodosScheduleFunction")
        if not succeeded:
            logs = "\n".join(running.logs("ExtractTodosScheduleFunction")[-20:])
            raise DemoError(f"the schedule function failed: {answer}\n{logs}")
        print(f"  It published {answer['published']} messages.")
        _drain(connection, int(answer["published"]))

        ledger = connection.execute(LEDGER).all()
        jobs = {job.subject: job for job in ledger}
        wrong = []
        for number, task in enumerate(tasks, 1):
            todos = connection.execute(TODOS, {"pk": task.user_task_execution_pk}).all()
            _show_task(number, task, todos, jobs.get(str(task.user_task_execution_pk)))
            if running.model == "offline" and not _as_expected(task, todos):
                wrong.append(f"{task.title}: expected {list(task.expected)}")
        _title("The job ledger (md_background_job)")
        _show_ledger(ledger)
    engine.dispose()
    if failed := [job.subject for job in ledger if job.state != "done"]:
        wrong.append(f"jobs that are not done: {', '.join(failed)}")
    if wrong:
        raise DemoError("not as expected:\n  " + "\n  ".join(wrong))
    if running.model == "offline":
        print("\nEvery task has exactly the to-dos that it should have.")


def _drain(connection: Connection, published: int) -> None:
    """Show the ledger's states until as many jobs as there were messages have ended."""
    deadline = time.monotonic() + SECONDS_TO_DRAIN
    shown = ""
    while True:
        states = Counter(connection.execute(text("SELECT state FROM md_background_job")).scalars())
        line = "  ".join(f"{state} {states[state]}" for state in ("queued", "running", *FINAL))
        if line != shown:
            # On a terminal the line is written over, elsewhere one follows the other.
            print(f"\r  {line} " if sys.stdout.isatty() else f"  {line}\n", end="", flush=True)
            shown = line
        if sum(states[state] for state in FINAL) >= published:
            break
        if time.monotonic() > deadline:
            raise DemoError(f"the queue did not drain in {SECONDS_TO_DRAIN} s")
        time.sleep(0.2)
    if sys.stdout.isatty():
        print()


def _show_task(number: int, task: SeededTask, todos: Sequence[Row[Any]], job: Row[Any] | None) -> None:
    _title(f"{number}. {task.title}")
    print(f"  {task.shows}")
    if job is None:
        print("  No job: it is not due.")
        return
    outcome = job.outcome or {}
    if job.state != "done":
        print(f"  {job.state}: {outcome.get('reason', '')}")
    evidence = {todo["todo_pk"]: todo["evidence"] for todo in outcome.get("todos", [])}
    for todo in todos:
        due = f"{todo.due:%a %d %b %Y}"
        lines = textwrap.wrap(todo.description, WIDTH - 24)
        print(f"  ▸ {lines[0]:<{WIDTH - 24}}  due {due}", *(f"    {line}" for line in lines[1:]), sep="\n")
        _paragraph(f"said: “{evidence.get(todo.todo_pk, '?')}”")
    if not todos:
        print("  No to-do.")
    for step in outcome.get("left_out", []):
        _paragraph(f"left out, because {step['reason']}: {step['description']}", indent="  ✗ ")


def _show_ledger(ledger: Sequence[Row[Any]]) -> None:
    table = [("process", "subject", "state", "attempts", "waited", "ran", "outcome")]
    for job in ledger:
        outcome = job.outcome or {}
        table.append(
            (
                job.process,
                job.subject,
                job.state,
                str(job.attempts),
                _seconds(job.queued_at, job.started_at),
                _seconds(job.started_at, job.finished_at),
                outcome.get("reason")
                or f"to-dos {len(outcome.get('todos', []))}, left out {len(outcome.get('left_out', []))}",
            )
        )
    widths = [max(len(cell) for cell in column) for column in zip(*table, strict=True)]
    for row in table:
        print(
            f"  {'  '.join(f'{cell:<{width}}' for cell, width in zip(row, widths, strict=True))}"[
                :WIDTH
            ].rstrip()
        )


def _as_expected(task: SeededTask, todos: Sequence[Row[Any]]) -> bool:
    """Whether each to-do that must come out did, and no other."""
    left = [todo.description for todo in todos]
    for fragment in task.expected:
        found = next((description for description in left if fragment in description), None)
        if found is None:
            return False
        left.remove(found)
    return not left


def _seconds(begin: datetime | None, end: datetime | None) -> str:
    return f"{(end - begin).total_seconds():.1f} s" if begin and end else ""


def _title(title: str) -> None:
    print(f"\n{title}\n{'─' * min(len(title), WIDTH)}")


def _paragraph(paragraph: str, indent: str = "    ") -> None:
    print(textwrap.fill(paragraph, WIDTH, initial_indent=indent, subsequent_indent="    "))
