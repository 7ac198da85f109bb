"""No query of the list, the overview or a retry reads the whole ledger, and the first screen needs few."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.orm import Session

from mojodex.clock import utc_now
from operate import environment, overview
from operate.jobs import listing, retry
from operate.jobs.job_id import JobKey
from operate.jobs.listing import Filter
from tests.integration.operate.conftest import Operated

JOBS = 20_000
LEDGER = "md_background_job"
NOW = utc_now()
# One job in fifty has failed, and each user has twenty jobs.
FILL = f"""
INSERT INTO {LEDGER} (process, subject, occasion, state, attempts, queued_at, finished_at, outcome, user_id)
SELECT (ARRAY['extract_todos', 'events', 'reschedule_todo', 'ingest_page', 'update_document',
        'create_from_website'])[1 + mod(i, 6)],
    'user-' || mod(i, {JOBS} / 20) || ' https://example.com/' || i, 'occasion', state, 1, at,
    CASE WHEN state NOT IN ('queued', 'running') THEN at END,
    jsonb_build_object('reason', 'reason ' || mod(i, 30)), 'user-' || mod(i, {JOBS} / 20)
FROM (
    SELECT i, CAST(:now AS timestamptz) - i * interval '2 minutes' AS at,
        CASE WHEN i <= 60 THEN (ARRAY['queued', 'running'])[1 + mod(i, 2)]
            WHEN mod(i, 50) = 7 THEN 'failed' WHEN mod(i, 50) = 9 THEN 'skipped' ELSE 'done' END AS state
    FROM generate_series(1, {JOBS}) AS i
) AS numbered
"""
# With the table's statistics, and without them, as before its first ANALYZE.
ANALYZE = f"ANALYZE {LEDGER}"
FORGET = f"""
WITH forgotten AS (
    DELETE FROM pg_statistic WHERE starelid = CAST('{LEDGER}' AS regclass)
)
UPDATE pg_class SET reltuples = -1, relpages = 0 WHERE oid = CAST('{LEDGER}' AS regclass)
"""
CURSOR = listing._cursor(
    SimpleNamespace(changed_at=NOW - timedelta(days=9), process="events", subject="5", occasion="")  # type: ignore[arg-type]
)
QUERIES: dict[str, Callable[[Session], Any]] = {
    name: lambda session, wanted=wanted, after=after: listing.find(session, wanted, limit=50, after=after)
    for after in (None, CURSOR)
    for name, wanted in {
        f"{filtered}{', a later page' if after else ''}": wanted
        for filtered, wanted in {
            "no filter": Filter(),
            "process": Filter(process="ingest_page"),
            "state": Filter(state="failed"),
            "process and state": Filter("events", "done"),
            "user": Filter(user_id="user-7"),
            "unknown user": Filter(user_id="nobody"),
            "user and state": Filter(state="failed", user_id="user-7"),
            "subject": Filter(subject="user-7 https://example.com/7"),
            "unknown subject": Filter(subject="none"),
            "since": Filter(since=NOW - timedelta(days=1)),
            "since long ago": Filter(since=NOW - timedelta(days=25)),
            "reason": Filter(reason="reason 7"),
            "unknown reason": Filter(reason="none"),
            "website": Filter(url="example.com/19"),
        }.items()
    }.items()
} | {
    "job": lambda session: session.get(retry.BackgroundJob, ("events", "1", "")),
    "overview": lambda session: overview.read(session, NOW),
    "retry all": lambda session: retry.matching(session, Filter()),
    "retry all of today": lambda session: retry.matching(session, Filter(since=NOW - timedelta(hours=9))),
    "retry by reason": lambda session: retry.matching(session, Filter("events", reason="reason 7")),
    "retry of a user": lambda session: retry.matching(session, Filter(user_id="user-7")),
    "retry of ten": lambda session: retry._retry(
        session,
        [JobKey("events", f"user-{i} https://example.com/{i}", "occasion") for i in range(7, 500)],
        NOW,
    ),
}


@contextmanager
def statements() -> Iterator[list[tuple[str, Any]]]:
    """Collect the statements that run meanwhile, with their parameters."""
    seen: list[tuple[str, Any]] = []

    def see(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        seen.append((statement, parameters))

    event.listen(Engine, "before_cursor_execute", see)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", see)


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the nodes of a plan."""
    yield plan
    for below in plan.get("Plans", []):
        yield from nodes(below)


@pytest.fixture
def ledger(operated: Operated) -> Operated:
    operated.mojodex.run(FILL, now=NOW)
    return operated


@pytest.mark.parametrize("statistics", [ANALYZE, FORGET], ids=["analyzed", "never analyzed"])
def test_no_query_reads_the_whole_ledger(ledger: Operated, statistics: str) -> None:
    ledger.mojodex.run(statistics)
    scans = []

    for name, query in QUERIES.items():
        with environment.database.session() as session:
            with statements() as seen:
                query(session)
            for statement, parameters in seen:
                explain = f"EXPLAIN (FORMAT JSON) {statement}"
                plan = session.connection().exec_driver_sql(explain, parameters).scalar_one()
                found = nodes((json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"])
                scans += [
                    name
                    for node in found
                    if (node["Node Type"], node.get("Relation Name")) == ("Seq Scan", LEDGER)
                ]

    assert scans == []


def test_the_first_screen_sends_at_most_five_queries(ledger: Operated) -> None:
    ledger.client.get("/console")

    with statements() as seen:
        answer = ledger.client.get("/console")

    assert answer.status == 200
    assert len(seen) <= 5
