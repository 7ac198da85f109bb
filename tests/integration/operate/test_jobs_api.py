"""The jobs API: the outcome of a job, and an operator's ways to change it."""

import itertools
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError

from documents.message import CreateFromWebsite, UpdateDocument
from events.message import SendEvent
from extract_todos.message import ExtractTodos
from mojodex import jobs, queues
from mojodex.clock import utc_now
from mojodex.errors import TransientError
from operate import environment
from operate.jobs import listing
from operate.jobs.job_id import PROCESSES, JobKey, parse_job_id
from reschedule_todo.message import RescheduleTodo
from tests.fake_model import FakeModel, todos
from tests.integration.conftest import Bundle
from tests.integration.operate.conftest import Operated

NOW = utc_now()
AN_HOUR_AGO = (NOW - timedelta(hours=1)).isoformat()
TOMORROW = (NOW + timedelta(days=1)).date().isoformat()
SAID = "I'll send the offer to Bob soon."
DAY = "2026-11-27"
SENT = "2026-11-27T08:00:00.123+00:00"
# A failed job of each process that can be retried: subject, occasion and its message.
RETRIED: dict[str, tuple[str, str, Any]] = {
    "extract_todos": ("7", "", ExtractTodos(user_task_execution_pk=7)),
    "reschedule_todo": (
        "8",
        DAY,
        RescheduleTodo.model_validate_json(f'{{"todo_pk": 8, "local_date": "{DAY}"}}'),
    ),
    "events": (
        "todo_daily_emails:ann:1",
        DAY,
        SendEvent.model_validate_json(
            f'{{"event_type": "todo_daily_emails", "user_id": "ann:1", "local_date": "{DAY}"}}'
        ),
    ),
    "update_document": ("9", SENT, UpdateDocument(user_id="ann", document_pk=9)),
}


def begin(operated: Operated, key: JobKey) -> Any:
    """Begin a job, as its worker does."""
    delivery = jobs.Delivery("message", NOW + queues.RETENTION)
    with environment.database.session() as session:
        return jobs.begin(session, delivery, **key._asdict(), now=utc_now(), lease_seconds=150)


# Find.


