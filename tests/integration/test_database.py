"""Sessions on a real database: verified TLS, killed connections, locks, rotated passwords."""

import json
import socket
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import boto3
import pg8000
import pytest
from pg8000 import dbapi, legacy
from pg8000.core import CoreConnection
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from local.runtime.postgres import Database
from mojodex import database as db
from mojodex import wire
from mojodex.errors import TransientError
from tests.certificates import certificate
from tests.fake_model import FakeModel, Reply
from tests.integration.conftest import Bundle, closing_databases
from tests.mojodex import Mojodex


@pytest.fixture
def databases() -> Iterator[dict[Any, db.Database]]:
    """Nothing is shared: each test's connections are new."""
    with closing_databases() as own:
        yield own


def answer(bundle: Bundle) -> Any:
    with bundle.database.session() as session:
        return session.execute(text("SELECT 42")).scalar()


def test_a_connection_that_was_killed_is_replaced(bundle: Bundle, mojodex: Mojodex) -> None:
    assert answer(bundle) == 42

    mojodex.run(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
        " WHERE application_name = 'mojodex-background'"
    )

    assert answer(bundle) == 42


@pytest.mark.parametrize(
    "error", [ConnectionResetError, BrokenPipeError, TimeoutError, pg8000.InterfaceError]
)
def test_a_connection_that_does_not_answer_is_replaced_before_it_is_used(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    run, errors = wire.Connection.execute_simple, iter([error()])
    assert answer(bundle) == 42

    def fail_once(connection: Any, statement: str) -> Any:
        for first in errors:
            raise first
        return run(connection, statement)

    monkeypatch.setattr(wire.Connection, "execute_simple", fail_once)

    assert answer(bundle) == 42
    assert list(errors) == []


def test_every_transaction_has_its_limits_and_leaves_none_behind(bundle: Bundle) -> None:
    names = ("statement_timeout", "lock_timeout", "TimeZone")
    with bundle.database.session() as session:
        limits = [[session.execute(text(f"SHOW {name}")).scalar() for name in names]]
        session.commit()
        limits.append([session.execute(text(f"SHOW {name}")).scalar() for name in names])
        connection = session.connection().connection.dbapi_connection
    after = [connection.execute_simple(f"SHOW {name}").rows[0][0] for name in names[:2]]

    assert limits == [["15s", "5s", "UTC"]] * 2
    assert after == ["0", "0"]


def test_a_connection_is_usable_after_a_failed_statement(bundle: Bundle) -> None:
    def run(sql: str, **values: Any) -> Any:
        with bundle.database.session() as session:
            pid = session.execute(text("SELECT pg_backend_pid()")).scalar()
            return pid, session.execute(text(sql), values).all()

    with pytest.raises(DBAPIError) as unknown:
        run("SELECT no_such_column, :a", a=1)
    with pytest.raises(DBAPIError) as divided:
        run("SELECT CAST(n AS integer) / CAST(:zero AS integer) FROM generate_series(1, 3) n", zero=0)
    pid, rows = run("SELECT '100 %', CAST(:a AS integer), CAST(:b AS text)", a=7, b="x % y")

    assert [db.sqlstate(each.value.orig) for each in (unknown, divided)] == ["42703", "22012"]
    assert rows == [("100 %", 7, "x % y")]
    assert run("SELECT 1") == (pid, [(1,)])


def numbered_answers(bundle: Bundle) -> list[tuple[int, int]]:
    """Read a different number in each of several sessions. Return the numbers and server processes."""
    answers = []
    for number in range(3):
        with bundle.database.session() as session:
            row = session.execute(text("SELECT CAST(:n AS integer), pg_backend_pid()"), {"n": number}).one()
            answers.append((row[0], row[1]))
    return answers


@pytest.mark.parametrize(
    ("sql", "error"),
    [
        # Python does not convert a number with so many digits.
        ("SELECT CAST(repeat('9', 5000) AS json) FROM generate_series(1, 3)", ValueError),
        # Answered after the socket's timeout.
        ("SELECT pg_sleep(1.5)", TransientError),
    ],
    ids=["a value that cannot be converted", "a late answer"],
)
def test_no_session_gets_the_rest_of_an_unread_answer(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, sql: str, error: type[Exception]
) -> None:
    """Each later session on that connection would get the answer to the previous statement."""
    monkeypatch.setattr(db, "SOCKET_TIMEOUT_SECONDS", 1)
    before = {pid for _, pid in numbered_answers(bundle)}

    with pytest.raises(error), bundle.database.session() as session:
        session.execute(text(sql)).all()

    answers = numbered_answers(bundle)
    assert [number for number, _ in answers] == [0, 1, 2]
    assert before.isdisjoint(pid for _, pid in answers)


def test_an_error_of_the_client_leaves_the_other_connections(bundle: Bundle) -> None:
    with bundle.database.session() as one, bundle.database.session() as other:
        kept = one.execute(text("SELECT pg_backend_pid()")).scalar()
        with pytest.raises(ValueError, match="digits"):
            other.execute(text("SELECT CAST(repeat('9', 5000) AS json)"))

    assert kept in {pid for _, pid in numbered_answers(bundle)}


def test_a_connection_killed_within_a_transaction_is_transient(bundle: Bundle, mojodex: Mojodex) -> None:
    with pytest.raises(TransientError), bundle.database.session() as session:
        pid = session.execute(text("SELECT pg_backend_pid()")).scalar()
        mojodex.run("SELECT pg_terminate_backend(:p)", p=pid)
        session.execute(text("SELECT 1"))
        session.execute(text("SELECT 1"))


def test_a_connection_that_became_read_only_is_replaced(bundle: Bundle, mojodex: Mojodex) -> None:
    """After a failover, kept connections lead to a standby, and a ping does not notice."""
    mojodex.run("ALTER ROLE CURRENT_USER SET default_transaction_read_only = on")
    try:
        bundle.database.close()
        with pytest.raises(TransientError, match="25006"), bundle.database.session() as session:
            session.execute(text("CREATE TABLE nobody_wants_this (x integer)"))
    finally:
        with mojodex.engine.connect() as connection:
            connection.execute(text("SET default_transaction_read_only = off"))
            connection.execute(text("ALTER ROLE CURRENT_USER RESET default_transaction_read_only"))
            connection.commit()

    with bundle.database.session() as session:
        session.execute(text("CREATE TEMPORARY TABLE somebody_wants_this (x integer)"))


def test_an_uncommitted_change_is_rolled_back(bundle: Bundle, mojodex: Mojodex) -> None:
    with bundle.database.session() as session:
        session.execute(text("INSERT INTO md_error (message, creation_date) VALUES ('x', now())"))

    assert mojodex.run("SELECT count(*) FROM md_error") == 0


def test_a_database_connects_at_its_first_statement_and_makes_one_engine(bundle: Bundle) -> None:
    """Importing a handler must neither read the secret nor connect."""
    database = db.Database(db.DatabaseSettings(database_secret_arn="not there"))
    with ThreadPoolExecutor(8) as threads:
        engines = set(threads.map(lambda _: database.engine(), range(8)))

    assert len(engines) == 1
    with database.session() as session, pytest.raises(TransientError, match="secret"):
        session.execute(text("SELECT 1"))


def test_a_function_is_called_with_a_session_that_is_closed_afterwards(bundle: Bundle) -> None:
    def add(session: Any, a: int, *, b: int) -> Any:
        return session.execute(text("SELECT CAST(:a AS integer) + :b"), {"a": a, "b": b}).scalar()

    assert bundle.database.with_db_session(add, 1, b=2) == 3
    assert bundle.database.engine().pool.checkedout() == 0  # type: ignore[attr-defined]


@pytest.mark.parametrize(("ours", "expected"), [(True, (2, 1)), (False, (6, 2))])
def test_our_connections_save_round_trips_and_translations_and_leave_others_alone(
    database: Database, monkeypatch: pytest.MonkeyPatch, *, ours: bool, expected: tuple[int, int]
) -> None:
    """Count round trips and translations of placeholders for a statement that runs twice."""
    counts: Counter[str] = Counter()
    arguments = db.connect_arguments(database.secret())
    connection = wire.Connection(**arguments) if ours else pg8000.connect(**arguments)
    wire.numbered.cache_clear()

    def counting(function: Callable[..., Any]) -> Callable[..., Any]:
        def count(*given: Any) -> Any:
            counts[function.__name__] += 1
            return function(*given)

        return count

    with closing(connection), closing(connection.cursor()) as cursor, monkeypatch.context() as patched:
        cursor.execute("BEGIN")
        for owner, name in ((CoreConnection, "handle_messages"), (legacy, "convert_paramstyle")):
            patched.setattr(owner, name, counting(getattr(owner, name)))
        rows = [cursor.execute("SELECT CAST(%s AS integer) + %s", (40, n)).fetchall() for n in (1, 2)]

    assert rows == [([41],), ([42],)]
    assert (counts["handle_messages"], counts["convert_paramstyle"]) == expected
    # pg8000's own method was counted.
    assert legacy.convert_paramstyle is dbapi.convert_paramstyle


def test_our_own_error_is_not_taken_for_an_outage(bundle: Bundle) -> None:
    with (
        pytest.raises(Exception, match="no_such_table") as caught,
        bundle.database.session() as s,
    ):
        s.execute(text("SELECT * FROM no_such_table"))

    assert not isinstance(caught.value, TransientError)


def test_a_rotated_password_is_read_again(make_bundle: Callable[..., Bundle], database: Database) -> None:
    bundle = make_bundle(secret=database.secret() | {"password": "old"})
    with pytest.raises(TransientError):
        answer(bundle)

    boto3.client("secretsmanager").put_secret_value(
        SecretId="database", SecretString=json.dumps(database.secret())
    )

    assert answer(bundle) == 42


def test_the_secret_is_read_again_when_its_user_may_no_longer_log_in(
    make_bundle: Callable[..., Bundle], database: Database, mojodex: Mojodex
) -> None:
    """After a rotation between two users. PostgreSQL says 28000, which pg8000 raises as an InterfaceError."""
    mojodex.run("CREATE ROLE retired NOLOGIN PASSWORD 'old'")
    secrets = boto3.client("secretsmanager")
    try:
        bundle = make_bundle(secret=database.secret() | {"username": "retired", "password": "old"})
        with pytest.raises(TransientError, match="28000"):
            answer(bundle)

        secrets.put_secret_value(SecretId="database", SecretString=json.dumps(database.secret()))

        assert answer(bundle) == 42
    finally:
        mojodex.run("DROP ROLE retired")


# A proxy during a failover: it accepts a client, and then has no server for its first statement.

GONE = b"SFATAL\0VFATAL\0C57P01\0Mthe server is gone\0\0"
PROXY_ANSWERS = {
    "an error": b"E" + (len(GONE) + 4).to_bytes(4) + GONE + b"Z\0\0\0\5I",
    "an error, and hangs up": b"E" + (len(GONE) + 4).to_bytes(4) + GONE,
    "hangs up": b"",
}


@pytest.fixture
def failing_proxy() -> Iterator[Callable[[bytes], tuple[int, list[int]]]]:
    """Start a proxy that answers each client's first statement with this. Return its port and clients."""
    listeners: list[socket.socket] = []

    def serve(client: socket.socket, reply: bytes) -> None:
        with suppress(OSError), client:
            # The client logs in.
            client.recv(4096)
            client.sendall(b"R\0\0\0\x08\0\0\0\0" + b"Z\0\0\0\5I")
            client.recv(4096)
            client.sendall(reply)

    def accept(listener: socket.socket, reply: bytes, clients: list[int]) -> None:
        with suppress(OSError):
            while True:
                client, (_, port) = listener.accept()
                clients.append(port)
                threading.Thread(target=serve, args=(client, reply), daemon=True).start()

    def start(reply: bytes) -> tuple[int, list[int]]:
        listener, clients = socket.create_server(("127.0.0.1", 0)), list[int]()
        listeners.append(listener)
        threading.Thread(target=accept, args=(listener, reply, clients), daemon=True).start()
        return int(listener.getsockname()[1]), clients

    yield start
    for listener in listeners:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()


@pytest.mark.parametrize("reply", PROXY_ANSWERS)
def test_a_new_connection_that_cannot_begin_is_transient(
    bundle: Bundle,
    database: Database,
    failing_proxy: Any,
    monkeypatch: pytest.MonkeyPatch,
    reply: str,
) -> None:
    """SQLAlchemy raised an InvalidRequestError after three connects."""
    assert answer(bundle) == 42
    port, clients = failing_proxy(PROXY_ANSWERS[reply])
    monkeypatch.setattr(db, "read_secret", lambda *_, **__: database.secret() | {"port": port})
    bundle.database.close()

    with pytest.raises(TransientError, match="57P01" if reply == "an error" else "database: "):
        answer(bundle)

    assert len(clients) == 1


@pytest.mark.parametrize("reply", PROXY_ANSWERS)
def test_a_failover_during_the_release_does_not_hide_the_jobs_own_error(
    bundle: Bundle,
    database: Database,
    mojodex: Mojodex,
    model: FakeModel,
    failing_proxy: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    reply: str,
) -> None:
    """The release's error would mask the model's, with its Retry-After."""
    port, _ = failing_proxy(PROXY_ANSWERS[reply])
    pk = mojodex.execution("I will call Bob")

    def fail_over(_request: Any) -> Reply:
        monkeypatch.setattr(db, "read_secret", lambda *_, **__: database.secret() | {"port": port})
        bundle.database.close()
        return Reply(status=429, headers={"Retry-After": "600"})

    model.script = fail_over
    response = bundle.work({"user_task_execution_pk": pk})

    assert len(response["batchItemFailures"]) == 1
    (line,) = [vars(r) for r in caplog.records if r.getMessage() == "message is retried"]
    assert line["reason"].startswith("language model")
    assert line["seconds"] >= 600


@pytest.mark.parametrize("missing", ["host", "username", "password", "dbname"])
def test_a_secret_without_a_field_names_it(
    make_bundle: Callable[..., Bundle], database: Database, missing: str
) -> None:
    secret = database.secret()
    del secret[missing]

    with pytest.raises(TransientError, match=missing):
        answer(make_bundle(secret=secret))


def test_plaintext_is_refused_for_a_host_that_is_not_loopback(
    make_bundle: Callable[..., Bundle], database: Database
) -> None:
    with pytest.raises(TransientError, match="sslmode"):
        answer(make_bundle(secret=database.secret() | {"host": "db.example.com"}))


# TLS. The embedded Postgres has none, so a proxy in front adds Postgres's protocol for it:
# one byte, then a handshake.


@pytest.fixture
def tls_proxy(database: Database) -> Iterator[Callable[[ssl.SSLContext | None], int]]:
    """Start a proxy with this context, or without TLS, and return its port."""
    listeners: list[socket.socket] = []

    def pump(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def serve(client: socket.socket, context: ssl.SSLContext | None) -> None:
        with suppress(OSError), client:
            client.recv(8)
            client.sendall(b"S" if context else b"N")
            if context is None:
                return
            with (
                context.wrap_socket(client, server_side=True) as secure,
                socket.create_connection((database.host, database.port)) as server,
            ):
                back = threading.Thread(target=pump, args=(server, secure), daemon=True)
                back.start()
                pump(secure, server)
                back.join()

    def accept(listener: socket.socket, context: ssl.SSLContext | None) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=serve, args=(client, context), daemon=True).start()

    def start(context: ssl.SSLContext | None) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)
        threading.Thread(target=accept, args=(listener, context), daemon=True).start()
        return int(listener.getsockname()[1])

    yield start
    for listener in listeners:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def tls_secret(database: Database, port: int, **more: Any) -> dict[str, Any]:
    secret = database.secret() | {"host": "localhost", "port": port} | more
    del secret["sslmode"]
    return secret


def test_a_certificate_of_the_trusted_authority_is_accepted(
    make_bundle: Callable[..., Bundle], database: Database, tls_proxy: Any, tmp_path: Path
) -> None:
    pem, context = certificate("localhost", tmp_path)

    bundle = make_bundle(secret=tls_secret(database, tls_proxy(context), sslrootcert=pem))

    assert answer(bundle) == 42


@pytest.mark.parametrize("case", ["other authority", "other host", "system authorities", "no TLS"])
def test_an_unverified_server_is_refused(
    make_bundle: Callable[..., Bundle], database: Database, tls_proxy: Any, tmp_path: Path, case: str
) -> None:
    pem, context = certificate("localhost", tmp_path)
    other_pem, other_context = certificate("elsewhere.example.com", tmp_path)
    served, trusted = {
        "other authority": (context, other_pem),
        "other host": (other_context, other_pem),
        "system authorities": (context, None),
        "no TLS": (None, pem),
    }[case]
    more = {"sslrootcert": trusted} if trusted else {}

    bundle = make_bundle(secret=tls_secret(database, tls_proxy(served), **more))

    with pytest.raises(TransientError):
        answer(bundle)
