"""A ledger of many jobs, as thirty days of all six processes leave it, with an incident three hours ago.

Today's jobs passed through queued and running by updates. The ledger is vacuumed exactly as often as
autovacuum would with the migration's setting, so the indexes hold the dead entries of later updates.
"""

import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import Self

from sqlalchemy import create_engine, text

from bench.database import Cloud, Filled
from local.runtime import postgres
from maintenance.migrate.migration import migrate

# Six o'clock in the evening, UTC: "today" holds most of a day's jobs.
NOW = datetime(2026, 6, 10, 18, 0, 0, tzinfo=UTC)
INCIDENT = 12_000
INCIDENT_REASON = "the model refuses this content"
# Open jobs at the end: those claimed by one statement of a schedule, other queued ones, and running ones.
CLAIMED_AT_ONCE, QUEUED, RUNNING = 2_000, 1_000, 200
# Percentage of dead rows at which autovacuum runs (version 0010 of the migration).
DEAD_ROWS = 2
# The indexes of the list, the console and a retry.
NEW_INDEXES = (
    "mojodex_background_job_by_state",
    "mojodex_background_job_by_user",
    "mojodex_background_job_to_republish",
)
REASONS = 30

# A number in [0, 1) that a job's number and the `seed` decide.
RANDOM = "abs(mod(hashint8extended(i, {seed}), 1000003)) / 1000003.0"
MOMENT = "CAST(:now AS timestamptz)"
# Zipf's law with a shift: the heaviest user has one job in two hundred.
USER = "CAST(floor(22 * (power((CAST(:n AS float) / 50 + 22) / 22, {random}) - 1)) AS bigint)"
USER_ID = "md5('user-' || {user})"
# A little more than the jobs of a day, so that no subject occurs twice a day.
DAILY = "CAST(:n / 150 + 25 AS bigint)"
# Of a hundred jobs: 30 extract_todos, 20 events, 20 reschedule_todo, 25 ingest_page, 4 update_document and
# one create_from_website. Of a thousand, 10 have failed and 14 were skipped.
NUMBERED = f"""
    SELECT i, kind, at, fate,
        CASE WHEN kind BETWEEN 30 AND 49
            -- Each user has one mail a day.
            THEN mod((i / 100) * 20 + kind - 30, {DAILY})
            ELSE {USER.format(random=RANDOM.format(seed=1))}
        END AS owner,
        floor({REASONS} * power({RANDOM.format(seed=2)}, 3)) AS reason_number,
        {RANDOM.format(seed=3)} AS luck
    FROM (
        SELECT i, mod(i, 100) AS kind,
            {MOMENT} - interval '30 days' * (1 - i / CAST(:n AS float)) AS at,
            CASE WHEN {RANDOM.format(seed=4)} < 0.010 THEN 'failed'
                WHEN {RANDOM.format(seed=4)} < 0.024 THEN 'skipped' ELSE 'done' END AS fate
        FROM generate_series(CAST(:first AS bigint), CAST(:last AS bigint)) AS i
    ) AS dated
"""
NOT_STORED = """(
    SELECT jsonb_agg(jsonb_build_object(
        'url', 'https://www.site-' || mod(i, 5003) || '.example/articles/' || md5(CAST(i + page AS text)),
        'reason', (ARRAY['it has no text', 'nothing on it is relevant', 'HTTP 404', 'robots.txt forbids it'])
            [1 + mod(page, 4)]
    ))
    FROM generate_series(1, CASE WHEN mod(i / 100, 100) = 7 THEN 200 ELSE 2 END) AS page
)"""
ROWS = f"""
SELECT
    CASE WHEN kind < 30 THEN 'extract_todos' WHEN kind < 50 THEN 'events'
        WHEN kind < 70 THEN 'reschedule_todo' WHEN kind < 95 THEN 'ingest_page'
        WHEN kind < 99 THEN 'update_document' ELSE 'create_from_website' END AS process,
    CASE WHEN kind BETWEEN 30 AND 49 THEN 'todo_daily_emails:' || user_id
        -- The same to-do is moved every sixth day.
        WHEN kind BETWEEN 50 AND 69 THEN CAST(mod((i / 100) * 20 + kind - 50, 6 * {DAILY}) AS text)
        WHEN kind BETWEEN 95 AND 98 THEN CAST(mod(i * 7919, 1 + :n / 100) AS text)
        WHEN kind = 99 THEN user_id || ' https://www.site-' || mod(i, 5003) || '.example/'
        ELSE CAST(i AS text) END AS subject,
    CASE WHEN kind BETWEEN 30 AND 69 THEN CAST(CAST(at AT TIME ZONE 'UTC' AS date) AS text)
        WHEN kind BETWEEN 95 AND 98 THEN to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"')
        WHEN kind = 99 THEN 'request-' || i ELSE '' END AS occasion,
    fate AS state,
    1 AS attempts,
    at AS queued_at,
    least(at + interval '2 seconds' * luck, {MOMENT}) AS started_at,
    least(at + interval '4 seconds' + interval '2 minutes' * power(luck, 4), {MOMENT}) AS finished_at,
    CASE
        WHEN kind = 99 THEN jsonb_build_object('url', 'https://www.site-' || mod(i, 5003) || '.example/',
            'pages', 40, 'stored', 36, 'unchanged', 0, 'skipped', 2, 'failed', 2, 'not_stored', {NOT_STORED})
            || CASE WHEN fate = 'done' THEN '{{}}'
                ELSE jsonb_build_object('reason', 'no page could be stored: reason ' || reason_number) END
        WHEN fate <> 'done' THEN jsonb_build_object('reason', 'the model''s answer is not valid, number '
            || reason_number || ': a sentence of the usual length that says why')
        WHEN kind < 30 THEN jsonb_build_object('todos', jsonb_build_array(jsonb_build_object('todo_pk', i,
            'evidence', 'I will call them tomorrow, and write to ' || md5(CAST(i AS text)))), 'left_out',
            '[]'::jsonb)
        WHEN kind < 50 THEN jsonb_build_object('todos', 3, 'moved', 1, 'worded_by', 'model',
            'ses_message_id', md5(CAST(i AS text)) || md5(CAST(i AS text)))
        WHEN kind < 70 THEN jsonb_build_object('chosen_by', 'model', 'argument',
            'There are three others that day, so Thursday is better. ' || md5(CAST(i AS text)))
        ELSE jsonb_build_object('document_pk', i, 'chunks', 4, 'left_out', 1)
    END AS outcome,
    CASE WHEN fate <> 'skipped' AND kind <> 99 THEN jsonb_build_array(jsonb_build_object(
        'model', 'gpt-5-mini', 'tier', 'flex', 'calls', 1, 'prompt_tokens', 1200 + mod(i, 700),
        'cached_tokens', 0, 'completion_tokens', 90 + mod(i, 50), 'usd', 0.0012)) END AS spent,
    CAST(CAST(md5(CAST(i AS text)) AS uuid) AS text) AS message_id,
    at + interval '4 days' AS message_expires_at,
    user_id,
    CASE WHEN luck < 0.03 THEN jsonb_build_array(jsonb_build_object('started', at, 'ended', at,
        'error', 'TransientError', 'reason', 'the model is overloaded', 'counted', false)) END AS history
FROM (SELECT *, {USER_ID.format(user="owner")} AS user_id FROM ({NUMBERED}) AS numbered) AS owned
"""
COLUMNS = (
    "process, subject, occasion, state, attempts, queued_at, started_at, finished_at, outcome, spent,"
    " message_id, message_expires_at, user_id, history"
)
INSERT = f"INSERT INTO md_background_job ({COLUMNS})"
PRIMARY_KEY = "md_background_job_pkey"
DROP_INDEXES = (
    f"ALTER TABLE md_background_job DROP CONSTRAINT {PRIMARY_KEY}",
    *(
        f"DROP INDEX IF EXISTS {name}"
        for name in (*NEW_INDEXES, "mojodex_background_ended_job", "mojodex_background_job_by_message")
    ),
)
ADD_PRIMARY_KEY = (
    f"ALTER TABLE md_background_job ADD CONSTRAINT {PRIMARY_KEY} PRIMARY KEY (process, subject, occasion)"
)
# Today's jobs in their final state, with the hour of their batch; the incident's jobs too.
STAGE_TODAY = (
    f"CREATE TABLE bench_today AS SELECT *, CAST(extract(HOUR FROM queued_at) AS integer) AS batch"
    f" FROM ({ROWS}) AS today",
    f"INSERT INTO bench_today ({COLUMNS}, batch)"
    " SELECT 'extract_todos', CAST(CAST(:n AS bigint) + i AS text), '', 'failed', 1, at, at,"
    " at + interval '3 seconds',"
    f" jsonb_build_object('reason', CAST(:reason AS text)), NULL, CAST(gen_random_uuid() AS text),"
    f" at + interval '4 days', {USER_ID.format(user=USER.format(random=RANDOM.format(seed=1)))}, NULL, 15"
    f" FROM (SELECT i, {MOMENT} - interval '3 hours'"
    " + interval '20 minutes' * i / CAST(:incident AS float) AS at"
    " FROM generate_series(1, CAST(:incident AS integer)) AS i) AS refused",
    "CREATE INDEX ON bench_today (batch)",
    "ANALYZE bench_today",
)
SAME = "job.process = its.process AND job.subject = its.subject AND job.occasion = its.occasion"
BATCH = (
    "INSERT INTO md_background_job (process, subject, occasion, state, attempts, queued_at,"
    " message_expires_at, user_id)"
    " SELECT process, subject, occasion, 'queued', 0, queued_at, message_expires_at, user_id"
    " FROM bench_today WHERE batch = :batch ON CONFLICT DO NOTHING",
    "UPDATE md_background_job AS job SET state = 'running', attempts = 1, started_at = its.started_at,"
    f" message_id = its.message_id FROM bench_today AS its WHERE its.batch = :batch AND {SAME}",
    "UPDATE md_background_job AS job SET state = its.state, finished_at = its.finished_at,"
    " outcome = its.outcome, spent = its.spent, history = its.history"
    f" FROM bench_today AS its WHERE its.batch = :batch AND {SAME}",
)
WAITING = (
    "INSERT INTO md_background_job (process, subject, occasion, state, attempts, queued_at, started_at,"
    " message_expires_at, user_id)"
    " SELECT process, CAST(2 * CAST(:n AS bigint) + i AS text), '', state, 0, at,"
    " CASE state WHEN 'running' THEN at END,"
    f" at + interval '4 days', {USER_ID.format(user=USER.format(random=RANDOM.format(seed=1)))}"
    " FROM (SELECT i, CASE WHEN i <= :at_once THEN 'extract_todos' ELSE 'ingest_page' END AS process,"
    " CASE WHEN i <= CAST(:at_once AS integer) + :queued THEN 'queued' ELSE 'running' END AS state,"
    f" {MOMENT} - CASE WHEN i <= :at_once THEN interval '4 minutes'"
    " ELSE interval '9 seconds' * mod(i, 97) END AS at"
    " FROM generate_series(1, CAST(:at_once AS integer) + :queued + :running) AS i) AS waiting"
)
SMALL_TABLES = (
    "INSERT INTO md_background_spending SELECT CAST(:now AS date) - day, process, slot, 0.7"
    " FROM generate_series(0, 29) AS day, generate_series(0, 15) AS slot,"
    " unnest(ARRAY['extract_todos', 'events', 'reschedule_todo', 'ingest_page']) AS process",
    "INSERT INTO md_background_circuit VALUES ('gpt-4.1', :now, :now, 'the model is overloaded')",
    "INSERT INTO md_background_paused_process VALUES ('events', :now, 'operator')",
    "INSERT INTO md_background_schedule_run SELECT schedule, :now, 120, true"
    " FROM unnest(ARRAY['extract_todos', 'events', 'reschedule_todo', 'documents']) AS schedule",
    "INSERT INTO md_background_audit (at, who, action, target)"
    " SELECT :now, 'operator', 'retry', 'extract_todos.' || i FROM generate_series(1, 5000) AS i",
)


