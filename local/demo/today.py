"""The first part: finished tasks become to-dos (extract_todos)."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row

from local.demo.seed import SeededTask
from local.demo.stage import Stage
from local.runtime import terminal

TODOS = (
    "SELECT t.todo_pk, t.description, (SELECT s.scheduled_date FROM md_todo_scheduling s"
    " WHERE s.todo_fk = t.todo_pk ORDER BY s.creation_date DESC, s.todo_scheduling_pk DESC LIMIT 1)"
    " AS due FROM md_todo t WHERE t.user_task_execution_fk = :pk ORDER BY t.todo_pk"
)


def show(stage: Stage) -> list[str]:
    """Show the to-dos of each task, and return the problems.

    Raises:
        DemoError: as `Stage.fire`, `Stage.drain`.
    """
    account = stage.account
    terminal.heading("1  Today: finished tasks become to-dos (extract_todos)")
    terminal.paragraph(
        f"{account.claire.person.name} has worked on {len(account.tasks)} tasks with Mojo. The schedule"
        " function finds those that are due for extraction, and publishes a message for each."
    )
    print()
    published = stage.fire("ExtractTodosScheduleFunction")
    stage.drain("extract_todos", published)
    jobs = {job.subject: job for job in stage.jobs("extract_todos")}
    problems = []
    for number, task in enumerate(account.tasks, 1):
        todos = stage.rows(TODOS, pk=task.user_task_execution_pk)
        _show_task(number, task, todos, jobs.get(str(task.user_task_execution_pk)))
        if stage.offline and not _as_expected(task, todos):
            problems.append(f"{task.title}: expected {list(task.expected)}")
    return problems


def _show_task(number: int, task: SeededTask, todos: Sequence[Row[Any]], job: Row[Any] | None) -> None:
    terminal.title(f"{number}. {task.title}")
    print(f"  {task.shows}")
    if job is None:
        print("  No job: it is not due.")
        return
    outcome = job.outcome or {}
    if job.state != "done":
        print(f"  {job.state}: {outcome.get('reason', '')}")
    evidence = {todo["todo_pk"]: todo["evidence"] for todo in outcome.get("todos", [])}
    for todo in todos:
        terminal.with_note(todo.description, f"due {todo.due:%a %d %b %Y}")
        terminal.paragraph(f"said: “{evidence.get(todo.todo_pk, '?')}”", indent="    ")
    if not todos:
        print("  No to-do.")
    for step in outcome.get("left_out", []):
        terminal.paragraph(
            f"left out, because {step['reason']}: {step['description']}", indent="  ✗ ", following="    "
        )


def _as_expected(task: SeededTask, todos: Sequence[Row[Any]]) -> bool:
    """Tell whether the to-dos are the expected ones, and no others."""
    left = [todo.description for todo in todos]
    for fragment in task.expected:
        found = next((description for description in left if fragment in description), None)
        if found is None:
            return False
        left.remove(found)
    return not left
