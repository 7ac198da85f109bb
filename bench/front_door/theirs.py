"""Processes that run Mojodex's own code: its Background, and the code that calls one."""

import json
import os
import subprocess
import venv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import requests
from sqlalchemy import URL

from bench.front_door import fixture
from local.runtime import processes

# Mojodex's requirements that the code run here imports.
AS_PINNED = (
    "beautifulsoup4==4.12.2",
    "configparser==6.0.0",
    "Flask==2.2.5",
    "Flask-RESTful==0.3.10",
    "Flask-SQLAlchemy==3.1.1",
    "gevent-websocket==0.10.1",
    "google-auth==2.23.0",
    "gunicorn==20.1.0",
    "itsdangerous==2.0.0",
    "Jinja2==3.1.2",
    "mistralai==0.3.0",
    "ollama==0.1.7",
    "openai==1.3.7",
    "pgvector==0.2.4",
    "PyJWT==2.8.0",
    "python-dateutil==2.8.2",
    "requests==2.31.0",
    "SQLAlchemy==2.0.31",
    "tzlocal==5.0.1",
    "Werkzeug==2.3.7",
)
# Mojodex's pinned versions have no wheel for Python 3.13.
OTHERWISE = {
    "gevent==26.9.0": "23.9.1",
    "pillow==13.0.0": "10.3.0",
    "psycopg2-binary==2.9.13": "2.9.9",
    "pydantic==2.14.4": "2.5.2",
    "tiktoken==0.14.0": "0.4.0",
}
# Not pinned by Mojodex. gunicorn needs pkg_resources, which newer versions of setuptools lack.
ADDED = ("schedule==1.2.2", "setuptools==80.10.2")
SERVER = "background"
# As in background/Dockerfile.
WORKER = "geventwebsocket.gunicorn.workers.GeventWebSocketWorker"
SCHEMA = "pgsql/create-mojodex-db.sql"
FILES = ("background/app/app.py", "backend/app/routes/resource.py", SCHEMA)


class TheirsError(Exception):
    """Mojodex's code does not run; the message is the reason."""


