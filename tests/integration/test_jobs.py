"""The ledger: two writers at once on a real database."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest
from sqlalchemy.orm import Session

from mojodex import jobs
from mojodex.errors import TransientError
from tests.mojodex import Mojodex

NOW = datetime.now(UTC)


KEY = {"process": "p", "subject": "s", "occasion": ""}


def begin(
    mojodex: Mojodex,
    now: datetime = NOW,
    *,
    message_id: str = "m",
    expires_at: datetime = NOW + jobs.RETENTION,
) -> jobs.Job | str:
    with Session(mojodex.engine, expire_on_commit=False) as session:
        return jobs.begin(session, jobs.Delivery(message_id, expires_at), **KEY, now=now, lease_seconds=150)


def test_of_many_who_begin_a_job_at_once_one_gets_it(mojodex: Mojodex) -> None:
    together = Barrier(8)

    def try_to_begin(_: int) -> bool:
        together.wait()
        try:
            return isinstance(begin(mojodex), jobs.Job)
        except TransientError:
            return False

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(try_to_begin, range(8))) == 1


def test_a_job_is_held_for_as_long_as_its_lease(mojodex: Mojodex) -> None:
    begin(mojodex)

    with pytest.raises(TransientError):
        begin(mojodex, NOW + timedelta(seconds=149))
    taken_over = begin(mojodex, NOW + timedelta(seconds=151))

    assert isinstance(taken_over, jobs.Job)
    assert taken_over.attempts == 2


def test_only_the_holder_can_end_or_release_a_job(mojodex: Mojodex) -> None:
    first = begin(mojodex)
    second = begin(mojodex, NOW + timedelta(seconds=151))
    assert isinstance(first, jobs.Job)
    assert isinstance(second, jobs.Job)

    with Session(mojodex.engine) as session:
        for act in (
            lambda: jobs.finish(session, first, "done", {}, now=NOW),
            lambda: jobs.release(session, first, counts=True),
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
        jobs.release(session, job, counts=True)

    assert isinstance(begin(mojodex), jobs.Job)


def test_what_was_skipped_is_not_an_attempt(mojodex: Mojodex) -> None:
    for _ in range(jobs.MAX_ATTEMPTS + 1):
        job = begin(mojodex)
        assert isinstance(job, jobs.Job)
        assert job.attempts == 1
        with Session(mojodex.engine) as session:
            jobs.finish(session, job, "skipped", {"reason": "nothing to do"}, now=NOW)
            session.commit()


def test_what_a_holder_recorded_is_there_for_the_next_one_and_gone_after_the_end(mojodex: Mojodex) -> None:
    first = begin(mojodex)
    assert isinstance(first, jobs.Job)
    assert first.progress is None
    with Session(mojodex.engine) as session:
        jobs.save_progress(session, first, {"half": "done"})
    killed = begin(mojodex, NOW + timedelta(seconds=151))
    assert isinstance(killed, jobs.Job)
    with Session(mojodex.engine) as session:
        jobs.release(session, killed, counts=True)
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
