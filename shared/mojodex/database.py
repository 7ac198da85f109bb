"""Open database sessions: one pool per execution environment, verified TLS, short transactions.

A secret in RDS's format names the database: `host`, `port`, `username`, `password` and `dbname`. Two more
fields are optional and named as in libpq:

    sslrootcert  the CA certificates to trust, as PEM text. The default is the system's own, which verify RDS
                 Proxy but not RDS itself.
    sslmode      `verify-full` (the default), or `disable`, for a loopback address only.
"""

import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Concatenate, Literal

from sqlalchemy import URL, Engine, ExceptionContext, create_engine, event
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session

from mojodex.clock import Deadline
from mojodex.errors import TransientError
from mojodex.runtime import is_loopback, made_once
from mojodex.secrets import read_secret
from mojodex.settings import Settings

# pg8000's timeout is per socket operation, so it must outlast the longest statement that the server lets run.
STATEMENT_TIMEOUT_SECONDS = 15
LOCK_TIMEOUT_SECONDS = 5
SOCKET_TIMEOUT_SECONDS = STATEMENT_TIMEOUT_SECONDS + 5
# Between two attempts of `with_db_session_patiently`.
PAUSE_SECONDS = 1

# Local to the transaction: a session setting would pin the connection behind RDS Proxy.
BEGIN = (
    "BEGIN; SELECT"
    f" set_config('statement_timeout', '{STATEMENT_TIMEOUT_SECONDS}s', true),"
    f" set_config('lock_timeout', '{LOCK_TIMEOUT_SECONDS}s', true),"
    " set_config('timezone', 'UTC', true)"
)

# SQLSTATE, PostgreSQL manual, appendix A. Classes: connection, resources, operator intervention (restart,
# cancelled statement), system error. Codes: serialization failure, deadlock, lock not available, wrong
# password or user (which may be in the middle of a rotation), read-only server.
READ_ONLY = "25006"
TRANSIENT_CLASSES = ("08", "53", "57", "58")
TRANSIENT_CODES = ("40001", "40P01", "55P03", "28P01", "28000", READ_ONLY)
WRONG_CREDENTIALS = ("28P01", "28000")
# Key in a pooled connection's `info`, which SQLAlchemy clears when it reconnects.
USED = "used"


class DatabaseSettings(Settings):
    """Settings of the database.

    Attributes:
        database_secret_arn: the secret that names the database (see the module).
        database_pool_size: the most connections that one execution environment opens.
    """

    database_secret_arn: str
    database_pool_size: int = 1


def _tls(secret: dict[str, Any]) -> ssl.SSLContext | Literal[False]:
    """Return a context that verifies chain and host name.

    False means plaintext, which only a loopback address with `sslmode=disable` may have.
    """
    mode, host = secret.get("sslmode", "verify-full"), str(secret["host"])
    if mode == "verify-full":
        return ssl.create_default_context(cadata=secret.get("sslrootcert"))
    if mode == "disable" and is_loopback(host):
        return False
    raise TransientError("database secret: sslmode is verify-full, or disable for a loopback address only")


def connect_arguments(secret: dict[str, Any]) -> dict[str, Any]:
    """Return pg8000's arguments for the connection that a secret describes.

    Raises:
        TransientError: a field is missing or not valid, or asks for unverified TLS.
    """
    try:
        return {
            "host": str(secret["host"]),
            "port": int(secret.get("port", 5432)),
            "user": str(secret["username"]),
            "password": str(secret["password"]),
            "database": str(secret["dbname"]),
            "ssl_context": _tls(secret),
            "timeout": SOCKET_TIMEOUT_SECONDS,
            "application_name": "mojodex-background",
        }
    except KeyError as missing:
        raise TransientError(f"database secret: {missing.args[0]} is missing") from None
    except (TypeError, ValueError, ssl.SSLError) as error:
        raise TransientError(f"database secret: a field is not valid ({type(error).__name__})") from None


def sqlstate(error: BaseException | None) -> str:
    """Return PostgreSQL's five-character code of an error; '' for any other error."""
    details = error.args[0] if error and error.args else None
    return str(details.get("C", "")) if isinstance(details, dict) else ""


