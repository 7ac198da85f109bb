"""`python -m bench.front_door`: see the docstring of the package."""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
from sqlalchemy import URL, Engine, create_engine, make_url

import bench.front_door as package
from bench import ROOT
from bench.front_door import fixture
from bench.front_door.calls import CALLS, Answer, Call, parsed, send
from bench.front_door.fixture import ForeignRowsError
from bench.front_door.theirs import ADDED, OTHERWISE, SCHEMA, Mojodex, TheirsError, missing_files
from local.runtime import postgres
from local.runtime.processes import StartError
from mojodex.clock import utc_now
from tests.website import website

RECORDED = ROOT / "tests" / "mojodex_calls.json"
# Characters of an answer in a table, and of a line.
WIDTH, LINE = 72, 150
ABOUT = (
    "The answers of Mojodex's own Background (hoomano/mojodex, commit 4a6b447), by bench.front_door --write."
    " The database holds exactly these rows. A user's local time is half past local_hour on a weekday;"
    " 'planned' is a day in its user's calendar. In an answer, … stands for any text."
)
REPLACED = f"""
How Mojodex's code runs here
  Background: app.py, its routes, its entities and its database's SQL file are unchanged. gunicorn runs them
    with the worker of its Dockerfile.
  Versions that differ because the pinned one has no wheel for Python 3.13:
    {", ".join(f"{name} instead of {pinned}" for name, pinned in OTHERWISE.items())}.
    Added: {", ".join(ADDED)}.
  No model and no mail server are configured, so the work behind an answer fails.
  Backend: a Flask app with the same database, translator and two routes replaces app.py. MPT.run returns a
    fixed company. The user's token is real. WebsiteParser fetches a website on loopback.
  Scheduler: job() of three tasks runs once each, unchanged and without its clock.
  In both, a wrapper of requests.post prints the requests."""

UNREAL = """
  At this hour some users would need time zones that do not exist. Mojodex accepts any offset, our API does
    not. Between 01:30 and 15:30 UTC on a weekday all time zones exist."""


def answers(engine: Engine, url: str) -> list[Answer]:
    """Send all requests, each to the rows of the fixture."""
    found = []
    for call in CALLS:
        fixture.restore(engine, utc_now())
        found.append(send(call, url))
    return found


def run_callers(mojodex: Mojodex, engine: Engine, url: str) -> bool:
    """Run Mojodex's code that calls a Background. Return whether all calls succeeded."""
    with website() as site:
        site.simple("/", "/old")
        fixture.restore(engine, utc_now(), f"{site.url}/old")
        happened = mojodex.backend(url, site.url, f"{site.url}/old")
    fixture.restore(engine, utc_now())
    happened += mojodex.scheduler(url)
    for each in happened:
        _print_caller(each)
    return all(map(_went_well, happened))


def _print_caller(each: Mapping[str, Any]) -> None:
    print(f"\n  {each['name']}{'' if _went_well(each) else '   FAILED'}")
    for call in each["calls"]:
        print(_cut(f"    POST {call['path']} {json.dumps(call['json'])}", LINE))
        print(_cut(f"      {call['status']} {_text(parsed(call['body']))}", LINE))
    for line in each.get("errors", ()):
        print(f"    error in its log: {line}")
    if "status" in each:
        print(_cut(f"    its user got {each['status']} {_text(parsed(each['body']))}", LINE))


def _went_well(each: Mapping[str, Any]) -> bool:
    """Return whether a caller made calls, all succeeded, and it logged no error."""
    statuses = [call["status"] for call in each["calls"]]
    return set(statuses) == {200} and each.get("status", 200) == 200 and not each.get("errors")


def compare(theirs: Sequence[Answer], ours: Sequence[Answer]) -> bool:
    """Print both answers. Return whether all requests that Mojodex sends get the same answer."""
    alike = True
    for call, expected, answer in zip(CALLS, theirs, ours, strict=True):
        same = answer.matches(expected)
        alike = alike and (same or not call.sent_by_mojodex)
        verdict = "same" if same else "DIFFERENT" if call.sent_by_mojodex else "different"
        columns = (_cut(_shown(each), WIDTH).ljust(WIDTH) for each in (expected, answer))
        print("  ".join((_name(call), *columns, verdict)))
        if not same:
            print(f"      theirs  {_shown(expected)}\n      ours    {_shown(answer)}")
    return alike


