"""The migration: additive, repeatable, and harmless to a database that is in use."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import create_engine, text

import maintenance.migrate.handler as migrate_handler
from local.runtime import postgres
from maintenance.migrate.migration import INDEXES, TABLES, migrate
from mojodex import database as db
from tests.integration.conftest import Bundle
from tests.lambda_events import FakeContext


@pytest.fixture
def fresh(database: postgres.Database) -> Any:
    name = "fresh"
    fresh = postgres.create_database(database, name)
    postgres.run_sql_file(fresh, postgres.MOJODEX_SCHEMA)
    engine = create_engine(fresh.url, isolation_level="AUTOCOMMIT")
    yield engine
    engine.dispose()
    admin = create_engine(database.url, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()


COLUMNS = text(
    "SELECT table_name, column_name, data_type, column_default, is_nullable FROM information_schema.columns"
    " WHERE table_schema = 'public' AND NOT starts_with(table_name, 'md_background_') ORDER BY 1, 2"
)


def test_it_adds_tables_and_indexes_and_alters_no_table_of_mojodex(fresh: Any) -> None:
    with fresh.connect() as connection:
        before = connection.execute(COLUMNS).all()

        created = migrate(connection)

        assert created == [*TABLES, *INDEXES]
        assert connection.execute(COLUMNS).all() == before


def test_the_second_time_it_does_nothing(fresh: Any) -> None:
    with fresh.connect() as connection:
        migrate(connection)

        assert migrate(connection) == []


def test_an_index_whose_build_was_interrupted_is_built_again(fresh: Any) -> None:
    with fresh.connect() as connection:
        migrate(connection)
        name = next(iter(INDEXES))
        connection.execute(
            text("UPDATE pg_index SET indisvalid = false WHERE indexrelid = to_regclass(:n)"), {"n": name}
        )

        assert migrate(connection) == [name]
        assert migrate(connection) == []


def test_a_database_in_use_goes_on_writing_meanwhile(
    fresh: Any, make_bundle: Callable[..., Bundle], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through the function, slower than its connections would let another statement be."""
    monkeypatch.setattr(db, "SOCKET_TIMEOUT_SECONDS", 1)
    url = fresh.url
    secret = {"host": url.host, "port": url.port, "username": url.username, "password": url.password}
    make_bundle(secret=secret | {"dbname": url.database, "sslmode": "disable"})
    write = text("LOCK TABLE md_message IN ROW EXCLUSIVE MODE")
    writers = create_engine(url)
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'CREATE%' AND wait_event_type = 'Lock'"
    )

    with ThreadPoolExecutor() as threads, writers.connect() as earlier, writers.connect() as later:
        earlier.execute(write)
        migration = threads.submit(migrate_handler.handler, {}, FakeContext())
        with fresh.connect() as watch:
            while not watch.execute(waiting).scalar():
                assert not migration.done()
                time.sleep(0.05)
            # Behind a plain CREATE INDEX, which asks for a lock that no writer can pass, this would wait.
            later.execute(text("SET lock_timeout = '2s'"))
            later.execute(write)
            later.rollback()
        time.sleep(1.5)
        earlier.rollback()
        answer = migration.result()

    writers.dispose()
    assert set(INDEXES) <= set(answer["created"])


def test_a_database_that_is_not_mojodex_is_refused(database: postgres.Database) -> None:
    name = "not_mojodex"
    empty = create_engine(postgres.create_database(database, name).url, isolation_level="AUTOCOMMIT")
    with empty.connect() as connection, pytest.raises(Exception, match="md_produced_text_version"):
        migrate(connection)
    empty.dispose()
