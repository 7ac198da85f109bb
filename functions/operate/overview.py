"""Read the state of all processes in three queries that stay bounded, however large the ledger is."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from operate.jobs.job_id import PROCESSES
from operate.jobs.retry import RETRYABLE

# Jobs of one process and state are counted up to these numbers, which are exact enough at 3 a.m.
COUNTED = 2_000
COUNTED_DONE = 1_000
# Of each process, this many of today's newest failures are grouped by reason.
GROUPED = 2_000
GROUPS = 30
# The schedule that finds the work of a process. The job of a website finds its pages.
SCHEDULES = {
    "extract_todos": "extract_todos",
    "reschedule_todo": "reschedule_todo",
    "events": "events",
    "create_from_website": "documents",
}
COUNTS = text("""
SELECT its.process, its.state, counted.jobs, counted.oldest
FROM (
    SELECT process, state
    FROM unnest(CAST(:processes AS text[])) AS process
    CROSS JOIN unnest(ARRAY['queued', 'running', 'done', 'failed']) AS state
) AS its
CROSS JOIN LATERAL (
    SELECT count(*) AS jobs, min(queued_at) AS oldest
    FROM (
        SELECT queued_at
        FROM md_background_job AS job
        WHERE job.process = its.process
            AND job.state = its.state
            AND COALESCE(finished_at, queued_at)
                >= CASE WHEN its.state IN ('queued', 'running') THEN '-infinity'
                    ELSE CAST(:today AS timestamptz) END
        ORDER BY COALESCE(finished_at, queued_at)
        LIMIT CASE its.state WHEN 'done' THEN CAST(:most_done AS bigint) ELSE :most END
    ) AS bounded
) AS counted
""")
SMALL_TABLES = text("""
SELECT
    (
        SELECT jsonb_object_agg(process, usd)
        FROM (
            SELECT process, sum(usd) AS usd FROM md_background_spending WHERE day = :day GROUP BY process
        ) AS its
    ) AS spent,
    (
        SELECT jsonb_agg(jsonb_build_object('provider', provider, 'opened_at', opened_at, 'reason', reason))
        FROM md_background_circuit
    ) AS circuits,
    (SELECT jsonb_object_agg(process, to_jsonb(its)) FROM md_background_paused_process AS its) AS paused,
    (SELECT jsonb_object_agg(schedule, to_jsonb(its)) FROM md_background_schedule_run AS its) AS runs,
    (
        SELECT jsonb_agg(to_jsonb(line))
        FROM (SELECT * FROM md_background_audit ORDER BY audit_pk DESC LIMIT 10) AS line
    ) AS audit
""")
FAILURES = text(f"""
SELECT process, reason, count(*) AS jobs, max(finished_at) AS newest, bool_or(retryable) AS retryable
FROM (
    SELECT its.process, failed.*
    FROM unnest(CAST(:processes AS text[])) AS its (process)
    CROSS JOIN LATERAL (
        SELECT job.outcome ->> 'reason' AS reason, finished_at, ({RETRYABLE}) AS retryable
        FROM md_background_job AS job
        WHERE job.process = its.process
            AND job.state = 'failed'
            AND COALESCE(finished_at, queued_at) >= :today
            AND NOT job.outcome ? 'retried_as'
        ORDER BY COALESCE(finished_at, queued_at) DESC
        LIMIT :most
    ) AS failed
) AS failures
GROUP BY process, reason
ORDER BY jobs DESC, process, reason
LIMIT :groups
""")


@dataclass(frozen=True)
class ProcessState:
    """A process at a glance.

    Attributes:
        process: its name.
        counts: jobs by state: queued, running, and today's (UTC) done and failed. `COUNTED` means at least
            that many; for done jobs, `COUNTED_DONE` does.
        oldest: when its oldest queued job was queued (aware), if any.
        usd: price of today's model calls.
        paused: `paused_at` and `paused_by`; None if it is not paused.
        run: last run of its schedule: `ended_at`, `published`, `complete`; None if there is none.
    """

    process: str
    counts: dict[str, int]
    oldest: datetime | None
    usd: float
    paused: dict[str, Any] | None
    run: dict[str, Any] | None


@dataclass(frozen=True)
class Overview:
    """The state of the bundle.

    Attributes:
        processes: all.
        circuits: the open ones: `provider`, `opened_at`, `reason`.
        failures: today's, by process and reason: `jobs`, `newest`, `retryable`.
        audit: the last changes by operators.
    """

    processes: list[ProcessState]
    circuits: list[dict[str, Any]]
    failures: Sequence[Row[Any]]
    audit: list[dict[str, Any]]


def read(session: Session, now: datetime) -> Overview:
    """Read the overview at a moment (aware)."""
    processes = list(PROCESSES)
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    bounds = {"most": COUNTED, "most_done": COUNTED_DONE}
    counts = session.execute(COUNTS, {"processes": processes, "today": today, **bounds}).all()
    small = session.execute(SMALL_TABLES, {"day": date(now.year, now.month, now.day)}).one()
    failures = session.execute(
        FAILURES, {"processes": processes, "today": today, "most": GROUPED, "groups": GROUPS}
    ).all()
    spent, paused, runs = (small.spent or {}), (small.paused or {}), (small.runs or {})
    states = [
        ProcessState(
            process,
            counts={row.state: row.jobs for row in counts if row.process == process},
            oldest=next((r.oldest for r in counts if (r.process, r.state) == (process, "queued")), None),
            usd=spent.get(process, 0),
            paused=paused.get(process),
            run=runs.get(SCHEDULES.get(process, "")),
        )
        for process in processes
    ]
    return Overview(states, small.circuits or [], failures, small.audit or [])
