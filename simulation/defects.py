"""Defects that are put back on purpose, to show that the simulation finds them: `--defect NAME`.

A defect is a function that patches the bundle and returns what undoes it. Its docstring says what was wrong.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from extract_todos import extraction
from mojodex import jobs, queues
from mojodex.schema import BackgroundJob

type Undo = Callable[[], None]


def _replace(owner: Any, name: str, value: Any) -> Undo:
    before = getattr(owner, name)
    setattr(owner, name, value)
    return lambda: setattr(owner, name, before)


def finish_without_guard() -> Undo:
    """A worker whose lease was lost ends the job all the same, so its effect is there twice."""

    def update_held(session: Any, job: jobs.Job, **values: Any) -> None:
        key = {"process": job.process, "subject": job.subject, "occasion": job.occasion}
        session.query(BackgroundJob).filter_by(**key).update(values)

    return _replace(jobs, "_update_held", update_held)


def back_off_never() -> Undo:
    """Every failed message is visible again at once, so ten receives are over in a moment."""
    return _replace(queues, "back_off_seconds", lambda *_a, **_o: 0)


def save_without_finish() -> Undo:
    """Extraction commits its effect and ends the job in another transaction."""
    save = extraction.save

    def in_two(session: Any, pk: int, job: jobs.Job, todos: Any, left_out: Any, now: Any) -> None:
        finish = jobs.finish

        def commit_first(session: Any, *a: Any, **o: Any) -> None:
            session.commit()
            finish(session, *a, **o)

        undo = _replace(jobs, "finish", commit_first)
        try:
            save(session, pk, job, todos, left_out, now)
        finally:
            undo()

    return _replace(extraction, "save", in_two)


DEFECTS: dict[str, Callable[[], Undo]] = {
    "finish-without-guard": finish_without_guard,
    "back-off-never": back_off_never,
    "save-without-finish": save_without_finish,
}


@contextmanager
def put_back(name: str) -> Iterator[None]:
    """Put a defect back for as long as the context lasts; none if the name is empty."""
    undo = DEFECTS[name]() if name else lambda: None
    try:
        yield
    finally:
        undo()
