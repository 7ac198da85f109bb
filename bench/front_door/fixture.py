"""The rows that all requests assume: a few users, task executions, to-dos and documents."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Connection, Engine, inspect, text

from mojodex.clock import DAY, MINUTE, OFFSETS, is_working_day, previous_working_day, without_zone
from tests.mojodex import EMPTY

type Day = Literal["previous working day", "today", "tomorrow"]

PREFIX = "front-door-"
NIGHT = f"{PREFIX}night"
MORNINGS = tuple(f"{PREFIX}morning-{number}" for number in (1, 2, 3))
UNWILLING, LATE = f"{PREFIX}unwilling", f"{PREFIX}late"
UNKNOWN = f"{PREFIX}unknown"
LEARNED, WEBPAGE, DELETED, OF_ANOTHER = 7001, 7002, 7003, 7004
MISSING = 7999
NIGHT_HOUR = 1


class ForeignRowsError(Exception):
    """The database has users that do not belong to this fixture."""


@dataclass(frozen=True)
class User:
    """A user whose local time is half past `local_hour`, on a weekday."""

    user_id: str
    local_hour: int
    todo_email_reception: bool = True


@dataclass(frozen=True)
class Execution:
    """A task execution with one result."""

    user_task_execution_pk: int
    user_id: str
    result_minutes_old: int
    todos_extracted: bool


@dataclass(frozen=True)
class Todo:
    """A to-do that was planned once. `planned` is a day in its user's calendar."""

    todo_pk: int
    user_task_execution_pk: int
    planned: Day
    completed: bool = False
    deleted_by_user: bool = False


@dataclass(frozen=True)
class Document:
    """A document without chunks."""

    document_pk: int
    author_user_id: str
    document_type: Literal["learned_by_mojo", "webpage"]
    name: str
    deleted_by_user: bool = False


type Row = User | Execution | Todo | Document

USERS = (
    User(NIGHT, NIGHT_HOUR),
    *(User(user_id, 8) for user_id in MORNINGS),
    User(UNWILLING, 8, todo_email_reception=False),
    User(LATE, 15),
)
EXECUTIONS = (
    Execution(9001, NIGHT, 15, todos_extracted=False),
    Execution(9002, MORNINGS[0], 15, todos_extracted=False),
    Execution(9003, NIGHT, 5, todos_extracted=False),
    Execution(9004, NIGHT, 15, todos_extracted=True),
    *(
        Execution(9010 + number, user.user_id, 3 * 24 * 60, todos_extracted=True)
        for number, user in enumerate(USERS)
    ),
)
TODOS = (
    Todo(8001, 9010, "previous working day"),
    Todo(8002, 9010, "previous working day"),
    Todo(8003, 9010, "previous working day", completed=True),
    Todo(8004, 9010, "previous working day", deleted_by_user=True),
    Todo(8005, 9010, "tomorrow"),
    *(Todo(8010 + number, 9010 + number, "today") for number in range(1, len(USERS))),
    Todo(8020, 9015, "previous working day"),
)
DOCUMENTS = (
    Document(LEARNED, NIGHT, "learned_by_mojo", "What Mojo knows of the shop"),
    Document(WEBPAGE, NIGHT, "webpage", "https://shop.example/prices"),
    Document(DELETED, NIGHT, "webpage", "https://shop.example/old", deleted_by_user=True),
    Document(OF_ANOTHER, MORNINGS[0], "learned_by_mojo", "Another's"),
)


def described() -> dict[str, Any]:
    """Return the fixture as JSON values."""
    rows: dict[str, tuple[Row, ...]] = {
        "users": USERS,
        "executions": EXECUTIONS,
        "todos": TODOS,
        "documents": DOCUMENTS,
    }
    return {name: [asdict(row) for row in table] for name, table in rows.items()}


def check_is_ours(engine: Engine) -> None:
    """Check that no data of others would be lost.

    Raises:
        ForeignRowsError: the database has users that do not belong to this fixture.
    """
    if not inspect(engine).has_table("md_user"):
        return
    with engine.connect() as connection:
        others = text("SELECT count(*) FROM md_user WHERE NOT starts_with(user_id, :prefix)")
        if count := connection.execute(others, {"prefix": PREFIX}).scalar_one():
            raise ForeignRowsError(f"the database has {count} other users, whose rows would be deleted")


def restore(engine: Engine, now: datetime, deleted_website: str = "") -> None:
    """Replace all rows of the database by the fixture's.

    Args:
        engine: connects as a superuser.
        now: the present moment (aware).
        deleted_website: the name of the document that its user has deleted; by default the fixture's.
    """
    with engine.begin() as connection:
        connection.execute(text(EMPTY))
        for table, row in _rows(now):
            _insert(connection, table, row)
        if deleted_website:
            rename = text("UPDATE md_document SET name = :name WHERE document_pk = :pk")
            connection.execute(rename, {"name": deleted_website, "pk": DELETED})


