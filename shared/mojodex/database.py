"""Database sessions: one engine per execution environment, verified TLS, short transactions.

The connection comes from a secret in the format that RDS writes (`host`, `port`, `username`, `password`,
`dbname`), with two optional fields named as libpq names them: `sslrootcert` (the text of the CA certificates
to trust, in PEM; without it the system's own are used, which know RDS Proxy but not RDS itself) and `sslmode`
(`verify-full`, or `disable` for loopback only).
"""

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, Concatenate

from sqlalchemy import URL, Engine, ExceptionContext, create_engine, event
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session

from mojodex.errors import TransientError
from mojodex.runtime import is_loopback, made_once
from mojodex.secrets import read_secret
from mojodex.settings import Settings

CONNECT_TIMEOUT_SECONDS = 10
# pg8000's timeout is per socket operation, so it must outlast the longest statement that the server lets run.
STATEMENT_TIMEOUT_SECONDS = 15
LOCK_TIMEOUT_SECONDS = 5
SOCKET_TIMEOUT_SECONDS = STATEMENT_TIMEOUT_SECONDS + 5

# Local to the transaction: a session setting would pin the connection behind RDS Proxy.
BEGIN = (
    "BEGIN; SELECT"
    f" set_config('statement_timeout', '{STATEMENT_TIMEOUT_SECONDS}s', true),"
    f" set_config('lock_timeout', '{LOCK_TIMEOUT_SECONDS}s', true),"
    " set_config('timezone', 'UTC', true)"
)

# SQLSTATE, PostgreSQL manual, appendix A. Classes: connection, resources, operator intervention (restart,
# cancelled statement), system error. Codes: serialization failure, deadlock, lock not available, and a
# password or user that is just being rotated, a server that is read-only.
READ_ONLY = "25006"
TRANSIENT_CLASSES = ("08", "53", "57", "58")
TRANSIENT_CODES = ("40001", "40P01", "55P03", "28P01", "28000", READ_ONLY)
WRONG_CREDENTIALS = ("28P01", "28000")


class DatabaseSettings(Settings):
    """Where the database is.

    Attributes:
        database_secret_arn: secret with the connection (see the module).
        database_pool_size: connections that one execution environment opens at most.
    """

    database_secret_arn: str
    database_pool_size: int = 1


def _tls(secret: dict[str, Any]) -> ssl.SSLContext | None:
    """The context that verifies chain and host name; None (plaintext) only for a loopback address with
    `sslmode=disable`.
    """
    mode, host = secret.get("sslmode", "verify-full"), str(secret["host"])
    if mode == "verify-full":
        return ssl.create_default_context(cadata=secret.get("sslrootcert"))
    if mode == "disable" and is_loopback(host):
        return None
    raise TransientError("database secret: sslmode is verify-full, or disable for a loopback address only")


def connect_arguments(secret: dict[str, Any]) -> dict[str, Any]:
    """pg8000's arguments for the connection that a secret describes.

    Raises:
        TransientError: the secret lacks a field or asks for unverified TLS; it names the field.
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


@made_once
def engine(settings: DatabaseSettings) -> Engine:
    """The engine of this execution environment; it connects when a session needs it.

    The secret is read for each new connection: when the password was rotated, the next connection has the new
        one.
    """
    made = create_engine(
        URL.create("postgresql+pg8000"),
        pool_size=settings.database_pool_size,
        max_overflow=0,
        pool_timeout=SOCKET_TIMEOUT_SECONDS,
        hide_parameters=True,
    )

    @event.listens_for(made, "do_connect")
    def _connect(dialect: Any, _record: Any, _args: Any, _kwargs: Any) -> Any:
        # Only now: the driver takes its time, and a cold start has none.
        from mojodex.wire import Connection

        arn = settings.database_secret_arn
        try:
            return Connection(**connect_arguments(read_secret(arn)))
        except dialect.loaded_dbapi.DatabaseError as error:
            if sqlstate(error) not in WRONG_CREDENTIALS:
                raise
            return Connection(**connect_arguments(read_secret(arn, force=True)))

    @event.listens_for(made, "checkout")
    def _begin(connection: Any, _record: Any, _proxy: Any) -> None:
        # A session takes a connection for one transaction. So its beginning, in one round trip, is also the
        # ping that tells whether the connection still lives. Not pool_pre_ping, which does not know that
        # pg8000 lets a socket's own errors through.
        try:
            connection.execute_simple(BEGIN)
        except (OSError, made.dialect.loaded_dbapi.Error) as error:
            raise DisconnectionError from error

    @event.listens_for(made, "handle_error")
    def _leave(context: ExceptionContext) -> None:
        # After a failover, a kept connection may lead to what is a read-only standby now.
        if sqlstate(context.original_exception) == READ_ONLY:
            context.is_disconnect = True

    return made


def sqlstate(error: BaseException | None) -> str:
    """The five characters that PostgreSQL gave the error; '' when it is not PostgreSQL's."""
    details = error.args[0] if error and error.args else None
    return str(details.get("C", "")) if isinstance(details, dict) else ""


def _is_transient(error: DBAPIError) -> bool:
    code = sqlstate(error.orig)
    if code:
        return code[:2] in TRANSIENT_CLASSES or code in TRANSIENT_CODES
    # No answer from the server: the connection is gone, or was never there.
    return True


@contextmanager
def db_session(settings: DatabaseSettings) -> Iterator[Session]:
    """A session that rolls back what its user did not commit, and is closed on every way out.

    Raises:
        TransientError: the database is away, busy, restarting, or a lock or statement took too long.
    """
    try:
        with Session(engine(settings), expire_on_commit=False) as session:
            yield session
    except DBAPIError as error:
        if _is_transient(error):
            raise TransientError(f"database: {sqlstate(error.orig) or type(error.orig).__name__}") from error
        raise
    except (PoolTimeoutError, OSError) as error:
        # pg8000 lets a socket's own errors through.
        raise TransientError(f"database: {type(error).__name__}") from error


def with_db_session[**P, R](
    function: Callable[Concatenate[Session, P], R],
) -> Callable[Concatenate[DatabaseSettings, P], R]:
    """Decorator: the function gets a `db_session` as its first argument; its caller passes the settings there
    instead.
    """

    @wraps(function)
    def in_session(settings: DatabaseSettings, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with db_session(settings) as session:
            return function(session, *args, **kwargs)

    return in_session
