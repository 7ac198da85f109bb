"""The purge: deleted rows, rows kept so that nothing is paid twice, and interrupted runs."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, text

import maintenance.purge
from maintenance.purge import AUDIT_KEPT, FINAL, KEPT, MAILS_KEPT, REFUSALS_KEPT, old_jobs, old_pages
from mojodex.database import Database, DatabaseSettings
from mojodex.errors import TransientError
from mojodex.schema import BackgroundJob, BackgroundMail, BackgroundPage
from tests.integration.conftest import Bundle
from tests.lambda_events import FakeContext
from tests.metrics import emitted
from tests.mojodex import Mojodex

NOW = datetime(2026, 12, 1, 3, tzinfo=UTC)
MOMENT = timedelta(microseconds=1)
JUST_OLD, STILL_YOUNG = NOW - KEPT - MOMENT, NOW - KEPT


@pytest.fixture
def run(
    make_bundle: Callable[..., Bundle], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., dict[str, int]]]:
    """Invoke the purge."""
    make_bundle()
    database = Database(DatabaseSettings(database_secret_arn="database", database_pool_size=5))
    monkeypatch.setattr(maintenance.purge, "database", database)
    monkeypatch.setattr(maintenance.purge, "utc_now", lambda: NOW)
    yield lambda seconds=120: maintenance.purge.handler({}, FakeContext(seconds))
    database.close()


@pytest.fixture
def job(mojodex: Mojodex) -> Callable[..., str]:
    """Write a job into the ledger and return its subject."""

    def write(subject: str, *, process: str = "extract_todos", **columns: Any) -> str:
        values = {"occasion": "", "state": "done", "finished_at": JUST_OLD, "reason": "because"} | columns
        mojodex.run(
            "INSERT INTO md_background_job (process, subject, occasion, state, finished_at, outcome)"
            " VALUES (:process, :subject, :occasion, :state, :finished_at,"
            " jsonb_build_object('reason', CAST(:reason AS text)))",
            process=process,
            subject=subject,
            **values,
        )
        return subject

    return write


@pytest.fixture
def page(mojodex: Mojodex) -> Callable[..., None]:
    """Write a page of a website."""

    def write(
        key: str, *, state: str = "stored", found_at: datetime = JUST_OLD, occasion: str = "r1"
    ) -> None:
        mojodex.run(
            "INSERT INTO md_background_page (subject, occasion, user_id, url, key, depth, state, found_at)"
            " VALUES ('ann example.com', 'r1', 'ann', :key, :key, 0, :state, :found_at)",
            key=key,
            state=state,
            found_at=found_at,
        )

    return write


def deleted(**rows: int) -> dict[str, int]:
    """Return the answer of a purge that deleted these numbers of rows."""
    return {"jobs": 0, "pages": 0, "mails": 0, "audit": 0, "refusals": 0} | rows


def left(mojodex: Mojodex) -> set[str]:
    return {row.subject for row in mojodex.rows("SELECT subject FROM md_background_job")}


def pages_left(mojodex: Mojodex) -> set[str]:
    return {row.key for row in mojodex.rows("SELECT key FROM md_background_page")}


def many(mojodex: Mojodex, rows: int) -> None:
    """Write this number of old jobs and of old pages."""
    mojodex.run(
        "INSERT INTO md_background_job (process, subject, state, finished_at)"
        " SELECT 'extract_todos', i, 'done', CAST(:old AS timestamptz) - i * interval '1 s'"
        " FROM generate_series(1, :rows) AS i",
        old=JUST_OLD,
        rows=rows,
    )
    mojodex.run(
        "INSERT INTO md_background_page (subject, occasion, user_id, url, key, depth, state, found_at)"
        " SELECT 'ann example.com', 'r1', 'ann', i, i, 0, 'stored', :old FROM generate_series(1, :rows) AS i",
        old=JUST_OLD,
        rows=rows,
    )


@pytest.mark.parametrize("state", FINAL)
def test_a_job_that_finished_more_than_30_days_ago_is_deleted(
    run: Callable[..., dict[str, int]], job: Callable[..., str], mojodex: Mojodex, state: str
) -> None:
    job("old", state=state)
    young = job("young", state=state, finished_at=STILL_YOUNG)

    assert run() == deleted(jobs=1)

    assert left(mojodex) == {young}


@pytest.mark.parametrize("state", ["queued", "running"])
def test_an_unfinished_job_stays_however_old(
    run: Callable[..., dict[str, int]], job: Callable[..., str], mojodex: Mojodex, state: str
) -> None:
    waiting = job("waiting", state=state, finished_at=None)
    mojodex.run("UPDATE md_background_job SET queued_at = :t, started_at = :t", t=NOW - 10 * KEPT)

    run()

    assert left(mojodex) == {waiting}


@pytest.mark.parametrize(
    ("change", "stays"),
    [
        pytest.param("SELECT 1", True, id="it is open and was not moved"),
        pytest.param("UPDATE md_todo SET completed = now()", False, id="it is completed"),
        pytest.param("UPDATE md_todo SET deleted_by_user = now()", False, id="the user has deleted it"),
        pytest.param(
            "INSERT INTO md_todo_scheduling (todo_scheduling_pk, todo_fk, scheduled_date, creation_date)"
            " SELECT nextval('md_todo_seq'), todo_pk, '2026-12-24', '2026-11-15' FROM md_todo",
            False,
            id="it was moved since",
        ),
        pytest.param(
            """UPDATE md_background_job SET outcome = '{"attempts_exhausted": true}'""",
            False,
            id="it ran out of attempts, and gets another night",
        ),
        pytest.param("UPDATE md_background_job SET state = 'done'", False, id="it was moved"),
    ],
)
def test_a_failed_move_stays_while_it_prevents_another_try_of_its_todo(
    run: Callable[..., dict[str, int]], job: Callable[..., str], mojodex: Mojodex, change: str, stays: bool
) -> None:
    todo = mojodex.scheduled(mojodex.execution("x", extracted=True), "Call Bob", date(2026, 10, 1))
    mojodex.run("UPDATE md_todo_scheduling SET creation_date = '2026-09-30'")
    failed = job(str(todo), process="reschedule_todo", occasion="2026-10-02", state="failed")
    mojodex.run(change)

    run()

    assert left(mojodex) == ({failed} if stays else set())


def test_a_failed_move_of_a_deleted_todo_is_deleted(
    run: Callable[..., dict[str, int]], job: Callable[..., str], mojodex: Mojodex
) -> None:
    job("123456", process="reschedule_todo", state="failed")

    run()

    assert left(mojodex) == set()


@pytest.mark.parametrize("state", ["stored", "unchanged", "skipped", "failed"])
@pytest.mark.parametrize(
    ("website", "goes"),
    [
        pytest.param(None, True, id="gone from the ledger"),
        pytest.param({"finished_at": JUST_OLD}, True, id="ended long ago"),
        pytest.param({"finished_at": STILL_YOUNG}, False, id="ended 30 days ago"),
        pytest.param({"state": "running", "finished_at": None}, False, id="still being read"),
    ],
)
def test_a_finished_page_is_deleted_with_its_website(
    job: Callable[..., str],
    page: Callable[..., None],
    mojodex: Mojodex,
    make_bundle: Callable[..., Bundle],
    state: str,
    website: dict[str, Any] | None,
    goes: bool,
) -> None:
    bundle = make_bundle()
    page("example.com", state=state)
    page("example.com/young", state=state, found_at=STILL_YOUNG)
    if website is not None:
        job("ann example.com", process="create_from_website", occasion="r1", **website)
        # Neither job belongs to that page.
        job("ann example.com", process="create_from_website", occasion="r2")
        job("ann example.com", process="extract_todos", occasion="r1")

    with bundle.database.session() as session:
        old = session.scalars(select(BackgroundPage.key).where(old_pages(NOW - KEPT))).all()

    assert old == (["example.com"] if goes else [])


@pytest.mark.parametrize("state", ["found", "staged"])
def test_a_staged_page_stays(
    run: Callable[..., dict[str, int]], page: Callable[..., None], mojodex: Mojodex, state: str
) -> None:
    page("waits", state=state)

    run()

    assert pages_left(mojodex) == {"waits"}


@pytest.fixture
def change(mojodex: Mojodex) -> Callable[..., None]:
    """Write an operator's change."""

    def write(target: str, at: datetime) -> None:
        mojodex.run(
            "INSERT INTO md_background_audit (at, who, action, target) VALUES (:at, 'ann', 'retry', :target)",
            at=at,
            target=target,
        )

    return write