def is_real(now: datetime) -> bool:
    """Return whether real time zones have all the local times of the users."""
    return all(timezone_offset(now, user.local_hour) in OFFSETS for user in USERS)


def timezone_offset(now: datetime, local_hour: int) -> int:
    """Return the smallest offset (minutes, UTC minus local) at which it is half past an hour on a weekday.

    For the night hour it is never negative. Mojodex counts a to-do as overdue 24 hours after its day began in
    UTC, so east of Greenwich yesterday's to-do is not overdue in the first night.
    """
    days = (now.date() + days * DAY for days in range(-3, 2))
    offsets = [
        (without_zone(now) - datetime.combine(day, datetime.min.time())) // MINUTE - local_hour * 60 - 30
        for day in days
        if is_working_day(day)
    ]
    return min(offsets, key=lambda offset: (local_hour == NIGHT_HOUR and offset < 0, abs(offset)))


def _rows(now: datetime) -> Iterator[tuple[str, Mapping[str, Any]]]:
    offsets = {user.user_id: timezone_offset(now, user.local_hour) for user in USERS}
    task = {"task_pk": 1, "name_for_system": "minutes", "definition_for_system": "Write the minutes"}
    yield "md_task", task
    for number, user in enumerate(USERS):
        yield from _user_rows(number, user, offsets[user.user_id], now)
    for execution in EXECUTIONS:
        yield from _execution_rows(execution, now)
    owners = {execution.user_task_execution_pk: execution.user_id for execution in EXECUTIONS}
    for todo in TODOS:
        offset = offsets[owners[todo.user_task_execution_pk]]
        yield from _todo_rows(todo, (without_zone(now) - offset * MINUTE).date(), now)
    for document in DOCUMENTS:
        yield "md_document", asdict(document) | {"creation_date": without_zone(now)}


def _user_rows(
    number: int, user: User, offset: int, now: datetime
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    owner = {"user_id": user.user_id}
    yield (
        "md_user",
        owner
        | {
            "email": f"{user.user_id}@example.com",
            "name": "Ann Archer",
            "language_code": "en",
            "timezone_offset": offset,
            "todo_email_reception": user.todo_email_reception,
            "creation_date": now,
        },
    )
    yield "md_user_task", owner | {"user_task_pk": number, "task_fk": 1}
    yield "md_session", owner | {"session_id": user.user_id, "creation_date": now}


def _execution_rows(execution: Execution, now: datetime) -> Iterator[tuple[str, Mapping[str, Any]]]:
    pk, user_id = execution.user_task_execution_pk, execution.user_id
    number = next(number for number, user in enumerate(USERS) if user.user_id == user_id)
    yield (
        "md_user_task_execution",
        {
            "user_task_execution_pk": pk,
            "user_task_fk": number,
            "session_id": user_id,
            "json_input_values": "{}",
            "todos_extracted": now if execution.todos_extracted else None,
        },
    )
    yield "md_produced_text", {"produced_text_pk": pk, "user_id": user_id, "user_task_execution_fk": pk}
    yield (
        "md_produced_text_version",
        {
            "produced_text_version_pk": pk,
            "produced_text_fk": pk,
            "creation_date": without_zone(now) - timedelta(minutes=execution.result_minutes_old),
            "production": "I will call Martin tomorrow.",
            "title": "Minutes",
        },
    )


def _todo_rows(todo: Todo, today: date, now: datetime) -> Iterator[tuple[str, Mapping[str, Any]]]:
    days = {"previous working day": previous_working_day(today), "today": today, "tomorrow": today + DAY}
    yield (
        "md_todo",
        {
            "todo_pk": todo.todo_pk,
            "user_task_execution_fk": todo.user_task_execution_pk,
            "description": "Call Martin",
            "creation_date": now - 3 * DAY,
            "completed": now if todo.completed else None,
            "deleted_by_user": now if todo.deleted_by_user else None,
        },
    )
    yield (
        "md_todo_scheduling",
        {
            "todo_scheduling_pk": todo.todo_pk,
            "todo_fk": todo.todo_pk,
            "scheduled_date": days[todo.planned],
            "creation_date": now - 3 * DAY,
        },
    )


def _insert(connection: Connection, table: str, row: Mapping[str, Any]) -> None:
    values = {column: value for column, value in row.items() if value is not None}
    columns, parameters = ", ".join(values), ", ".join(f":{column}" for column in values)
    connection.execute(text(f"INSERT INTO {table} ({columns}) VALUES ({parameters})"), values)
