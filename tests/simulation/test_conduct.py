"""The bundle's behaviour during a run: each check finds its own fault and nothing else."""

from types import SimpleNamespace
from typing import Any

import pytest

from simulation import conduct
from simulation.aws import Copy
from simulation.deployment import QueueSettings
from simulation.faults import Fault
from simulation.lambdas import Ending
from simulation.provider import Payment
from simulation.sqs import StoredMessage

WORKER, SCHEDULE = "ExtractTodosWorkerFunction", "ExtractTodosScheduleFunction"


@pytest.fixture
def run() -> Any:
    """A run in which nothing happened."""
    functions = [
        SimpleNamespace(name=WORKER, source=True, schedule=None),
        SimpleNamespace(name=SCHEDULE, source=None, schedule=True),
        SimpleNamespace(name=conduct.REDRIVE, source=None, schedule=True),
    ]
    settings = QueueSettings("queue", 725, 345_600, max_receive_count=10, dead_letters="dead")
    return SimpleNamespace(
        plan=SimpleNamespace(work=(), users=()),
        asked=SimpleNamespace(bad={}),
        provider=SimpleNamespace(payments=[], asked_at={"model": [], "embeddings": []}),
        faults=SimpleNamespace(strikes=[]),
        lambdas=SimpleNamespace(endings={}, received={}, doubled=set(), functions=functions),
        services=SimpleNamespace(sqs=SimpleNamespace(copies=[], sent=[])),
        queues={"queue": SimpleNamespace(settings=settings)},
    )


def test_a_run_without_events_breaks_no_promise(run: Any) -> None:
    assert conduct.broken(run) == []


def _pay_twice(run: Any, *, received: bool = True, kind: str = "returned", again: float = 400) -> None:
    run.provider.payments += [
        Payment(100, "model", "extract_todos 7", "w1", received),
        Payment(again, "model", "extract_todos 7", "w2", True),
    ]
    run.lambdas.endings |= {"w1": Ending(WORKER, 90, 110, kind), "w2": Ending(WORKER, 390, 410, "returned")}


def test_an_answer_that_a_worker_received_is_not_paid_for_again(run: Any) -> None:
    _pay_twice(run)

    assert len(list(conduct.paid_once(run))) == 1


def test_an_answer_that_no_worker_received_may_be_paid_for_again(run: Any) -> None:
    _pay_twice(run, received=False)

    assert list(conduct.paid_once(run)) == []


def test_an_answer_that_died_with_its_worker_may_be_paid_for_again(run: Any) -> None:
    _pay_twice(run, kind="died")

    assert list(conduct.paid_once(run)) == []


def test_an_answer_that_the_database_did_not_save_may_be_paid_for_again(run: Any) -> None:
    _pay_twice(run)
    run.faults.strikes.append((105, Fault(5, "outage", "postgres", seconds=60, how="refused")))

    assert list(conduct.paid_once(run)) == []


def _be_away(run: Any, *moments: float) -> None:
    run.faults.strikes.append((1000, Fault(0, "outage", "model", seconds=3600, how="503")))
    run.provider.asked_at["model"] = sorted(moments)


def test_a_provider_that_is_away_may_be_called_by_all_jobs_at_first(run: Any) -> None:
    _be_away(run, *[1000 + number / 10 for number in range(60)], *range(1030, 1600, 5))

    assert list(conduct.asked_gently(run)) == []


def test_a_provider_that_is_away_is_not_called_by_all_jobs_for_long(run: Any) -> None:
    _be_away(run, *[1000 + number / 10 for number in range(60)], *[1030 + n / 2 for n in range(40)])

    assert len(list(conduct.asked_gently(run))) == 1


def test_a_batch_fails_as_a_whole_only_in_a_schedule(run: Any) -> None:
    run.lambdas.endings |= {"s1": Ending(SCHEDULE, 0, 1, "raised")}
    assert list(conduct.batches_never_fail(run)) == []

    run.lambdas.endings |= {"w1": Ending(WORKER, 0, 1, "raised")}
    assert list(conduct.batches_never_fail(run)) == ["w1: the batch failed as a whole"]


def test_a_message_is_retried_with_pauses(run: Any) -> None:
    run.lambdas.received |= {"m1": [0, 4, 12, 30, 58, 120], "m2": [float(n) for n in range(10)]}

    assert list(conduct.retried_with_pauses(run)) == ["m2: received 10 times within a minute"]


def _publish_again(run: Any, **other: Any) -> None:
    values: dict[str, Any] = {"sent": 0.0, "visible_at": 0.0, "sender": "s1"} | other
    run.lambdas.endings |= {
        "s1": Ending(SCHEDULE, 0, 1, "returned"),
        "s2": Ending(SCHEDULE, 3000, 3001, "returned"),
    }
    message = StoredMessage("m2", "body", {}, "user-1", 3000, 3000, sender="s2")
    others = (StoredMessage("m1", "body", {}, "user-1", **values),)
    run.services.sqs.copies.append(Copy(3000, "queue", SCHEDULE, message, others))


def test_a_job_is_not_published_again_while_its_message_waits(run: Any) -> None:
    _publish_again(run)

    assert len(list(conduct.not_published_again(run))) == 1


@pytest.mark.parametrize(
    "other",
    [
        {"receives": 10, "received_at": 100.0},
        {"receives": 1, "received_at": 2900.0},
        {"sender": ""},
    ],
    ids=["soon a dead letter", "in work", "sent by the backend"],
)
def test_a_job_may_be_published_again_beside_an_exempt_message(run: Any, other: dict[str, Any]) -> None:
    _publish_again(run, **other)

    assert list(conduct.not_published_again(run)) == []


def test_every_message_names_its_user(run: Any) -> None:
    body = '{"user_id": "user-1"}'
    run.services.sqs.sent += [("queue", body, "user-1"), ("queue", body, "user-2"), ("queue", body, "")]

    assert len(list(conduct.grouped(run))) == 2

    # A message that the backend sent keeps the group from the backend.
    run.asked.bad[body] = "there is no such user"
    assert not list(conduct.grouped(run))
