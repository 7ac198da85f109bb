"""The history of a broken promise has only the lines of the trace about its job."""

import pytest

from simulation.kernel import Kernel
from simulation.plan import START
from simulation.report import of_job

TRACE = (
    'send UpdateDocumentQueue m1 {"user_id": "user-2", "document_pk": 3}',
    'send UpdateDocumentQueue m2 {"user_id": "user-2", "document_pk": 33}',
    "log job failed subject=3 occasion=2026-11-25T16:27:50.512+00:00",
    'send ExtractTodosQueue m3 {"user_task_execution_pk":1000003}',
    "paid extract_todos 1000003 1",
    "asked execution 3",
)


@pytest.mark.parametrize(
    ("complaint", "lines"),
    [
        ("failures_explained: update_document 3 2026-11-25T16:27:50.512+00:00: failed", (0, 2)),
        ("todos_once: extract_todos 1000003: {}", (3, 4)),
        ("retried_with_pauses: m3: received 10 times within a minute", (3,)),
        ("nothing: of which there is a history", ()),
    ],
)
def test_a_history_has_only_the_job_that_the_broken_promise_names(
    complaint: str, lines: tuple[int, ...]
) -> None:
    kernel = Kernel(1, START)
    for line in TRACE:
        kernel.trace(line)

    told = of_job(kernel, complaint)

    assert [line.split(" - ")[1] for line in told] == [TRACE[number] for number in lines]
