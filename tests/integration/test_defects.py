"""The defects of Mojodex's Flask Background, by number: each test fails on the old behaviour.

A test's docstring describes that behaviour.

26 and 27 are read from the template and the lock file: tests/structure/test_defects.py.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import time_machine
from sqlalchemy import text

import events.worker
from documents.web import visit
from local.runtime.postgres import Database
from local.standin.answers.prompts import section
from mojodex import database as db
from mojodex.observability import logger
from mojodex.settings import SettingsError
from tests.fake_model import FakeModel, Reply, embedded, prompt_of, todos, vector
from tests.fake_ses import TAKEN, Answer, FakeSes
from tests.integration.conftest import Bundle, Documents
from tests.mails import check_mail, text_of
from tests.mojodex import Mojodex
from tests.website import Page, website

TODAY = datetime.now(UTC).date()
TOMORROW = (TODAY + timedelta(days=1)).isoformat()
SAID = "I'll send the offer to Bob tomorrow."
GOOD = todos(("Send the offer to Bob", TOMORROW, SAID))
ONE_TODO = [("Send the offer to Bob", TOMORROW)]


def message(pk: int) -> dict[str, int]:
    return {"user_task_execution_pk": pk}


def test_defect_1_a_task_is_done_later_after_a_stop_or_a_missed_tick(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel
) -> None:
    """The queue was lost with the process, and each tick saw only a window of time."""
    missed = mojodex.execution(SAID, age=timedelta(days=3))
    stopped = mojodex.execution(SAID, age=timedelta(days=2))
    model.answers(GOOD)
    assert bundle.schedule() == 2
    # A worker began this one and was stopped; its message is delivered again.
    mojodex.run(
        "UPDATE md_background_job SET state = 'running', attempts = 1,"
        " started_at = now() - interval '5 minutes' WHERE subject = :s",
        s=str(stopped),
    )

    bundle.work(*bundle.queued())

    assert mojodex.todos_of(missed) == mojodex.todos_of(stopped) == ONE_TODO


def test_defect_2_todos_and_the_mark_are_one_transaction(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel
) -> None:
    """To-dos were committed before the mark, so another run in between made them again."""
    pk = mojodex.execution(SAID)
    model.answers(GOOD)
    mojodex.run("ALTER TABLE md_background_job ADD CONSTRAINT no_end CHECK (state <> 'done')")
    try:
        response = bundle.work(message(pk))

        # The last statement of the transaction failed, so nothing was saved.
        assert len(response["batchItemFailures"]) == 1
        assert mojodex.todos_of(pk) == []
        assert not mojodex.is_extracted(pk)
    finally:
        mojodex.run("ALTER TABLE md_background_job DROP CONSTRAINT no_end")

    bundle.work(message(pk))

    assert mojodex.todos_of(pk) == ONE_TODO


def test_defect_2_a_second_trigger_makes_no_second_todo(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel
) -> None:
    pks = [mojodex.execution(SAID) for _ in range(10)]
    model.script = lambda _request: Reply(GOOD.content, delay=0.3)
    first = [message(pk) for pk in pks]

    with ThreadPoolExecutor() as threads:
        list(threads.map(lambda batch: bundle.work(*batch), [first, first]))

    assert all(mojodex.todos_of(pk) == ONE_TODO for pk in pks)
    assert len(model.calls) == 10


STEP = {"description": "Send the offer to Bob", "due_date": TOMORROW, "evidence": SAID}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"todos": None}, []),
        ({"todos": []}, []),
        ({"todos": [STEP, {**STEP, "description": None}]}, ONE_TODO),
        ({"todos": [STEP, {**STEP, "evidence": None}]}, ONE_TODO),
        ({"todos": [STEP, {"due_date": TOMORROW, "evidence": SAID}]}, ONE_TODO),
        ({"todos": [STEP, {**STEP, "description": True}]}, ONE_TODO),
        ({"todos": [{**STEP, "certain": True}]}, ONE_TODO),
        # The user's words name the day.
        ({"todos": [{**STEP, "due_date": None}]}, ONE_TODO),
    ],
)
def test_defect_3_a_null_or_missing_field_of_an_answer_costs_one_step_and_not_the_task(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel, answer: Any, expected: list[tuple[str, str]]
) -> None:
    pk = mojodex.execution(SAID)
    model.answers(Reply(answer))

    bundle.work(message(pk))

    assert mojodex.job(pk).state == "done"
    assert mojodex.todos_of(pk) == expected
    # The model is asked again only for a date.
    assert len(model.calls) == (2 if '"due_date": null' in json.dumps(answer) else 1)


@pytest.mark.parametrize("odd", [{"todos": True}, {"todos": [True]}, "Yes.", True])
def test_defect_3_after_an_answer_of_another_form_the_model_is_asked_again(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel, odd: Any
) -> None:
    pk = mojodex.execution(SAID)
    model.answers(Reply(odd), GOOD)

    bundle.work(message(pk))

    assert mojodex.todos_of(pk) == ONE_TODO


@pytest.mark.parametrize("day", ["tomorrow", "2001-01-01"])
def test_defect_4_an_unusable_date_is_replaced_and_its_todo_is_kept(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel, day: str
) -> None:
    pk = mojodex.execution(SAID)
    model.answers(todos(("Send the offer to Bob", day, SAID)))

    bundle.work(message(pk))

    assert mojodex.todos_of(pk) == ONE_TODO


def test_defect_4_a_todo_that_exists_is_not_saved_again(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel
) -> None:
    user = mojodex.user()
    mojodex.todo(mojodex.execution(SAID, user_id=user, extracted=True), "Send the offer to Bob")
    pk = mojodex.execution(SAID, user_id=user)
    model.answers(GOOD)

    bundle.work(message(pk))

    assert mojodex.todos_of(pk) == []


def test_defect_5_a_deleted_execution_is_not_sent_to_the_model(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel
) -> None:
    pk = mojodex.execution(SAID, deleted=True)

    assert bundle.schedule() == 0
    bundle.work(message(pk))

    assert model.calls == []


NIGHT = datetime(2026, 12, 1, 2, 30, tzinfo=UTC)
MORNING = datetime(2026, 12, 1, 8, 30, tzinfo=UTC)
TUESDAY, MONDAY, THURSDAY = date(2026, 12, 1), date(2026, 11, 30), date(2026, 12, 3)


def moved_to(day: date) -> Reply:
    return Reply({"pros": "", "cons": "", "argument": "Then it is quiet.", "date": day.isoformat()})


def overdue_todo(mojodex: Mojodex, *dates: date, **user: Any) -> int:
    execution = mojodex.execution("x", user_id=mojodex.user(**user), extracted=True)
    return mojodex.scheduled(execution, "Call Bob", *dates, moved_at=NIGHT - timedelta(days=2))


@time_machine.travel(NIGHT)
def test_defect_6_a_past_date_is_refused_and_the_todo_is_not_due_again(
    make_bundle: Any, mojodex: Mojodex, model: FakeModel
) -> None:
    """Past dates were accepted. The prompt ended with "rescheduled 0 times since"."""
    bundle = make_bundle("reschedule_todo")
    pk = overdue_todo(mojodex, date(2026, 11, 20), date(2026, 11, 25), MONDAY)
    model.answers(moved_to(MONDAY))

    bundle.schedule()
    bundle.work(*bundle.queued())

    assert mojodex.schedulings(pk)[-1][0] == "2026-12-02"
    assert "Moved 2 times until now; this will be move number 3." in prompt_of(model.calls[0])
    mojodex.run("TRUNCATE md_background_job")
    assert bundle.schedule() == 0


@time_machine.travel(NIGHT)
@pytest.mark.parametrize("due", [49, 50, 51, 100])
def test_defect_7_exactly_one_page_of_due_todos_does_not_loop(
    make_bundle: Any, mojodex: Mojodex, monkeypatch: pytest.MonkeyPatch, due: int
) -> None:
    bundle = make_bundle("reschedule_todo")
    monkeypatch.setattr(bundle.scheduler, "TODOS_PER_PAGE", 50)
    overdue_todo(mojodex, MONDAY)
    mojodex.run(
        "WITH t AS (INSERT INTO md_todo (user_task_execution_fk, description)"
        "  SELECT user_task_execution_fk, 'x' FROM md_todo, generate_series(2, :n) RETURNING todo_pk)"
        " INSERT INTO md_todo_scheduling (todo_fk, scheduled_date) SELECT todo_pk, '2026-11-30' FROM t",
        n=due,
    )

    assert bundle.schedule() == due
    assert bundle.schedule() == 0


@time_machine.travel(NIGHT)
def test_defect_8_the_first_todos_are_the_next_ones(
    make_bundle: Any, mojodex: Mojodex, model: FakeModel
) -> None:
    """The "first 20 to-dos" were the 20 latest."""
    bundle = make_bundle("reschedule_todo")
    pk = overdue_todo(mojodex, MONDAY)
    execution = mojodex.run("SELECT user_task_execution_fk FROM md_todo")
    for n in range(110, 0, -1):
        mojodex.scheduled(execution, f"Number {n}.", TUESDAY + timedelta(days=n))
    model.answers(moved_to(THURSDAY))

    bundle.work({"todo_pk": pk})

    shown = section(prompt_of(model.calls[0]), "open_todos")
    assert [line.partition("Number ")[2] for line in shown.splitlines()] == [f"{n}." for n in range(1, 101)]


@time_machine.travel(MORNING)
def test_defect_8_the_mail_has_no_completed_todo_and_uses_the_users_day(
    make_bundle: Any, mojodex: Mojodex, model: FakeModel, ses: FakeSes, database: Database
) -> None:
    """Completed to-dos were in the mail, and "today" was the database server's day."""
    bundle = make_bundle("events", daily_todo_email_time=21)
    # The user's clock shows 22:30 of the day before; the server is 14 hours ahead of UTC.
    user_id = mojodex.user(timezone_offset=600)
    execution = mojodex.execution("x", user_id=user_id, extracted=True)
    mojodex.scheduled(execution, "Call Bob", MONDAY)
    mojodex.scheduled(execution, "Only tomorrow", TUESDAY)
    mojodex.scheduled(execution, "Done already", MONDAY, completed=True)
    model.answers(Reply(refusal="No."))
    name = database.url.database
    mojodex.run(f"ALTER DATABASE {name} SET timezone = 'Pacific/Kiritimati'")
    bundle.database.close()
    try:
        assert bundle.schedule() == 1
        bundle.work(*bundle.queued())
    finally:
        mojodex.run(f"ALTER DATABASE {name} RESET timezone")

    ((_, raw),) = ses.mails
    said = text_of(check_mail(raw))
    assert "Call Bob" in said
    assert "MONDAY, NOVEMBER 30" in said.upper()
    assert "Only tomorrow" not in said
    assert "Done already" not in said