class Database:
    """The Mojodex database, behind a pool of connections. The first statement connects.

    Each handler's module makes one. Threads can share it.
    """

    def __init__(self, settings: DatabaseSettings) -> None:
        self._settings = settings
        # Made on first use, because importing the driver would lengthen every cold start.
        self.engine = made_once(self._make_engine)

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Open a session, and close it on every exit. Uncommitted work is rolled back.

        Raises:
            TransientError: the database is down, busy or restarting, or a lock or statement took too long.
        """
        try:
            with Session(self.engine(), expire_on_commit=False) as session:
                yield session
        except DBAPIError as error:
            code = sqlstate(error.orig)
            # Without a code, the server did not answer: the connection broke, or was never made.
            if code and code[:2] not in TRANSIENT_CLASSES and code not in TRANSIENT_CODES:
                raise
            raise TransientError(f"database: {code or type(error.orig).__name__}") from error
        except (PoolTimeoutError, OSError) as error:
            # pg8000 does not wrap the errors of its socket.
            raise TransientError(f"database: {type(error).__name__}") from error

    def with_db_session[**P, R](
        self, function: Callable[Concatenate[Session, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Call `function(session, *args, **kwargs)` with a new session, and return its result.

        The session is closed when the function returns or raises. Uncommitted work is rolled back. Raises the
        errors of `session` and of the function.
        """
        with self.session() as session:
            return function(session, *args, **kwargs)

    def with_db_session_patiently[**P, R](
        self,
        deadline: Deadline,
        function: Callable[Concatenate[Session, P], R],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        """Call as `with_db_session`, but retry every second while the database is unavailable.

        Args:
            deadline: end of the retries, when the last TransientError is raised.
            function, args, kwargs: as `with_db_session`. A call that raises must leave nothing behind.
        """
        while True:
            try:
                return self.with_db_session(function, *args, **kwargs)
            except TransientError as error:
                # A subclass is another fault, such as a lost lease.
                if type(error) is not TransientError or deadline.seconds_left() < PAUSE_SECONDS:
                    raise
                time.sleep(PAUSE_SECONDS)

    def close(self) -> None:
        """Close the connections in the pool. A later session opens new ones."""
        self.engine().dispose()

    def _make_engine(self) -> Engine:
        engine = create_engine(
            URL.create("postgresql+pg8000"),
            pool_size=self._settings.database_pool_size,
            max_overflow=0,
            pool_timeout=SOCKET_TIMEOUT_SECONDS,
            hide_parameters=True,
        )
        event.listen(engine, "do_connect", self._connect)
        event.listen(engine, "checkout", self._begin)
        event.listen(engine, "handle_error", _discard_connection)
        return engine

    def _connect(self, dialect: Any, _record: Any, _args: Any, _kwargs: Any) -> Any:
        # Imported here, because the driver would lengthen every cold start.
        from mojodex.wire import Connection

        # Read for each new connection, to find a rotated password.
        arn = self._settings.database_secret_arn
        try:
            return Connection(**connect_arguments(read_secret(arn)))
        except dialect.loaded_dbapi.Error as error:
            # pg8000 raises 28000 as an InterfaceError.
            if sqlstate(error) not in WRONG_CREDENTIALS:
                raise
            return Connection(**connect_arguments(read_secret(arn, force=True)))

    def _begin(self, connection: Any, record: Any, _proxy: Any) -> None:
        # A session checks a connection out for one transaction, which begins here. This round trip is also
        # the ping. pool_pre_ping would miss the socket's errors, which pg8000 does not wrap.
        try:
            connection.execute_simple(BEGIN)
        except (OSError, self.engine().dialect.loaded_dbapi.Error) as error:
            if USED not in record.info:
                # A new connection would fail, too: behind a proxy, a failover looks like this.
                raise
            raise DisconnectionError from error
        record.info[USED] = True


def _discard_connection(context: ExceptionContext) -> None:
    """Discard the connection after an error, unless the server has sent the error.

    After any other error, such as a value that cannot be converted, the rest of the answer is unread. The
    next statement would read it.
    """
    code = sqlstate(context.original_exception)
    if code == READ_ONLY:
        # After a failover, the whole pool may be connected to the old server, now a read-only standby.
        context.is_disconnect = True
    elif not code:
        context.is_disconnect, context.invalidate_pool_on_disconnect = True, False
