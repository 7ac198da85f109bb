"""The second part: overdue to-dos move to a better day (reschedule_todo)."""

from datetime import date, time
from typing import Any

from sqlalchemy import Row

from local.demo.stage import Stage, short_day
from local.demo.stories import COMPLETED, FRIDAY, SIMPLE, SLIPPING
from local.runtime import terminal

NIGHT = time(2)
OVERDUE = """
    SELECT t.todo_pk FROM md_todo t
    JOIN md_user_task_execution e ON e.user_task_execution_pk = t.user_task_execution_fk
    JOIN md_user_task ut ON ut.user_task_pk = e.user_task_fk
    WHERE ut.user_id = :user_id AND t.completed IS NULL AND :day > (
        SELECT s.scheduled_date FROM md_todo_scheduling s WHERE s.todo_fk = t.todo_pk
        ORDER BY s.creation_date DESC LIMIT 1)
"""
MOVES = """
    SELECT t.todo_pk, t.description, s.reschedule_justification AS argument, j.outcome,
        (SELECT count(*) - 2 FROM md_todo_scheduling before WHERE before.todo_fk = t.todo_pk) AS moved_before
    FROM md_background_job j
    JOIN md_todo t ON CAST(t.todo_pk AS text) = j.subject
    JOIN md_todo_scheduling s ON CAST(s.todo_scheduling_pk AS text) = j.outcome ->> 'todo_scheduling_pk'
    WHERE j.process = 'reschedule_todo' AND j.state = 'done'
    ORDER BY moved_before, t.todo_pk
"""
SCHEDULED = "SELECT scheduled_date FROM md_todo_scheduling WHERE todo_fk = :todo_pk"


def show(stage: Stage) -> list[str]:
    """Set the clock to the coming night, show the moved to-dos, and return the problems.

    Raises:
        DemoError: as `Stage.fire`, `Stage.drain`.
    """
    account, day = stage.account, stage.account.morning
    overdue = {row.todo_pk for row in stage.rows(OVERDUE, user_id=account.claire.user_id, day=day)}
    terminal.heading("2  Night: overdue to-dos move to a better day (reschedule_todo)")
    terminal.paragraph(
        f"The functions' clock is set to {NIGHT:%H:%M} of {day:%A}, {day:%B} {day.day}, in Claire's time"
        " zone. The schedule function finds her overdue to-dos. For each, a model reads the to-do, its"
        " history and the days ahead, and chooses a day."
    )
    print()
    stage.stack.set_clock(account.claire.at(day, NIGHT))
    stage.drain("reschedule_todo", stage.fire("RescheduleTodoScheduleFunction"))

    moves = stage.rows(MOVES)
    for move in moves:
        print()
        _show_move(move)
    print()
    stays = stage.rows(SCHEDULED, todo_pk=account.todos[COMPLETED])
    terminal.paragraph(
        f"Not moved, because it is completed: {COMPLETED} ({short_day(stays[0].scheduled_date)})"
    )

    problems = []
    moved = {move.todo_pk for move in moves}
    if moved != overdue or not {account.todos[SIMPLE], account.todos[SLIPPING]} <= moved:
        problems.append(f"night: moved {sorted(moved)}, expected {sorted(overdue)}")
    if len(stays) != 1:
        problems.append(f"night: {COMPLETED} was moved")
    return problems + [problem for move in moves for problem in _problems(stage, move, day)]


def _show_move(move: Row[Any]) -> None:
    old, new = (date.fromisoformat(move.outcome[name]) for name in ("moved_from", "moved_to"))
    terminal.with_note(move.description, f"{short_day(old)} → {short_day(new)}")
    if move.moved_before:
        print(f"    moved {move.moved_before} times before: it keeps slipping")
    terminal.paragraph(move.argument, indent="    ")
    if "reason" in move.outcome:
        terminal.paragraph(
            f"a rule chose the day, because of the model's {move.outcome['reason']}", indent="    "
        )


def _problems(stage: Stage, move: Row[Any], day: date) -> list[str]:
    new = date.fromisoformat(move.outcome["moved_to"])
    problems = []
    if new < day or new.weekday() > FRIDAY:
        problems.append(f"night: {move.description} was moved to {new}")
    if move.todo_pk == stage.account.todos[SLIPPING] and "moved 5 times" not in move.argument:
        problems.append(f"night: the reason for {move.description} does not say that it keeps slipping")
    if stage.offline and (new == day or move.outcome["chosen_by"] != "model"):
        problems.append(f"night: {move.description} did not get the stand-in's day")
    return problems
