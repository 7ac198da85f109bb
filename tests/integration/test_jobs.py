"""The ledger: two writers at once on a real database."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any, cast

import pytest
from sqlalchemy.orm import Session

from mojodex import jobs
from mojodex.clock import Deadline
from mojodex.database import Database
from mojodex.errors import (
    InvalidMessageError,
    MojodexError,
    NothingToDoError,
    PermanentError,
    TransientError,
)
from tests.mojodex import Mojodex

NOW = datetime.now(UTC)
ERROR = TransientError("the model is away")


KEY = {"process": "p", "subject": "s", "occasion": ""}


def begin(
    mojodex: Mojodex,
    now: datetime = NOW,
    *,
    message_id: str = "m",
    expires_at: datetime = NOW + jobs.RETENTION,
    **key: str,
) -> jobs.Job | str:
    with Session(mojodex.engine, expire_on_commit=False) as session:
        delivery = jobs.Delivery(message_id, expires_at)
        return jobs.begin(session, delivery, **{**KEY, **key}, now=now, lease_seconds=150)


def held(mojodex: Mojodex, now: datetime = NOW, **key: str) -> jobs.Job:
    job = begin(mojodex, now, **key)
    assert isinstance(job, jobs.Job)
    return job


def end(mojodex: Mojodex, job: jobs.Job, state: Any = "done", outcome: dict[str, Any] | None = None) -> None:
    with Session(mojodex.engine) as session:
        jobs.finish(session, job, state, outcome or {}, now=NOW)
        session.commit()


def row(mojodex: Mojodex, **key: str) -> Any:
    (found,) = mojodex.rows(
        "SELECT * FROM md_background_job WHERE process = :process AND subject = :subject"
        " AND occasion = :occasion",
        **{**KEY, **key},
    )
    return found


# Only the job of KEY is due.
DUE = "SELECT CAST('s' AS text) AS subject, '' AS occasion, 'ann' AS user_id, 1 AS after_pk"
NOT_UNCLAIMABLE = f"{DUE} WHERE NOT EXISTS (SELECT FROM unclaimable AS u WHERE u.subject = 's')"


def claim(mojodex: Mojodex, now: datetime = NOW, due: str = DUE) -> list[str]:
    with Session(mojodex.engine) as session:
        page = jobs.claim(session, "p", due, {}, now=now)
        session.commit()
        assert page.after is None
        return [row.subject for row in page.claimed]


def test_of_many_workers_that_begin_a_job_at_once_one_succeeds(mojodex: Mojodex) -> None:
    together = Barrier(8)

    def try_to_begin(_: int) -> bool:
        together.wait()
        try:
            return isinstance(begin(mojodex), jobs.Job)
        except TransientError:
            return False

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(try_to_begin, range(8))) == 1


def test_a_job_is_held_until_its_lease_expires(mojodex: Mojodex) -> None:
    begin(mojodex)

    with pytest.raises(TransientError):
        begin(mojodex, NOW + timedelta(seconds=149))
    taken_over = begin(mojodex, NOW + timedelta(seconds=151))

    assert isinstance(taken_over, jobs.Job)
    assert taken_over.attempts == 2


@pytest.mark.parametrize(
    ("later", "superseded"),
    [
        ({"occasion": "2026-12-02", "state": "queued"}, True),
        ({"occasion": "2026-12-02", "state": "running"}, True),
        ({"occasion": "2026-12-02", "state": "done"}, False),
        ({"occasion": "2026-12-02", "state": "failed"}, False),
        ({"occasion": "2026-12-02", "state": "skipped"}, False),
        ({"occasion": "2026-11-30", "state": "queued"}, False),
        # The job itself.
        ({"occasion": "2026-12-01", "state": "queued"}, False),
        ({"occasion": "2026-12-02", "state": "queued", "subject": "other"}, False),
        ({"occasion": "2026-12-02", "state": "queued", "process": "other"}, False),
        # Its message has expired or was put aside, so no worker takes it soon.
        ({"occasion": "2026-12-02", "state": "queued", "expires_at": NOW}, False),
        ({"occasion": "2026-12-02", "state": "queued", "expires_at": None}, False),
    ],
)
def test_a_job_is_superseded_by_an_unfinished_one_of_a_later_occasion(
    mojodex: Mojodex, later: dict[str, Any], superseded: bool
) -> None:
    mojodex.run(
        "INSERT INTO md_background_job (process, subject, occasion, state, attempts, message_expires_at)"
        " VALUES (:process, :subject, :occasion, :state, 0, :expires_at)",
        **{**KEY, "expires_at": NOW + timedelta(seconds=1), **later},
    )

    assert held(mojodex, occasion="2026-12-01").superseded == superseded


@pytest.mark.parametrize(
    ("progress", "kept"),
    [
        (None, None),
        ({}, None),
        ({"answer": "yes", "about": 7}, "yes"),
        ({"answer": "yes", "about": 8}, None),
        ({"verdicts": {}}, None),
    ],
)
def test_a_kept_answer_is_used_only_for_the_same_input(
    mojodex: Mojodex, progress: dict[str, Any] | None, kept: str | None
) -> None:
    job = replace(held(mojodex), progress=progress)

    assert job.kept_answer(7) == kept


def test_only_the_holder_can_finish_or_release_a_job(mojodex: Mojodex) -> None:
    first = begin(mojodex)
    second = begin(mojodex, NOW + timedelta(seconds=151))
    assert isinstance(first, jobs.Job)
    assert isinstance(second, jobs.Job)

    with Session(mojodex.engine) as session:
        for act in (
            lambda: jobs.finish(session, first, "done", {}, now=NOW),
            lambda: jobs.release(session, first, ERROR, counts=True, now=NOW),
        ):
            with pytest.raises(jobs.LeaseLostError):
                act()
            session.rollback()
        jobs.finish(session, second, "done", {"n": 1}, now=NOW)
        session.commit()

    assert mojodex.job("s", "p").state == "done"
    assert begin(mojodex) == "done"


def test_a_released_job_can_be_begun_at_once(mojodex: Mojodex) -> None:
    job = begin(mojodex)
    assert isinstance(job, jobs.Job)
    with Session(mojodex.engine) as session:
        jobs.release(session, job, ERROR, counts=True, now=NOW)

    assert isinstance(begin(mojodex), jobs.Job)


def test_a_skipped_job_does_not_count_as_an_attempt(mojodex: Mojodex) -> None:
    for _ in range(jobs.MAX_ATTEMPTS + 1):
        job = begin(mojodex)
        assert isinstance(job, jobs.Job)
        assert job.attempts == 1
        with Session(mojodex.engine) as session:
            jobs.finish(session, job, "skipped", {"reason": "nothing to do"}, now=NOW)
            session.commit()


def test_a_checkpoint_is_kept_for_the_next_attempt_and_deleted_at_the_end(mojodex: Mojodex) -> None:
    first = begin(mojodex)
    assert isinstance(first, jobs.Job)
    assert first.progress is None
    with Session(mojodex.engine) as session:
        jobs.save_progress(session, first, {"half": "done"})
    killed = begin(mojodex, NOW + timedelta(seconds=151))
    assert isinstance(killed, jobs.Job)
    with Session(mojodex.engine) as session:
        jobs.release(session, killed, ERROR, counts=True, now=NOW)
    released = begin(mojodex, NOW + timedelta(seconds=152))
    assert isinstance(released, jobs.Job)
    with Session(mojodex.engine) as session:
        with pytest.raises(jobs.LeaseLostError):
            jobs.save_progress(session, first, None)
        session.rollback()
        jobs.finish(session, released, "skipped", {"reason": "none"}, now=NOW)
        session.commit()
    again = begin(mojodex)
    assert isinstance(again, jobs.Job)

    assert killed.progress == released.progress == {"half": "done"}
    assert again.progress is None
    assert mojodex.run("SELECT outcome IS NULL FROM md_background_job")


def test_finish_is_part_of_the_callers_transaction(mojodex: Mojodex) -> None:
    job = begin(mojodex)
    assert isinstance(job, jobs.Job)

    with Session(mojodex.engine) as session:
        jobs.finish(session, job, "done", {}, now=NOW)
        session.rollback()

    assert mojodex.job("s", "p").state == "running"


@pytest.mark.parametrize("key", [{}, {"process": "p2"}, {"subject": "s2"}, {"occasion": "o2"}])
def test_a_job_is_taken_over_when_its_own_lease_has_expired(mojodex: Mojodex, key: dict[str, str]) -> None:
    """Its message may have killed the worker."""
    held(mojodex, **key)
    with Session(mojodex.engine) as session:
        jobs.release(
            session, held(mojodex, NOW - timedelta(hours=1), subject="released"), ERROR, counts=True, now=NOW
        )

    assert held(mojodex, NOW + timedelta(seconds=151)).taken_over == (not key)
    assert not held(mojodex, NOW + timedelta(seconds=151), subject="released").taken_over


@pytest.mark.parametrize("ends", ["continued", "skipped"])
def test_a_job_that_its_worker_gave_back_is_not_taken_over(mojodex: Mojodex, ends: str) -> None:
    job = held(mojodex)
    if ends == "skipped":
        end(mojodex, job, "skipped", {"reason": "none"})
    else:
        with Session(mojodex.engine) as session:
            jobs.continue_later(session, job, {}, now=NOW)

    assert not held(mojodex, NOW + timedelta(days=1)).taken_over


@pytest.mark.parametrize(("attempts", "exhausted"), [(20, False), (21, True)])
def test_a_job_may_be_begun_twenty_times(job: jobs.Job, attempts: int, *, exhausted: bool) -> None:
    assert replace(job, attempts=attempts).attempts_exhausted == exhausted


def test_open_circuits_are_read_with_the_job(mojodex: Mojodex) -> None:
    mojodex.run(
        "INSERT INTO md_background_circuit VALUES ('one', now(), now(), ''), ('two', now(), now(), '')"
    )

    assert held(mojodex).open_circuits == {"one", "two"}


def test_a_lease_holds_until_its_last_moment(mojodex: Mojodex) -> None:
    held(mojodex)

    with pytest.raises(TransientError):
        begin(mojodex, NOW + timedelta(seconds=150))


def test_a_job_that_is_begun_is_recorded_with_its_message(mojodex: Mojodex) -> None:
    job = held(mojodex)

    written = row(mojodex)
    assert (written.state, written.attempts) == ("running", 1)
    assert (written.queued_at, written.started_at, written.finished_at) == (NOW, NOW, None)
    assert (written.message_id, written.message_expires_at) == ("m", NOW + jobs.RETENTION)
    assert (job.lease, job.queued_at, job.open_circuits) == (NOW, NOW, frozenset())


def test_a_later_delivery_replaces_the_recorded_message(mojodex: Mojodex) -> None:
    end(mojodex, held(mojodex), "skipped", {"reason": "none"})
    later = NOW + timedelta(minutes=5)

    begin(mojodex, later, message_id="other", expires_at=later)

    written = row(mojodex)
    assert (written.message_id, written.message_expires_at, written.finished_at) == ("other", later, None)
    assert (written.queued_at, written.started_at) == (NOW, later)


def test_the_states_of_other_jobs_do_not_affect_this_one(mojodex: Mojodex) -> None:
    for number, state in enumerate(("done", "failed")):
        end(mojodex, held(mojodex, subject=f"other {number}"), state)
    held(mojodex, NOW - timedelta(seconds=151), subject="expired")

    assert not held(mojodex).taken_over
    with pytest.raises(TransientError):
        begin(mojodex)


@pytest.mark.parametrize("state", ["done", "failed"])
def test_begin_returns_the_state_of_a_finished_job(mojodex: Mojodex, state: Any) -> None:
    end(mojodex, held(mojodex), state)

    assert begin(mojodex, NOW + timedelta(days=1)) == state
    assert row(mojodex).state == state


@pytest.mark.parametrize("other", [{"process": "p2"}, {"subject": "s2"}, {"occasion": "o2"}])
def test_of_jobs_that_were_begun_at_the_same_moment_only_one_is_finished(
    mojodex: Mojodex, other: dict[str, str]
) -> None:
    held(mojodex, **other)

    end(mojodex, held(mojodex), "done", {"n": 1})

    assert (row(mojodex).state, row(mojodex).outcome, row(mojodex).finished_at) == ("done", {"n": 1}, NOW)
    assert (row(mojodex, **other).state, row(mojodex, **other).outcome) == ("running", None)


def test_a_holder_cannot_change_a_job_that_it_has_finished(mojodex: Mojodex) -> None:
    job = held(mojodex)
    end(mojodex, job, "done", {"n": 1})

    with Session(mojodex.engine) as session:
        for act in (
            lambda: jobs.finish(session, job, "failed", {}, now=NOW),
            lambda: jobs.release(session, job, ERROR, counts=True, now=NOW),
            lambda: jobs.save_progress(session, job, {"half": "done"}),
            lambda: jobs.continue_later(session, job, {}, now=NOW),
        ):
            with pytest.raises(jobs.LeaseLostError):
                act()
            session.rollback()

    assert (row(mojodex).state, row(mojodex).outcome) == ("done", {"n": 1})


@pytest.mark.parametrize(("counts", "attempts"), [(True, 2), (False, 1)])
def test_a_release_may_or_may_not_count_the_attempt(mojodex: Mojodex, *, counts: bool, attempts: int) -> None:
    held(mojodex)
    job = held(mojodex, NOW + timedelta(seconds=151))
    assert job.attempts == 2

    with Session(mojodex.engine) as session:
        jobs.release(session, job, ERROR, counts=counts, now=NOW)

    assert (row(mojodex).state, row(mojodex).attempts, row(mojodex).started_at) == ("queued", attempts, None)


def test_a_job_that_continues_later_waits_for_its_new_message_with_its_checkpoint(mojodex: Mojodex) -> None:
    held(mojodex)
    job = held(mojodex, NOW + timedelta(seconds=151))
    later = NOW + timedelta(minutes=10)

    with Session(mojodex.engine) as session:
        jobs.continue_later(session, job, {"half": "done"}, now=later)

    written = row(mojodex)
    assert (written.state, written.attempts, written.started_at) == ("queued", 0, None)
    assert (written.queued_at, written.message_expires_at) == (later, later + jobs.RETENTION)
    assert written.outcome == {"half": "done"}


def test_only_expired_leases_of_the_given_jobs_are_found(mojodex: Mojodex) -> None:
    old = NOW - timedelta(seconds=151)
    for key in ({}, {"subject": "not asked for"}, {"process": "p2", "subject": "in the other process"}):
        held(mojodex, old, **key)
    held(mojodex, NOW - timedelta(seconds=150), subject="at its last moment")
    end(mojodex, held(mojodex, old, subject="ended"))
    keys = [(s, "") for s in ("s", "in the other process", "at its last moment", "ended")]

    with Session(mojodex.engine) as session:
        found = jobs.expired_leases(session, "p", keys, now=NOW, lease_seconds=150)

    assert found == {("s", ""): 1}


def test_a_failed_job_is_reported_to_mojodex_with_its_key_and_reason(mojodex: Mojodex) -> None:
    with Session(mojodex.engine) as session:
        jobs.report_error(session, "extract_todos", "7", "2026-12-01", "refused", NOW)
        session.commit()

    (error,) = mojodex.rows("SELECT message, creation_date FROM md_error")
    assert error.message == "background extract_todos 7 2026-12-01: refused"
    assert error.creation_date.replace(tzinfo=UTC) == NOW


# Claims.


@pytest.mark.parametrize("due", [DUE, NOT_UNCLAIMABLE], ids=["all", "claimable"])
def test_a_job_is_claimed_once(mojodex: Mojodex, due: str) -> None:
    assert claim(mojodex, due=due) == ["s"]
    assert claim(mojodex, due=due) == []

    written = row(mojodex)
    assert (written.state, written.attempts, written.queued_at) == ("queued", 0, NOW)
    assert written.message_expires_at == NOW + jobs.RETENTION


@pytest.mark.parametrize("due", [DUE, NOT_UNCLAIMABLE], ids=["all", "claimable"])
@pytest.mark.parametrize("state", ["done", "failed"])
def test_a_finished_job_is_never_claimed_again(mojodex: Mojodex, state: Any, due: str) -> None:
    end(mojodex, held(mojodex), state)

    assert claim(mojodex, NOW + timedelta(days=365), due) == []


@pytest.mark.parametrize("due", [DUE, NOT_UNCLAIMABLE], ids=["all", "claimable"])
def test_a_job_whose_message_has_expired_is_claimed_with_its_attempts_and_checkpoint(
    mojodex: Mojodex, due: str
) -> None:
    with Session(mojodex.engine) as session:
        jobs.save_progress(session, held(mojodex), {"half": "done"})
    expired = NOW + jobs.RETENTION

    assert claim(mojodex, expired, due) == []
    assert claim(mojodex, expired + timedelta.resolution, due) == ["s"]

    written = row(mojodex)
    assert (written.state, written.attempts, written.outcome) == ("queued", 1, {"half": "done"})
    assert written.queued_at == expired + timedelta.resolution
    assert written.message_expires_at == written.queued_at + jobs.RETENTION


@pytest.mark.parametrize("due", [DUE, NOT_UNCLAIMABLE], ids=["all", "claimable"])
def test_a_job_of_an_earlier_release_is_claimed_days_after_it_was_queued(mojodex: Mojodex, due: str) -> None:
    """Its row has no expiry of its message."""
    claim(mojodex)
    mojodex.run("UPDATE md_background_job SET message_expires_at = NULL")

    assert claim(mojodex, NOW + jobs.RETENTION, due) == []
    assert claim(mojodex, NOW + jobs.RETENTION + timedelta.resolution, due) == ["s"]


@pytest.mark.parametrize("due", [DUE, NOT_UNCLAIMABLE], ids=["all", "claimable"])
def test_a_job_is_not_claimed_before_its_message_expires(mojodex: Mojodex, due: str) -> None:
    claim(mojodex)
    lives = NOW + jobs.RETENTION + timedelta(days=1)
    mojodex.run("UPDATE md_background_job SET message_expires_at = :at", at=lives)

    assert claim(mojodex, lives, due) == []


@pytest.mark.parametrize("due", [DUE, NOT_UNCLAIMABLE], ids=["all", "claimable"])
def test_a_job_that_was_skipped_is_claimed_as_if_it_were_new(mojodex: Mojodex, due: str) -> None:
    end(mojodex, held(mojodex), "skipped", {"reason": "none"})

    assert claim(mojodex, due=due) == ["s"]

    written = row(mojodex)
    assert (written.state, written.attempts, written.outcome, written.finished_at) == (
        "queued",
        0,
        None,
        None,
    )


def test_a_job_of_another_process_does_not_prevent_a_claim(mojodex: Mojodex) -> None:
    end(mojodex, held(mojodex, process="p2"))

    assert claim(mojodex, due=NOT_UNCLAIMABLE) == ["s"]


def test_a_row_without_a_subject_starts_the_next_page(mojodex: Mojodex) -> None:
    due = f"{DUE} UNION ALL SELECT NULL, NULL, NULL, 7"
    with Session(mojodex.engine) as session:
        page = jobs.claim(session, "p", due, {}, now=NOW)
        session.commit()

    assert [row.subject for row in page.claimed] == ["s"]
    assert page.after == {"after_pk": 7}


def test_a_claim_takes_parameters_and_leaves_the_commit_to_its_caller(mojodex: Mojodex) -> None:
    with Session(mojodex.engine) as session:
        due = "SELECT CAST(:x AS text) AS subject, '' AS occasion, 'ann' AS user_id"
        page = jobs.claim(session, "p", due, {"x": "7"}, now=NOW)
        session.rollback()

    assert [row.subject for row in page.claimed] == ["7"]
    assert mojodex.run("SELECT count(*) FROM md_background_job") == 0


# The user of a job.

BY_SUBJECT = "(SELECT 'the owner of ' || CAST(:subject AS text))"


@pytest.mark.parametrize(
    ("named", "user"),
    [
        ({}, None),
        ({"user_id": "ann"}, "ann"),
        ({"user_of": BY_SUBJECT}, "the owner of s"),
        ({"user_id": "ann", "user_of": BY_SUBJECT}, "ann"),
        # Its subject has no user.
        ({"user_of": "(SELECT user_id FROM md_user WHERE user_id = :subject)"}, None),
    ],
    ids=["unknown", "by its message", "by its subject", "by both", "subject is gone"],
)
def test_begin_records_the_user(mojodex: Mojodex, named: dict[str, str], user: str | None) -> None:
    held(mojodex, **named)

    assert row(mojodex).user_id == user


def test_a_claim_records_the_user(mojodex: Mojodex) -> None:
    claim(mojodex)

    assert row(mojodex).user_id == "ann"


@pytest.mark.parametrize(("before", "after"), [(None, "ann"), ("bob", "bob")])
@pytest.mark.parametrize("by", ["begin", "claim"])
def test_a_job_without_a_user_gets_one_and_a_job_with_one_keeps_it(
    mojodex: Mojodex, before: str | None, after: str, by: str
) -> None:
    end(mojodex, held(mojodex), "skipped", {"reason": "none"})
    mojodex.run("UPDATE md_background_job SET user_id = :user", user=before)

    if by == "begin":
        held(mojodex, user_id="ann")
    else:
        claim(mojodex)

    assert row(mojodex).user_id == after


# Failed attempts.


def release(mojodex: Mojodex, job: jobs.Job, error: Exception, *, counts: bool = False) -> None:
    with Session(mojodex.engine) as session:
        jobs.release(session, job, error, counts=counts, now=NOW + timedelta(seconds=9))


@pytest.mark.parametrize("counts", [False, True])
def test_a_transient_error_is_kept_with_its_reason_and_whether_it_counted(
    mojodex: Mojodex, *, counts: bool
) -> None:
    release(mojodex, held(mojodex), TransientError("the model is away"), counts=counts)

    (attempt,) = row(mojodex).history
    assert attempt == {
        "started": NOW.isoformat(),
        "ended": (NOW + timedelta(seconds=9)).isoformat(),
        "error": "TransientError",
        "reason": "the model is away",
        "counted": counts,
    }


def test_an_unknown_error_is_kept_without_its_text(mojodex: Mojodex) -> None:
    release(mojodex, held(mojodex), KeyError("words of a user"), counts=True)

    (attempt,) = row(mojodex).history
    assert (attempt["error"], attempt["counted"]) == ("KeyError", True)
    assert "reason" not in attempt
    assert "words of a user" not in str(attempt)


def test_taking_over_a_job_records_that_its_worker_died(mojodex: Mojodex) -> None:
    held(mojodex)

    held(mojodex, NOW + timedelta(seconds=151))

    (attempt,) = row(mojodex).history
    assert datetime.fromisoformat(attempt.pop("started")) == NOW
    reason = "its worker died, or held it longer than its lease"
    assert attempt == {"error": "LeaseExpired", "reason": reason, "counted": True}


def test_attempts_are_kept_in_order(mojodex: Mojodex) -> None:
    held(mojodex)
    release(mojodex, held(mojodex, NOW + timedelta(seconds=151)), ERROR)
    release(mojodex, held(mojodex), KeyError("x"))

    assert [attempt["error"] for attempt in row(mojodex).history] == [
        "LeaseExpired",
        "TransientError",
        "KeyError",
    ]


@pytest.mark.parametrize(
    ("attempts", "kept"), [(20, [*range(20)]), (21, [0, *range(2, 21)]), (25, [0, *range(6, 25)])]
)
def test_of_many_attempts_the_first_and_the_last_ones_are_kept(
    mojodex: Mojodex, attempts: int, kept: list[int]
) -> None:
    for number in range(attempts):
        release(mojodex, held(mojodex), TransientError(str(number)))

    assert [attempt["reason"] for attempt in row(mojodex).history] == [str(number) for number in kept]


def test_a_dead_workers_attempt_replaces_an_earlier_one_in_a_full_history(mojodex: Mojodex) -> None:
    for number in range(20):
        release(mojodex, held(mojodex), TransientError(str(number)))
    held(mojodex)

    held(mojodex, NOW + timedelta(seconds=151))

    errors = [attempt.get("reason") for attempt in row(mojodex).history[:-1]]
    assert errors == ["0", *(str(number) for number in range(2, 20))]
    assert row(mojodex).history[-1]["error"] == "LeaseExpired"


def test_a_job_that_never_failed_has_no_history(mojodex: Mojodex) -> None:
    end(mojodex, held(mojodex))

    assert row(mojodex).history is None


@pytest.mark.parametrize("ends", ["done", "failed", "skipped"])
def test_a_finished_job_keeps_its_history(mojodex: Mojodex, ends: str) -> None:
    release(mojodex, held(mojodex), ERROR)

    end(mojodex, held(mojodex), ends)

    assert [attempt["reason"] for attempt in row(mojodex).history] == ["the model is away"]


def test_a_holder_that_has_lost_its_lease_adds_nothing_to_the_history(mojodex: Mojodex) -> None:
    first = held(mojodex)
    held(mojodex, NOW + timedelta(seconds=151))

    with pytest.raises(jobs.LeaseLostError):
        release(mojodex, first, ERROR)

    assert [attempt["error"] for attempt in row(mojodex).history] == ["LeaseExpired"]


# Answers that were paid for.


class Kept:
    """A database that keeps checkpoints, or is unavailable."""

    def __init__(self, error: MojodexError | None = None) -> None:
        self.kept: list[Any] = []
        self._error = error

    def with_db_session_patiently(self, _deadline: Any, act: Any, _job: Any, paid_for: Any) -> None:
        assert act is jobs.save_progress
        self.kept.append(paid_for)
        if self._error:
            raise self._error


@pytest.fixture
def job() -> jobs.Job:
    return jobs.Job("p", "s", "", NOW, 1, NOW)


def keep(database: Kept, job: jobs.Job, error: Exception) -> None:
    with jobs.kept_until_saved(cast(Database, database), job, {"paid": "for"}, Deadline(lambda: 60_000)):
        raise error


@pytest.mark.parametrize("error", [TransientError("away"), KeyError()], ids=["transient", "unknown"])
def test_a_paid_answer_is_kept_when_its_use_fails_and_the_error_is_raised(
    job: jobs.Job, error: Exception
) -> None:
    for database in (Kept(), Kept(TransientError("the database is away, too"))):
        with pytest.raises(type(error)) as raised:
            keep(database, job, error)

        assert raised.value is error
        assert database.kept == [{"paid": "for"}]


@pytest.mark.parametrize(
    "error",
    [jobs.LeaseLostError("x"), PermanentError("x"), NothingToDoError("x"), InvalidMessageError("x")],
    ids=lambda error: type(error).__name__,
)
def test_nothing_is_kept_for_a_job_that_ends_or_has_another_holder(job: jobs.Job, error: Exception) -> None:
    database = Kept()

    with pytest.raises(type(error)):
        keep(database, job, error)

    assert database.kept == []


def test_nothing_is_kept_after_a_success(job: jobs.Job) -> None:
    database = Kept()

    with jobs.kept_until_saved(cast(Database, database), job, {"paid": "for"}, Deadline(lambda: 60_000)):
        pass

    assert database.kept == []
