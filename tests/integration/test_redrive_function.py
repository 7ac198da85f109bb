"""The redrive returns valid dead letters. Invalid and poison messages stay for an operator."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import maintenance.redrive
from mojodex import queues
from mojodex.clock import sent_at
from mojodex.database import Database
from mojodex.errors import TransientError
from mojodex.queues import MAX_RECEIVES
from tests.integration.conftest import Bundle
from tests.lambda_events import FakeContext
from tests.metrics import emitted
from tests.mojodex import Mojodex

SENT = int((datetime.now(UTC) - timedelta(hours=3)).timestamp() * 1000)


@pytest.fixture
def run(make_bundle: Callable[..., Bundle], monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., int]]:
    """Invoke the redrive for one process and return the number of returned messages."""
    bundle = make_bundle()
    settings = maintenance.redrive.Settings.model_validate(
        {
            "database_secret_arn": "database",
            "queues": json.dumps({"extract_todos": [bundle.queue_url, bundle.dead_letter_queue_url]}),
        }
    )
    database = Database(settings)
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "redrive")
    monkeypatch.setattr(maintenance.redrive, "settings", settings)
    monkeypatch.setattr(maintenance.redrive, "database", database)
    yield lambda seconds=300: maintenance.redrive.handler({}, FakeContext(seconds))["extract_todos"]
    database.close()


@pytest.fixture
def letters(run: Any, bundle: Bundle) -> "Letters":
    return Letters(bundle)


class Letters:
    """The two queues of extract_todos."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle

    def add(self, body: str = "{}", **attributes: str) -> str:
        """Put a message into the dead-letter queue, as SQS moves it, and return its id."""
        return str(
            self.bundle.sqs.send_message(
                QueueUrl=self.bundle.dead_letter_queue_url,
                MessageBody=body,
                MessageAttributes={
                    name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()
                },
            )["MessageId"]
        )

    def _take(self, url: str) -> list[Any]:
        answer = self.bundle.sqs.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=10,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["All"],
            VisibilityTimeout=0,
        )
        return list(answer.get("Messages", []))

    def returned(self) -> list[Any]:
        """Return the messages of the queue."""
        return self._take(self.bundle.queue_url)

    def bodies_returned(self) -> list[str]:
        """Return the bodies of all messages of the queue and delete them."""
        return [message["Body"] for message in self.bundle._drain(self.bundle.queue_url)]

    def left(self) -> dict[str, str]:
        """Return the visible messages of the dead-letter queue: body and reason."""
        return {
            message["Body"]: message.get("MessageAttributes", {}).get("reason", {}).get("StringValue", "")
            for message in self._take(self.bundle.dead_letter_queue_url)
        }


def begun(mojodex: Mojodex, message_id: str, attempts: int, state: str = "running") -> None:
    mojodex.run(
        "INSERT INTO md_background_job (process, subject, state, attempts, message_id)"
        " VALUES ('extract_todos', :m, :s, :a, :m)",
        m=message_id,
        s=state,
        a=attempts,
    )


def test_a_dead_letter_of_sqs_returns_with_its_first_sent_time(run: Any, letters: Letters) -> None:
    letters.add('{"n": 1}', sent_at=str(SENT))

    assert run() == 1

    (message,) = letters.returned()
    attributes = {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}
    assert message["Body"] == '{"n": 1}'
    assert attributes == {"sent_at": str(SENT), "redrives": "1"}
    assert letters.left() == {}
    assert run() == 0


def test_the_first_sent_time_is_that_of_sqs(run: Any, letters: Letters) -> None:
    letters.add()

    run()

    (message,) = letters.returned()
    age = datetime.now(UTC).timestamp() - int(message["MessageAttributes"]["sent_at"]["StringValue"]) / 1000
    assert 0 <= age < 60


def test_a_worker_uses_the_first_sent_time_of_a_redriven_message() -> None:
    record: dict[str, Any] = {
        "attributes": {"SentTimestamp": str(SENT + 5_000_000)},
        "messageAttributes": {"sent_at": {"stringValue": str(SENT), "dataType": "Number"}},
    }

    assert sent_at(record).timestamp() * 1000 == SENT


