"""The offline stand-in for a language model: an OpenAI-compatible HTTP server that follows rules.

It is NOT a language model. It reads our own prompts, finds first-person commitments of the user with sentence
patterns (English and French) and dates with `dateparser`, and answers as chat completions do, so that the
bundle runs without network and key.

    python -m local.model_server --port 0

prints {"port": 54321} and serves on loopback until it is stopped: POST /v1/chat/completions, GET /v1/models,
GET /health. It knows the answers named in `ANSWERS`; anything else gets a 400. Asked once more because an
answer was no use, it answers the same: rules cannot do better, and the bundle's fallback shows.
"""

import argparse
import contextlib
import json
import re
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

from dateparser.search import search_dates
from pydantic import BaseModel, Field, ValidationError

MODEL = "rule-based-stand-in"
CHARS_PER_TOKEN = 4


# The request, as far as it matters here.
class _Message(BaseModel):
    role: str
    content: str


class _JsonSchema(BaseModel):
    name: str


class _ResponseFormat(BaseModel):
    type: Literal["json_schema"]
    json_schema: _JsonSchema


class _ChatRequest(BaseModel):
    model: str
    messages: list[_Message] = Field(min_length=1)
    response_format: _ResponseFormat
    stream: bool = False


class RequestError(Exception):
    """The request cannot be answered; goes out as a 400 in OpenAI's form."""

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code


# --- Extraction: what the user said that they will do ---

_ADVERBS = r"(?:(?:also|then|still|now|just|aussi|également|encore|ensuite|donc)\s+)*+"
_CLITICS = r"(?P<clitics>(?:(?:me|te|le|la|les|lui|leur|vous|en|y)\s+|l['\u2019])*+)"
_JE = r"\bj(?:e\s+|['\u2019])"

# First persons of the French future and subjunctive whose infinitive does not follow from their ending.
_INFINITIVES = dict(
    re.findall(
        r"(\w+)/(\w+)",
        "enverrai/envoyer renverrai/renvoyer ferai/faire irai/aller verrai/voir appellerai/appeler "
        "rappellerai/rappeler viendrai/venir reviendrai/revenir tiendrai/tenir recevrai/recevoir "
        "envoie/envoyer fasse/faire aille/aller voie/voir prenne/prendre appelle/appeler rappelle/rappeler "
        "écrive/écrire relise/relire finisse/finir",
    )
)


def _as_it_is(verb: str) -> str:
    return verb


def _from_future(verb: str) -> str:
    stem = verb.removesuffix("ai")
    return _INFINITIVES.get(verb) or (stem if stem.endswith(("er", "ir")) else stem + "e")


def _from_subjunctive(verb: str) -> str:
    return _INFINITIVES.get(verb) or verb.removesuffix("e") + "er"


@dataclass(frozen=True)
class _Rule:
    """How one language commits itself: the words before the step, and what its verb becomes in the to-do."""

    language: str
    pattern: re.Pattern[str]
    infinitive: Callable[[str], str]


def _rule(language: str, pattern: str, infinitive: Callable[[str], str]) -> _Rule:
    return _Rule(language, re.compile(pattern, re.IGNORECASE), infinitive)


_RULES = (
    _rule(
        "en",
        r"\b(?:I(?:['\u2019]ll|\s+will|(?:['\u2019]m|\s+am)\s+going\s+to|\s+(?:need|have|promised)\s+to)|let\s+me)"
        rf"\s+{_ADVERBS}(?:(?:need|have)\s+to\s+)?+(?P<clitics>)(?!(?:not|never|be|know|see)\b)(?P<verb>[a-z-]+)",
        _as_it_is,
    ),
    _rule("fr", rf"\bje\s+(?:vais|dois)\s+{_ADVERBS}{_CLITICS}(?P<verb>\w+(?:er|ir|re))\b", _as_it_is),
    _rule("fr", rf"\bil\s+faut\s+que\s+j(?:e\s+|['\u2019]){_CLITICS}(?P<verb>\w+e)\b", _from_subjunctive),
    _rule(
        "fr",
        rf"{_JE}{_CLITICS}(?!(?:aurai|serai|saurai|pourrai|devrai|voudrai)\b)(?P<verb>\w*rai)\b",
        _from_future,
    ),
)