@dataclass(frozen=True)
class Mojodex:
    """A checkout and its surroundings.

    Attributes:
        checkout: folder of the repository hoomano/mojodex.
        environment: folder for its libraries and logs.
        database: the URL of the database with its tables.
    """

    checkout: Path
    environment: Path
    database: URL

    def install(self) -> None:
        """Install its libraries, unless they are installed.

        Raises:
            TheirsError: the package index does not have them.
        """
        wanted = "\n".join((*AS_PINNED, *OTHERWISE, *ADDED))
        done = self.environment / "requirements.txt"
        if done.exists() and done.read_text() == wanted:
            return
        venv.create(self.environment / "venv", with_pip=True, clear=True)
        self._run("pip", ["-m", "pip", "install", "--quiet", *wanted.split()])
        done.write_text(wanted)

    def create_missing_tables(self) -> None:
        """Create the tables that the database lacks.

        Raises:
            TheirsError: that failed.
        """
        self._call("tables", self.checkout)

    @contextmanager
    def background(self) -> Iterator[str]:
        """Run its Background and yield its URL.

        Raises:
            StartError: it does not start.
        """
        port = processes.free_port()
        url = f"http://127.0.0.1:{port}"
        gunicorn: list[str | Path] = [self._python, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}"]
        processes.start(
            [*gunicorn, "--workers", "1", "--preload", "-k", WORKER, "app:app"],
            directory=self.environment,
            name=SERVER,
            environment=self._variables(),
            ready=lambda: _answers(url),
            cwd=self.checkout / "background" / "app",
        )
        try:
            yield url
        finally:
            processes.stop(self.environment, SERVER)

    def backend(self, url: str, website: str, deleted_website: str) -> list[dict[str, Any]]:
        """Run its backend's routes that call a Background, and return their answers.

        Args:
            url: the URL of the Background.
            website: a website that can be fetched, and is not a document yet.
            deleted_website: the name of the document that its user has deleted.

        Raises:
            TheirsError: the backend does not run.
        """
        moment = {"datetime": "2026-11-27T08:30:00"}
        text = {"document_pk": fixture.LEARNED, "edition": "The shop opens at nine."}
        asked: list[tuple[str, str, str, dict[str, Any]]] = [
            ("MojoResource.put, a new website", "PUT", "/resource", {"website_url": website}),
            ("MojoResource.put, a deleted website", "PUT", "/resource", {"website_url": deleted_website}),
            ("MojoResource.post, a text", "POST", "/resource", text),
            ("MojoResource.post, its key as text", "POST", "/resource", text | {"document_pk": "7001"}),
            ("MojoResource.post, a page", "POST", "/resource", {"document_pk": fixture.WEBPAGE}),
            ("Company.put", "PUT", "/company", {"website_url": website}),
        ]
        described = [
            {"name": name, "method": method, "path": path, "json": moment | payload}
            for name, method, path, payload in asked
        ]
        return self._happened("backend", self.checkout / "backend" / "app", described, url)

    def scheduler(self, url: str) -> list[dict[str, Any]]:
        """Run its scheduler's tasks that call a Background, and return the answers they got.

        Args:
            url: the URL of the Background.

        Raises:
            TheirsError: the scheduler does not run.
        """
        tasks = [
            ("extract_todos.ExtractTodos", {}),
            ("reschedule_todos.RescheduleTodos", {}),
            ("send_todo_daily_emails.SendTodoDailyEmails", {}),
            # Three users are due: a full page, and one that is not full.
            ("send_todo_daily_emails.SendTodoDailyEmails", {"batch_size": 2}),
        ]
        described = [{"task": task, "arguments": arguments} for task, arguments in tasks]
        return self._happened("scheduler", self.checkout / "scheduler" / "app", described, url)

    def _happened(self, command: str, code: Path, described: Sequence[Any], url: str) -> list[dict[str, Any]]:
        printed = self._call(command, code, json.dumps(described), url=url)
        return list(json.loads(printed.splitlines()[-1]))

    def _call(self, command: str, code: Path, *arguments: str, url: str = "") -> str:
        program = Path(__file__).with_name("callers.py")
        # The scheduler writes logs to its working directory; the backend reads prompts from there.
        cwd = code if command == "backend" else self.environment
        variables = self._variables(code) | {"BACKGROUND_BACKEND_URI": url}
        return self._run(command, [program, command, *arguments], variables, cwd)

    def _run(
        self,
        name: str,
        arguments: Sequence[str | Path],
        variables: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> str:
        """Run Python with Mojodex's libraries. Standard error goes to a log of this name."""
        log = self.environment / f"{name}.log"
        with log.open("w") as errors:
            done = subprocess.run(
                [self._python, *arguments],
                env=variables,
                cwd=cwd,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                check=False,
            )
        if done.returncode:
            raise TheirsError(f"{name} ended with exit code {done.returncode}\n{processes.tail(log)}")
        return done.stdout

    @property
    def _python(self) -> Path:
        return self.environment / "venv" / "bin" / "python"

    def _variables(self, code: Path | None = None) -> dict[str, str]:
        """Return the settings of its .env that are read. Without a model or mail server, work fails."""
        url = self.database
        username, password = (quote(part or "", safe="") for part in (url.username, url.password))
        host = f"{url.host}:{url.port or 5432}/{url.database}"
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "PYTHONPATH": os.pathsep.join(map(str, filter(None, (code, self.checkout)))),
            # Write nothing into the checkout.
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONWARNINGS": "ignore",
            # Mojodex compares naive dates, because its containers run in UTC.
            "TZ": "UTC",
            "NO_PROXY": "127.0.0.1",
            "DBUSER": username,
            "DBPASS": password,
            # Mojodex appends ":5432/NAME" to the host. This turns it into the application's name.
            "DBHOST": f"{host}?application_name=",
            "DBNAME": "",
            "DATABASE_URL": f"postgresql+psycopg2://{username}:{password}@{host}",
            "ENVIRONMENT": "local",
            "LOG_LEVEL": "error",
            "FLASK_SECRET_KEY": "flask",
            "MOJODEX_WEBAPP_URI": "http://127.0.0.1",
            "MOJODEX_SCHEDULER_SECRET": "scheduler",
            "BACKOFFICE_SECRET": "backoffice",
            "JWT_SECRET": "jwt",
            "ENCODING_ALGORITHM": "HS256",
            "TOKEN_SECRET_SPLITTER": "__mojodex__",
            "USER_ID": fixture.NIGHT,
        }


def missing_files(checkout: Path) -> list[str]:
    """Return the files that a folder lacks to be a checkout of hoomano/mojodex."""
    return [name for name in FILES if not (checkout / name).is_file()]


def _answers(url: str) -> bool:
    with requests.Session() as session:
        session.trust_env = False
        try:
            return session.get(url, timeout=5).ok
        except requests.ConnectionError:
            return False
