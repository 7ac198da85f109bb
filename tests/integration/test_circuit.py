"""An unavailable provider gets one probe at a time, whatever the number of workers."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from mojodex import circuit
from mojodex.circuit import FAILURES_TO_OPEN, Circuits
from tests.fake_model import FakeModel, Reply, todos
from tests.integration.conftest import Bundle
from tests.integration.test_poison import statements
from tests.lambda_events import failed_ids, sqs_event
from tests.mojodex import Mojodex

FIRST, SECOND = "gpt-5-mini", "gpt-4.1"


def open_circuits(mojodex: Mojodex) -> set[str]:
    return {row.provider for row in mojodex.rows("SELECT provider FROM md_background_circuit")}


def let_probe(mojodex: Mojodex) -> None:
    """Let the next call be the probe, as after some seconds."""
    mojodex.run("UPDATE md_background_circuit SET probe_at = now()")


def fail(circuits: Circuits, provider: str = FIRST, times: int = FAILURES_TO_OPEN) -> None:
    for _ in range(times):
        circuits.failed(provider, "503")


def away(*_: Any, **__: Any) -> Any:
    raise OSError


@pytest.fixture
def environments(bundle: Bundle, mojodex: Mojodex) -> tuple[Circuits, Circuits]:
    """Return the circuits of two execution environments."""
    return Circuits(bundle.database), Circuits(bundle.database)


def test_failures_in_a_row_open_the_circuit_unless_a_success_is_between(
    environments: tuple[Circuits, Circuits], mojodex: Mojodex
) -> None:
    circuits, _ = environments
    fail(circuits, times=FAILURES_TO_OPEN - 1)
    circuits.succeeded(FIRST)
    fail(circuits, times=FAILURES_TO_OPEN - 1)
    assert open_circuits(mojodex) == set()
    assert circuits.allows(FIRST)

    circuits.failed(FIRST, "503")

    assert open_circuits(mojodex) == {FIRST}
    assert not circuits.allows(FIRST)
    assert circuits.allows(SECOND)
    assert mojodex.run("SELECT reason FROM md_background_circuit") == "503"


def test_only_one_of_many_threads_and_environments_is_the_probe(
    environments: tuple[Circuits, Circuits], mojodex: Mojodex
) -> None:
    fail(environments[0])
    for circuits in environments:
        circuits.learn({FIRST})
    let_probe(mojodex)

    with ThreadPoolExecutor(8) as threads:
        allowed = list(threads.map(lambda n: environments[n % 2].allows(FIRST), range(16)))

    assert allowed.count(True) == 1


def test_a_failed_probe_is_followed_by_another_a_few_seconds_later(
    environments: tuple[Circuits, Circuits], mojodex: Mojodex
) -> None:
    circuits, other = environments
    fail(circuits)
    other.learn({FIRST})
    let_probe(mojodex)
    assert circuits.allows(FIRST)
    seconds = "SELECT extract(epoch FROM probe_at - now()) FROM md_background_circuit"
    # The next probe waits for one that hangs, or whose worker has died.
    assert mojodex.run(seconds) > circuit.PROBE_SECONDS - 20

    circuits.failed(FIRST, "503")

    assert 0 < mojodex.run(seconds) <= circuit.SECONDS_BETWEEN_PROBES
    assert not other.allows(FIRST)
    let_probe(mojodex)
    assert other.allows(FIRST)


def test_the_first_success_closes_the_circuit_for_all_environments(
    environments: tuple[Circuits, Circuits], mojodex: Mojodex
) -> None:
    circuits, other = environments
    fail(circuits)
    other.learn({FIRST})
    let_probe(mojodex)
    assert circuits.allows(FIRST)

    circuits.succeeded(FIRST)

    assert open_circuits(mojodex) == set()
    assert circuits.allows(FIRST)
    assert other.allows(FIRST)
    # It takes as many failures as before to open it again.
    for each in environments:
        fail(each, times=FAILURES_TO_OPEN - 1)
    assert open_circuits(mojodex) == set()


def test_the_ledger_replaces_an_environments_own_knowledge(environments: tuple[Circuits, Circuits]) -> None:
    circuits, _ = environments
    fail(circuits)

    circuits.learn(())
    fail(circuits, times=1)

    assert circuits.allows(FIRST)


def test_while_both_models_are_unavailable_only_the_probe_calls_them(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel
) -> None:
    pks = [mojodex.execution("x") for _ in range(10)]
    bodies = [{"user_task_execution_pk": pk} for pk in pks]
    model.answers(Reply(status=503))
    assert len(failed_ids(bundle.work(*bodies))) == 10
    assert open_circuits(mojodex) == {FIRST, SECOND}
    model.calls.clear()
    # Some hundred seconds, so that no probe is due in this test.
    mojodex.run("UPDATE md_background_circuit SET probe_at = now() + interval '100 seconds'")
    for _ in range(5):
        assert len(failed_ids(bundle.work(*bodies))) == 10
    assert model.calls == []
    model.answers(todos())
    let_probe(mojodex)

    answers = [bundle.work(body) for body in bodies]

    assert answers == [{"batchItemFailures": []}] * 10
    assert len(model.calls) == 10
    assert {call["model"] for call in model.calls} == {FIRST}
    # The second model has had no call since.
    assert open_circuits(mojodex) == {SECOND}
    assert all(mojodex.job(pk).attempts == 1 for pk in pks)


def test_a_cold_environment_learns_of_an_open_circuit_from_the_ledger(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel
) -> None:
    fail(Circuits(bundle.database))
    model.answers(todos())

    bundle.work({"user_task_execution_pk": mojodex.execution("x")})

    assert [call["model"] for call in model.calls] == [SECOND]


@pytest.mark.parametrize(
    "reply",
    [
        Reply(status=400, error_code="unsupported_value"),
        Reply(status=400, error_code="content_filter"),
        Reply(refusal="no"),
        Reply("nonsense"),
    ],
    ids=["400", "filtered", "refused", "nonsense"],
)
def test_an_error_that_concerns_one_job_opens_no_circuit(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel, reply: Reply
) -> None:
    model.answers(reply)

    for _ in range(FAILURES_TO_OPEN + 1):
        bundle.work({"user_task_execution_pk": mojodex.execution("x")})

    assert open_circuits(mojodex) == set()


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503])
def test_an_error_that_affects_all_users_opens_the_circuit(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel, status: int
) -> None:
    model.answers(Reply(status=status))

    bundle.work_on(sqs_event(*({"user_task_execution_pk": mojodex.execution("x")} for _ in range(6))))

    assert open_circuits(mojodex) == {FIRST, SECOND}


def test_a_mail_service_without_an_answer_is_probed_more_rarely(
    environments: tuple[Circuits, Circuits], mojodex: Mojodex
) -> None:
    """Each probe without an answer leaves one mail in doubt."""
    circuits, _ = environments
    for _ in range(FAILURES_TO_OPEN):
        circuits.failed("SES", "no answer", seconds_until_probe=300)

    assert mojodex.run("SELECT extract(epoch FROM probe_at - now()) FROM md_background_circuit") > 290


def test_no_circuit_opens_while_the_database_is_unavailable(
    environments: tuple[Circuits, Circuits], bundle: Bundle, monkeypatch: pytest.MonkeyPatch, mojodex: Mojodex
) -> None:
    circuits, _ = environments
    fail(circuits, times=FAILURES_TO_OPEN - 1)
    with monkeypatch.context() as broken:
        broken.setattr(bundle.database, "engine", away)
        circuits.failed(FIRST, "503")

    assert open_circuits(mojodex) == set()


def seconds_to_probe(mojodex: Mojodex, provider: str) -> float:
    seconds = "SELECT extract(epoch FROM probe_at - now()) FROM md_background_circuit WHERE provider = :p"
    return float(mojodex.run(seconds, p=provider))


def test_the_fifth_failure_opens_the_circuit_and_a_probe_is_due_seconds_later(
    environments: tuple[Circuits, Circuits], mojodex: Mojodex
) -> None:
    circuits, _ = environments
    fail(circuits, times=4)
    assert open_circuits(mojodex) == set()

    fail(circuits, times=1)

    assert open_circuits(mojodex) == {FIRST}
    assert 0 < seconds_to_probe(mojodex, FIRST) <= 5


def test_an_answer_of_one_provider_changes_no_other_circuit(
    environments: tuple[Circuits, Circuits], mojodex: Mojodex
) -> None:
    circuits, other = environments
    for provider in (FIRST, SECOND):
        fail(circuits, provider)
    let_probe(mojodex)

    # Each provider has its own probe and its own failures.
    assert circuits.allows(FIRST)
    circuits.failed(FIRST, "503")
    assert seconds_to_probe(mojodex, FIRST) > 0
    assert seconds_to_probe(mojodex, SECOND) <= 0
    assert circuits.allows(SECOND)

    circuits.succeeded(SECOND)
    assert open_circuits(mojodex) == {FIRST}
    # The other environment learns an old state: only the first circuit is still open.
    other.learn({FIRST, SECOND})
    assert not other.allows(FIRST)
    assert other.allows(SECOND)


def test_opening_an_open_circuit_does_not_change_the_ledger(
    environments: tuple[Circuits, Circuits], mojodex: Mojodex
) -> None:
    circuits, other = environments
    fail(circuits)
    mojodex.run("UPDATE md_background_circuit SET probe_at = now() + interval '100 seconds'")

    fail(other)

    assert open_circuits(mojodex) == {FIRST}
    assert seconds_to_probe(mojodex, FIRST) > 50
    assert not other.allows(FIRST)


def test_a_circuit_closed_by_another_environment_opens_after_as_many_failures_as_before(
    environments: tuple[Circuits, Circuits], mojodex: Mojodex
) -> None:
    circuits, _ = environments
    fail(circuits)
    mojodex.close_circuits()
    assert circuits.allows(FIRST)

    fail(circuits, times=FAILURES_TO_OPEN - 1)
    assert open_circuits(mojodex) == set()
    fail(circuits, times=1)

    assert open_circuits(mojodex) == {FIRST}


def test_late_failures_do_not_open_a_circuit_that_another_environment_has_closed(
    environments: tuple[Circuits, Circuits], mojodex: Mojodex
) -> None:
    circuits, _ = environments
    assert not circuits.is_open(FIRST)
    fail(circuits)
    assert circuits.is_open(FIRST)
    mojodex.close_circuits()

    fail(circuits)

    assert open_circuits(mojodex) == set()


def test_opening_and_closing_a_circuit_are_each_logged_once(
    environments: tuple[Circuits, Circuits], bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged: list[str] = []
    for level in ("info", "error"):
        monkeypatch.setattr(circuit.logger, level, lambda text, **_: logged.append(text))
    with monkeypatch.context() as broken:
        broken.setattr(bundle.database, "engine", away)
        fail(Circuits(bundle.database))
    assert logged == []

    for circuits in environments:
        fail(circuits)
        assert logged == ["circuit opened"]
    for circuits in environments:
        circuits.succeeded(FIRST)
        assert logged == ["circuit opened", "circuit closed"]


def test_a_success_uses_the_database_only_to_close_a_circuit(
    environments: tuple[Circuits, Circuits], bundle: Bundle, mojodex: Mojodex
) -> None:
    circuits, other = environments
    with statements(bundle) as said:
        circuits.succeeded(FIRST)
        circuits.failed(FIRST, "503")
        circuits.succeeded(FIRST)
    assert said == []

    fail(other)
    circuits.learn({FIRST})
    circuits.succeeded(FIRST)

    assert open_circuits(mojodex) == set()
    with statements(bundle) as said:
        assert circuits.allows(FIRST)
    assert said == []


def test_a_failure_after_a_successful_probe_is_not_the_probes(
    environments: tuple[Circuits, Circuits], bundle: Bundle, mojodex: Mojodex
) -> None:
    circuits, _ = environments
    fail(circuits)
    let_probe(mojodex)
    assert circuits.allows(FIRST)
    circuits.succeeded(FIRST)

    with statements(bundle) as said:
        circuits.failed(FIRST, "503")

    assert said == []


def test_a_failure_of_another_call_does_not_move_the_next_probe(
    environments: tuple[Circuits, Circuits], mojodex: Mojodex
) -> None:
    circuits, _ = environments
    fail(circuits)
    let_probe(mojodex)
    assert circuits.allows(FIRST)
    circuits.failed(FIRST, "503")
    mojodex.run("UPDATE md_background_circuit SET probe_at = now() + interval '1 hour'")

    # This call was under way when the circuit opened.
    circuits.failed(FIRST, "503")

    assert mojodex.run("SELECT extract(epoch FROM probe_at - now()) FROM md_background_circuit") > 3000