_SENTENCE_END = re.compile(r"(?<=[.!?…])\s+|\n+")
_CONDITION = re.compile(r"\b(?:if|unless|si|s['\u2019]ils?)\b", re.IGNORECASE)
_LOOSE_END = re.compile(r"(?:[\s,;:.!…]|\b(?:and|then|but|et|puis|mais)\b)+$", re.IGNORECASE)

_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|févr|avr|mai|juin|juil|août|déc)\w*"
# dateparser also takes "je" for Thursday, "may" for a month and any number for a day: these must be there.
_DATE_WORD = re.compile(
    rf"\d{{4}}-\d\d-\d\d|\d/\d|\d(?:st|nd|rd|th)\b|\d(?:er)?\s+{_MONTH}|{_MONTH}\s+\d"
    r"|\w+day\b|tomorrow|days|week|month"
    r"|lundi|mardi|mercredi|jeudi|vendredi|samedi|dimanche|demain|hier|aujourd|jours|semaine|mois",
    re.IGNORECASE,
)
_BEFORE_DATE = r"(?:[\s,]+(?:by|on|before|until|no later than|d['\u2019]ici|avant|pour|dès|le))*"
_AFTER_DATE = r"(?:\s+(?:morning|afternoon|evening|at the latest|matin|après-midi|soir|au plus tard))*"

# dateparser keeps parsers and settings in globals, and requests are answered in threads.
_dateparser_lock = threading.Lock()


def _find_date(text: str, language: str, today: date) -> tuple[str, date] | None:
    """The first date in the text, with the words that say it; relative ones count from `today`."""
    settings = {
        "RELATIVE_BASE": datetime.combine(today, datetime.min.time()),
        "PREFER_DATES_FROM": "future",
    }
    # Minutes without a number are those of a meeting.
    text = re.sub(r"(?<!\d )\bminutes\b", "records", text, flags=re.IGNORECASE)
    with _dateparser_lock:
        found = search_dates(text, languages=[language], settings=settings) or []
    return next(((words, moment.date()) for words, moment in found if _DATE_WORD.search(words)), None)


def _without_date(step: str, words: str) -> str:
    """The step without a date at its end: that one is the due date, and changes when the step is put off."""
    return re.sub(rf"{_BEFORE_DATE}\s+{re.escape(words)}{_AFTER_DATE}$", "", step)


def _commitments(sentence: str, today: date) -> Iterator[dict[str, Any]]:
    """The to-dos that one sentence of the user holds."""
    if sentence.endswith("?") or _CONDITION.search(sentence):
        return
    found = [(match, rule) for rule in _RULES for match in rule.pattern.finditer(sentence)]
    found.sort(key=lambda pair: pair[0].start())
    ends = [match.start() for match, _ in found] + [len(sentence)]
    for (match, rule), end in zip(found, ends[1:], strict=True):
        rest = sentence[match.end() : end]
        step = _LOOSE_END.sub("", f"{match['clitics']}{rule.infinitive(match['verb'].lower())}{rest}")
        # "On Monday I'll …": a date before the words counts, too, when it can only mean this step.
        dated = _find_date(step, rule.language, today)
        if dated is None and len(found) == 1:
            dated = _find_date(sentence[: match.start()], rule.language, today)
        words, due = dated or ("", today + timedelta(days=1))
        step = _without_date(step, words) if words else step
        yield {
            "description": step[0].upper() + step[1:],
            "due_date": due.isoformat(),
            "evidence": sentence,
        }


def _section(prompt: str, tag: str) -> str:
    found = re.search(rf"^<{tag}>\n(.*?)^</{tag}>", prompt, re.MULTILINE | re.DOTALL)
    if not found:
        raise RequestError(f"the stand-in finds no <{tag}> in the prompt")
    return found[1]


def _user_lines(conversation: str) -> Iterator[str]:
    """The lines that the user wrote: a message goes on until the next one says who speaks."""
    speaker = ""
    for line in conversation.splitlines():
        said = re.match(r"(user|mojo): ?", line)
        speaker = said[1] if said else speaker
        if speaker == "user":
            yield line[said.end() :] if said else line


