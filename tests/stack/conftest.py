"""The built template, deployed to the local emulator, with a real Postgres and a scripted model."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from sqlalchemy import create_engine

from local.runtime import deploy
from local.runtime import stack as local_stack
from local.runtime.stack import PREFIXES
from tests.fake_model import FakeModel, embedded, fake_model, todos
from tests.mojodex import Mojodex

# Most pages of a website, so that a hostile one does not take minutes.
CRAWL_PAGE_LIMIT = 20

# Long enough for a slow machine. A test that waits longer fails with the missing condition.
PATIENCE_SECONDS = 90


def eventually(what: str, condition: Callable[[], Any], instead: Callable[[], object] = str) -> Any:
    """Wait until the condition is true and return its value. On failure, `instead` describes the state."""
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.1)
    pytest.fail(f"waited {PATIENCE_SECONDS} s in vain: {what}\n{instead()}")


@dataclass
class Deployed:
    """The deployed bundle, driven through its queue, its schedule and its tables."""

    stack: local_stack.Stack
    directory: Path
    mojodex: Mojodex
    model: FakeModel
    # The process that the methods work with. PREFIXES has its name in the template.
    process: str = "extract_todos"

    def of(self, process: str) -> "Deployed":
        """Return the same bundle for another process."""
        return replace(self, process=process)

    @property
    def prefix(self) -> str:
        return PREFIXES[self.process]

    @property
    def worker(self) -> str:
        return f"{self.prefix}WorkerFunction"

    @property
    def queue_url(self) -> str:
        return self.stack.outputs[f"{self.prefix}QueueUrl"]

    @property
    def dead_letter_queue_url(self) -> str:
        return self.stack.outputs[f"{self.prefix}DeadLetterQueueUrl"]

    def send(self, *bodies: str) -> None:
        """Publish messages, in one request."""
        entries = [{"Id": str(i), "MessageBody": body} for i, body in enumerate(bodies)]
        answer = self.stack.client("sqs").send_message_batch(QueueUrl=self.queue_url, Entries=entries)
        assert not answer.get("Failed")

    def schedule(self) -> int:
        """Run the process's schedule function and return the number of published messages."""
        answer, succeeded = self.stack.invoke(f"{self.prefix}ScheduleFunction")
        assert succeeded, answer
        return int(answer["published"])

    def pending(self) -> int:
        """Count the messages in the queue, including hidden ones."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        answer = self.stack.client("sqs").get_queue_attributes(QueueUrl=self.queue_url, AttributeNames=names)
        return sum(int(answer["Attributes"][name]) for name in names)

    def wait_for(self, pk: int | str, state: str) -> Any:
        """Wait until the job of a subject is in this state and return its row."""
        row = None

        def reached() -> bool:
            nonlocal row
            row = self.mojodex.job(pk, self.process)
            return row is not None and row.state == state

        eventually(f"job {pk} is {state}", reached, lambda: f"{row}\n{self.worker_logs()}")
        return row

    def worker_logs(self) -> str:
        """Return the last log lines of the worker function."""
        return "\n".join(self.stack.logs(self.worker)[-20:])

    def wait_until_drained(self) -> None:
        """Wait until the queue is empty."""
        eventually("the queue is empty", lambda: self.pending() == 0)

    def dead_letters(self) -> list[tuple[str, str]]:
        """Remove all dead letters and return (body, reason) of each."""
        sqs = self.stack.client("sqs")
        letters = []
        while got := sqs.receive_message(
            QueueUrl=self.dead_letter_queue_url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        ).get("Messages"):
            for message in got:
                letters.append((message["Body"], message["MessageAttributes"]["reason"]["StringValue"]))
                sqs.delete_message(
                    QueueUrl=self.dead_letter_queue_url, ReceiptHandle=message["ReceiptHandle"]
                )
        return letters

    @contextmanager
    def quick_redelivery(self) -> Iterator[None]:
        """Let a dead worker's messages become visible after 5 seconds instead of 12 or 30 minutes."""
        sqs, visibility = self.stack.client("sqs"), "VisibilityTimeout"
        kept = sqs.get_queue_attributes(QueueUrl=self.queue_url, AttributeNames=[visibility])["Attributes"]
        sqs.set_queue_attributes(QueueUrl=self.queue_url, Attributes={visibility: "5"})
        try:
            yield
        finally:
            sqs.set_queue_attributes(QueueUrl=self.queue_url, Attributes=kept)

    @contextmanager
    def few_receives(self) -> Iterator[None]:
        """Make messages dead letters after two receives instead of ten."""
        sqs, name = self.stack.client("sqs"), "RedrivePolicy"
        kept = sqs.get_queue_attributes(QueueUrl=self.queue_url, AttributeNames=[name])["Attributes"]
        few = json.dumps({**json.loads(kept[name]), "maxReceiveCount": 2})
        sqs.set_queue_attributes(QueueUrl=self.queue_url, Attributes={name: few})
        try:
            yield
        finally:
            sqs.set_queue_attributes(QueueUrl=self.queue_url, Attributes=kept)

    def workers(self) -> list[psutil.Process]:
        """Return the processes that run the worker function."""
        function = self.stack.function_name(self.worker)
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                environment = process.environ()
                # Another stack on this machine can have a function of the same name.
                if (
                    environment.get("AWS_LAMBDA_FUNCTION_NAME") == function
                    and environment.get("AWS_ENDPOINT_URL") == self.stack.endpoint
                ):
                    found.append(process)
        return found

    def kill_workers(self) -> int:
        """SIGKILL every process of the worker function and return their number."""
        killed = 0
        for process in self.workers():
            with suppress(psutil.Error):
                process.kill()
                killed += 1
        return killed

    def expire_leases(self) -> None:
        """Expire the leases of all running jobs, as 150 seconds would."""
        self.mojodex.run(
            "UPDATE md_background_job SET started_at = started_at - interval '10 minutes'"
            " WHERE state = 'running'"
        )


@pytest.fixture(scope="session")
def _deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    directory = tmp_path_factory.mktemp("stack") / "run"
    deploy.build()
    with fake_model() as model:
        # On two cores, more cold starts at once are only slower.
        parameters = {
            "LlmBaseUrl": model.url,
            "LlmTimeoutSeconds": "10",
            "CrawlPageLimit": str(CRAWL_PAGE_LIMIT),
            **{f"{prefix}Concurrency": "2" for prefix in PREFIXES.values()},
        }
        stack = local_stack.up(directory, parameters=parameters)
        # Schedules could run in the middle of a test at the full hour.
        stack.stop_schedules()
        # The tests' websites are on loopback.
        stack.open_loopback()
        engine = create_engine(stack.database.url, pool_pre_ping=True)
        try:
            yield Deployed(stack, directory, Mojodex(engine), model)
        finally:
            engine.dispose()
            local_stack.down(directory)


@pytest.fixture
def deployed(_deployed: Deployed) -> Deployed:
    for process in PREFIXES:
        _deployed.of(process).wait_until_drained()
        _deployed.of(process).dead_letters()
    _deployed.mojodex.empty()
    _deployed.model.script, _deployed.model.embed = lambda _request: todos(), embedded
    _deployed.model.calls.clear()
    _deployed.model.embeddings.clear()
    return _deployed
