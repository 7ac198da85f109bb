"""Bring a Mojodex database up to date: first Alembic's versions, then the indexes that are missing.

Each change of our tables is a file in `versions`. The indexes come from `mojodex.schema`: every migration
builds those that are missing or not valid. Mojodex's own tables are never altered.
"""

import time
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, NullPool, create_engine, event, text
from sqlalchemy.schema import CreateIndex, DropIndex

from mojodex.database import connect_arguments
from mojodex.observability import logger
from mojodex.schema import Base

# The package with env.py and `versions`.
SCRIPTS = "maintenance:migrate"
# Mojodex may use Alembic, too, with the table alembic_version.
VERSION_TABLE = "md_background_migration"
# How long to wait for another session's lock. Mojodex's own statements on that table queue up meanwhile.
LOCK_TIMEOUT = "30s"
SECONDS_BETWEEN_TRIES = 0.5


def migrate(secret: dict[str, Any]) -> dict[str, Any]:
    """Migrate the database that a secret names. A second run does nothing.

    Concurrent migrations of a database take turns. An interrupted migration can be run again.

    Args:
        secret: the connection; see `mojodex.database`. The user must own Mojodex's tables to add indexes.

    Returns:
        `from` and `to`: the version before (None for the first time) and after; `applied`: the versions
        between; `indexes`: the names of those that were built.

    Raises:
        TransientError: the secret is not valid.
        sqlalchemy.exc.DBAPIError: a lock took too long, a Mojodex table or a right is missing.
    """
    # Building the index of a large table takes longer than other functions' statements may.
    arguments = connect_arguments(secret) | {"timeout": None}
    engine = create_engine(URL.create("postgresql+pg8000"), connect_args=arguments, poolclass=NullPool)
    event.listen(engine, "set_connection_execution_options", _end_transaction)
    with engine.connect() as connection:
        connection.execute(text(f"SET lock_timeout = '{LOCK_TIMEOUT}'"))
        connection.execute(text("SET statement_timeout = 0"))
        _take_turn(connection)
        versions = _upgrade(connection)
        # Without a transaction, as CREATE INDEX CONCURRENTLY demands.
        connection.execution_options(isolation_level="AUTOCOMMIT")
        return {**versions, "indexes": _build_indexes(connection)}


def alembic_config(connection: Connection) -> Config:
    """Return the configuration for any of Alembic's commands; see `env.py`.

    Args:
        connection: to the database, with no transaction open.
    """
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", SCRIPTS)
    return config


def _end_transaction(connection: Connection, _options: Any) -> None:
    """End the transaction that pg8000 began, so that an isolation level can take effect.

    Alembic's `autocommit_block` needs this, because it queries the old level, which begins a transaction.
    """
    connection.connection.rollback()


def _take_turn(connection: Connection) -> None:
    """Wait until no other migration runs. The lock is released when the connection closes.

    It polls, because a statement that waits for the lock would block the other migration's CREATE INDEX
    CONCURRENTLY: a deadlock.
    """
    take = text("SELECT pg_try_advisory_lock(hashtext(:name))")
    waiting = False
    while not connection.execute(take, {"name": VERSION_TABLE}).scalar_one():
        connection.commit()
        if not waiting:
            logger.warning("waiting for another migration to end")
        waiting = True
        time.sleep(SECONDS_BETWEEN_TRIES)
    connection.commit()


def _upgrade(connection: Connection) -> dict[str, Any]:
    """Apply the versions that the database lacks, each in a transaction of its own."""
    config = alembic_config(connection)
    scripts = ScriptDirectory.from_config(config)
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    before = context.get_current_revision()
    connection.commit()
    versions = [script.revision for script in scripts.walk_revisions()][::-1]
    if before is not None and before not in versions:
        # Versions only add, so an earlier release of the bundle runs on this database, too.
        logger.warning("a later release has migrated this database", extra={"version": before})
        return {"from": before, "to": before, "applied": []}
    applied = versions[versions.index(before) + 1 :] if before else versions
    command.upgrade(config, "head")
    connection.commit()
    return {"from": before, "to": versions[-1], "applied": applied}


def _build_indexes(connection: Connection) -> list[str]:
    """Build the indexes of `mojodex.schema` that are missing or not valid, and return their names."""
    built = []
    valid = text("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(:name)")
    for table in Base.metadata.sorted_tables:
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            is_valid = connection.execute(valid, {"name": index.name}).scalar()
            if is_valid:
                continue
            if is_valid is False:
                # An interrupted build leaves an index that is written but never read.
                connection.execute(DropIndex(index, if_exists=True))
            connection.execute(CreateIndex(index, if_not_exists=True))
            built.append(str(index.name))
    return built