@time_machine.travel(MORNING)
def test_defect_9_no_second_mail_is_sent_on_the_same_day(
    make_bundle: Any, mojodex: Mojodex, model: FakeModel, ses: FakeSes
) -> None:
    bundle = make_bundle("events")
    overdue_todo(mojodex, MONDAY)
    model.answers(Reply(refusal="No."))
    bundle.schedule()
    messages = bundle.queued()

    bundle.work(*messages)
    bundle.work(*messages)
    with time_machine.travel(MORNING + timedelta(hours=1)):
        assert bundle.schedule() == 0
        bundle.work({key: messages[0][key] for key in ("event_type", "user_id")})

    assert len(ses.mails) == 1


@time_machine.travel(MORNING)
def test_defect_10_an_empty_list_costs_no_call_and_no_mail(
    make_bundle: Any, mojodex: Mojodex, model: FakeModel, ses: FakeSes
) -> None:
    bundle = make_bundle("events")
    user_id = mojodex.user()

    assert bundle.schedule() == 0
    bundle.work({"event_type": "todo_daily_emails", "user_id": user_id})

    assert model.calls == ses.requests == []


@time_machine.travel(MORNING)
def test_defect_10_a_mail_service_that_is_not_set_up_costs_one_call(
    make_bundle: Any, mojodex: Mojodex, model: FakeModel, ses: FakeSes
) -> None:
    bundle = make_bundle("events")
    overdue_todo(mojodex, MONDAY)
    line = {"id": "t1", "line": "Bob is in today."}
    model.answers(Reply({"subject": "S", "greeting": "G", "intro": "I", "lines": [line], "closing": "C"}))
    ses.does(Answer(400, "MessageRejected", "Email address is not verified."))
    bundle.schedule()
    messages = bundle.queued()

    for _ in range(4):
        assert len(bundle.work(*messages)["batchItemFailures"]) == 1
    ses.does(TAKEN)
    bundle.work(*messages)

    assert len(model.calls) == len(ses.mails) == 1
    assert "Bob is in today" in text_of(check_mail(ses.mails[0][1]))
    assert "words" not in mojodex.rows("SELECT outcome FROM md_background_job")[0].outcome


