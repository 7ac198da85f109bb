"""A small scripted model that fails as planned. Its good answers depend on the question alone."""

import json
import re
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlsplit
from zlib import crc32

from chaos.plan import Fate, Plan
from mojodex.clock import next_working_day
from tests.fake_model import Reply, embedded, prompt_of, relevance, todos

# How long an answer takes, and how long one takes that hangs (seconds). A hanging answer exceeds
# LlmTimeoutSeconds.
SECONDS, HANGS = 0.4, 8.0
DUE = timedelta(days=7)


def step(execution_pk: int, number: int) -> str:
    """Return the text of a promise. It is unique to its execution, so each to-do can be traced back."""
    return f"send letter {execution_pk}-{number} to the printer"


def conversation(execution_pk: int, steps: int) -> str:
    """Return what a user said in an execution."""
    promises = " ".join(f"I will {step(execution_pk, number)}." for number in range(steps))
    return f"These are the minutes of {execution_pk}. {promises} Thank you."


def _extraction(prompt: str) -> Reply:
    due = (_today(prompt) + DUE).isoformat()
    promises = re.findall(r"I will (send letter \S+ to the printer)", prompt)
    return todos(*((promise, due, f"I will {promise}") for promise in promises))


def _rescheduling(prompt: str) -> Reply:
    day = next_working_day(_today(prompt)).isoformat()
    return Reply({"pros": "", "cons": "", "argument": "Then it is quiet.", "date": day})


def _daily_email(_prompt: str) -> Reply:
    words = {"subject": "Your day", "greeting": "Hello!", "intro": "A calm day.", "closing": "Bye."}
    return Reply({**words, "lines": []})


def _today(prompt: str) -> date:
    return date.fromisoformat(_find(r"Today is (\S+)", prompt))


def _find(pattern: str, prompt: str) -> str:
    found = re.search(pattern, prompt)
    assert found, pattern
    return found[1]


# For each schema: a function that finds the question's subject, and one that gives the good answer.
ABOUT: dict[str, tuple[Callable[[str], str], Callable[[str], Reply]]] = {
    "Extraction": (lambda p: "extract_todos " + _find(r"the minutes of (\d+)", p), _extraction),
    "Rescheduling": (lambda p: "reschedule_todo " + _find(r"<todo-\w+>\nThing (\d+)", p), _rescheduling),
    "DailyEmail": (lambda p: "events " + _find(r"\nName: (\S+)", p), _daily_email),
}


def answer(plan: Plan, request: dict[str, Any]) -> Reply:
    """Answer a question as the plan demands."""
    prompt = prompt_of(request)
    schema = request["response_format"]["json_schema"]["name"]
    if schema == "Relevance":
        # Without the port, which differs in each run.
        path = urlsplit(_find(r"<source-\w+>\n(\S+)", prompt)).path
        subject, good = f"relevance {path}", relevance(request)
    else:
        about, reply = ABOUT[schema]
        subject, good = about(prompt), reply(prompt)
    return _as_planned(plan.question(subject), good, plan, subject)


def embed(plan: Plan, request: dict[str, Any]) -> Reply:
    """Answer a request for embeddings as the plan demands."""
    texts = f"{crc32(' '.join(request['input']).encode()):08x}"
    return _as_planned(plan.embedding(texts), embedded(request), plan, texts)


def _as_planned(fate: Fate, good: Reply, plan: Plan, subject: str) -> Reply:
    match fate:
        case Fate.TOO_MANY:
            seconds = 1 + int(plan.percent("Retry-After", subject)) % 3
            return Reply(status=429, headers={"Retry-After": str(seconds)})
        case Fate.ERROR:
            return Reply(status=500)
        case Fate.HANG:
            return Reply(good.content, body=good.body, delay=HANGS)
        case Fate.NONSENSE:
            prose = plan.percent("prose", subject) < 50
            return Reply("Gladly! Here is what I found." if prose else json.dumps([42]), delay=SECONDS)
        case Fate.REFUSAL:
            return Reply(None, refusal="I cannot help with that.", delay=SECONDS)
    good.delay = SECONDS if plan.on else 0
    return good
