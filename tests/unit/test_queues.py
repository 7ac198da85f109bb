"""Requests to SQS, and the meaning of its answers."""

import random
import re
import string
from collections.abc import Callable
from threading import Barrier
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from hypothesis import given
from hypothesis import strategies as st

from mojodex import queues
from mojodex.errors import TransientError
from mojodex.queues import BATCH_BYTES, DeadLetter, Outgoing, back_off_seconds, message_group

# SQS, SendMessage, MessageGroupId: alphanumeric characters and these, 128 at most.
ALLOWED = set(string.ascii_letters + string.digits + "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")


@pytest.mark.parametrize("user_id", ["u", "user-1", "5f0c:d9|{e}", "x" * 128, "".join(sorted(ALLOWED))])
def test_a_user_id_that_sqs_accepts_is_the_group(user_id: str) -> None:
    assert message_group(user_id) == user_id


@pytest.mark.parametrize("user_id", ["", "x" * 129, "x" * 255, "two words", "Zoë", "用户", "tab\t", "line\n"])
def test_the_group_of_any_other_user_id_is_its_hash(user_id: str) -> None:
    group = message_group(user_id)

    assert re.fullmatch("[0-9a-f]{64}", group)
    assert message_group(user_id) == group


def test_the_hash_is_the_one_that_the_contract_names() -> None:
    """docs/messages.md: SHA-256 of the id in UTF-8, in hexadecimal. The backend computes it, too."""
    assert message_group("Zoë") == "c6a12698582fc1104ea24107a2d7268145ff06ef859707729d01fd060897f067"


@given(st.text(max_size=255), st.text(max_size=255))
def test_each_user_has_a_separate_group_that_sqs_accepts(one: str, other: str) -> None:
    groups = {message_group(user_id) for user_id in (one, other)}

    assert len(groups) == len({one, other})
    for group in groups:
        assert 1 <= len(group) <= 128
        assert set(group) <= ALLOWED


def test_the_group_of_a_received_message_stays_the_same() -> None:
    """A redriven dead letter has only the group, not the user."""
    assert message_group(message_group("Zoë")) == message_group("Zoë")


# A scripted client.