def test_jobs_are_listed_newest_first_in_pages_each_once(operated: Operated) -> None:
    states = ("queued", "running", "done", "failed", "skipped")
    # Several jobs have the same time, as a schedule claims them.
    for number in range(23):
        process = PROCESSES[number % 6]
        at = NOW - timedelta(minutes=number // 4)
        operated.add_job(process, f"{number}", "x", states[number % 5], queued_at=at, finished_at=None)

    found: list[Any] = []
    after = None
    while True:
        page = operated.client.get("/jobs", limit=5, after=after).json()
        found += page["jobs"]
        after = page["next"]
        if after is None:
            break

    assert len(found) == len({job["id"] for job in found}) == 23
    moments = [job["queued_at"] for job in found]
    assert moments == sorted(moments, reverse=True)


@pytest.mark.parametrize(
    ("query", "subjects"),
    [
        ({}, {"1", "2", "3", "ann https://example.com"}),
        ({"process": "extract_todos"}, {"1", "2"}),
        ({"state": "failed"}, {"1", "3"}),
        ({"user": "ann"}, {"1", "ann https://example.com"}),
        ({"user": "ann", "state": "done"}, {"ann https://example.com"}),
        ({"subject": "2"}, {"2"}),
        ({"since": AN_HOUR_AGO}, {"1", "2", "ann https://example.com"}),
        ({"reason": "REFUSES"}, {"1"}),
        ({"reason": "%"}, set()),
        ({"url": "Example.com"}, {"ann https://example.com"}),
        ({"user": "nobody"}, set()),
    ],
    ids=itertools.count(),
)
def test_jobs_are_found_by_filter(operated: Operated, query: dict[str, str], subjects: set[str]) -> None:
    operated.add_job(subject="1", user_id="ann")
    operated.add_job(subject="2", state="done")
    old = NOW - timedelta(days=1)
    operated.add_job(
        "events", "3", DAY, user_id="bob", queued_at=old, finished_at=old, outcome={"reason": "SES is away"}
    )
    operated.add_job("create_from_website", "ann https://example.com", "r", "done", user_id="ann")

    found = operated.client.get("/jobs", **query).json()

    assert {job["subject"] for job in found["jobs"]} == subjects
    assert found["next"] is None


def test_a_rare_reason_is_searched_page_by_page_and_never_in_the_whole_ledger(operated: Operated) -> None:
    for number in range(listing.SCANNED + 100):
        operated.add_job(subject=str(number), queued_at=NOW, finished_at=NOW - timedelta(seconds=number))
    old = NOW - timedelta(days=2)
    operated.add_job(subject="rare", queued_at=old, finished_at=old, outcome={"reason": "rare"})

    first = operated.client.get("/jobs", reason="rare").json()
    second = operated.client.get("/jobs", reason="rare", after=first["next"]).json()

    assert (first["jobs"], first["looked_back_to"] is not None) == ([], True)
    assert [job["subject"] for job in second["jobs"]] == ["rare"]
    assert second["next"] is None


@pytest.mark.parametrize(
    "query",
    [
        {"state": "lost"},
        {"process": "mail"},
        {"since": "yesterday"},
        {"since": "2026-11-27T00:00:00"},
        {"limit": 0},
        {"limit": 201},
        {"after": "x"},
        {"user": ""},
        {"user": "a\0b"},
    ],
    ids=str,
)
def test_an_invalid_filter_is_refused_with_a_clear_reason(operated: Operated, query: dict[str, Any]) -> None:
    found = operated.client.get("/jobs", **query)

    assert (found.status, found.headers["content-type"]) == (422, "application/problem+json")
    assert next(iter(query)) in found.json()["detail"]


# One job.


def test_a_job_shows_its_attempts_its_cost_and_its_audit(operated: Operated) -> None:
    started = (NOW - timedelta(minutes=5)).isoformat()
    history = [
        {
            "started": started,
            "ended": started,
            "error": "TransientError",
            "reason": "x is away",
            "counted": False,
        }
    ]
    spent = [{"model": "gpt-5-mini", "calls": 2, "prompt_tokens": 900, "usd": 0.01}]
    job_id = operated.add_job(history=history, spent=spent, user_id="ann")

    found = operated.client.get(f"/jobs/{job_id}").json()

    assert [(a["error"], a["reason"], a["counted"]) for a in found["history"]] == [
        ("TransientError", "x is away", False),
        ("Failed", "the model refuses this content", None),
    ]
    assert (found["spent"], found["usd"], found["user_id"]) == (spent, 0.01, "ann")
    assert found["reason"] == "the model refuses this content"
    assert found["audit"] == []


def test_the_users_words_are_shown_only_with_the_right_to_read_them(operated: Operated) -> None:
    outcome = {
        "todos": [{"todo_pk": 3, "evidence": "call my doctor"}],
        "left_out": [{"reason": "it says nothing"}],
    }
    job_id = operated.add_job(state="done", outcome=outcome)

    everything = operated.client.get(f"/jobs/{job_id}")
    less = operated.client.as_("reader").get(f"/jobs/{job_id}")
    listed = operated.client.get("/jobs")

    assert everything.json()["outcome"] == outcome
    assert "doctor" not in less.body
    assert less.json()["outcome"]["todos"][0]["todo_pk"] == 3
    assert less.json()["outcome"]["left_out"] == outcome["left_out"]
    assert "doctor" not in listed.body


@pytest.mark.parametrize(
    "job_id", ["extract_todos.MTAw", "extract_todos", "nothing.MQ", "extract_todos.?", "x" * 900]
)
def test_a_missing_job_is_not_found(operated: Operated, job_id: str) -> None:
    assert operated.client.get(f"/jobs/{job_id}").status == 404


def test_the_id_of_a_job_is_its_key_and_nothing_else_is_accepted() -> None:
    for key in (JobKey("extract_todos", "7", ""), JobKey("events", "todo_daily_emails:é 1", DAY)):
        assert parse_job_id(key.job_id) == key
    for wrong in (
        "extract_todos.Nw==",
        "extract_todos.N w",
        "extract_todos.Nw.",
        "extract_todos.Nx",
        "lost.Nw",
    ):
        with pytest.raises(ValueError):
            parse_job_id(wrong)


# Retry.


@pytest.mark.parametrize("process", RETRIED)
def test_a_retried_job_is_the_same_one_with_all_its_attempts_and_its_message(
    operated: Operated, process: Any
) -> None:
    subject, occasion, message = RETRIED[process]
    user = "ann:1" if process == "events" else "ann"
    job_id = operated.add_job(process, subject, occasion, attempts=20, user_id=user)

    answer = operated.client.post(f"/jobs/{job_id}/retry")

    assert (answer.status, answer.json()) == (202, {"id": job_id, "state": "queued"})
    (sent,) = operated.messages(process)
    assert type(message).model_validate_json(sent["Body"]) == message
    assert sent["Attributes"]["MessageGroupId"] == user
    if process == "update_document":
        # Its occasion is the send time, so the retry keeps it.
        millis = int(sent["MessageAttributes"]["sent_at"]["StringValue"])
        assert datetime.fromtimestamp(millis / 1000, UTC).isoformat(timespec="milliseconds") == SENT
    row = operated.job(process, subject)
    assert (row.state, row.attempts, row.outcome, row.retry_message) == ("queued", 0, None, None)
    assert row.history[-1]["reason"] == "the model refuses this content"
    assert begin(operated, parse_job_id(job_id)).attempts == 1


def test_a_retried_website_is_crawled_again_as_a_new_occasion(operated: Operated) -> None:
    outcome = {"reason": "no page could be stored", "found": 1, "scope": "path", "refresh": True}
    subject = "ann https://example.com/docs/"
    job_id = operated.add_job("create_from_website", subject, "r1", outcome=outcome, user_id="ann")

    answer = operated.client.post(f"/jobs/{job_id}/retry").json()

    key = parse_job_id(answer["id"])
    assert (key.subject, key.occasion.startswith("retry ")) == (subject, True)
    (message,) = operated.queued("create_from_website")
    assert CreateFromWebsite.model_validate(message) == CreateFromWebsite(
        user_id="ann",
        website_url="https://example.com/docs/",
        scope="path",
        refresh=True,
        request_id=key.occasion,
    )
    assert operated.client.get(f"/jobs/{answer['id']}").json()["state"] == "queued"
    before = operated.client.get(f"/jobs/{job_id}").json()
    assert (before["state"], before["outcome"]["retried_as"]) == ("failed", key.occasion)
    assert operated.client.post(f"/jobs/{job_id}/retry").status == 409


@pytest.mark.parametrize(
    ("process", "occasion", "state", "outcome", "why"),
    [
        ("extract_todos", "", "done", None, "this one is done"),
        ("extract_todos", "", "running", None, "this one is running"),
        ("ingest_page", "", "failed", {"reason": "x"}, "with its website"),
        ("events", DAY, "failed", {"reason": "it is not known whether SES took the mail"}, "send it twice"),
        ("update_document", f"{SENT} 0badcafe", "failed", {"reason": "x"}, "does not keep the text"),
        ("update_document", SENT, "failed", {"reason": "x"}, "without its user"),
        ("events", DAY, "failed", {"reason": "gave up", "sending_since": SENT}, "send it twice"),
        (
            "create_from_website",
            "r1",
            "failed",
            {"reason": "cancelled by x", "found": 0},
            "before its first page",
        ),
    ],
)
def test_a_retry_that_is_impossible_is_refused_with_its_reason(
    operated: Operated, process: str, occasion: str, state: str, outcome: Any, why: str
) -> None:
    job_id = operated.add_job(process, "1", occasion, state, outcome=outcome)

    answer = operated.client.post(f"/jobs/{job_id}/retry")

    assert (answer.status, why in answer.json()["detail"]) == (409, True)
    assert operated.client.post("/jobs/retry", {"process": process}).json() == {"matching": 0, "retried": 0}
    assert operated.job(process).state == state


def test_only_the_message_of_the_job_that_is_retried_is_published(operated: Operated) -> None:
    for subject in ("1", "2"):
        operated.add_job(subject=subject)
    operated.mojodex.run(
        "UPDATE md_background_job SET state = 'queued', retry_message = '{\"body\": \"2\"}'"
        " WHERE subject = '2'"
    )

    operated.client.post("/jobs/extract_todos.MQ/retry")

    assert operated.queued("extract_todos") == [{"user_task_execution_pk": 1}]
    assert operated.job(subject="2").retry_message == {"body": "2"}
    assert operated.job(subject="1").retry_message is None


def test_a_message_that_cannot_be_published_is_left_to_the_redrive(
    operated: Operated, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = operated.add_job()

    def away(*_args: object) -> None:
        raise TransientError("queue: away")

    with monkeypatch.context() as patch:
        patch.setattr(queues, "publish", away)
        assert operated.client.post(f"/jobs/{job_id}/retry").status == 202

    assert operated.job().retry_message is not None
    assert operated.republish() == 1
    assert operated.queued("extract_todos") == [{"user_task_execution_pk": 1}]
    assert operated.republish() == 0


def test_all_failed_jobs_of_a_filter_are_retried_once_their_number_is_confirmed(operated: Operated) -> None:
    for number in range(5):
        operated.add_job(subject=str(number))
    operated.add_job(subject="other", outcome={"reason": "another"})
    operated.add_job(subject="done", state="done")
    wanted = {"process": "extract_todos", "reason": "refuses this"}

    asked = operated.client.post("/jobs/retry", wanted)
    wrong = operated.client.post("/jobs/retry", wanted | {"confirm": 4})
    confirmed = operated.client.post("/jobs/retry", wanted | {"confirm": 5})
    again = operated.client.post("/jobs/retry", wanted | {"confirm": 5})

    assert (asked.status, asked.json()) == (200, {"matching": 5, "retried": 0})
    assert (wrong.status, wrong.json()["matching"]) == (409, 5)
    assert (confirmed.status, confirmed.json()) == (202, {"matching": 5, "retried": 5})
    assert again.status == 409
    assert ("invoke", "Event") in [(name, call.get("InvocationType")) for name, call in operated.calls]
    assert operated.republish() == 5
    assert {m["user_task_execution_pk"] for m in operated.queued("extract_todos")} == {*range(5)}
    assert [row.who for row in operated.mojodex.rows("SELECT * FROM md_background_audit")] == ["operator"]


# Cancel.


def test_a_queued_job_that_is_cancelled_is_not_run(
    operated: Operated, bundle: Bundle, model: FakeModel
) -> None:
    pk = operated.mojodex.execution(SAID)
    job_id = operated.add_job(subject=str(pk), state="queued")

    assert operated.client.post(f"/jobs/{job_id}/cancel").status == 200
    bundle.work({"user_task_execution_pk": pk})

    row = operated.job(subject=str(pk))
    assert (row.state, row.outcome) == ("failed", {"reason": "cancelled by operator"})
    assert model.calls == []
    assert operated.client.post(f"/jobs/{job_id}/cancel").status == 409


def test_a_cancelled_job_can_be_retried(operated: Operated) -> None:
    job_id = operated.add_job(state="queued")
    operated.client.post(f"/jobs/{job_id}/cancel")

    assert operated.client.post(f"/jobs/{job_id}/retry").status == 202

    found = operated.client.get(f"/jobs/{job_id}").json()
    assert found["state"] == "queued"
    (attempt,) = found["history"]
    assert (attempt["started"], attempt["reason"]) == (None, "cancelled by operator")
    assert operated.client.get(f"/console/jobs/{job_id}").status == 200


def test_a_running_job_that_is_cancelled_writes_nothing(
    operated: Operated, bundle: Bundle, model: FakeModel
) -> None:
    pk = operated.mojodex.execution(SAID)
    statuses = []

    def cancel(_request: object, _port: int) -> None:
        statuses.append(
            operated.client.post(f"/jobs/{JobKey('extract_todos', str(pk), '').job_id}/cancel").status
        )

    model.asked_from = cancel
    model.answers(todos(("Send the offer to Bob", TOMORROW, SAID)))

    bundle.work({"user_task_execution_pk": pk})
    bundle.work({"user_task_execution_pk": pk})

    assert statuses == [200]
    assert operated.mojodex.todos_of(pk) == []
    assert operated.job(subject=str(pk)).outcome == {"reason": "cancelled by operator"}


def test_a_mail_that_is_being_sent_cannot_be_cancelled(operated: Operated) -> None:
    sending = {"sending_since": NOW.isoformat()}
    job_id = operated.add_job("events", "todo_daily_emails:ann", DAY, "running", outcome=sending)

    answer = operated.client.post(f"/jobs/{job_id}/cancel")

    assert (answer.status, answer.json()["detail"]) == (
        409,
        "It has just ended, or its mail may already be sent. Look at it again.",
    )
    assert operated.job("events", "todo_daily_emails:ann").state == "running"


def add_page(operated: Operated, key: str, state: str, subject: str, occasion: str = "r1") -> None:
    operated.mojodex.run(
        "INSERT INTO md_background_page (subject, occasion, user_id, url, key, depth, state, html, lines,"
        " found_at) VALUES (:s, :o, 'ann', :k, :k, 0, :state, 'html', '{1}', now())",
        s=subject,
        o=occasion,
        k=key,
        state=state,
    )


def test_a_cancelled_website_keeps_its_progress_and_its_open_pages_fail(operated: Operated) -> None:
    subject = "ann https://example.com"
    job_id = operated.add_job(
        "create_from_website", subject, "r1", "running", outcome={"found": 2, "waiting": 1}, user_id="ann"
    )
    for state in ("found", "staged", "stored"):
        add_page(operated, state, state, subject)
    add_page(operated, "earlier", "found", subject, "r0")
    add_page(operated, "another's", "found", "bob https://example.com")

    assert operated.client.post(f"/jobs/{job_id}/cancel").status == 200

    website = operated.client.get(f"/websites/{job_id}").json()
    assert (website["state"], website["progress"]["found"]) == ("failed", 2)
    assert website["finished_at"] is not None
    assert [(p["url"], p["state"], p["reason"]) for p in website["pages"]] == [
        ("found", "failed", "cancelled by operator"),
        ("staged", "failed", "cancelled by operator"),
        ("stored", "stored", None),
    ]
    kept = operated.mojodex.rows(
        "SELECT key, state FROM md_background_page WHERE html IS NOT NULL AND lines IS NOT NULL ORDER BY key"
    )
    assert [tuple(row) for row in kept] == [
        ("another's", "found"),
        ("earlier", "found"),
        ("stored", "stored"),
    ]


def test_a_cancelled_refresh_is_postponed_by_a_day_and_no_other_is(operated: Operated) -> None:
    for user, url, in_days in (("ann", "a.example", 0), ("ann", "b.example", 0), ("bob", "a.example", 0)):
        operated.mojodex.run(
            "INSERT INTO md_background_website (user_id, site, repeated_lines, website_url, refresh_at)"
            " VALUES (:u, :w, '{}', :w, now() + make_interval(days => :days))",
            u=user,
            w=url,
            days=in_days,
        )
    job_id = operated.add_job("create_from_website", "ann a.example", "r1", "queued", user_id="ann")

    operated.client.post(f"/jobs/{job_id}/cancel")

    due = operated.mojodex.rows(
        "SELECT user_id, site, refresh_at > now() + interval '23 hours' AS later FROM md_background_website"
        " ORDER BY user_id, site"
    )
    assert [row.later for row in due] == [True, False, False]


def test_only_unfinished_jobs_can_be_cancelled(operated: Operated) -> None:
    for subject, state in (("1", "queued"), ("2", "queued"), ("3", "done")):
        operated.add_job(subject=subject, state=state)
    operated.mojodex.run("UPDATE md_background_job SET retry_message = '{}' WHERE subject = '1'")

    answers = [operated.client.post(f"/jobs/extract_todos.{part}/cancel") for part in ("MQ", "Mw", "OQ")]

    assert [answer.status for answer in answers] == [200, 409, 404]
    assert answers[1].json()["detail"] == "It is already done."
    rows = operated.mojodex.rows("SELECT * FROM md_background_job ORDER BY subject")
    assert [row.state for row in rows] == ["failed", "queued", "done"]
    assert (rows[0].retry_message, rows[0].finished_at is not None) == (None, True)


def test_a_page_is_cancelled_with_its_website(operated: Operated) -> None:
    job_id = operated.add_job("ingest_page", "1", "", "queued")

    assert operated.client.post(f"/jobs/{job_id}/cancel").status == 409


# Websites, users, processes.


def test_the_pages_of_a_website_are_listed_in_pages(operated: Operated) -> None:
    subject = "ann https://example.com"
    job_id = operated.add_job(
        "create_from_website", subject, "r1", "done", outcome={"found": 3}, user_id="ann"
    )
    for key in "abc":
        operated.mojodex.run(
            "INSERT INTO md_background_page (subject, occasion, user_id, url, key, depth, state, found_at)"
            " VALUES (:s, 'r1', 'ann', :k, :k, 0, 'stored', now())",
            s=subject,
            k=key,
        )

    first = operated.client.get(f"/websites/{job_id}", limit=2).json()
    second = operated.client.get(f"/websites/{job_id}", limit=2, after=first["next"]).json()

    assert [[page["url"] for page in part["pages"]] for part in (first, second)] == [["a", "b"], ["c"]]
    assert second["next"] is None
    assert operated.client.get(f"/websites/{operated.add_job()}").status == 404


def test_a_users_activity_has_their_jobs_and_websites_and_not_their_address(operated: Operated) -> None:
    user = operated.mojodex.user(email="ann@example.org", name="Ann Archer")
    operated.add_job(user_id=user)
    operated.add_job(subject="2", user_id="somebody else")
    operated.mojodex.run(
        "INSERT INTO md_background_website (user_id, site, repeated_lines, website_url)"
        " VALUES (:u, 'example.com', '{}', 'https://example.com')",
        u=user,
    )

    found = operated.client.get(f"/users/{user}/activity")

    answer = found.json()
    assert [job["subject"] for job in answer["jobs"]] == ["1"]
    assert [website["site"] for website in answer["websites"]] == ["example.com"]
    assert answer["todo_email_reception"] is True
    assert "Archer" not in found.body
    assert "ann@example.org" not in found.body
    assert operated.client.get("/users/nobody/activity").status == 404


def test_a_process_is_paused_and_resumed_with_its_alarm_once_each(operated: Operated) -> None:
    for change in ("pause", "pause", "resume"):
        answer = operated.client.post(f"/processes/events/{change}")
        assert answer.json() == {"process": "events", "paused": change == "pause"}
        paused = [
            row.paused_by for row in operated.mojodex.rows("SELECT * FROM md_background_paused_process")
        ]
        assert paused == (["operator"] if change == "pause" else [])

    assert [name for name, _ in operated.calls][-1] == "set_alarm_state"
    mappings = [call for name, call in operated.calls if name == "update_event_source_mapping"]
    assert [call["Enabled"] for call in mappings] == [False, False, True]
    assert {call["UUID"] for call in mappings} == {"mapping-of-events"}
    alarms = [name for name, _ in operated.calls if name.endswith("_alarm_actions")]
    assert alarms == ["disable_alarm_actions"] * 2 + ["enable_alarm_actions"]
    assert operated.client.post("/processes/lost/pause").status == 422


@pytest.mark.parametrize("change", ["pause", "resume"])
def test_a_pause_stays_recorded_if_the_change_fails(
    operated: Operated, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    if change == "resume":
        operated.client.post("/processes/events/pause")

    def refused(_service: str) -> Any:
        raise BotoCoreError

    monkeypatch.setattr("operate.pausing.client", refused)

    with suppress(BotoCoreError):
        assert operated.client.post(f"/processes/events/{change}").status >= 500

    assert len(operated.mojodex.rows("SELECT * FROM md_background_paused_process")) == 1


def test_a_todo_whose_job_was_cancelled_is_due_again_on_the_next_night(operated: Operated) -> None:
    job_id = operated.add_job("reschedule_todo", "8", DAY, "queued")

    operated.client.post(f"/jobs/{job_id}/cancel")

    assert operated.job("reschedule_todo", "8").outcome["attempts_exhausted"] is True


def test_cancelled_jobs_are_retried_only_on_request(operated: Operated) -> None:
    operated.add_job(subject="1")
    job_id = operated.add_job(subject="2", state="queued")
    operated.client.post(f"/jobs/{job_id}/cancel")

    found = [
        operated.client.post("/jobs/retry", {"process": "extract_todos", **reason}).json()["matching"]
        for reason in ({}, {"reason": "cancelled"})
    ]

    assert found == [1, 1]


def test_every_change_is_in_the_audit_with_its_caller_and_time(operated: Operated) -> None:
    job_id = operated.add_job()
    operated.client.post(f"/jobs/{job_id}/retry")
    operated.client.post(f"/jobs/{job_id}/cancel")
    operated.client.post("/processes/events/pause")

    lines = operated.mojodex.rows("SELECT * FROM md_background_audit ORDER BY audit_pk")

    assert [(line.who, line.action, line.target) for line in lines] == [
        ("operator", "retry", job_id),
        ("operator", "cancel", job_id),
        ("operator", "pause", "events"),
    ]
    assert all(abs(line.at - utc_now()) < timedelta(minutes=1) for line in lines)
    audit = operated.client.get(f"/jobs/{job_id}").json()["audit"]
    assert [line["action"] for line in audit] == ["cancel", "retry"]


# The API itself.


def test_the_api_describes_itself(operated: Operated) -> None:
    described = operated.client.get("/openapi.json").json()

    assert {"/jobs", "/jobs/{job_id}", "/jobs/retry", "/processes/{name}/pause", "/update_document"} <= set(
        described["paths"]
    )
    assert not any(path.startswith("/console") for path in described["paths"])


def test_health_needs_no_credential_and_reports_a_database_that_is_away(
    operated: Operated, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert operated.client.as_(None).get("/healthz").json() == {"status": "ok"}

    def away() -> None:
        raise TransientError("database: 57P01")

    monkeypatch.setattr(environment.database, "session", away)

    for path in ("/healthz", "/jobs"):
        answer = operated.client.get(path)
        assert (answer.status, answer.headers["retry-after"]) == (503, "5")


def test_an_internal_error_reveals_no_words(
    operated: Operated, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_args: object, **_named: object) -> None:
        raise KeyError("my doctor")

    monkeypatch.setattr("operate.jobs.listing.find", broken)

    answer = operated.client.get("/jobs")

    assert (answer.status, "doctor" in answer.body) == (500, False)
    assert "doctor" not in capsys.readouterr().out
