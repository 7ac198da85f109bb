"""Extraction: find what the user promised to do, by sentence patterns (English and French)."""

import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from dateparser.search import search_dates

from local.standin.answers import prompts

_ADVERBS = r"(?:(?:also|then|still|now|just|aussi|également|encore|ensuite|donc)\s+)*+"
_CLITICS = r"(?P<clitics>(?:(?:me|te|le|la|les|lui|leur|vous|en|y)\s+|l['\u2019])*+)"
_JE = r"\bj(?:e\s+|['\u2019])"

# French verbs in the first person future or subjunctive, whose ending does not tell the infinitive.
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
    """A promise in one language: the words before the step, and how its verb becomes an infinitive."""

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
# dateparser takes "je" for Thursday, "may" for a month and any number for a day. A date needs one of these.
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
    """Return the first date in the text, with its words. Relative dates count from `today`."""
    settings = {
        "RELATIVE_BASE": datetime.combine(today, datetime.min.time()),
        "PREFER_DATES_FROM": "future",
    }
    # "Minutes" without a number are records of a meeting.
    text = re.sub(r"(?<!\d )\bminutes\b", "records", text, flags=re.IGNORECASE)
    with _dateparser_lock:
        found = search_dates(text, languages=[language], settings=settings) or []
    return next(((words, moment.date()) for words, moment in found if _DATE_WORD.search(words)), None)


def _without_date(step: str, words: str) -> str:
    """Return the step without the date at its end, because a to-do has its date in a field."""
    return re.sub(rf"{_BEFORE_DATE}\s+{re.escape(words)}{_AFTER_DATE}$", "", step)


def _commitments(sentence: str, today: date) -> Iterator[dict[str, Any]]:
    """Yield the to-dos in one sentence of the user."""
    if sentence.endswith("?") or _CONDITION.search(sentence):
        return
    found = [(match, rule) for rule in _RULES for match in rule.pattern.finditer(sentence)]
    found.sort(key=lambda pair: pair[0].start())
    ends = [match.start() for match, _ in found] + [len(sentence)]
    for (match, rule), end in zip(found, ends[1:], strict=True):
        rest = sentence[match.end() : end]
        step = _LOOSE_END.sub("", f"{match['clitics']}{rule.infinitive(match['verb'].lower())}{rest}")
        # "On Monday I'll …": a date before the promise also counts, if the sentence has only one step.
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


def _user_lines(conversation: str) -> Iterator[str]:
    """Yield the lines that the user wrote. A message extends to the next speaker."""
    speaker = ""
    for line in conversation.splitlines():
        said = re.match(r"(user|mojo): ?", line)
        speaker = said[1] if said else speaker
        if speaker == "user":
            yield line[said.end() :] if said else line


def extraction(prompt: str) -> dict[str, Any]:
    """Return the to-dos of a rendered `extract_todos` prompt.

    Args:
        prompt: holds a `<conversation>` and a line `Today is YYYY-MM-DD …`, the user's day.

    Returns:
        `{"todos": [{"description", "due_date", "evidence"}]}`. The evidence is the user's whole sentence. A
        step without a date is due tomorrow.

    Raises:
        PromptError: the prompt lacks one of these.
    """
    conversation = prompts.section(prompt, "conversation")
    day = prompts.today(prompt)
    text = "\n".join(_user_lines(conversation))
    todos: dict[str, dict[str, Any]] = {}
    for sentence in filter(None, map(str.strip, _SENTENCE_END.split(text))):
        for todo in _commitments(sentence, day):
            todos.setdefault(todo["description"].casefold(), todo)
    return {"todos": list(todos.values())}
