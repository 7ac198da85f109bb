"""Run tests against mutants, each in a fork of a process that has imported nearly all modules.

A fork imports the mutant instead of the module. Its pytest runs the tests that execute the changed line,
quickest first, up to the first failure. Forks that run at the same time have different Postgres servers.
"""

import json
import os
import resource
import select
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from local.runtime import postgres
from maintenance.migrate.migration import migrate
from tools.mutate.imports import preload
from tools.mutate.python_mutants import Mutant
from tools.mutate.targets import ROOT, Target

# After this multiple of its tests' usual time, and these seconds, a fork is killed, and so is its mutant.
PATIENCE, SECONDS_TO_START = 5, 15
MEMORY_BYTES = 4 * 2**30
# Template for a new database, after a fork died in the middle of a test.
PRISTINE = "pristine"
END_SESSIONS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname <> 'postgres' AND pid <> pg_backend_pid()"
)
TOOL = 4


class MutationError(Exception):
    """The tests cannot be run, or fail without a mutant."""


@dataclass(frozen=True)
class Test:
    """A test that passes: its time, and the lines that it executes."""

    name: str
    seconds: float
    lines: frozenset[int]


class _Import(MetaPathFinder, Loader):
    """An importer that replaces the code of one module."""

    def __init__(self, name: str, path: str, code: CodeType) -> None:
        self._name, self._path, self._code = name, path, code

    def find_spec(self, fullname: str, path: object, target: object = None) -> ModuleSpec | None:
        if fullname != self._name:
            return None
        file = Path(self._path)
        folders = [str(file.parent)] if file.name == "__init__.py" else None
        return spec_from_file_location(fullname, file, loader=self, submodule_search_locations=folders)

    def exec_module(self, module: ModuleType) -> None:
        exec(self._code, module.__dict__)


class _Plugin:
    """A plugin of pytest: provides Postgres, chooses and orders tests, and writes down the failed one."""

    def __init__(
        self, database: postgres.Database, chosen: Sequence[str] | None = None, killer: Path | None = None
    ) -> None:
        self._database, self._chosen, self._killer = database, chosen, killer

    @pytest.hookimpl(tryfirst=True)
    def pytest_fixture_setup(self, fixturedef: Any, request: Any) -> postgres.Database | None:
        if fixturedef.argname != "database" or fixturedef.scope != "session":
            return None
        fixturedef.cached_result = self._database, fixturedef.cache_key(request), None
        return self._database

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        if self._chosen is not None:
            known = {item.nodeid: item for item in items}
            items[:] = [known[name] for name in self._chosen]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and self._killer:
            self._killer.write_text(report.nodeid)


class _Watch:
    """A plugin of pytest: records which lines of a module each test executes, and its time.

    Args:
        names: the module and its importers, whose caches must be cleared.
        code: of the module.
    """

    def __init__(self, names: Set[str], code: CodeType) -> None:
        self._names, self._lines = names, set[int]()
        self.tests: list[Test] = []
        monitoring = sys.monitoring
        monitoring.use_tool_id(TOOL, "mutate")
        monitoring.register_callback(TOOL, monitoring.events.LINE, self._line)
        for function in _functions(code):
            monitoring.set_local_events(TOOL, function, monitoring.events.LINE)

    def _line(self, _code: CodeType, line: int) -> object:
        self._lines.add(line)
        return sys.monitoring.DISABLE

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        # This test must execute what an earlier test has cached.
        for name in self._names & sys.modules.keys():
            for value in vars(sys.modules[name]).values():
                if hasattr(value, "cache_clear"):
                    value.cache_clear()
        self._lines.clear()
        sys.monitoring.restart_events()
        began = time.monotonic()
        done = yield
        self.tests.append(Test(item.nodeid, time.monotonic() - began, frozenset(self._lines)))
        return done