@time_machine.travel(MORNING)
def test_defect_11_no_line_is_longer_than_strict_servers_accept(
    make_bundle: Any, mojodex: Mojodex, model: FakeModel, ses: FakeSes
) -> None:
    """Lines had more than 998 characters, and From had no address."""
    bundle = make_bundle("events")
    overdue_todo(mojodex, MONDAY, name="Ann " * 60)
    mojodex.run("UPDATE md_todo SET description = repeat('x', 5000)")
    model.answers(
        Reply(
            json.dumps(
                {"subject": "s" * 5000, "greeting": "g" * 5000, "intro": "é" * 5000}
                | {"lines": [], "closing": "😀" * 5000}
            )
        )
    )

    bundle.schedule()
    bundle.work(*bundle.queued())

    ((_, raw),) = ses.mails
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    assert check_mail(raw)["from"].addresses[0].addr_spec == "mojo@example.com"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("EMAIL_SENDER", ""),
        ("EMAIL_SENDER", "Mojo"),
        ("EMAIL_SENDER", "Mojo <mojo@example.com>"),
        ("MOJODEX_WEBAPP_URI", "app.example.com"),
        ("MOJODEX_WEBAPP_URI", "javascript:alert(1)"),
        ("SES_CONFIGURATION_SET", ""),
        ("UNSUBSCRIBE_URL", "http://app.example.com/unsubscribe"),
        ("UNSUBSCRIBE_SECRET_ARN", "arn"),
    ],
)
def test_defect_12_a_wrong_mail_setting_stops_the_start_and_is_named(variable: str, value: str) -> None:
    """A wrong setting surfaced as an AttributeError at each later use."""
    with pytest.raises(SettingsError, match=variable):
        events.worker.Settings.from_environment(os.environ | {variable: value})


