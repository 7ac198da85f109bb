"""A model server with a given latency, in a process of its own, that answers our prompts.

It is one asyncio thread with prepared answers and takes 0.1 ms of CPU per call, so that it does not distort
the measurement. `python -m bench.model_server` prints {"port": …} and serves until it is stopped:

    POST /v1/chat/completions, /v1/embeddings    an answer, after the latency
    PUT /latency                                 a `Latency` as JSON, for all later calls
    PUT /status                                  an HTTP status as JSON, for all later calls
    GET /stats                                   `Stats` as JSON, which then start at zero
"""

import asyncio
import json
import random
import re
import sys
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from math import log
from typing import Any

from mojodex.clock import next_working_day
from mojodex.embeddings import DIMENSIONS

# Words of the benches' users that serve as evidence of a to-do. They name no day, because a day would be
# wrong on most days of the week, and the model would be asked again.
EVIDENCE = "I will call Ann soon about the offer"
# The schema's name in a request tells its prompt.
SCHEMA = re.compile(rb'"name":\s?"(Extraction|Rescheduling|DailyEmail|Relevance)"')
CHUNK = re.compile(rb'<chunk-\w+ number=\\"(\d+)\\">')
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
EMBEDDING_SECONDS = 0.1


@dataclass(frozen=True)
class Latency:
    """Seconds of a chat call: always the median, or log-normal around it within two bounds.

    Attributes:
        median: seconds.
        sigma: standard deviation of the logarithm; 0 for a constant latency.
        least, most: the bounds, in seconds.
    """

    median: float
    sigma: float = 0
    least: float = 0
    most: float = 60

    def seconds(self, rng: random.Random) -> float:
        """Draw the seconds of one call."""
        return min(max(rng.lognormvariate(log(self.median), self.sigma), self.least), self.most)


@dataclass
class Stats:
    """Counts since the last request for them.

    Attributes:
        calls: answered calls, by schema; "embeddings" for requests for embeddings.
        seconds: latency of all chat calls.
        in_flight: calls that wait for their answer now.
        most: the most of them at a time.
        last: the newest request of each schema, as JSON.
    """

    calls: dict[str, int] = field(default_factory=dict)
    seconds: float = 0
    in_flight: int = 0
    most: int = 0
    last: dict[str, str] = field(default_factory=dict)


def chat_answers() -> dict[str, Any]:
    """Return a valid answer for each prompt except relevance, whose answer depends on the question."""
    soon = next_working_day(datetime.now(UTC).date() + timedelta(days=2)).isoformat()
    step = {"description": "Call Ann about the offer that she sent.", "due_date": soon, "evidence": EVIDENCE}
    return {
        "Extraction": {"todos": [step]},
        "Rescheduling": {
            "pros": "That day has few other to-dos.",
            "cons": "It is some days away.",
            "argument": "Ann will have had the time to read the offer by then, and that day is a quiet one.",
            "date": soon,
        },
        "DailyEmail": {
            "subject": "A quiet day with one call",
            "greeting": "Good morning Ann!",
            "intro": "Today is a light day.",
            "lines": [{"id": "t1", "line": "A short call, and the offer is off your mind."}],
            "closing": "Have a good day.",
        },
    }


def completion(content: Any) -> bytes:
    """Return the body of a chat completion."""
    message = {"role": "assistant", "content": json.dumps(content), "refusal": None}
    return json.dumps(
        {
            "id": "chatcmpl-bench",
            "object": "chat.completion",
            "created": 0,
            "model": "bench",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120},
        }
    ).encode()


def response(body: bytes, status: int = 200) -> bytes:
    """Return an HTTP/1.1 response that keeps the connection open."""
    head = f"HTTP/1.1 {status} -\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


class Model:
    """The state that all connections share."""

    def __init__(self) -> None:
        self.latency = Latency(0.3)
        self.status = 200
        self.stats = Stats()
        self.rng = random.Random(5)
        self.answers = {name: response(completion(said)) for name, said in chat_answers().items()}
        vector = [round(self.rng.uniform(-0.05, 0.05), 8) for _ in range(DIMENSIONS)]
        self.vector = json.dumps(vector)

    def answer(self, path: bytes, body: bytes) -> tuple[bytes, float | None]:
        """Return the response and its delay in seconds; None for requests that control the server."""
        if path == b"/latency":
            self.latency = Latency(**json.loads(body))
            return response(b"{}"), None
        if path == b"/status":
            self.status = json.loads(body)
            return response(b"{}"), None
        if path == b"/stats":
            stats = self.stats
            self.stats = Stats(in_flight=stats.in_flight, most=stats.in_flight)
            return response(json.dumps(asdict(stats)).encode()), None
        if path.endswith(b"/embeddings"):
            self.called("embeddings")
            return self.embedded(json.loads(body)["input"]), EMBEDDING_SECONDS
        found = SCHEMA.search(body)
        name = found[1].decode() if found else "?"
        if self.status != 200:
            self.called(f"{self.status}")
            return response(b"{}", self.status), 0
        self.called(name)
        self.stats.last[name] = body.decode()
        seconds = self.latency.seconds(self.rng)
        self.stats.seconds += seconds
        return self.answers.get(name) or self.judged(body), seconds

    def called(self, name: str) -> None:
        """Count one call."""
        self.stats.calls[name] = self.stats.calls.get(name, 0) + 1

    def judged(self, body: bytes) -> bytes:
        """Return an answer that calls all chunks relevant."""
        numbers = CHUNK.findall(body)
        return response(completion({"verdicts": [{"chunk": int(n), "relevant": True} for n in numbers]}))

    def embedded(self, texts: list[str]) -> bytes:
        """Return the same vector for each text."""
        items = ", ".join(
            f'{{"object": "embedding", "index": {index}, "embedding": {self.vector}}}'
            for index in range(len(texts))
        )
        usage = '{"prompt_tokens": 100, "total_tokens": 100}'
        body = f'{{"object": "list", "model": "bench", "data": [{items}], "usage": {usage}}}'
        return response(body.encode())


class Connection(asyncio.Protocol):
    """One client, which sends one request at a time."""

    def __init__(self, model: Model) -> None:
        self._model, self._got = model, bytearray()
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the new connection."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Collect a request, and answer it when it is complete."""
        self._got += data
        end = self._got.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self._got[: end + 2])
        length = LENGTH.search(head)
        whole = end + 4 + (int(length[1]) if length else 0)
        if len(self._got) < whole:
            return
        body = bytes(self._got[end + 4 : whole])
        del self._got[:whole]
        answer, seconds = self._model.answer(head.split(b" ", 2)[1], body)
        if seconds is None:
            self._transport.write(answer)
            return
        stats = self._model.stats
        stats.in_flight += 1
        stats.most = max(stats.most, stats.in_flight)
        self._loop.call_later(seconds, self._answer, answer)

    def _answer(self, answer: bytes) -> None:
        self._model.stats.in_flight -= 1
        if not self._transport.is_closing():
            self._transport.write(answer)


async def serve() -> None:
    """Serve until it is cancelled."""
    model = Model()
    server = await asyncio.get_running_loop().create_server(lambda: Connection(model), "127.0.0.1", 0)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    sys.exit(asyncio.run(serve()))
