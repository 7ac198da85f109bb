"""Postgres: a real server with a virtual clock, and connections that break as planned.

A transaction is atomic in virtual time: its latency passes before it takes a connection, and no other task
runs between BEGIN and the end. So no task waits for a lock, but the worker may still die at each statement.
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pg8000 import dbapi
from sqlalchemy import Engine, NullPool, Pool, create_engine, text
from sqlalchemy.pool import ConnectionPoolEntry

from local.runtime import postgres
from maintenance.migrate.migration import VERSION_TABLE, migrate
from mojodex import wire
from simulation.kernel import Killed, Task
from simulation.outside import Outside

SESSION_SECONDS = (0.002, 0.02)
CONNECT_SECONDS = (0.005, 0.05)
# A query's plan, and so the order of rows without ORDER BY, must not depend on when statistics are gathered
# or on the number of parallel processes.
SERVER_SETTINGS = {
    "autovacuum": "off",
    "max_parallel_workers_per_gather": "0",
    "jit": "off",
    "synchronous_commit": "off",
    "max_connections": "300",
    # A Unix socket is cheaper than TCP.
    "unix_socket_directories": tempfile.gettempdir(),
}
# Functions that return virtual time, in a schema that comes before PostgreSQL's own. A trigger records the
# history of each job, because the bundle's purge deletes jobs.
VIRTUAL_CLOCK = """
CREATE SCHEMA simulation;
CREATE FUNCTION simulation.clock_timestamp() RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT coalesce(
        to_timestamp(CAST(nullif(current_setting('simulation.now', true), '') AS double precision)),
        pg_catalog.clock_timestamp())
$$;
CREATE FUNCTION simulation.now() RETURNS timestamptz LANGUAGE sql STABLE AS
    $$ SELECT simulation.clock_timestamp() $$;
DO $$
DECLARE found record;
BEGIN
    FOR found IN
        SELECT attrelid::regclass AS its_table, attname
        FROM pg_attrdef JOIN pg_attribute ON attrelid = adrelid AND attnum = adnum
        WHERE pg_get_expr(adbin, adrelid) IN ('now()', 'CURRENT_TIMESTAMP')
    LOOP
        EXECUTE format(
            'ALTER TABLE %s ALTER %I SET DEFAULT simulation.now()', found.its_table, found.attname);
    END LOOP;
END $$;
CREATE TABLE simulation.history (
    number bigserial PRIMARY KEY, at timestamptz, process text, subject text, occasion text,
    state text, attempts integer, reason text
);
CREATE FUNCTION simulation.note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO simulation.history (at, process, subject, occasion, state, attempts, reason)
    VALUES (simulation.now(), NEW.process, NEW.subject, NEW.occasion, NEW.state, NEW.attempts,
        coalesce(NEW.outcome ->> 'reason', ''));
    RETURN NULL;
END $$;
CREATE TRIGGER note AFTER INSERT OR UPDATE ON md_background_job
    FOR EACH ROW EXECUTE FUNCTION simulation.note();
"""
TABLES = (
    "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables"
    f" WHERE schemaname IN ('public', 'simulation') AND tablename <> '{VERSION_TABLE}'"
)


class Connection(wire.Connection):
    """A connection of one execution environment. Its socket may have served others before."""

    def __init__(self, server: "Server", **arguments: Any) -> None:
        self._server = server
        self._generation = -1
        self._broken = False
        # False while the socket may hold an unread answer to an earlier statement.
        self._in_step = True
        self._holder: Task | None = None
        super().__init__(**arguments)

    def reuse(self, generation: int) -> None:
        """Reuse the socket as a new connection."""
        self._generation, self._broken = generation, False

    def execute_simple(self, statement: Any) -> Any:
        """Run a statement, or break the connection."""
        if isinstance(statement, tuple):
            return self.execute_unnamed(*statement)
        return self._run(statement, lambda sql: super(Connection, self).execute_simple(sql))

    def execute_unnamed(
        self, statement: str, vals: Sequence[Any] = (), oids: Sequence[int] = (), stream: Any = None
    ) -> Any:
        """Run a statement, or break the connection."""
        return self._run(
            statement, lambda sql: super(Connection, self).execute_unnamed(sql, vals, oids, stream)
        )

    def close(self) -> None:
        """Close the connection. Its socket is kept for reuse unless an answer may be unread."""
        self._break()
        if self._in_step:
            self._server.keep(self)
        else:
            super().close()

    def _run(self, statement: str, effect: Callable[[str], Any]) -> Any:
        outside = self._server.outside
        if outside is None or outside.kernel.current is None:
            return self._take_effect(statement, effect)
        word = statement.lstrip()[:8].lower()
        begins, ends = word.startswith("begin"), word.startswith(("commit", "rollback"))
        try:
            outside.arrive()
            self._check()
            if word.startswith("commit") and outside.aborts_commit():
                self._break()
                raise dbapi.InterfaceError("network error")
            if begins:
                self._hold(outside.kernel.current)
                statement = (
                    f"{statement}; SELECT set_config('simulation.now', '{outside.kernel.now:.6f}', true)"
                )
            result = self._take_effect(statement, effect)
            if ends:
                self._let_go()
                # Let the transaction's latency pass now, before a time limit starts.
                outside.kernel.sleep(0)
            outside.leave()
        except Killed:
            self._break()
            raise
        if word.startswith("commit") and outside.faults.next("lost", "commit"):
            outside.kernel.trace("answer lost", "commit")
            self._break()
            raise dbapi.InterfaceError("network error")
        return result

    def _take_effect(self, statement: str, effect: Callable[[str], Any]) -> Any:
        self._in_step = False
        try:
            result = effect(statement)
        except dbapi.DatabaseError:
            self._in_step = True
            raise
        self._in_step = True
        return result

    def _check(self) -> None:
        """Raise pg8000's error if the server is unavailable or this connection was cut."""
        assert self._server.outside
        failure = self._server.outside.faults.failure("postgres")
        if self._broken or failure or self._generation != self._server.generation:
            self._break()
            if failure == "shutdown":
                raise dbapi.ProgrammingError({"C": "57P01", "M": "terminating connection"})
            raise dbapi.InterfaceError("network error")

    def _hold(self, task: Task) -> None:
        if self._holder is None:
            self._holder = task
            task.holds += 1

    def _let_go(self) -> None:
        if self._holder is not None:
            self._holder.holds -= 1
            self._holder = None

    def _break(self) -> None:
        """Roll back open work, as the server does when a socket closes."""
        self._broken = True
        self._let_go()
        if self._in_step and self._in_transaction:
            super().execute_unnamed("rollback")