def test_invalid_and_poison_messages_stay_and_can_be_seen(
    run: Any, letters: Letters, mojodex: Mojodex, capsys: pytest.CaptureFixture[str]
) -> None:
    letters.add("not valid", reason="message: Invalid JSON")
    begun(mojodex, letters.add("poison"), MAX_RECEIVES)
    begun(mojodex, letters.add("valid"), MAX_RECEIVES - 1, "queued")
    begun(mojodex, letters.add("done"), MAX_RECEIVES, "done")
    sent_at = str(int((datetime.now(UTC) - timedelta(days=5)).timestamp() * 1000))
    letters.add("never begun", redrives="10", sent_at=sent_at)
    letters.add("begun late", redrives="9", sent_at=sent_at)
    # The first message has begun the job, and the model is unavailable.
    letters.add("second message of a job", redrives="50")

    assert run() == 4

    assert sorted(message["Body"] for message in letters.returned()) == [
        *("begun late", "done", "second message of a job", "valid")
    ]
    assert letters.left() == {
        "not valid": "message: Invalid JSON",
        "poison": "poison: 10 attempts ended with a dead worker or an unknown error",
        "never begun": "it was returned 10 times, and its job was never begun",
    }
    capsys.readouterr()
    assert run() == 0
    metrics = emitted(capsys.readouterr().out)
    assert metrics["extract_todos", "DeadLettersLeft"] == 3
    assert metrics["extract_todos", "MessagesRedriven"] == metrics["redrive", "MessagesRedriven"] == 0


def test_the_ledger_records_an_expiry_for_a_returned_message_and_none_for_poison(
    run: Any, letters: Letters, mojodex: Mojodex
) -> None:
    valid, poison = letters.add(), letters.add()
    begun(mojodex, valid, 3, "queued")
    begun(mojodex, poison, MAX_RECEIVES)

    run()

    lives = {
        row.message_id: row.message_expires_at > datetime.now(UTC) + timedelta(days=3)
        for row in mojodex.rows("SELECT message_id, message_expires_at FROM md_background_job")
    }
    assert lives == {valid: True, poison: False}


def test_finished_jobs_and_jobs_with_another_message_stay_the_same_in_the_ledger(
    run: Any, letters: Letters, mojodex: Mojodex
) -> None:
    for state in ("done", "failed", "skipped"):
        begun(mojodex, letters.add(), 3, state)
    begun(mojodex, "of no dead letter", 3, "queued")
    begun(mojodex, "poison of no dead letter", MAX_RECEIVES)

    assert run() == 3

    assert mojodex.run("SELECT count(message_expires_at) FROM md_background_job") == 0


def test_the_schedule_publishes_the_job_of_poison_until_its_attempts_are_exhausted(
    run: Any, letters: Letters, mojodex: Mojodex
) -> None:
    """The job then fails. Its first message does not return meanwhile."""
    pk = mojodex.execution("I'll call Bob.")
    message_id = letters.add(json.dumps({"user_task_execution_pk": pk}))
    begun(mojodex, message_id, MAX_RECEIVES)
    mojodex.run("UPDATE md_background_job SET subject = :s", s=str(pk))
    assert letters.bundle.schedule() == 0

    run()

    assert letters.bundle.schedule() == 1
    letters.bundle.queued()
    assert run() == 0
    mojodex.run("UPDATE md_background_job SET attempts = 20")
    letters.bundle.work({"user_task_execution_pk": pk})
    assert mojodex.job(pk).outcome["reason"] == "gave up after 20 attempts"


def test_a_failure_of_one_process_does_not_stop_the_others(
    run: Any, letters: Letters, monkeypatch: pytest.MonkeyPatch
) -> None:
    letters.add()
    urls = maintenance.redrive.settings.queues["extract_todos"]
    settings = maintenance.redrive.settings.model_copy(
        update={
            "queues": {
                "events": (urls[0], "https://sqs.us-east-1.amazonaws.com/1/none"),
                "extract_todos": urls,
            }
        }
    )
    monkeypatch.setattr(maintenance.redrive, "settings", settings)

    with pytest.raises(ExceptionGroup):
        run()

    assert len(letters.returned()) == 1


@pytest.mark.parametrize("value", ["soon", "-1", ""])
def test_foreign_attributes_do_no_harm(run: Any, letters: Letters, value: str) -> None:
    attributes = {"sent_at": value, "redrives": value} if value else {}
    letters.add("strange", **attributes)
    letters.bundle.sqs.send_message(
        QueueUrl=letters.bundle.dead_letter_queue_url,
        MessageBody="binary",
        MessageAttributes={"trace": {"DataType": "Binary", "BinaryValue": b"1"}},
    )

    assert run() == 2

    record = {
        "attributes": {"SentTimestamp": str(SENT)},
        "messageAttributes": {"sent_at": {"stringValue": value}},
    }
    assert sent_at(record).timestamp() * 1000 == SENT


def test_poison_is_recognised_in_a_running_and_in_a_released_job(
    run: Any, letters: Letters, mojodex: Mojodex
) -> None:
    """A worker that died leaves the job running; one with an unknown error releases it."""
    for state in ("running", "queued"):
        begun(mojodex, letters.add(state), MAX_RECEIVES, state)
    for state in ("skipped", "failed"):
        begun(mojodex, letters.add(state), MAX_RECEIVES, state)
    begun(mojodex, "of no dead letter", 0)

    assert run() == 2

    assert set(letters.left()) == {"queued", "running"}


