"""What the bundle adds to a Mojodex database. It alters no table of Mojodex, and can be run again and again.

Indexes are built CONCURRENTLY, so that a live database goes on writing meanwhile. docs/database.md shows
which query wants which.
"""

from typing import Any

from sqlalchemy import URL, Connection, create_engine, text

from mojodex.database import connect_arguments

# Name of each table, and its columns.
TABLES = {
    "md_background_job": """
        process     varchar(64)  NOT NULL,
        subject     text         NOT NULL,
        occasion    text         NOT NULL DEFAULT '',
        state       varchar(16)  NOT NULL CHECK (state IN ('queued', 'running', 'done', 'failed', 'skipped')),
        attempts    integer      NOT NULL DEFAULT 0,
        queued_at   timestamptz  NOT NULL DEFAULT now(),
        started_at  timestamptz,
        finished_at timestamptz,
        outcome     jsonb,
        PRIMARY KEY (process, subject, occasion)
    """,
    "md_background_page": """
        page_pk     integer      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        subject     text         NOT NULL,
        occasion    text         NOT NULL,
        user_id     varchar(255) NOT NULL,
        url         text         NOT NULL,
        key         text         NOT NULL,
        depth       integer      NOT NULL,
        state       varchar(16)  NOT NULL
            CHECK (state IN ('found', 'staged', 'stored', 'unchanged', 'skipped', 'failed')),
        reason      text,
        html        bytea,
        charset     text,
        html_hash   text,
        etag        text,
        canonical   text,
        lines       bigint[],
        found_at    timestamptz  NOT NULL,
        UNIQUE (subject, occasion, key)
    """,
    "md_background_document": """
        document_fk  integer     PRIMARY KEY,
        etag         text,
        html_hash    text,
        left_out     text[]      NOT NULL,
        edition_sent timestamptz
    """,
    "md_background_website": """
        user_id        varchar(255) NOT NULL,
        site           text         NOT NULL,
        repeated_lines bigint[]     NOT NULL,
        PRIMARY KEY (user_id, site)
    """,
    "md_background_host_slot": """
        host    text        NOT NULL,
        slot    integer     NOT NULL,
        free_at timestamptz NOT NULL,
        PRIMARY KEY (host, slot)
    """,
}

# Name of each index and what it is on.
INDEXES = {
    "mojodex_background_version_by_date": (
        "md_produced_text_version (creation_date, produced_text_version_pk)"
    ),
    "mojodex_background_version_by_text": "md_produced_text_version (produced_text_fk, creation_date)",
    "mojodex_background_text_by_execution": "md_produced_text (user_task_execution_fk)",
    "mojodex_background_message_by_session": "md_message (session_id, message_date)",
    "mojodex_background_todo_by_execution": "md_todo (user_task_execution_fk)",
    "mojodex_background_execution_by_user_task": "md_user_task_execution (user_task_fk)",
    "mojodex_background_user_task_by_user": "md_user_task (user_id)",
    "mojodex_background_open_todo": (
        "md_todo (todo_pk) WHERE completed IS NULL AND deleted_by_user IS NULL AND deleted_by_mojo IS NULL"
    ),
    "mojodex_background_scheduling_by_todo": (
        "md_todo_scheduling (todo_fk, creation_date, todo_scheduling_pk) INCLUDE (scheduled_date)"
    ),
    "mojodex_background_scheduling_by_date": (
        "md_todo_scheduling (scheduled_date, todo_scheduling_pk) INCLUDE (todo_fk)"
    ),
    "mojodex_background_user_by_offset": "md_user (timezone_offset, user_id)",
    "mojodex_background_document_by_name": "md_document (author_user_id, name)",
    "mojodex_background_chunk_by_document": "md_document_chunk (document_fk)",
    "mojodex_background_page_by_key": "md_background_page (user_id, key)",
    "mojodex_background_open_page": "md_background_page (page_pk) WHERE state IN ('found', 'staged')",
    "mojodex_background_ended_page": (
        "md_background_page (found_at) WHERE state IN ('stored', 'unchanged', 'skipped', 'failed')"
    ),
    "mojodex_background_ended_job": (
        "md_background_job (finished_at) WHERE state IN ('done', 'failed', 'skipped')"
    ),
}

# The database may be busy: another session's lock is waited for this long, then the migration stops and can
# be run again.
LOCK_TIMEOUT = "30s"


def migrate_database(secret: dict[str, Any]) -> list[str]:
    """`migrate` the database that a secret names (see `mojodex.database`)."""
    # An index of a large table takes longer than any statement of the other functions may.
    arguments = connect_arguments(secret) | {"timeout": None}
    url = URL.create("postgresql+pg8000")
    with create_engine(url, isolation_level="AUTOCOMMIT", connect_args=arguments).connect() as connection:
        return migrate(connection)


def migrate(connection: Connection) -> list[str]:
    """Create what is missing.

    Args:
        connection: in autocommit, which CREATE INDEX CONCURRENTLY wants.

    Returns:
        The names of what was created; empty when everything was there.

    Raises:
        sqlalchemy.exc.DBAPIError: a lock was not to be had, a Mojodex table is missing, or the user may not
        create.
    """
    connection.execute(text(f"SET lock_timeout = '{LOCK_TIMEOUT}'"))
    connection.execute(text("SET statement_timeout = 0"))
    created = []
    for name, columns in TABLES.items():
        if connection.execute(text("SELECT to_regclass(:name)"), {"name": name}).scalar() is None:
            connection.execute(text(f"CREATE TABLE IF NOT EXISTS {name} ({columns})"))
            created.append(name)
    for name, on in INDEXES.items():
        valid = connection.execute(
            text("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(:name)"), {"name": name}
        ).scalar()
        if valid:
            continue
        if valid is False:
            # A concurrent build that was interrupted leaves an index that is written but never read.
            connection.execute(text(f"DROP INDEX CONCURRENTLY IF EXISTS {name}"))
        connection.execute(text(f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON {on}"))
        created.append(name)
    return created