class VirtualPool(Pool):
    """A pool for each execution environment. The latency of a session passes before it gets a connection."""

    server: "Server"

    def _do_get(self) -> ConnectionPoolEntry:
        outside = self.server.outside
        if outside is not None and outside.kernel.current is not None:
            outside.kernel.sleep(outside.latency("postgres", SESSION_SECONDS))
        idle = self._idle()
        return idle.pop() if idle else self._create_connection()

    def _do_return_conn(self, record: ConnectionPoolEntry) -> None:
        self._idle().append(record)

    def _idle(self) -> list[ConnectionPoolEntry]:
        outside = self.server.outside
        state = outside.invocation.state if outside is not None and outside.invocation else self.server.state
        found = state.setdefault(f"pool {id(self)}", [])
        assert isinstance(found, list)
        return found

    def status(self) -> str:
        """Return the name of the pool."""
        return "VirtualPool"

    def dispose(self) -> None:
        """Close the idle connections of this environment."""
        while idle := self._idle():
            idle.pop().close()

    def recreate(self) -> "VirtualPool":
        """Return this pool. SQLAlchemy asks for a new one when it disposes of an engine."""
        return self


class Server:
    """The server.

    Attributes:
        outside: the services of the current run; None between runs.
        generation: grows when all connections are cut.
        engine: the connection of the backend and the checks.
    """

    def __init__(self, database: postgres.Database) -> None:
        self.outside: Outside | None = None
        self.generation = 0
        self.secret = database.secret()
        self.engine = create_engine(database.url, pool_size=1, max_overflow=0)
        self.state: dict[str, object] = {}
        self._kept: list[Connection] = []

    def connect(self, **arguments: Any) -> Connection:
        """Open a connection, as `wire.Connection` does."""
        outside = self.outside
        if outside is not None and outside.kernel.current is not None:
            outside.call("postgres", lambda: None, CONNECT_SECONDS, _cannot_connect)
        connection = self._kept.pop() if self._kept else self._open(arguments)
        connection.reuse(self.generation)
        return connection

    def _open(self, arguments: dict[str, Any]) -> Connection:
        socket = f"{tempfile.gettempdir()}/.s.PGSQL.{arguments['port']}"
        # Without a timeout, Python reads a socket without polling it first.
        return Connection(self, **arguments | {"unix_sock": socket, "timeout": None})

    def keep(self, connection: Connection) -> None:
        """Keep a socket for reuse: opening one costs more than a simulated job."""
        self._kept.append(connection)

    def cut(self) -> None:
        """Break every connection."""
        self.generation += 1

    def make_engine(self, *arguments: Any, **options: Any) -> Engine:
        """Replace the bundle's `create_engine`: make an engine whose pools use virtual time."""
        pool = type("ServerPool", (VirtualPool,), {"server": self})
        # Options of the pool that is replaced.
        for option in ("pool_size", "max_overflow", "pool_timeout", "pool_use_lifo"):
            options.pop(option, None)
        return create_engine(*arguments, poolclass=pool, **options)

    def empty(self) -> None:
        """Remove every row and restart every sequence."""
        with self.engine.begin() as connection:
            tables = ", ".join(connection.execute(text(TABLES)).scalars())
            connection.execute(text(f"TRUNCATE {tables} RESTART IDENTITY CASCADE"))
            sequences = connection.execute(
                text("SELECT oid::regclass::text FROM pg_class WHERE relkind = 'S'")
            )
            for name in sequences.scalars().all():
                connection.execute(text(f"ALTER SEQUENCE {name} RESTART"))

    def rows(self, sql: str, **values: Any) -> Sequence[Any]:
        """Return all rows of a query of the backend or the checks."""
        with self.engine.begin() as connection:
            return connection.execute(text(sql), values).all()


@contextmanager
def server(directory: Path) -> Iterator[Server]:
    """Run a server with Mojodex's tables, the bundle's own tables and a virtual clock."""
    database = postgres.start(directory, settings=SERVER_SETTINGS)
    try:
        postgres.run_sql_file(database, postgres.MOJODEX_SCHEMA)
        migrate(database.secret())
        engine = create_engine(database.url, poolclass=NullPool)
        with engine.begin() as connection:
            connection.exec_driver_sql(VIRTUAL_CLOCK)
            name = database.dbname
            path = "simulation, public, pg_catalog"
            connection.exec_driver_sql(f"ALTER DATABASE {name} SET search_path = {path}")
        running = Server(database)
        try:
            yield running
        finally:
            running.engine.dispose()
    finally:
        postgres.stop(directory)


def _cannot_connect(how: str) -> Exception:
    error: Exception = dbapi.InterfaceError("Can't create a connection")
    if how == "starting":
        error = dbapi.ProgrammingError({"C": "57P03", "M": "the database system is starting up"})
    if how == "timeout":
        error = TimeoutError("timed out")
    return error