def test_a_message_whose_job_was_begun_is_returned_without_a_limit(
    run: Any, letters: Letters, mojodex: Mojodex
) -> None:
    """The outage lasted days, and no worker died."""
    begun(mojodex, letters.add(redrives="500"), 0, "queued")

    assert run() == 1


def test_the_oldest_are_returned_first(run: Any, letters: Letters, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in (3, 1, 2):
        letters.add(str(number), sent_at=str(SENT + number))
    sent: list[str] = []
    redrive = queues.redrive

    def note(queue_url: str, dead_letter_queue_url: str, some: Any) -> None:
        sent.extend(letter.body for letter in some)
        redrive(queue_url, dead_letter_queue_url, some)

    monkeypatch.setattr(queues, "redrive", note)
    run()

    assert sent == ["1", "2", "3"]


def test_many_and_long_messages_are_all_returned(run: Any, letters: Letters) -> None:
    bodies = {f"{n} {'x' * 200_000 if n % 5 == 0 else ''}" for n in range(23)}
    for body in bodies:
        letters.add(body)

    assert run() == 23

    assert set(letters.bodies_returned()) == bodies
    assert letters.left() == {}


def test_dead_letters_stay_while_the_database_is_unavailable(
    run: Any, letters: Letters, monkeypatch: pytest.MonkeyPatch
) -> None:
    letters.add("waits")

    def away() -> Any:
        raise OSError

    with monkeypatch.context() as broken:
        broken.setattr(maintenance.redrive.database, "engine", away)
        with pytest.raises(ExceptionGroup) as error:
            run()

    assert error.group_contains(TransientError)
    assert letters.returned() == []
    assert letters.left() == {"waits": ""}
    assert run() == 1


def test_a_run_that_dies_between_sending_and_deleting_loses_nothing(
    run: Any, letters: Letters, monkeypatch: pytest.MonkeyPatch
) -> None:
    letters.add("once")
    sqs = queues.sqs()
    with monkeypatch.context() as broken:
        broken.setattr(sqs, "delete_message_batch", lambda **_: 1 / 0)
        with pytest.raises(ExceptionGroup):
            run()

    assert [message["Body"] for message in letters.returned()] == ["once"]


def test_retries_are_published_even_if_dead_letters_cannot_be_redriven(
    run: Any, letters: Letters, mojodex: Mojodex, monkeypatch: pytest.MonkeyPatch
) -> None:
    mojodex.run(
        "INSERT INTO md_background_job (process, subject, state, user_id, retry_message)"
        " VALUES ('extract_todos', '7', 'queued', 'ann', '{\"body\": \"the message\", \"sent_at\": 5}')"
    )

    def away(*_about: object) -> None:
        raise TransientError("queue: away")

    with monkeypatch.context() as patch:
        patch.setattr(maintenance.redrive, "redrive", away)
        with pytest.raises(ExceptionGroup):
            run()
    run()

    (message,) = letters.returned()
    assert (message["Body"], message["Attributes"]["MessageGroupId"]) == ("the message", "ann")
    assert message["MessageAttributes"]["sent_at"]["StringValue"] == "5"
    assert mojodex.run("SELECT retry_message IS NULL FROM md_background_job") is True


def test_an_unavailable_queue_does_not_delay_the_retries_of_other_processes(
    run: Any, letters: Letters, mojodex: Mojodex, monkeypatch: pytest.MonkeyPatch
) -> None:
    for process in ("events", "extract_todos"):
        mojodex.run(
            "INSERT INTO md_background_job (process, subject, state, user_id, retry_message)"
            " VALUES (:p, '7', 'queued', 'ann', '{\"body\": \"the message\"}')",
            p=process,
        )
    its = maintenance.redrive.settings
    queues_of = {"events": ("nowhere", "nowhere"), **its.queues}
    monkeypatch.setattr(maintenance.redrive, "settings", its.model_copy(update={"queues": queues_of}))

    with pytest.raises(ExceptionGroup):
        run()

    waiting = mojodex.rows("SELECT process FROM md_background_job WHERE retry_message IS NOT NULL")
    assert [job.process for job in waiting] == ["events"]


def test_a_metric_counts_paused_processes(
    run: Any, mojodex: Mojodex, capsys: pytest.CaptureFixture[str]
) -> None:
    mojodex.run(
        "INSERT INTO md_background_paused_process VALUES ('extract_todos', now(), 'ann'), ('x', now(), 'y')"
    )

    run()

    counted = emitted(capsys.readouterr().out)
    assert [n for (_, name), n in counted.items() if name == "ProcessesPaused"] == [1]
