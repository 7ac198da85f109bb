"""Known defects, put back on purpose to show that the simulation finds them: `--defects`.

Each defect is a function that patches the bundle and returns a function that undoes the patch. Its docstring
describes the defect. R1 to R8 are defects that the bundle once had.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Any

from events.mail import delivery, mime
from extract_todos import extraction
from mojodex import circuit, jobs, queues, schedule, worker
from mojodex.clock import utc_now
from mojodex.errors import InvalidMessageError, TransientError
from mojodex.schema import BackgroundJob

type Undo = Callable[[], None]

# The lease expires while its worker still works: the worker's timeout is 120 seconds (template.yaml).
SHORT_LEASE_SECONDS = 20
# Longer than any lease.
LONG_SECONDS = 3600


def _replace(owner: Any, name: str, value: Any) -> Undo:
    before = getattr(owner, name)
    setattr(owner, name, value)
    return lambda: setattr(owner, name, before)


def _claimable(condition: str) -> Undo:
    """Let schedules claim jobs by another condition."""
    undo = _replace(jobs, "CLAIMABLE", condition)
    jobs._claim.cache_clear()

    def put_right() -> None:
        undo()
        jobs._claim.cache_clear()

    return put_right


def _all(*undos: Undo) -> Undo:
    def undo() -> None:
        for each in reversed(undos):
            each()

    return undo


def transient_errors_count() -> Undo:
    """R1. A transient error counts as an attempt, so a long outage makes jobs fail."""
    release = jobs.release

    def counting(session: Any, job: jobs.Job, error: Exception, *, counts: bool, now: Any) -> None:
        release(session, job, error, counts=True, now=now)

    return _replace(jobs, "release", counting)


def nothing_returns() -> Undo:
    """R2. Nothing redrives dead letters, and no schedule claims a job whose message is lost."""
    # A handler's module can only be imported in the environment of its function.
    redrive = import_module("maintenance.redrive")
    undo = _replace(redrive, "redrive", lambda *_a: 0)
    return _all(undo, _claimable("(job.state = 'skipped')"))


def published_while_it_lives() -> Undo:
    """R3. A job is claimable 50 minutes after it was queued, even while its message still waits."""
    return _claimable(
        "(job.state = 'skipped' OR job.state IN ('queued', 'running')"
        " AND job.queued_at < CAST(:now AS timestamptz) - interval '50 minutes')"
    )


def one_record_fails_the_batch() -> Undo:
    """R5. A database error before a record begins fails the whole batch."""
    suspected, key = worker._suspected_poison, worker._key

    def raising(records: Any, process: Any, database: Any, settings: Any) -> Any:
        for record in records:
            if int(record["attributes"]["ApproximateReceiveCount"]) > 1:
                with suppress(InvalidMessageError):
                    key(record, process)
        return suspected(records, process, database, settings)

    return _replace(worker, "_suspected_poison", raising)


def nothing_kept() -> Undo:
    """R8. An answer is not kept when its save fails, so it is paid for again."""

    @contextmanager
    def keeping_nothing(*_arguments: object) -> Iterator[None]:
        yield

    return _replace(jobs, "kept_until_saved", keeping_nothing)


def lease_too_short() -> Undo:
    """The lease expires while its worker still works. Another worker takes over, and both end the job."""

    def update_held(session: Any, job: jobs.Job, **values: Any) -> None:
        key = {"process": job.process, "subject": job.subject, "occasion": job.occasion}
        session.query(BackgroundJob).filter_by(**key).update(values)

    return _all(_replace(jobs, "_update_held", update_held), _lease_of(SHORT_LEASE_SECONDS))


def running_is_free() -> Undo:
    """A copy of a message begins a job that is running, and pays for it a second time."""
    return _lease_of(-LONG_SECONDS)


def _lease_of(seconds: int) -> Undo:
    begin = jobs.begin

    def with_lease(session: Any, delivery: Any, **options: Any) -> Any:
        return begin(session, delivery, **options | {"lease_seconds": seconds})

    return _replace(jobs, "begin", with_lease)


class _JobsInTwo:
    """Replaces the module `jobs`: commits the effect before the job ends."""

    def __getattr__(self, name: str) -> Any:
        return getattr(jobs, name)

    def finish(self, session: Any, *arguments: Any, **options: Any) -> None:
        """Commit, then end the job in a second transaction."""
        session.commit()
        jobs.finish(session, *arguments, **options)


def saved_in_two_transactions() -> Undo:
    """Extraction commits its effect in one transaction and ends the job in another."""
    return _replace(extraction, "jobs", _JobsInTwo())


def deleted_before_saved() -> Undo:
    """A message is deleted before its job has ended, so a later failure loses the job."""
    run = worker._run

    def deleting(record: Any, deadline: Any, process: Any, database: Any, settings: Any) -> None:
        with suppress(TransientError):
            queues.delete(settings.queue_url, [record])
        run(record, deadline, process, database, settings)

    return _replace(worker, "_run", deleting)


def back_off_never() -> Undo:
    """A failed message is visible again at once, so its ten receives pass in a moment."""
    return _replace(queues, "back_off_seconds", lambda *_a, **_o: 0)


def circuits_never_open() -> Undo:
    """Circuits never open, so every worker keeps asking an unavailable provider."""
    return _replace(circuit.Circuits, "failed", lambda *_a, **_o: None)


def claimed_before_published() -> Undo:
    """A schedule commits its claims before it publishes their messages, so some are never published."""
    publish = queues.publish

    def publish_due(database: Any, work: Any, now: Any, _deadline: Any) -> tuple[int, bool]:
        published, parameters = 0, work.parameters
        while parameters is not None:
            with database.session() as session:
                page = jobs.claim(session, work.process, work.query, parameters, now=now)
                session.commit()
            messages = [queues.Outgoing(work.message(r).model_dump_json(), r.user_id) for r in page.claimed]
            publish(work.queue_url, messages)
            published += len(messages)
            parameters = page.after and work.parameters | page.after
        return published, True

    return _replace(schedule, "_publish", publish_due)


def mail_without_mark() -> Undo:
    """The ledger does not record that a mail is being sent, so a worker's death may mean a second mail."""

    def send_only(database: Any, circuits: Any, settings: Any, mail: Any, job: Any, deadline: Any) -> None:
        raw = mime.as_bytes(
            settings,
            mail.rendered,
            to_name=mail.to_name,
            to_address=mail.to_address,
            unsubscribe_link=mail.unsubscribe.link if mail.unsubscribe else None,
            now=utc_now(),
        )
        message_id = delivery._send(circuits, settings, mail, raw, job)
        database.with_db_session_patiently(deadline, delivery._save, mail, job, message_id, utc_now())

    return _replace(delivery, "deliver", send_only)


DEFECTS: dict[str, Callable[[], Undo]] = {
    "R1-transient-errors-count": transient_errors_count,
    "R2-nothing-returns": nothing_returns,
    "R3-published-while-it-lives": published_while_it_lives,
    "R5-one-record-fails-the-batch": one_record_fails_the_batch,
    "R8-nothing-kept": nothing_kept,
    "lease-too-short": lease_too_short,
    "running-is-free": running_is_free,
    "saved-in-two-transactions": saved_in_two_transactions,
    "deleted-before-saved": deleted_before_saved,
    "back-off-never": back_off_never,
    "circuits-never-open": circuits_never_open,
    "claimed-before-published": claimed_before_published,
    "mail-without-mark": mail_without_mark,
}


@contextmanager
def put_back(name: str) -> Iterator[None]:
    """Put a defect back until the context ends; an empty name puts nothing back."""
    undo = DEFECTS[name]() if name else lambda: None
    try:
        yield
    finally:
        undo()