def write(theirs: Sequence[Answer]) -> None:
    """Write the answers to tests/mojodex_calls.json, one line for each request."""
    lines = [
        json.dumps(
            call.described()
            | {"status": answer.status, "body": answer.body, "sent_by_mojodex": call.sent_by_mojodex},
            ensure_ascii=False,
        )
        for call, answer in zip(CALLS, theirs, strict=True)
    ]
    tables = [
        f'"{name}": [\n{",\n".join(f"  {json.dumps(row)}" for row in rows)}\n ]'
        for name, rows in fixture.described().items()
    ]
    RECORDED.write_text(
        f'{{"about": {json.dumps(ABOUT, ensure_ascii=False)},\n"fixture": {{\n {",\n ".join(tables)}\n}},\n'
        f'"calls": [\n {",\n ".join(lines)}\n]}}\n'
    )


def _name(call: Call) -> str:
    return f"{'*' if call.sent_by_mojodex else ' '} {call.name:42}"


def _shown(answer: Answer) -> str:
    return f"{answer.status} {_text(answer.body)}"


def _text(body: Any) -> str:
    return " ".join((body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)).split())


def _cut(line: str, width: int) -> str:
    return line if len(line) <= width else line[: width - 3] + "..."


@contextmanager
def _database(url: str | None, schema: Path, directory: Path) -> Iterator[URL]:
    """Yield the database of the URL, or an embedded one with the tables of an SQL file."""
    if url:
        yield make_url(url)
        return
    postgres.stop(directory)
    database = postgres.start(directory)
    try:
        postgres.run_sql_file(database, schema)
        yield database.url
    finally:
        postgres.stop(directory)


def _run(mojodex: Mojodex, engine: Engine, url: str | None, is_written: bool) -> bool:
    """Run the steps of the package's docstring. Return whether Mojodex's code sees no difference."""
    print(f"{REPLACED}{'' if fixture.is_real(utc_now()) else UNREAL}")
    with mojodex.background() as their_url:
        theirs = answers(engine, their_url)
        print("\nTheir answers; * marks requests that Mojodex's own code can send\n")
        for call, answer in zip(CALLS, theirs, strict=True):
            print(f"{_name(call)}  {_shown(answer)}")
        print("\nMojodex's callers against its own Background")
        well = run_callers(mojodex, engine, their_url)
    if is_written:
        write(theirs)
    if url:
        print("\nTheir answers and ours\n")
        well &= compare(theirs, answers(engine, url))
        print("\nMojodex's callers against ours")
        well &= run_callers(mojodex, engine, url)
    return well


def main() -> int:
    """Run the comparison. Return 1 if Mojodex's own code would see a difference."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.front_door",
        description=package.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--mojodex", type=Path, metavar="DIR", required=True)
    parser.add_argument("--environment", type=Path, metavar="DIR", default=ROOT / ".local" / "mojodex")
    parser.add_argument("--url", metavar="URL", help="our API, with name and secret")
    parser.add_argument("--database-url", metavar="URL", help="postgresql+pg8000://…, with a superuser")
    parser.add_argument("--write", action="store_true", help=f"write {RECORDED.relative_to(ROOT)}")
    arguments = parser.parse_args()
    if missing := missing_files(arguments.mojodex):
        parser.error(f"{arguments.mojodex} has no {', '.join(missing)}")
    if arguments.url and not arguments.database_url:
        parser.error("--url needs --database-url")
    checkout, environment = arguments.mojodex.resolve(), arguments.environment.resolve()
    environment.mkdir(parents=True, exist_ok=True)
    try:
        with _database(arguments.database_url, checkout / SCHEMA, environment / "database") as database:
            engine = create_engine(database)
            fixture.check_is_ours(engine)
            mojodex = Mojodex(checkout, environment, database)
            mojodex.install()
            mojodex.create_missing_tables()
            well = _run(mojodex, engine, arguments.url, arguments.write)
            engine.dispose()
    except (TheirsError, ForeignRowsError, StartError, requests.RequestException) as error:
        print(error, file=sys.stderr)
        return 1
    return int(not well)


if __name__ == "__main__":
    sys.exit(main())
