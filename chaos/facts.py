"""Facts from the database, as plain data for the checks."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Engine, text

from chaos.checks import Chunks, Job

OPEN_JOBS = "SELECT count(*) FROM md_background_job WHERE state NOT IN ('done', 'failed', 'skipped')"
JOBS = (
    "SELECT process, subject, occasion, state, attempts, coalesce(outcome ->> 'reason', '') AS reason"
    " FROM md_background_job ORDER BY queued_at, occasion"
)
TODOS = (
    "SELECT user_task_execution_fk AS pk, description, count(todo_scheduling_pk) AS dates"
    " FROM md_todo LEFT JOIN md_todo_scheduling ON todo_fk = todo_pk GROUP BY todo_pk"
)
EXTRACTED = "SELECT user_task_execution_pk FROM md_user_task_execution WHERE todos_extracted IS NOT NULL"
# Every user of the load has UTC's local day.
MOVES = (
    "SELECT todo_fk, CAST(CAST(creation_date AT TIME ZONE 'UTC' AS date) AS text) FROM md_todo_scheduling"
    " WHERE reschedule_justification IS NOT NULL"
)
EVENTS = "SELECT user_id, CAST(CAST(creation_date AT TIME ZONE 'UTC' AS date) AS text) AS day FROM md_event"
CHUNKS = (
    "SELECT name, index AS place, chunk_text, CAST(embedding AS text) AS vector"
    " FROM md_document JOIN md_document_chunk ON document_fk = document_pk"
    " WHERE author_user_id = :user AND NOT deleted_by_user AND deleted IS NULL"
    " ORDER BY name, index, document_chunk_pk"
)


def rows(engine: Engine, sql: str, **values: Any) -> Sequence[Any]:
    """Return all rows of a query."""
    with engine.begin() as connection:
        return connection.execute(text(sql), values).all()


def jobs(engine: Engine) -> list[Job]:
    """Return the ledger."""
    return [Job(*row) for row in rows(engine, JOBS)]


def todos(engine: Engine) -> dict[int, list[tuple[str, int]]]:
    """Return the description and the number of dates of each to-do, by its execution."""
    found = defaultdict(list)
    for row in rows(engine, TODOS):
        found[row.pk].append((row.description, row.dates))
    return found


def documents(engine: Engine, user: str) -> dict[str, Chunks]:
    """Return the chunks of a user's documents, by document name."""
    found: dict[str, Chunks] = defaultdict(list)
    for row in rows(engine, CHUNKS, user=user):
        found[row.name].append((row.place, row.chunk_text, row.vector))
    return found