def extraction(prompt: str) -> dict[str, Any]:
    """The to-dos in a rendered `extract_todos` prompt.

    Args:
        prompt: holds a `<conversation>` and a line `Today is YYYY-MM-DD …`, the user's day.

    Returns:
        `{"todos": [{"description", "due_date", "evidence"}]}`: the evidence is the user's sentence as it
        stands there; a step without a date is due tomorrow.

    Raises:
        RequestError: the prompt does not hold these.
    """
    conversation = _section(prompt, "conversation")
    day = re.search(r"^Today is (\d{4}-\d\d-\d\d)\b", prompt, re.MULTILINE)
    if not day:
        raise RequestError("the stand-in finds no line 'Today is YYYY-MM-DD' in the prompt")
    today = date.fromisoformat(day[1])
    text = "\n".join(_user_lines(conversation))
    todos: dict[str, dict[str, Any]] = {}
    for sentence in filter(None, map(str.strip, _SENTENCE_END.split(text))):
        for todo in _commitments(sentence, today):
            todos.setdefault(todo["description"].casefold(), todo)
    return {"todos": list(todos.values())}


# By the name of the JSON schema that a request wants its answer in.
ANSWERS: dict[str, Callable[[str], dict[str, Any]]] = {"Extraction": extraction}


# --- The API ---


def complete(body: bytes) -> dict[str, Any]:
    """A `chat.completion` for the body of a request.

    Raises:
        RequestError: not a request that the stand-in can answer.
    """
    try:
        request = _ChatRequest.model_validate_json(body)
    except ValidationError as error:
        raise RequestError(f"the stand-in cannot read the request: {error.errors()[0]['msg']}") from None
    if request.stream:
        raise RequestError("the stand-in does not stream", "unsupported_value")
    name = request.response_format.json_schema.name
    if name not in ANSWERS:
        raise RequestError(f"the stand-in does not know the schema {name!r}", "unknown_schema")
    # The prompt is the first thing that the user says; what follows are objections to earlier answers.
    prompt = next((message.content for message in request.messages if message.role == "user"), "")
    content = json.dumps(ANSWERS[name](prompt), ensure_ascii=False)
    read = sum(len(message.content) for message in request.messages) // CHARS_PER_TOKEN
    written = len(content) // CHARS_PER_TOKEN
    return {
        "id": f"chatcmpl-{uuid.uuid4().hex}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": request.model,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": content, "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written},
    }


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body are two writes: with Nagle's algorithm the second waits 40 ms on a kept connection.
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        if self.path == "/health":
            self._reply(HTTPStatus.OK, {"status": "ok", "model": MODEL})
        elif self.path == "/v1/models":
            model = {"id": MODEL, "object": "model", "created": 0, "owned_by": "mojodex-background"}
            self._reply(HTTPStatus.OK, {"object": "list", "data": [model]})
        else:
            self._refuse(HTTPStatus.NOT_FOUND, f"no such address: {self.path}")

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal():
            # Where the next request would begin is not known.
            self.close_connection = True
            self._refuse(HTTPStatus.LENGTH_REQUIRED, "Content-Length is missing")
            return
        body = self.rfile.read(int(length))
        if self.path != "/v1/chat/completions":
            self._refuse(HTTPStatus.NOT_FOUND, f"no such address: {self.path}")
            return
        try:
            self._reply(HTTPStatus.OK, complete(body))
        except RequestError as error:
            self._refuse(HTTPStatus.BAD_REQUEST, str(error), error.code)
        except (ValueError, TypeError, ArithmeticError, LookupError, AttributeError, Warning) as error:
            # dateparser trips over some texts.
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, f"{type(error).__name__}: {error}")

    def _refuse(self, status: HTTPStatus, message: str, code: str | None = None) -> None:
        kind = "server_error" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "invalid_request_error"
        self._reply(status, {"error": {"message": message, "type": kind, "param": None, "code": code}})

    def _reply(self, status: HTTPStatus, value: dict[str, Any]) -> None:
        body = json.dumps(value, ensure_ascii=False).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing: whoever drives the demo prints what matters."""


class ModelServer(ThreadingHTTPServer):
    """The stand-in on loopback; `serve_forever` answers, `server_port` says where.

    Args:
        port: 0 for a free one.

    Raises:
        OSError: the port is taken.
    """

    request_queue_size = 128

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is no news; anything else is reported."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description="Offline stand-in for a language model: rules, not a model.")
    parser.add_argument("--port", type=int, default=0, help="0 (default) for a free one")
    with ModelServer(parser.parse_args().port) as server, contextlib.suppress(KeyboardInterrupt):
        print(json.dumps({"port": server.server_port}), flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
