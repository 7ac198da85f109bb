"""Work for the benches: users with due work, and the messages that request it.

Each user has a finished task, an overdue to-do and a to-do for today.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from sqlalchemy import Connection, Engine, text

from bench.model_server import EVIDENCE
from mojodex.clock import next_working_day, previous_working_day

_numbers = count(1)
# Ten messages of about sixty words, and a result of two hundred words: 1,500 tokens of prompt.
SAID = (
    "We met the people of the printing works this morning and went through the whole list once more, from the"
    " paper to the way in which the boxes are packed. They would like to deliver in two parts, and they asked"
    " for an answer before the end of the month. Nobody objected, but the price of the second part is not"
    " settled yet, and I would rather not sign before it is. "
)
MESSAGES, RESULT = 10, SAID * 3
USERS = (
    "(SELECT 'bench-' || i AS user_id"
    " FROM generate_series(CAST(:first AS integer), CAST(:last AS integer)) i) new_users"
)
FILL = (
    "INSERT INTO md_task (task_pk, name_for_system, definition_for_system)"
    " VALUES (1, 'meeting_minutes', 'Write the minutes of a meeting') ON CONFLICT DO NOTHING",
    # Users in a zone where it is noon now, so that no run passes midnight.
    "INSERT INTO md_user (user_id, email, name, language_code, timezone_offset, goal, creation_date)"
    " SELECT user_id, user_id || '@example.com', 'Ann Archer', 'en', CAST(:offset AS integer), 'Sell more',"
    f" now() FROM {USERS}",
    f"INSERT INTO md_user_task (user_id, task_fk) SELECT user_id, 1 FROM {USERS}",
    "INSERT INTO md_session (session_id, user_id, creation_date)"
    f" SELECT user_id, user_id, now() FROM {USERS}",
    "INSERT INTO md_message (session_id, sender, message, creation_date, message_date)"
    " SELECT user_id, CAST(CASE mod(m, 2) WHEN 0 THEN 'user' ELSE 'mojo' END AS md_sender_),"
    " json_build_object('text', CAST(:said AS text)"
    " || CASE m WHEN 4 THEN CAST(:evidence AS text) ELSE '' END), at, at"
    f" FROM {USERS}, generate_series(1, {MESSAGES}) m,"
    " LATERAL (SELECT now() - interval '1 hour' / m) dated (at)",
    "INSERT INTO md_user_task_execution (user_task_fk, session_id, json_input_values, title)"
    f" SELECT user_task_pk, user_id, '{{}}', 'Minutes' FROM md_user_task JOIN {USERS} USING (user_id)",
    "INSERT INTO md_produced_text (user_id, user_task_execution_fk, session_id)"
    " SELECT user_id, user_task_execution_pk, session_id"
    f" FROM md_user_task_execution JOIN {USERS} ON session_id = user_id",
    "INSERT INTO md_produced_text_version (produced_text_fk, creation_date, production, title)"
    " SELECT produced_text_pk, now() - interval '1 hour', :result, 'Minutes'"
    f" FROM md_produced_text JOIN {USERS} USING (user_id)",
    "INSERT INTO md_todo (user_task_execution_fk, description, creation_date)"
    " SELECT user_task_execution_pk, description, now() - interval '9 days'"
    f" FROM md_user_task_execution JOIN {USERS} ON session_id = user_id,"
    " unnest(ARRAY['Ask for the price', 'Sign the contract', 'Tell the others']) description",
    # Each to-do has its first date. The overdue one was moved once.
    "INSERT INTO md_todo_scheduling (todo_fk, scheduled_date, creation_date, reschedule_justification)"
    " SELECT todo_pk, dates.scheduled_date, now() - age, why"
    f" FROM md_todo JOIN md_user_task_execution ON user_task_execution_fk = user_task_execution_pk"
    f" JOIN {USERS} ON session_id = user_id JOIN (VALUES"
    " ('Ask for the price', CAST(:before AS date) - 7, interval '9 days', NULL),"
    " ('Ask for the price', CAST(:before AS date), interval '6 days', 'There were three others that day.'),"
    " ('Sign the contract', CAST(:today AS date), interval '9 days', NULL),"
    " ('Tell the others', CAST(:after AS date), interval '9 days', NULL))"
    " dates (description, scheduled_date, age, why) USING (description)",
)


@dataclass(frozen=True)
class Kind:
    """One process under load.

    Attributes:
        process: its name in the ledger.
        prefix: the prefix of its names in the template.
        schema: the name of its answer schema.
        keys: SQL for the keys in its messages, for the users from :first to :last.
        message: returns the message for a key and a local date.
        subject: returns the job's subject for a key.
    """

    process: str
    prefix: str
    schema: str
    keys: str
    message: Callable[[Any, str], dict[str, Any]]
    subject: Callable[[Any], str] = str

    @property
    def worker(self) -> str:
        """Return the function's logical id."""
        return f"{self.prefix}WorkerFunction"

    @property
    def queue(self) -> str:
        """Return the output that holds the queue's URL."""
        return f"{self.prefix}QueueUrl"


EXTRACTION = Kind(
    "extract_todos",
    "ExtractTodos",
    "Extraction",
    f"SELECT user_task_execution_pk FROM md_user_task_execution JOIN {USERS} ON session_id = user_id",
    lambda pk, _day: {"user_task_execution_pk": pk},
)
RESCHEDULING = Kind(
    "reschedule_todo",
    "RescheduleTodo",
    "Rescheduling",
    "SELECT todo_pk FROM md_todo"
    " JOIN md_user_task_execution ON user_task_execution_fk = user_task_execution_pk"
    f" JOIN {USERS} ON session_id = user_id WHERE description = 'Ask for the price'",
    lambda pk, day: {"todo_pk": pk, "local_date": day},
)
MAILS = Kind(
    "events",
    "Events",
    "DailyEmail",
    f"SELECT user_id FROM {USERS}",
    lambda user, day: {"event_type": "todo_daily_emails", "user_id": user, "local_date": day},
    lambda user: f"todo_daily_emails:{user}",
)

KINDS = (EXTRACTION, RESCHEDULING, MAILS)


def fill(engine: Engine, kind: Kind, jobs: int) -> dict[str, str]:
    """Make `jobs` new users, each with one due job of this kind.

    Returns:
        The messages that request the jobs, as JSON, by the jobs' subjects.
    """
    first = next(_numbers) * 1_000_000
    now = datetime.now(UTC)
    today = now.date()
    values = {
        "first": first,
        "last": first + jobs - 1,
        "offset": now.hour * 60 + now.minute - 12 * 60,
        "said": SAID,
        "evidence": f"{EVIDENCE}.",
        "result": RESULT,
        "before": previous_working_day(today),
        "today": today,
        "after": next_working_day(today + timedelta(days=5)),
    }
    with engine.begin() as connection:
        for statement in FILL:
            _run(connection, statement, values)
        keys = _run(connection, kind.keys, values).scalars().all()
        _run(connection, "ANALYZE", {})
    return {kind.subject(key): json.dumps(kind.message(key, today.isoformat())) for key in keys}


def _run(connection: Connection, sql: str, values: dict[str, Any]) -> Any:
    statement = text(sql)
    wanted = statement.compile().params
    return connection.execute(statement, {name: values[name] for name in wanted})