class FakeSqs:
    """Records its requests and gives scripted answers, repeating the last one."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.answers: dict[str, list[Any]] = {}
        self.before: Callable[[], object] = lambda: None

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        def ask(**arguments: Any) -> Any:
            self.asked.append((operation, arguments))
            self.before()
            answers = self.answers.get(operation, [self._all_of(arguments)])
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
            if isinstance(answer, Exception):
                raise answer
            return answer

        return ask

    @staticmethod
    def _all_of(arguments: dict[str, Any]) -> dict[str, Any]:
        return {"Successful": [{"Id": entry["Id"]} for entry in arguments.get("Entries", ())]}

    def entries(self, operation: str) -> list[list[dict[str, Any]]]:
        """The entries of each request of this kind."""
        return [arguments["Entries"] for asked, arguments in self.asked if asked == operation]


@pytest.fixture
def sqs(monkeypatch: pytest.MonkeyPatch) -> FakeSqs:
    client = FakeSqs()
    monkeypatch.setattr(queues, "sqs", lambda: client)
    return client


RECORD: dict[str, Any] = {"messageId": "m-1", "receiptHandle": "r-1", "body": "{oops", "attributes": {}}


def letter(body: str = "{}", *, number: int = 0, redrives: int = 0, group: str | None = None) -> DeadLetter:
    return DeadLetter(f"m-{number}", f"r-{number}", body, 1_000 + number, redrives, group, None)


ACTS: dict[str, Callable[[], object]] = {
    "publish": lambda: queues.publish("q", [Outgoing("{}", "u")]),
    "retry_later": lambda: queues.retry_later("q", RECORD, 5),
    "delete": lambda: queues.delete("q", [RECORD]),
    "dead_letter": lambda: queues.dead_letter("q", RECORD, "bad"),
    "dead_letters": lambda: list(queues.dead_letters("q")),
    "redrive": lambda: queues.redrive("q", "d", [letter()]),
    "set_aside": lambda: queues.set_aside("d", letter(), "poison"),
    "show": lambda: queues.show("d", [letter()]),
}


@pytest.mark.parametrize("name", ACTS)
@pytest.mark.parametrize(
    "error",
    [ClientError({"Error": {"Code": "RequestThrottled"}}, "x"), EndpointConnectionError(endpoint_url="x")],
    ids=["answer", "connection"],
)
def test_a_refusal_by_sqs_is_transient_and_names_its_queue(sqs: FakeSqs, name: str, error: Exception) -> None:
    operations = ("send_message", "receive_message", "change_message_visibility")
    for operation in operations:
        sqs.answers[operation] = [error]
    for operation in ("send_message", "delete_message", "change_message_visibility"):
        sqs.answers[f"{operation}_batch"] = [error]

    queue = "dead-letter queue" if name in ("dead_letter", "dead_letters", "set_aside", "show") else "queue"
    with pytest.raises(TransientError, match=f"^{queue}: {type(error).__name__}$"):
        ACTS[name]()


def test_messages_are_published_ten_a_request_each_with_its_user(sqs: FakeSqs) -> None:
    queues.publish("q", (Outgoing(f"body {n}", f"user-{n % 3}") for n in range(25)))

    requests = sqs.entries("send_message_batch")
    assert sorted(map(len, requests)) == [5, 10, 10]
    assert {arguments["QueueUrl"] for _, arguments in sqs.asked} == {"q"}
    sent = {entry["MessageBody"]: entry["MessageGroupId"] for entries in requests for entry in entries}
    assert sent == {f"body {n}": f"user-{n % 3}" for n in range(25)}
    for entries in requests:
        assert len({entry["Id"] for entry in entries}) == len(entries)


def test_eight_requests_are_in_flight_at_once(sqs: FakeSqs) -> None:
    together = Barrier(8, timeout=20)
    sqs.before = together.wait

    queues.publish("q", (Outgoing("{}", "u") for _ in range(80)))

    assert len(sqs.asked) == 8


@pytest.mark.parametrize("act", [ACTS["publish"], ACTS["redrive"]], ids=["publish", "redrive"])
def test_a_refused_message_of_an_accepted_request_is_an_error(
    sqs: FakeSqs, act: Callable[[], object]
) -> None:
    failed = [{"Id": "0", "Code": "InternalError"}, {"Id": "1", "Code": "Other"}]
    sqs.answers["send_message_batch"] = [{"Successful": [], "Failed": failed}]

    with pytest.raises(TransientError, match=r"2 messages refused \(InternalError\)"):
        act()


@pytest.mark.parametrize(
    ("receives", "least", "most"),
    [(1, 2.5, 5), (2, 5, 10), (3, 10, 20), (7, 160, 320), (8, 320, 640), (9, 450, 900), (10_000, 450, 900)],
)
def test_the_delay_doubles_with_each_receive_and_half_of_it_is_random(
    monkeypatch: pytest.MonkeyPatch, receives: int, least: float, most: float
) -> None:
    monkeypatch.setattr(random, "uniform", lambda low, _high: low)
    assert back_off_seconds(receives) == round(least)
    monkeypatch.setattr(random, "uniform", lambda _low, high: high)
    assert back_off_seconds(receives) == round(most)


@pytest.mark.parametrize(("retry_after", "seconds"), [(0, 5), (4, 5), (60, 60), (900, 900), (5_000, 900)])
def test_a_longer_delay_that_the_dependency_asks_for_is_kept(
    monkeypatch: pytest.MonkeyPatch, retry_after: float, seconds: int
) -> None:
    monkeypatch.setattr(random, "uniform", lambda _low, high: high)

    assert back_off_seconds(1, retry_after) == seconds


def test_a_message_that_is_retried_later_is_hidden_until_then(sqs: FakeSqs) -> None:
    queues.retry_later("q", RECORD, 7)

    expected = {"QueueUrl": "q", "ReceiptHandle": "r-1", "VisibilityTimeout": 7}
    assert sqs.asked == [("change_message_visibility", expected)]


def test_messages_are_deleted_ten_a_request(sqs: FakeSqs) -> None:
    queues.delete("q", [{"receiptHandle": f"r-{n}"} for n in range(11)])

    first, second = sqs.entries("delete_message_batch")
    assert [entry["ReceiptHandle"] for entry in first] == [f"r-{n}" for n in range(10)]
    assert [entry["Id"] for entry in first] == [str(n) for n in range(10)]
    assert second == [{"Id": "0", "ReceiptHandle": "r-10"}]
    assert {arguments["QueueUrl"] for _, arguments in sqs.asked} == {"q"}


@pytest.mark.parametrize("group", ["user-1", None])
@pytest.mark.parametrize("body", ["{oops", ""])
def test_a_dead_letter_keeps_its_body_and_group_and_has_its_reason(
    sqs: FakeSqs, body: str, group: str | None
) -> None:
    attributes = {"MessageGroupId": group} if group else {}

    queues.dead_letter("d", RECORD | {"body": body, "attributes": attributes}, "not JSON")

    ((operation, asked),) = sqs.asked
    assert operation == "send_message"
    assert asked == {
        "QueueUrl": "d",
        "MessageBody": body or "(empty)",
        "MessageAttributes": {
            "reason": {"DataType": "String", "StringValue": "not JSON"},
            "message_id": {"DataType": "String", "StringValue": "m-1"},
        },
        **attributes,
    }


def test_dead_letters_are_received_until_none_is_left_and_stay_hidden_meanwhile(sqs: FakeSqs) -> None:
    def message(number: int, own: dict[str, str], **system: str) -> dict[str, Any]:
        return {
            "MessageId": f"m-{number}",
            "ReceiptHandle": f"r-{number}",
            "Body": f"body {number}",
            "Attributes": {"SentTimestamp": "5000", **system},
            "MessageAttributes": {name: {"StringValue": value} for name, value in own.items()},
        }

    moved = message(1, {})
    del moved["MessageAttributes"]
    redriven = message(2, {"sent_at": "4000", "redrives": "3"}, MessageGroupId="user-1")
    put_aside = message(3, {"reason": "not JSON", "message_id": "m-0"})
    strange = message(4, {"sent_at": "soon", "redrives": ""})
    strange["MessageAttributes"] |= {name: {"BinaryValue": b"1"} for name in ("trace", "reason")}
    sqs.answers["receive_message"] = [{"Messages": [moved, redriven]}, {"Messages": [put_aside, strange]}, {}]

    assert list(queues.dead_letters("d")) == [
        DeadLetter("m-1", "r-1", "body 1", 5000, 0, None, None),
        DeadLetter("m-2", "r-2", "body 2", 4000, 3, "user-1", None),
        DeadLetter("m-3", "r-3", "body 3", 5000, 0, None, "not JSON"),
        DeadLetter("m-4", "r-4", "body 4", 5000, 0, None, ""),
    ]
    assert len(sqs.asked) == 3
    assert sqs.asked[0][1] == {
        "QueueUrl": "d",
        "MaxNumberOfMessages": 10,
        "MessageSystemAttributeNames": ["SentTimestamp", "MessageGroupId"],
        "MessageAttributeNames": ["All"],
        "VisibilityTimeout": queues.HIDDEN_SECONDS,
        "WaitTimeSeconds": 1,
    }


def test_a_redriven_message_keeps_its_send_time_and_its_count_of_redrives(sqs: FakeSqs) -> None:
    queues.redrive("q", "d", [letter("one", redrives=2, group="user-1"), letter("two", number=1)])

    send, delete = sqs.asked
    attributes = [
        {
            "sent_at": {"DataType": "Number", "StringValue": sent},
            "redrives": {"DataType": "Number", "StringValue": redrives},
        }
        for sent, redrives in (("1000", "3"), ("1001", "1"))
    ]
    one = {"Id": "0", "MessageBody": "one", "MessageAttributes": attributes[0], "MessageGroupId": "user-1"}
    two = {"Id": "1", "MessageBody": "two", "MessageAttributes": attributes[1]}
    assert send == ("send_message_batch", {"QueueUrl": "q", "Entries": [one, two]})
    gone = [{"Id": "0", "ReceiptHandle": "r-0"}, {"Id": "1", "ReceiptHandle": "r-1"}]
    assert delete == ("delete_message_batch", {"QueueUrl": "d", "Entries": gone})


def test_a_message_that_the_queue_refuses_stays_a_dead_letter(sqs: FakeSqs) -> None:
    failed = [{"Id": "0", "Code": "InternalError"}]
    sqs.answers["send_message_batch"] = [{"Successful": [{"Id": "1"}], "Failed": failed}]

    with pytest.raises(TransientError):
        queues.redrive("q", "d", [letter(), letter(number=1)])

    ((gone,),) = sqs.entries("delete_message_batch")
    assert gone["ReceiptHandle"] == "r-1"


HALF = BATCH_BYTES // 2


@pytest.mark.parametrize(
    ("sizes", "requests"),
    [
        ([1] * 21, [10, 10, 1]),
        ([HALF, HALF], [2]),
        ([HALF, HALF + 1], [1, 1]),
        ([BATCH_BYTES + 1, 1], [1, 1]),
        # Each request starts with its full size limit.
        ([HALF + 1, HALF, HALF], [1, 2]),
        ([], []),
    ],
    ids=["many", "fits", "too large together", "too large alone", "two large ones", "none"],
)
def test_a_redrive_keeps_its_requests_within_the_limits_of_sqs(
    sqs: FakeSqs, sizes: list[int], requests: list[int]
) -> None:
    queues.redrive("q", "d", [letter("x" * size, number=n) for n, size in enumerate(sizes)])

    sent = sqs.entries("send_message_batch")
    assert [len(entries) for entries in sent] == requests
    assert [len(entry["MessageBody"]) for entries in sent for entry in entries] == sizes


def test_a_body_is_measured_in_bytes(sqs: FakeSqs) -> None:
    queues.redrive("q", "d", [letter("é" * (HALF // 2)), letter("é" * (HALF // 2 + 1))])

    assert [len(entries) for entries in sqs.entries("send_message_batch")] == [1, 1]


def test_a_dead_letter_that_is_set_aside_is_replaced_by_a_copy_with_the_reason(sqs: FakeSqs) -> None:
    queues.set_aside("d", letter("one", group="user-1"), "poison")

    send, delete = sqs.asked
    attributes = {"reason": "poison", "message_id": "m-0", "sent_at": "1000"}
    copy = {
        "QueueUrl": "d",
        "MessageBody": "one",
        "MessageAttributes": {
            name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()
        },
        "MessageGroupId": "user-1",
    }
    assert send == ("send_message", copy)
    assert delete == ("delete_message", {"QueueUrl": "d", "ReceiptHandle": "r-0"})


@pytest.mark.parametrize("lost", ["send_message", "delete_message"])
def test_a_dead_letter_is_removed_only_after_its_copy_is_there(sqs: FakeSqs, lost: str) -> None:
    sqs.answers[lost] = [EndpointConnectionError(endpoint_url="x")]

    with pytest.raises(TransientError, match=r"^dead-letter queue: "):
        queues.set_aside("d", letter(), "poison")

    assert sqs.asked[-1][0] == lost


def test_dead_letters_become_visible_at_once_ten_a_request(sqs: FakeSqs) -> None:
    queues.show("d", (letter(number=n) for n in range(11)))

    first, second = sqs.entries("change_message_visibility_batch")
    assert [entry["ReceiptHandle"] for entry in first] == [f"r-{n}" for n in range(10)]
    assert [entry["Id"] for entry in first] == [str(n) for n in range(10)]
    assert second == [{"Id": "0", "ReceiptHandle": "r-10", "VisibilityTimeout": 0}]
    assert {arguments["QueueUrl"] for _, arguments in sqs.asked} == {"d"}
