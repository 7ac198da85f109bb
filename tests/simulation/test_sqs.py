"""The model of SQS: each rule of a standard queue that the bundle relies on."""

import random

import pytest

from simulation.deployment import QueueSettings
from simulation.sqs import NOISY_IN_FLIGHT, Queue, StoredMessage


@pytest.fixture
def dead_letters() -> Queue:
    return Queue(QueueSettings("dead", visibility=30, retention=1_209_600))


@pytest.fixture
def queue(dead_letters: Queue) -> Queue:
    settings = QueueSettings("queue", visibility=100, retention=345_600, max_receive_count=3)
    return Queue(settings, dead_letters)


@pytest.fixture
def dice() -> random.Random:
    return random.Random(1)


def _send(queue: Queue, *names: str, now: float = 0, group: str = "") -> None:
    for name in names:
        queue.send(StoredMessage(name, name, {}, group, now, now))


def _ids(messages: list[StoredMessage]) -> set[str]:
    return {message.id for message in messages}


def test_a_received_message_is_hidden_until_its_visibility_timeout(queue: Queue, dice: random.Random) -> None:
    _send(queue, "a")

    first = queue.receive(10, 0, dice)
    hidden, again = queue.receive(10, 99, dice), queue.receive(10, 100, dice)

    assert (_ids(first), hidden, _ids(again), again[0].receives) == ({"a"}, [], {"a"}, 2)


def test_a_changed_visibility_counts_from_now(queue: Queue, dice: random.Random) -> None:
    _send(queue, "a")
    (message,) = queue.receive(1, 0, dice)

    assert queue.change_visibility(message.receipt, 7, now=50)

    assert (queue.receive(1, 56, dice), _ids(queue.receive(1, 57, dice))) == ([], {"a"})


def test_the_visibility_of_a_message_that_is_not_in_flight_cannot_be_changed(
    queue: Queue, dice: random.Random
) -> None:
    _send(queue, "a")
    (message,) = queue.receive(1, 0, dice)

    assert not queue.change_visibility(message.receipt, 7, now=100)


def test_an_old_receipt_deletes_nothing(queue: Queue, dice: random.Random) -> None:
    _send(queue, "a")
    (message,) = queue.receive(1, 0, dice)
    old = message.receipt
    queue.receive(1, 100, dice)

    assert not queue.delete(old, 101)
    assert queue.delete(message.receipt, 101)
    assert not queue.messages


def test_a_message_received_too_often_becomes_a_dead_letter_and_keeps_its_send_time(
    queue: Queue, dead_letters: Queue, dice: random.Random
) -> None:
    _send(queue, "a", now=5)
    receives = [len(queue.receive(1, 5 + 100 * time, dice)) for time in range(4)]

    (letter,) = dead_letters.receive(1, 500, dice)
    assert (receives, letter.body, letter.sent, letter.receives) == ([1, 1, 1, 0], "a", 5, 1)
    assert not queue.messages


def test_a_message_is_dropped_after_the_retention(queue: Queue, dice: random.Random) -> None:
    dropped: list[str] = []
    queue.moved = lambda message, why: dropped.append(f"{message.id}: {why}")
    _send(queue, "a")

    assert queue.receive(1, 345_600, dice) == []
    assert dropped == ["a: retention is over"]


def test_a_batch_has_no_order(queue: Queue, dice: random.Random) -> None:
    names = [str(number) for number in range(20)]
    _send(queue, *names)

    received = [message.id for message in queue.receive(20, 0, dice)]

    assert sorted(received) == sorted(names)
    assert received != names


def test_a_noisy_tenant_waits_behind_a_quiet_one(queue: Queue, dice: random.Random) -> None:
    _send(queue, *(f"noisy {number}" for number in range(NOISY_IN_FLIGHT + 50)), group="noisy")
    queue.receive(NOISY_IN_FLIGHT, 0, dice)
    _send(queue, "quiet 1", "quiet 2", group="quiet")

    received = [message.group for message in queue.receive(3, 1, dice)]

    assert received == ["quiet", "quiet", "noisy"]


def test_a_tenant_with_few_messages_in_flight_is_not_noisy(queue: Queue, dice: random.Random) -> None:
    _send(queue, *(f"big {number}" for number in range(200)), group="big")
    queue.receive(NOISY_IN_FLIGHT - 1, 0, dice)
    _send(queue, "small", group="small")

    received = [message.group for message in queue.receive(5, 1, dice)]

    assert received == ["big"] * 5


def test_without_groups_no_tenant_is_noisy(queue: Queue, dice: random.Random) -> None:
    _send(queue, *(str(number) for number in range(100)))
    queue.receive(50, 0, dice)

    assert len(queue.receive(10, 1, dice)) == 10
