"""The plan: what goes wrong with which request, as a function of the seed and of nothing else.

Which try comes when depends on timing; what the third try of a subject is answered does not. What was
answered is kept, so that a failed job can be held against it.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from threading import Lock


class Fate(StrEnum):
    """What becomes of one request."""

    GOOD = "good"
    TOO_MANY = "429"
    ERROR = "500"
    HANG = "hang"
    NONSENSE = "nonsense"
    REFUSAL = "refusal"
    TWICE = "twice"


# Of a hundred requests.
QUESTIONS = {Fate.TOO_MANY: 10.0, Fate.ERROR: 10.0, Fate.HANG: 5.0, Fate.NONSENSE: 5.0}
EMBEDDINGS = {Fate.TOO_MANY: 5.0, Fate.ERROR: 5.0}
MAILS = {Fate.TOO_MANY: 10.0}
MESSAGES = {Fate.TWICE: 20.0}
# Of a hundred subjects: those that the model refuses, and those that it never understands, at every try.
REFUSED, NOT_UNDERSTOOD = 2.0, 0.5


@dataclass
class Plan:
    """What a seed decides.

    Attributes:
        seed: the same seed is the same plan.
        on: whether requests fail. What the model refuses, it refuses all the same.
        fates: what became of the requests about each thing, oldest first.
    """

    seed: int
    on: bool = False
    fates: dict[str, list[Fate]] = field(default_factory=lambda: defaultdict(list))
    _lock: Lock = field(default_factory=Lock, repr=False)

    def percent(self, *about: object) -> float:
        """A number from 0 to 100 that belongs to the seed and to what it is about."""
        text = "\x1f".join(map(str, (self.seed, *about)))
        return 100 * int.from_bytes(sha256(text.encode()).digest()[:8]) / 2**64

    def nature(self, subject: str) -> Fate:
        """What the model makes of a subject at every try: GOOD, REFUSAL or NONSENSE."""
        luck = self.percent("nature", subject)
        if luck < REFUSED:
            return Fate.REFUSAL
        return Fate.NONSENSE if luck < REFUSED + NOT_UNDERSTOOD else Fate.GOOD

    def question(self, subject: str) -> Fate:
        """What becomes of the next question to the model about a subject."""
        return self._next(f"question {subject}", QUESTIONS, self.nature(subject))

    def embedding(self, texts: str) -> Fate:
        """What becomes of the next request to embed these texts."""
        return self._next(f"embedding {texts}", EMBEDDINGS)

    def mail(self, job: str) -> Fate:
        """What becomes of the next try to send a job's mail."""
        return self._next(f"mail {job}", MAILS)

    def message(self, body: str) -> Fate:
        """What becomes of the next message with this body."""
        return self._next(f"message {body}", MESSAGES)

    def said(self, subject: str) -> list[Fate]:
        """What the model has answered about a subject."""
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
