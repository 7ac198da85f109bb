"""Messages of the deployed functions have their user as group. The emulator keeps and ignores groups."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from tests.stack.conftest import Deployed, eventually
from tests.website import website


@contextmanager
def paused(deployed: Deployed) -> Iterator[None]:
    """Pause the worker's event source meanwhile."""
    functions = deployed.stack.client("lambda")
    name = deployed.stack.function_name(deployed.worker)
    (mapping,) = functions.list_event_source_mappings(FunctionName=name)["EventSourceMappings"]
    functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    try:
        yield
    finally:
        functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)


def groups(deployed: Deployed, messages: int) -> Counter[str]:
    """Remove a number of messages from the queue and count them by group."""
    sqs, found = deployed.stack.client("sqs"), Counter[str]()

    def all_are_there() -> bool:
        received = sqs.receive_message(
            QueueUrl=deployed.queue_url,
            MaxNumberOfMessages=10,
            MessageSystemAttributeNames=["MessageGroupId"],
        )
        for message in received.get("Messages", []):
            found[message.get("Attributes", {}).get("MessageGroupId", "(none)")] += 1
            sqs.delete_message(QueueUrl=deployed.queue_url, ReceiptHandle=message["ReceiptHandle"])
        return found.total() >= messages

    eventually(f"{messages} messages", all_are_there, lambda: str(found))
    return found


def test_a_schedule_names_the_user_of_each_message(deployed: Deployed) -> None:
    users = {deployed.mojodex.user(): 2, deployed.mojodex.user(): 1}
    for user_id, executions in users.items():
        for _ in range(executions):
            deployed.mojodex.execution("x", user_id=user_id)

    with paused(deployed):
        assert deployed.schedule() == 3
        found = groups(deployed, 3)

    assert found == users


def test_the_crawler_names_the_user_of_each_page(deployed: Deployed) -> None:
    user_id = deployed.mojodex.user()
    pages = deployed.of("ingest_page")
    message = {"user_id": user_id, "request_id": "r1"}

    with website() as site, paused(pages):
        site.simple("/", "/a", "/b")
        deployed.stack.publish("CreateFromWebsiteQueueUrl", message | {"website_url": site.url})
        found = groups(pages, 3)

    assert found == {user_id: 3}