@pytest.fixture
def refusal(mojodex: Mojodex) -> Callable[..., None]:
    """Write refused credentials of an address."""

    def write(address: str, last_at: datetime) -> None:
        mojodex.run(
            "INSERT INTO md_background_refusal (address, refusals, last_at) VALUES (:address, 3, :last_at)",
            address=address,
            last_at=last_at,
        )

    return write


def test_operators_changes_are_deleted_after_a_year(
    run: Callable[..., dict[str, int]], change: Callable[..., None], mojodex: Mojodex
) -> None:
    change("old", NOW - AUDIT_KEPT - MOMENT)
    change("young", NOW - AUDIT_KEPT)

    assert run() == deleted(audit=1)

    assert [row.target for row in mojodex.rows("SELECT target FROM md_background_audit")] == ["young"]


def test_refused_credentials_are_deleted_a_day_after_the_last_ones(
    run: Callable[..., dict[str, int]], refusal: Callable[..., None], mojodex: Mojodex
) -> None:
    refusal("old", NOW - REFUSALS_KEPT - MOMENT)
    refusal("young", NOW - REFUSALS_KEPT)

    assert run() == deleted(refusals=1)

    assert [row.address for row in mojodex.rows("SELECT address FROM md_background_refusal")] == ["young"]


def test_changes_and_refusals_are_purged_page_by_page_too(
    run: Callable[..., dict[str, int]],
    change: Callable[..., None],
    refusal: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(maintenance.purge, "PAGE_SIZE", 2)
    for number in range(5):
        change(str(number), NOW - 2 * AUDIT_KEPT)
        refusal(str(number), NOW - 2 * REFUSALS_KEPT)

    assert run() == deleted(audit=5, refusals=5)


def test_it_logs_the_numbers_of_deleted_rows(
    run: Callable[..., dict[str, int]], change: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: dict[str, Any] = {}
    monkeypatch.setattr(maintenance.purge.logger, "info", lambda text, extra: lines.update({text: extra}))
    change("old", NOW - 2 * AUDIT_KEPT)

    run()

    assert lines == {"purged": deleted(audit=1)}


def test_it_deletes_page_by_page_until_the_end(
    run: Callable[..., dict[str, int]], mojodex: Mojodex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintenance.purge, "PAGE_SIZE", 10)
    many(mojodex, 35)

    assert run() == deleted(jobs=35, pages=35)
    assert run() == deleted()


def test_it_counts_deleted_rows_in_metrics(
    run: Callable[..., dict[str, int]], mojodex: Mojodex, capsys: pytest.CaptureFixture[str]
) -> None:
    many(mojodex, 3)

    run()

    # All functions have the same service name in the tests.
    counted = emitted(capsys.readouterr().out)
    assert counted == {
        ("extract_todos", "JobsPurged"): 3,
        ("extract_todos", "PagesPurged"): 3,
        ("extract_todos", "MailsPurged"): 0,
    }


def test_feedback_is_deleted_after_90_days_and_a_block_is_not(
    run: Callable[..., dict[str, int]], mojodex: Mojodex
) -> None:
    for age in (MAILS_KEPT + MOMENT, MAILS_KEPT):
        mojodex.run(
            "INSERT INTO md_background_mail (message_id, sent_at, reasons) VALUES (:m, :t, '{}')",
            m=str(age),
            t=NOW - age,
        )
    mojodex.run(
        "INSERT INTO md_background_mail_block (user_id, address, kind, reason, since)"
        " VALUES ('ann', 'a@example.org', 'complaint', 'abuse', :t)",
        t=NOW - 4 * MAILS_KEPT,
    )

    assert run() == deleted(mails=1)

    assert mojodex.run("SELECT message_id FROM md_background_mail") == str(MAILS_KEPT)
    assert mojodex.run("SELECT kind FROM md_background_mail_block") == "complaint"


def test_without_time_it_leaves_the_rest_to_the_next_run(
    run: Callable[..., dict[str, int]], mojodex: Mojodex
) -> None:
    many(mojodex, 3)

    assert run(seconds=10) == deleted()
    assert run() == deleted(jobs=3, pages=3)


def test_a_run_killed_in_the_middle_keeps_its_deletions_and_the_next_run_completes(
    run: Callable[..., dict[str, int]], mojodex: Mojodex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintenance.purge, "PAGE_SIZE", 10)
    many(mojodex, 30)
    # The server ends the connection in the middle of the second page.
    mojodex.run("CREATE TABLE kills (left_to_do int); INSERT INTO kills VALUES (15)")
    mojodex.run(
        "CREATE FUNCTION kill() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " UPDATE kills SET left_to_do = left_to_do - 1;"
        " IF (SELECT left_to_do FROM kills) = 0 THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF;"
        " RETURN OLD; END $$"
    )
    mojodex.run("CREATE TRIGGER kill BEFORE DELETE ON md_background_job FOR EACH ROW EXECUTE FUNCTION kill()")
    try:
        with pytest.raises(TransientError):
            run()
    finally:
        mojodex.run("DROP FUNCTION kill CASCADE; DROP TABLE kills")

    assert len(left(mojodex)) == 20
    assert run() == deleted(jobs=20, pages=30)


def test_concurrent_runs_share_the_work(
    run: Callable[..., dict[str, int]], mojodex: Mojodex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintenance.purge, "PAGE_SIZE", 10)
    many(mojodex, 400)

    with ThreadPoolExecutor() as threads:
        ended = [running.result() for running in [threads.submit(run) for _ in range(3)]]

    assert sum(answer["jobs"] for answer in ended) == 400
    assert sum(answer["pages"] for answer in ended) == 400


def test_a_locked_row_is_left_to_the_next_run(
    run: Callable[..., dict[str, int]], job: Callable[..., str], mojodex: Mojodex
) -> None:
    job("free")
    locked = job("locked")

    with mojodex.engine.begin() as other:
        other.execute(text("SELECT 1 FROM md_background_job WHERE subject = 'locked' FOR UPDATE"))
        assert run()["jobs"] == 1
        assert left(mojodex) == {locked}

    assert run()["jobs"] == 1


@pytest.mark.parametrize(
    "statistics", ["ANALYZE {0}", "DELETE FROM pg_statistic WHERE starelid = '{0}'::regclass"]
)
@pytest.mark.parametrize(
    ("moment", "old", "index"),
    [
        (BackgroundJob.finished_at, old_jobs(NOW - KEPT), "mojodex_background_ended_job"),
        (BackgroundPage.found_at, old_pages(NOW - KEPT), "mojodex_background_ended_page"),
        (
            BackgroundMail.sent_at,
            BackgroundMail.sent_at < NOW - MAILS_KEPT,
            "mojodex_background_mail_by_sending",
        ),
    ],
)
def test_it_finds_the_rows_to_delete_by_an_index(
    mojodex: Mojodex, moment: Any, old: Any, index: str, statistics: str
) -> None:
    many(mojodex, 20_000)
    mojodex.run(
        "INSERT INTO md_background_mail (message_id, sent_at, reasons)"
        " SELECT i, CAST(:old AS timestamptz) - i * interval '1 s', '{}' FROM generate_series(1, 100000) i",
        old=NOW - MAILS_KEPT,
    )
    name = moment.class_.__tablename__
    mojodex.run(f"UPDATE {name} SET {moment.key} = :now WHERE ctid < '(100,0)'", now=NOW)
    with mojodex.engine.begin() as connection:
        connection.exec_driver_sql(statistics.format(name))

    with mojodex.engine.connect() as connection:
        statement = maintenance.purge._delete_page(moment, old)
        compiled = statement.compile(connection, compile_kwargs={"literal_binds": True})
        plan = "\n".join(row[0] for row in connection.exec_driver_sql(f"EXPLAIN {compiled}"))

    # With statistics the order comes from the index; without them the old rows are sorted.
    assert f"Index Scan using {index}" in plan or f"Bitmap Index Scan on {index}" in plan
    assert "Sort" not in plan or not statistics.startswith("ANALYZE")
    assert f"Tid Scan on {name}" in plan
    # The empty table of to-dos is read whole.
    assert "Seq Scan on md_background" not in plan
