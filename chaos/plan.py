"""The plan: which request fails and how. It depends on the seed alone.

Timing decides when an attempt comes, but not how the third attempt of a subject is answered. Answers are
kept, so that the checks can explain a failed job.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from threading import Lock


class Fate(StrEnum):
    """How one request is answered."""

    GOOD = "good"
    TOO_MANY = "429"
    ERROR = "500"
    HANG = "hang"
    NONSENSE = "nonsense"
    REFUSAL = "refusal"
    TWICE = "twice"


# Percentages of requests.
QUESTIONS = {Fate.TOO_MANY: 10.0, Fate.ERROR: 10.0, Fate.HANG: 5.0, Fate.NONSENSE: 5.0}
EMBEDDINGS = {Fate.TOO_MANY: 5.0, Fate.ERROR: 5.0}
MAILS = {Fate.TOO_MANY: 10.0}
MESSAGES = {Fate.TWICE: 20.0}
# Of a hundred subjects, how many the model always refuses, and how many it always answers with nonsense.
REFUSED, NOT_UNDERSTOOD = 2.0, 0.5


@dataclass
class Plan:
    """The decisions of a seed.

    Attributes:
        seed: the same seed gives the same plan.
        on: whether requests fail. Refusals happen even if not.
        fates: the answers to the requests about each subject, oldest first.
    """

    seed: int
    on: bool = False
    fates: dict[str, list[Fate]] = field(default_factory=lambda: defaultdict(list))
    _lock: Lock = field(default_factory=Lock, repr=False)

    def percent(self, *about: object) -> float:
        """Return a number from 0 to 100 that depends on the seed and on `about`."""
        text = "\x1f".join(map(str, (self.seed, *about)))
        return 100 * int.from_bytes(sha256(text.encode()).digest()[:8]) / 2**64

    def nature(self, subject: str) -> Fate:
        """Return how the model always answers about a subject: GOOD, REFUSAL or NONSENSE."""
        luck = self.percent("nature", subject)
        if luck < REFUSED:
            return Fate.REFUSAL
        return Fate.NONSENSE if luck < REFUSED + NOT_UNDERSTOOD else Fate.GOOD

    def question(self, subject: str) -> Fate:
        """Decide the answer to the next question about a subject."""
        return self._next(f"question {subject}", QUESTIONS, self.nature(subject))

    def embedding(self, texts: str) -> Fate:
        """Decide the answer to the next request to embed these texts."""
        return self._next(f"embedding {texts}", EMBEDDINGS)

    def mail(self, job: str) -> Fate:
        """Decide the answer to the next attempt to send a job's mail."""
        return self._next(f"mail {job}", MAILS)

    def message(self, body: str) -> Fate:
        """Decide whether the next message with this body is sent twice."""
        return self._next(f"message {body}", MESSAGES)

    def said(self, subject: str) -> list[Fate]:
        """Return the model's answers about a subject so far."""
        return self.fates.get(f"question {subject}", [])

    def _next(self, key: str, faults: dict[Fate, float], otherwise: Fate = Fate.GOOD) -> Fate:
        with self._lock:
            fate = otherwise
            if self.on:
                luck = self.percent(key, len(self.fates[key]))
                for fault, percent in faults.items():
                    if 0 <= luck < percent:
                        fate = fault
                    luck -= percent
                self.fates[key].append(fate)
            return fate