def test_defect_22_a_locked_table_delays_its_jobs_and_loses_none(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker waited for the lock until it was killed, with 48 of 60 tasks in its queue."""
    monkeypatch.setattr(db, "BEGIN", db.BEGIN.replace("'5s'", "'1s'"))
    pks = [mojodex.execution(SAID) for _ in range(3)]
    model.answers(GOOD)
    with mojodex.engine.begin() as connection:
        connection.execute(text("LOCK TABLE md_todo"))

        response = bundle.work(*map(message, pks))

    assert len(response["batchItemFailures"]) == 3
    assert [mojodex.job(pk).state for pk in pks] == ["queued"] * 3
    bundle.work(*map(message, pks))
    assert all(mojodex.todos_of(pk) == ONE_TODO for pk in pks)


def test_defect_22_the_first_job_after_a_restart_of_postgres_succeeds(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel
) -> None:
    """Here only the connections are closed; tests/stack restarts a server."""
    model.answers(GOOD)
    bundle.work(message(mojodex.execution(SAID)))
    mojodex.run(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
        " WHERE application_name = 'mojodex-background'"
    )
    pk = mojodex.execution(SAID)

    assert bundle.work(message(pk)) == {"batchItemFailures": []}
    assert mojodex.job(pk).attempts == 1


def test_defect_22_a_password_may_hold_any_character(bundle: Bundle, database: Database) -> None:
    assert {"@", "/"} <= set(database.password)

    with bundle.database.session() as session:
        assert session.execute(text("SELECT 1")).scalar() == 1


def test_defect_22_no_session_stays_open_on_errors(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel
) -> None:
    for reply in (Reply(status=400), Reply(refusal="No."), Reply(content="nonsense"), GOOD):
        model.answers(reply)
        bundle.work(message(mojodex.execution(SAID)), message(2**31 - 1), "{oops")

    pool: Any = bundle.database.engine().pool
    assert pool.checkedout() == 0
    idle = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'"
    assert mojodex.run(idle) == 0


def test_defect_23_an_error_is_recorded_and_shows_no_sql(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel, caplog: pytest.LogCaptureFixture
) -> None:
    pk = mojodex.execution(SAID)
    model.answers(Reply(refusal="No."))
    bundle.work(message(pk))
    assert mojodex.run("SELECT message FROM md_error") == (
        f"background extract_todos {pk} : the model refuses this content"
    )

    broken = mojodex.execution(SAID)
    model.answers(GOOD)
    mojodex.run("ALTER TABLE md_todo ADD CONSTRAINT none CHECK (description = '')")
    try:
        bundle.work(message(broken))
    finally:
        mojodex.run("ALTER TABLE md_todo DROP CONSTRAINT none")

    (line,) = [r for r in caplog.records if r.getMessage() == "unknown error, message is retried"]
    fields = {key: value for key, value in vars(line).items() if key != "where"}
    assert fields["error"] == "ProgrammingError"
    assert "INSERT" not in str(fields)
    assert SAID not in str(vars(line))


# Documents.

PARTS = [f"# Part {n}\n" + " ".join(f"w{n}x{i}" for i in range(45)) for n in range(10)]
LONG_AGO = "what the old system has stored, which is long enough"


def test_defect_13_a_text_update_updates_the_text(documents: Documents) -> None:
    """Each update crashed on an undefined name, and was answered with "ok"."""
    pk = documents.text_document(LONG_AGO)

    job = documents.update(pk, PARTS[0])

    assert job.state == "done"
    assert documents.text(pk) == [PARTS[0]]


@pytest.mark.parametrize("status", [0, 404, 410, 500, 502])
def test_defect_14_a_page_that_cannot_be_fetched_loses_nothing(documents: Documents, status: int) -> None:
    """Without an answer, all chunks were deleted. After a 500, the error page replaced them."""
    documents.site.simple("/", "/a")
    documents.read()
    before = documents.contents()
    error = "An error has happened on our side, and we are looking into it. Please try again in an hour."
    documents.site.html("/a", error)
    documents.site.pages["/a"].status = status
    if not status:
        documents.site.pages["/a"] = Page("", status=302, headers={"Location": "http://127.0.0.1:1/"})

    job = documents.update(documents.documents()["/a"])

    assert job.state == "failed"
    assert job.outcome["reason"].startswith("the page cannot be fetched: ")
    assert documents.contents() == before


def test_defect_15_a_text_that_shrinks_and_grows_back_is_whole_and_has_its_date(documents: Documents) -> None:
    """Reused chunks stayed marked as deleted, and the date was never committed."""
    pk = documents.text_document(LONG_AGO)
    for parts in (PARTS, PARTS[:2], PARTS):
        documents.update(pk, "\n\n".join(parts))

    rows = documents.chunks(pk)
    assert [row.chunk_text for row in rows] == PARTS
    assert all(row.deleted is None for row in rows)
    age = "SELECT now() - last_update_date FROM md_document WHERE document_pk = :d"
    assert documents.mojodex.run(age, d=pk) < timedelta(minutes=1)


def test_defect_16_a_search_finds_only_chunks_of_the_current_text(documents: Documents) -> None:
    """Old chunks were only marked as deleted, and a search still found them."""
    pk = documents.text_document(LONG_AGO)
    documents.mojodex.run("UPDATE md_document_chunk SET deleted = now()")
    documents.update(pk, "\n\n".join(PARTS[:3]))
    nearest = "SELECT chunk_text FROM md_document_chunk ORDER BY embedding <=> CAST(:v AS vector), 1 LIMIT 1"

    found = [documents.mojodex.run(nearest, v=str(vector(each))) for each in (*PARTS[:3], LONG_AGO)]

    assert found[:3] == PARTS[:3]
    assert found[3] != LONG_AGO


LOOPBACK = ("127.0.0.1", "127.1", "2130706433", "0x7f.0.0.1", "0177.0.0.1", "localhost", "[::ffff:127.0.0.1]")


@pytest.mark.parametrize("host", [*LOOPBACK, "169.254.170.2", "10.0.0.1"])
def test_defect_17_no_internal_host_is_requested(make_documents: Callable[..., Documents], host: str) -> None:
    """They were fetched and stored in each of these spellings. For ports see test_fetch.py."""
    documents = make_documents(fetch_loopback=False)
    documents.site.simple("/")
    port = documents.site.url.rpartition(":")[2]

    jobs = [documents.read(f"http://{host}{end}") for end in ("", f":{port}/")]

    assert [job.state for job in jobs] == ["failed", "failed"]
    assert documents.site.requests == []
    assert documents.mojodex.rows("SELECT * FROM md_document") == []


def test_defect_17_neither_a_link_nor_a_redirect_leads_to_another_site(documents: Documents) -> None:
    with website() as other:
        other.simple("/", "/linked")
        elsewhere = other.url.replace("127.0.0.1", "localhost")
        documents.site.simple("/", f"{elsewhere}/linked", "/away")
        documents.site.pages["/away"] = Page("", status=302, headers={"Location": f"{elsewhere}/"})

        documents.read()

        assert other.requests == []
    assert list(documents.documents()) == ["/"]


def test_defect_18_a_page_that_hangs_or_is_too_large_is_given_up(
    documents: Documents, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five hanging sites stopped every process, and a page of 24 MiB killed the worker."""
    monkeypatch.setattr(visit, "SECONDS_OF_TRY", 1)
    hangs = tuple(f"/hangs/{n}" for n in range(5))
    documents.site.simple("/", *hangs, "/large", "/a")
    for path in hangs:
        documents.site.pages[path].delay = 1.5
    documents.site.pages["/large"].body = b"<p>" + b"x" * 25_000_000

    job = documents.read()

    assert job.state == "done"
    assert sorted(documents.documents()) == ["/", "/a"]
    assert documents.reasons() == {
        **dict.fromkeys(hangs, "it takes too long"),
        "/large": "larger than 5000000 bytes",
    }


def test_defect_19_an_odd_page_costs_only_itself(make_documents: Callable[..., Documents]) -> None:
    """A PDF or too long an address stopped the crawl, and the pages stored until then were random.
    404 and 500 pages, `#fragment` and `?utm_` variants became documents.
    """
    documents = make_documents(crawl_page_limit=20)
    good = tuple(f"/{n}" for n in range(24))
    odd = ("/plan", f"/{'x' * 300}", "/404", "/500")
    documents.site.simple("/", *odd, "/1#top", "/1?utm_source=mail", *good)
    documents.site.pages["/plan"] = Page("Not found", headers={"Content-Type": "application/pdf"})
    documents.site.pages["/404"].status = 404
    documents.site.pages["/500"].status = 500

    job = documents.read()

    assert sorted(documents.documents()) == sorted(["/", *good[:19]])
    assert job.outcome["limits"] == ["20 pages"]
    assert {path[:99] for path in documents.reasons()} == {path[:99] for path in (*odd, *good[19:])}


@pytest.mark.parametrize("answer", ["Yes.", "yes", "Relevant", True, {"verdicts": "yes"}])
def test_defect_20_only_a_clear_no_counts_as_no(documents: Documents, model: FakeModel, answer: Any) -> None:
    """ "Yes." counted as no."""
    documents.site.simple("/")
    model.answers(Reply(answer))

    assert documents.read().outcome["stored"] == 1


@pytest.mark.parametrize("letters", ["我们的产品在河边的老磨坊里手工制作。", "👨‍👩‍👧🎉🇩🇪👍🏽"])
def test_defect_20_no_letter_is_broken_at_the_border_of_a_chunk(documents: Documents, letters: str) -> None:
    """Texts were cut between tokens. A letter may need several, and became U+FFFD."""
    pk = documents.text_document(LONG_AGO)

    documents.update(pk, letters * 100)

    assert len(documents.text(pk)) > 1
    assert all(set(chunk) <= {*letters} for chunk in documents.text(pk))


def test_defect_21_a_kill_in_the_middle_leaves_no_partial_or_second_document(
    documents: Documents, model: FakeModel
) -> None:
    """Half documents were left unfinished. A second request made 14 to 16 documents for 10 pages."""
    documents.site.simple("/", *(f"/{n}" for n in range(9)))
    documents.ask()
    bodies = documents.pages.queued()
    documents.pages.work(*bodies[:4])
    model.embed = lambda _: Reply(status=500, headers={"Retry-After": "0"})
    documents.pages.work(*bodies[4:7])
    assert len(documents.documents()) == 4
    assert all(documents.chunks(pk) for pk in documents.documents().values())
    model.embed = embedded
    documents.mojodex.close_circuits()

    # A second request while the first one is unfinished, which then continues.
    documents.read(request="r2")
    documents.pages.work(*bodies)

    assert len(documents.documents()) == 10
    assert documents.mojodex.run("SELECT count(*) FROM md_document") == 10
    assert documents.job().state == documents.job(request="r2").state == "done"


def test_defect_23_the_log_level_has_an_effect() -> None:
    assert os.environ["POWERTOOLS_LOG_LEVEL"] == "INFO"
    assert logger.log_level == 20


def test_defect_24_tokens_are_counted_as_answered_and_retries_are_bounded(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel, capsys: pytest.CaptureFixture[str]
) -> None:
    model.answers(GOOD)
    bundle.work(message(mojodex.execution(SAID)))
    printed = capsys.readouterr().out
    assert '"LlmPromptTokens":[100.0]' in printed
    assert '"LlmCompletionTokens":[20.0]' in printed

    model.calls.clear()
    model.answers(Reply(status=500))
    bundle.work(message(mojodex.execution(SAID)))

    # Two tries of each model; the SDK itself does not retry.
    assert [call["model"] for call in model.calls] == ["gpt-5-mini"] * 2 + ["gpt-4.1"] * 2


_written: list[str] | None = None


def _note_writes(event: str, arguments: tuple[Any, ...]) -> None:
    if _written is not None and event == "open":
        path, mode, flags = arguments
        if isinstance(path, str) and (
            flags & (os.O_WRONLY | os.O_RDWR) or set("wax+") & set(str(mode or ""))
        ):
            _written.append(path)


@contextmanager
def files_written() -> Iterator[list[str]]:
    """Record every file that this process opens for writing."""
    global _written
    sys.addaudithook(_note_writes)
    _written = written = []
    try:
        yield written
    finally:
        _written = None


def test_defect_25_no_prompt_or_answer_is_kept_on_disk(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel
) -> None:
    pk = mojodex.execution(SAID)
    model.answers(GOOD)
    # Run once before, so that late imports write no files below.
    bundle.work(message(mojodex.execution(SAID)))

    with files_written() as written:
        bundle.work(message(pk))

    assert mojodex.job(pk).state == "done"
    assert written == []