class Ledger(Filled):
    """A database with `size` ended jobs in its ledger."""

    @classmethod
    def make(cls, server: postgres.Database, name: str, jobs: int, cloud: Cloud) -> Self:
        """Make and fill a ledger.

        Args:
            server, name, cloud: see `Filled.create`.
            jobs: number of ended jobs; open jobs and the incident's are added to it.
        """
        began = time.perf_counter()
        filled = cls.create(server, name, jobs, cloud)
        migrate(filled.database.secret())
        yesterday = int(jobs * (1 - NOW.hour / 24 / 30))
        known = {"n": jobs, "now": NOW}
        filled.run(*DROP_INDEXES)
        filled.run(f"{INSERT} {ROWS}", **known, first=1, last=yesterday)
        inserted = time.perf_counter()
        filled.run(ADD_PRIMARY_KEY)
        migrate(filled.database.secret())
        indexed = time.perf_counter()
        filled.run("VACUUM md_background_job")
        filled.run(
            *STAGE_TODAY,
            **known,
            first=yesterday + 1,
            last=jobs,
            incident=INCIDENT,
            reason=INCIDENT_REASON,
        )
        dead = 0
        for hour in range(NOW.hour):
            filled.run(*BATCH, batch=hour)
            # Each job leaves two dead rows: queued and running.
            dead += 2 * int(filled.value("SELECT count(*) FROM bench_today WHERE batch = :batch", batch=hour))
            if dead > jobs * DEAD_ROWS / 100:
                filled.run("VACUUM md_background_job")
                dead = 0
        filled.run(
            WAITING,
            "DROP TABLE bench_today",
            *SMALL_TABLES,
            **known,
            at_once=CLAIMED_AT_ONCE,
            queued=QUEUED,
            running=RUNNING,
        )
        print(
            f"  {jobs:>10,} jobs in {time.perf_counter() - began:.0f} s: inserted in"
            f" {inserted - began:.0f} s, indexed in {indexed - inserted:.0f} s, today in"
            f" {time.perf_counter() - indexed:.0f} s; {filled.megabytes('md_background_job')}",
            flush=True,
        )
        return filled

    @classmethod
    def open(cls, server: postgres.Database, jobs: int, cloud: Cloud) -> Self:
        """Return the existing ledger of this size, or make one with `make`."""
        name = f"ledger_{jobs}"
        engine = create_engine(server.url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            query = text("SELECT count(*) FROM pg_database WHERE datname = :name")
            is_there = connection.execute(query, {"name": name}).scalar()
        engine.dispose()
        if not is_there:
            return cls.make(server, name, jobs, cloud)
        its = replace(server, dbname=name)
        migrate(its.secret())
        engine = create_engine(its.url, isolation_level="AUTOCOMMIT")
        return cls(name, jobs, its, cloud.keep(name, its), engine)

    def restore_incident(self) -> None:
        """Set the retried jobs of the incident back to failed."""
        self.run(
            "UPDATE md_background_job SET state = 'failed', retry_message = NULL, history = NULL,"
            " started_at = at, queued_at = at, finished_at = at,"
            " outcome = jsonb_build_object('reason', CAST(:reason AS text))"
            " FROM (SELECT CAST(:now AS timestamptz) - interval '3 hours' AS at) AS moment"
            " WHERE process = 'extract_todos' AND state = 'queued' AND history IS NOT NULL",
            now=NOW,
            reason=INCIDENT_REASON,
        )

    def megabytes(self, table: str) -> str:
        """Return the size of a table and of its indexes."""
        size = "pg_size_pretty(pg_{}_size('" + table + "'))"
        return str(
            self.value(
                f"SELECT {size.format('table')} || ' and ' || {size.format('indexes')} || ' of indexes'"
            )
        )
