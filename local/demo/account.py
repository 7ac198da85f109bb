"""The keys of the seeded account, and how to try a message with them."""

import json

from sqlalchemy import Connection, text

from local.demo.seed import Account
from local.runtime import terminal

TODOS = text("""
    SELECT t.todo_pk, t.description, newest.scheduled_date AS due
    FROM md_todo t
    JOIN md_user_task_execution e ON e.user_task_execution_pk = t.user_task_execution_fk
    JOIN md_user_task ut ON ut.user_task_pk = e.user_task_fk
    CROSS JOIN LATERAL (SELECT s.scheduled_date FROM md_todo_scheduling s WHERE s.todo_fk = t.todo_pk
        ORDER BY s.creation_date DESC, s.todo_scheduling_pk DESC LIMIT 1) AS newest
    WHERE ut.user_id = :user_id AND t.completed IS NULL
    ORDER BY newest.scheduled_date, t.todo_pk
""")
TRY = """
Publish a message, then look for its job:

  make publish QUEUE=extract_todos MESSAGE='{message}'
  eval "$(.venv/bin/python -m local env)"
  curl -u "$OPERATE_CREDENTIALS" "$OPERATE_URL/jobs?process=extract_todos&subject={pk}"
"""


def show(connection: Connection, account: Account) -> None:
    """Print the keys of the account's users, tasks, to-dos and document."""
    terminal.table(
        [
            ("user", "user_id"),
            *((user.person.name, user.user_id) for user in (account.claire, account.hugo)),
        ]
    )
    print()
    name = account.claire.person.name
    terminal.table(
        [
            ("user_task_execution_pk", f"finished task of {name}, to-dos not extracted yet"),
            *((str(task.user_task_execution_pk), task.title) for task in account.tasks),
        ]
    )
    print()
    todos = connection.execute(TODOS, {"user_id": account.claire.user_id}).all()
    terminal.table(
        [
            ("todo_pk", "due", f"to-do of {name}"),
            *((str(todo.todo_pk), f"{todo.due:%a %d %b}", todo.description) for todo in todos),
        ]
    )
    print()
    terminal.table([("document_pk", f"text of {name}"), (str(account.notes), "her notes")])
    pk = account.tasks[0].user_task_execution_pk
    print(TRY.format(pk=pk, message=json.dumps({"user_task_execution_pk": pk})))
