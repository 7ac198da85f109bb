"""The model's provider: the language model and embeddings behind the real SDK. Fixed rules give the answers.

The rules are those of `chaos.model`. Each paid answer is recorded.
"""

import json
import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import httpx2

from chaos.model import ABOUT
from simulation.outside import BEFORE, Outside
from tests.fake_model import Reply, embedded, prompt_of, relevance

MODEL_SECONDS = (0.8, 9.0)
EMBEDDINGS_SECONDS = (0.2, 2.0)
# Of a thousand subjects, how many the model always refuses.
REFUSED = 15
RETRY_AFTER_SECONDS = 2


@dataclass
class Payment:
    """One paid answer.

    Attributes:
        at: when (seconds since 1970).
        service: model or embeddings.
        subject: the subject of the question.
        worker: the invocation that asked; '' if none did.
        received: whether the worker received the answer.
    """

    at: float
    service: str
    subject: str
    worker: str
    received: bool = False


class Provider:
    """The servers of the language model and of the embeddings.

    Attributes:
        asked: requests that reached a server, by service; failed ones count too.
        asked_at: when they did (seconds since 1970), by service.
        paid: number of paid answers, by subject.
        payments: each paid answer, oldest first.
    """

    def __init__(self, outside: Outside, seed: int) -> None:
        self.asked: Counter[str] = Counter()
        self.asked_at: dict[str, list[float]] = defaultdict(list)
        self.paid: Counter[str] = Counter()
        self.payments: list[Payment] = []
        self._outside, self._seed = outside, seed

    def refuses(self, subject: str) -> bool:
        """Tell whether the model always refuses a subject ("extract_todos 7")."""
        process = subject.partition(" ")[0]
        luck = crc32(f"{self._seed} {subject}".encode()) % 1000
        return process in ("extract_todos", "reschedule_todo") and luck < REFUSED

    def handle(self, request: httpx2.Request) -> httpx2.Response:
        """Answer a request of the SDK, or fail as the faults demand."""
        asked = json.loads(request.content)
        embeds = request.url.path.endswith("/embeddings")
        service = "embeddings" if embeds else "model"
        kernel, faults = self._outside.kernel, self._outside.faults
        timeout = request.extensions["timeout"]["read"]
        self.asked[service] += 1
        self.asked_at[service].append(kernel.now)
        self._outside.arrive()
        failure = faults.failure(service)
        seconds = self._outside.latency(service, EMBEDDINGS_SECONDS if embeds else MODEL_SECONDS)
        if failure == "timeout":
            seconds = timeout + 1
        if failure == "refused":
            kernel.sleep(min(seconds, timeout) * BEFORE / 10)
            raise httpx2.ConnectError("connection refused", request=request)
        if failure and failure != "timeout":
            kernel.sleep(seconds * BEFORE / 10)
            kernel.trace(service, failure)
            headers = {"Retry-After": str(RETRY_AFTER_SECONDS)} if failure == "429" else {}
            error = {"error": {"message": "no", "type": "error", "param": None, "code": None}}
            return httpx2.Response(int(failure), headers=headers, json=error)
        subject, reply = self._embeddings(asked) if embeds else self._answer(asked)
        payment = self._pay(service, subject, failure)
        if seconds > timeout:
            kernel.sleep(timeout)
            raise httpx2.ReadTimeout("too late", request=request)
        kernel.sleep(seconds * BEFORE)
        self._outside.leave()
        kernel.sleep(seconds * (1 - BEFORE))
        payment.received = True
        if reply.body is not None:
            return httpx2.Response(200, headers={"Content-Type": "application/json"}, content=reply.body)
        return httpx2.Response(200, json=_completion(asked, reply))

    def _pay(self, service: str, subject: str, failure: str) -> Payment:
        """Record a payment, unless the server failed. An answer that nobody waits for is paid for too."""
        kernel, invocation = self._outside.kernel, self._outside.invocation
        payment = Payment(kernel.now, service, subject, invocation.name if invocation else "")
        if not failure:
            self.payments.append(payment)
            self.paid[subject] += 1
            kernel.trace("paid", subject, self.paid[subject])
        return payment

    def _answer(self, asked: dict[str, Any]) -> tuple[str, Reply]:
        """Return the subject of a question, and the answer."""
        prompt = prompt_of(asked)
        schema = asked["response_format"]["json_schema"]["name"]
        # An answer is kept for one job, so two jobs about one to-do or page may both ask.
        task = self._outside.kernel.current
        job = f" for {task.job}" if task else ""
        if schema == "Relevance":
            return f"relevance {crc32(prompt.encode()):08x}{job}", relevance(asked)
        subject = _subject(schema, prompt)
        day = "" if schema == "Extraction" else f" on {_find(r'Today is (\S+)', prompt)}"
        about = f"{subject}{day}{job}"
        if self.refuses(subject):
            return about, Reply(None, refusal="I cannot help with that.")
        return about, ABOUT[schema][1](prompt)

    def _embeddings(self, asked: dict[str, Any]) -> tuple[str, Reply]:
        return f"embeddings {crc32(' '.join(asked['input']).encode()):08x}", embedded(asked)


def _subject(schema: str, prompt: str) -> str:
    match schema:
        case "Extraction":
            return f"extract_todos {_find(r'the minutes of (\d+)', prompt)}"
        case "Rescheduling":
            return f"reschedule_todo {_find(r'<todo-\w+>\n(.+)', prompt)}"
        case "DailyEmail":
            return f"events {_find(r'\nName: (\S+)', prompt)}"
    raise ValueError(f"the simulation does not know this question: {schema}")


def _find(pattern: str, prompt: str) -> str:
    found = re.search(pattern, prompt)
    assert found, pattern
    return found[1]


def _completion(asked: dict[str, Any], reply: Reply) -> dict[str, Any]:
    content = reply.content if isinstance(reply.content, str | None) else json.dumps(reply.content)
    message = {"role": "assistant", "content": content, "refusal": reply.refusal}
    return {
        "id": "chatcmpl-simulated",
        "object": "chat.completion",
        "created": 0,
        "model": asked["model"],
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120},
    }
