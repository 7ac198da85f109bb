"""A Mojodex database for tests: users, tasks and finished executions, as its backend writes them."""

import itertools
import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import Engine, text

from maintenance.migrate.migration import VERSION_TABLE

_numbers = itertools.count(1)
# TRUNCATE makes new files and takes 100 ms; DELETE takes 3 ms, but leaves dead rows of large tables.
EMPTY = f"""
DO $$
DECLARE
    tables text[];
    is_big boolean;
    its_name text;
BEGIN
    SELECT array_agg(oid::regclass::text), sum(pg_relation_size(oid)) > 1000000 INTO tables, is_big
    FROM pg_class
    WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> '{VERSION_TABLE}';
    IF is_big THEN
        EXECUTE 'TRUNCATE ' || array_to_string(tables, ', ');
        RETURN;
    END IF;
    -- Skip foreign keys.
    SET LOCAL session_replication_role = replica;
    FOREACH its_name IN ARRAY tables LOOP
        EXECUTE 'DELETE FROM ' || its_name;
    END LOOP;
END $$
"""


@dataclass(frozen=True)
class Mojodex:
    """Writes into, and reads from, one database. Every method is one transaction."""

    engine: Engine

    def run(self, sql: str, **values: Any) -> Any:
        """Run a statement and return its only value, if it has one."""
        with self.engine.begin() as connection:
            result = connection.execute(text(sql), values)
            return result.scalar() if result.returns_rows else None

    def rows(self, sql: str, **values: Any) -> list[Any]:
        """Return all rows of a query."""
        with self.engine.begin() as connection:
            return list(connection.execute(text(sql), values))

    def empty(self) -> None:
        """Remove every row."""
        self.run(EMPTY)

    def user(
        self,
        *,
        timezone_offset: int | None = 0,
        language: str | None = "en",
        name: str | None = "Ann Archer",
        email: str | None = None,
        wants_email: bool = True,
    ) -> str:
        """Add a user and return their id. By default, their e-mail address contains it."""
        user_id = f"user-{next(_numbers)}"
        self.run(
            "INSERT INTO md_user (user_id, email, name, language_code, timezone_offset, goal, creation_date,"
            " todo_email_reception) VALUES (:id, :email, :name, :language, :tz, 'Sell more', now(), :wants)",
            id=user_id,
            email=email or f"{user_id}@example.com",
            name=name,
            language=language,
            tz=timezone_offset,
            wants=wants_email,
        )
        return user_id

    def execution(
        self,
        *said: str,
        user_id: str | None = None,
        result: str = "The minutes.",
        age: timedelta = timedelta(minutes=30),
        after: int | None = None,
        deleted: bool = False,
        extracted: bool = False,
    ) -> int:
        """Add a task execution in which the user said these things, and return its primary key.

        `result` was written `age` ago; `after` is the execution that this one continues.
        """
        user_id = user_id or self.user()
        now = datetime.now(UTC)
        session_id = f"session-{next(_numbers)}"
        with self.engine.begin() as connection:

            def run(sql: str, **values: Any) -> Any:
                result = connection.execute(text(sql), values)
                return result.scalar() if result.returns_rows else None

            task = run(
                "INSERT INTO md_task (name_for_system, definition_for_system)"
                " VALUES ('meeting_minutes', 'Write the minutes of a meeting') RETURNING task_pk"
            )
            user_task = run(
                "INSERT INTO md_user_task (user_id, task_fk) VALUES (:u, :t) RETURNING user_task_pk",
                u=user_id,
                t=task,
            )
            run(
                "INSERT INTO md_session (session_id, user_id, creation_date) VALUES (:s, :u, now())",
                s=session_id,
                u=user_id,
            )
            for i, line in enumerate(said):
                run(
                    "INSERT INTO md_message (session_id, sender, message, creation_date, message_date)"
                    " VALUES (:s, 'user', CAST(:m AS json), :d, :d)",
                    s=session_id,
                    m=json.dumps({"text": line}),
                    d=now - age - timedelta(minutes=len(said) - i),
                )
            pk = run(
                "INSERT INTO md_user_task_execution (user_task_fk, session_id, json_input_values,"
                " todos_extracted, deleted_by_user, predefined_action_from_user_task_execution_fk)"
                " VALUES (:ut, :s, '{}', CAST(:e AS timestamptz), CAST(:d AS timestamptz),"
                " CAST(:a AS integer)) RETURNING user_task_execution_pk",
                ut=user_task,
                s=session_id,
                e=now if extracted else None,
                d=now if deleted else None,
                a=after,
            )
            produced = run(
                "INSERT INTO md_produced_text (user_id, user_task_execution_fk, session_id)"
                " VALUES (:u, :e, :s) RETURNING produced_text_pk",
                u=user_id,
                e=pk,
                s=session_id,
            )
            run(
                "INSERT INTO md_produced_text_version (produced_text_fk, creation_date, production, title)"
                " VALUES (:p, :d, :r, 'Minutes')",
                p=produced,
                d=(now - age).replace(tzinfo=None),
                r=result,
            )
        return int(pk)

    def todo(self, execution_pk: int, description: str, *, completed: bool = False) -> int:
        """Add a to-do of an execution and return its primary key."""
        return int(
            self.run(
                "INSERT INTO md_todo (user_task_execution_fk, description, completed)"
                " VALUES (:e, :d, CASE WHEN :c THEN now() END) RETURNING todo_pk",
                e=execution_pk,
                d=description,
                c=completed,
            )
        )

    def scheduled(
        self,
        execution_pk: int,
        description: str,
        *dates: date,
        moved_at: datetime | None = None,
        completed: bool = False,
    ) -> int:
        """Add a to-do that was planned for the first date and moved to each of the others.

        The last move was written at `moved_at`, and each one before it a day earlier.
        """
        pk = self.todo(execution_pk, description, completed=completed)
        moved_at = moved_at or datetime.now(UTC) - timedelta(days=1)
        for number, day in enumerate(dates):
            self.run(
                "INSERT INTO md_todo_scheduling (todo_fk, scheduled_date, creation_date,"
                " reschedule_justification) VALUES (:t, :d, :at, :why)",
                t=pk,
                d=day,
                at=moved_at - timedelta(days=len(dates) - 1 - number),
                why=f"Reason {number}." if number else None,
            )
        return pk

    def schedulings(self, todo_pk: int) -> list[tuple[str, str | None]]:
        """Return date and justification of each scheduling of a to-do, oldest first."""
        return [
            (row.scheduled_date.isoformat(), row.reschedule_justification)
            for row in self.rows(
                "SELECT scheduled_date, reschedule_justification FROM md_todo_scheduling WHERE todo_fk = :t"
                " ORDER BY creation_date, todo_scheduling_pk",
                t=todo_pk,
            )
        ]

    def todos_of(self, execution_pk: int) -> list[tuple[str, str]]:
        """Return description and due date of each to-do of an execution, oldest first."""
        return [
            (row.description, row.scheduled_date.isoformat())
            for row in self.rows(
                "SELECT description, scheduled_date FROM md_todo JOIN md_todo_scheduling ON todo_fk = todo_pk"
                " WHERE user_task_execution_fk = :e ORDER BY todo_pk",
                e=execution_pk,
            )
        ]

    def is_extracted(self, execution_pk: int) -> bool:
        """Return whether the execution has Mojodex's mark `todos_extracted`."""
        return bool(
            self.run(
                "SELECT todos_extracted IS NOT NULL FROM md_user_task_execution"
                " WHERE user_task_execution_pk = :e",
                e=execution_pk,
            )
        )

    def close_circuits(self) -> None:
        """Close all circuits, so that the next job calls the providers again."""
        self.run("DELETE FROM md_background_circuit")

    def job(self, subject: int | str, process: str = "extract_todos") -> Any:
        """Return the ledger's row for a subject, or None."""
        rows = self.rows(
            "SELECT * FROM md_background_job WHERE process = :p AND subject = :s", p=process, s=str(subject)
        )
        return rows[0] if rows else None