def _functions(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _functions(constant)


@contextmanager
def databases(directory: Path, number: int) -> Iterator[list[postgres.Database]]:
    """Start `number` servers, each with Mojodex's tables and ours."""
    with ExitStack() as stack:
        started = []
        for index in range(number):
            home = directory / str(index)
            started.append(postgres.start(home))
            stack.callback(postgres.stop, home)
            postgres.run_sql_file(started[-1], postgres.MOJODEX_SCHEMA)
            migrate(started[-1].secret())
            _run(started[-1], f"CREATE DATABASE {PRISTINE} TEMPLATE {started[-1].dbname}")
        yield started


def _forked(act: Callable[[], int], log: Path) -> int:
    """Run `act` in a fork that exits with its result, log the output, and return the fork's id."""
    sys.stdout.flush()
    sys.stderr.flush()
    if pid := os.fork():
        return pid
    code = 70
    try:
        os.setsid()
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for descriptor in (1, 2):
            os.dup2(output, descriptor)
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
        code = act()
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


def _pytest(target: Target, code: CodeType | str, files: Sequence[str], *plugins: object) -> int:
    os.chdir(ROOT)
    if isinstance(code, str):
        _replace_statement(target, code)
    else:
        sys.meta_path.insert(0, _Import(target.module, str(ROOT / target.path), code))
    options = [
        "--exitfirst",
        "--quiet",
        "--no-header",
        "--tb=line",
        "--assert=plain",
        "-p",
        "no:cacheprovider",
    ]
    return int(pytest.main([*options, *files], plugins=list(plugins)))


def _replace_statement(target: Target, statement: str) -> None:
    """Make `read_sql` return another statement for the target's file."""
    from mojodex import sql

    read, changed = sql.read_sql, ROOT / str(target.sql)

    def read_sql(path: Path) -> str:
        return statement if path == changed else read(path)

    sql.read_sql = read_sql


def measure(target: Target, database: postgres.Database, directory: Path) -> list[Test]:
    """Run a target's tests without a mutant, and return them with their times and lines.

    Raises:
        MutationError: a test fails.
    """
    stale = preload(target)
    code = compile((ROOT / target.path).read_text(), str(ROOT / target.path), "exec", dont_inherit=True)
    files = [f"tests/{name}" for name in target.tests if (ROOT / "tests" / name).exists()]
    result, log = directory / "tests.json", directory / "tests.log"

    def act() -> int:
        watch = _Watch(stale, code)
        exit_code = _pytest(target, code, files, _Plugin(database), watch)
        result.write_text(json.dumps([(test.name, test.seconds, [*test.lines]) for test in watch.tests]))
        return exit_code

    _, status = os.waitpid(_forked(act, log), 0)
    _renew(database)
    if os.waitstatus_to_exitcode(status):
        raise MutationError(f"{target.name}: the tests fail without a mutant:\n{log.read_text()[-3000:]}")
    return [Test(name, seconds, frozenset(lines)) for name, seconds, lines in json.loads(result.read_text())]


def chosen(mutant: Mutant, tests: Sequence[Test], kills: Counter[str], most_seconds: float) -> list[Test]:
    """Return the tests that may kill a mutant: those that killed most others first, then the quickest."""
    touched = [test for test in tests if mutant.lines is None or not test.lines.isdisjoint(mutant.lines)]
    found, seconds = list[Test](), 0.0
    for test in sorted(touched, key=lambda test: (-kills[test.name] / (0.1 + test.seconds), test.seconds)):
        seconds += test.seconds
        if found and seconds > most_seconds:
            break
        found.append(test)
    return found


@dataclass
class _Fork:
    mutant: Mutant
    database: postgres.Database
    pid: int
    ends: float
    killer: Path


def outcomes(
    target: Target,
    mutants: Sequence[Mutant],
    tests: Sequence[Test],
    free: Sequence[postgres.Database],
    directory: Path,
) -> Iterator[tuple[Mutant, bool]]:
    """Run the tests against each mutant, one at a time for each database; yield whether it survives."""
    waiting, places, kills = list(reversed(mutants)), list(free), Counter[str]()
    forks: dict[int, _Fork] = {}
    poll = select.poll()
    try:
        while waiting or forks:
            while waiting and places:
                mutant = waiting.pop()
                some = chosen(mutant, tests, kills, target.seconds)
                if not some:
                    yield mutant, True
                    continue
                fork = _start(target, mutant, some, places.pop(), directory)
                descriptor = os.pidfd_open(fork.pid)
                forks[descriptor] = fork
                poll.register(descriptor, select.POLLIN)
            for descriptor, _ in poll.poll(500):
                os.close(descriptor)
                poll.unregister(descriptor)
                fork = forks.pop(descriptor)
                _, status = os.waitpid(fork.pid, 0)
                if os.WIFSIGNALED(status):
                    _renew(fork.database)
                else:
                    _run(fork.database, END_SESSIONS)
                places.append(fork.database)
                yield fork.mutant, os.waitstatus_to_exitcode(status) == 0
                if fork.killer.exists():
                    # The latest kills count most, because one test often kills neighbours.
                    for name in kills:
                        kills[name] //= 2
                    kills[fork.killer.read_text()] += 64
                    fork.killer.unlink()
            for fork in forks.values():
                if time.monotonic() > fork.ends:
                    _kill(fork)
    finally:
        for fork in forks.values():
            _kill(fork)


def _kill(fork: _Fork) -> None:
    # With all processes that it started.
    with suppress(ProcessLookupError):
        os.killpg(fork.pid, signal.SIGKILL)


def _start(
    target: Target, mutant: Mutant, tests: Sequence[Test], database: postgres.Database, directory: Path
) -> _Fork:
    names = [test.name for test in tests]
    files = list(dict.fromkeys(name.partition("::")[0] for name in names))
    log, killer = directory / f"{database.port}.log", directory / f"{database.port}.killer"
    pid = _forked(lambda: _pytest(target, mutant.code, files, _Plugin(database, names, killer)), log)
    patience = PATIENCE * sum(test.seconds for test in tests) + SECONDS_TO_START
    return _Fork(mutant, database, pid, time.monotonic() + patience, killer)


def _renew(database: postgres.Database) -> None:
    """Restore the database from its template."""
    _run(
        database,
        f"DROP DATABASE {database.dbname} WITH (FORCE)",
        f"CREATE DATABASE {database.dbname} TEMPLATE {PRISTINE}",
    )


def _run(database: postgres.Database, *statements: str) -> None:
    engine = create_engine(replace(database, dbname="postgres").url, poolclass=NullPool)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for statement in statements:
            connection.execute(text(statement))
