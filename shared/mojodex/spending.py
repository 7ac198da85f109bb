"""The cost of models: the price of a call, the spending of a job, and the daily limit of all jobs."""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock
from typing import Annotated, Any

from pydantic import BeforeValidator, Field
from sqlalchemy import text

from mojodex.circuit import Circuits
from mojodex.database import Database
from mojodex.observability import count, logger
from mojodex.settings import Settings
from mojodex.text import well_formed

MILLION = 1_000_000
# OpenAI, Flex processing: priced at the rates of the Batch API, which are half of the standard ones.
SHARE_OF_PRICE = {"flex": 0.5}
# More than any call has. The ledger's JSON takes neither NaN nor infinity.
MOST_TOKENS = 1_000_000_000
MOST_CHARS_OF_TIER = 32
# For a server that counts no tokens: OpenAI's rule of thumb for English.
BYTES_PER_TOKEN = 4
# Name of a circuit. While it is open, no model is asked.
DAILY_SPEND_LIMIT = "daily spend limit"
# Rows among which a process divides a day's sum, so that its workers do not wait for one row.
SLOTS = 16
# A statement sees the table as it was before its own insert.
SPEND = text("""
WITH spent AS (
    INSERT INTO md_background_spending AS spending (day, process, slot, usd)
    VALUES (:day, :process, :slot, :usd)
    ON CONFLICT (day, process, slot) DO UPDATE SET usd = spending.usd + excluded.usd
)
SELECT :usd + COALESCE(sum(usd), 0) FROM md_background_spending WHERE day = :day
""")


@dataclass(frozen=True)
class Price:
    """A model's price in USD for a million tokens: of prompts, of their cached part, and of answers."""

    prompt: float
    cached: float
    answer: float

    def cost(self, tokens: Mapping[str, int], tier: str | None) -> float:
        """Return the cost of a call in USD; arguments as `Spending.add`."""
        cached = min(tokens.get("cached_tokens", 0), tokens.get("prompt_tokens", 0))
        fresh = tokens.get("prompt_tokens", 0) - cached
        answer = tokens.get("completion_tokens", 0)
        usd = (fresh * self.prompt + cached * self.cached + answer * self.answer) / MILLION
        return usd * SHARE_OF_PRICE.get(tier or "", 1)


def count_of(tokens: object) -> int:
    """Return the token count that a server reports, which may be anything; 0 if it is not valid."""
    if isinstance(tokens, bool) or not isinstance(tokens, int | float) or not tokens > 0:
        return 0
    return int(min(tokens, MOST_TOKENS))


def estimate(text: str) -> int:
    """Estimate the number of tokens in a text."""
    return len(text.encode("utf-8", "replace")) // BYTES_PER_TOKEN


def parse_prices(listed: str) -> tuple[tuple[str, Price], ...]:
    """Parse prices as `name=prompt/cached/answer`, separated by commas; an embedding model has one number.

    Raises:
        ValueError: one is not of this form.
    """
    prices = []
    for item in filter(None, (item.strip() for item in listed.split(","))):
        name, _, numbers = (part.strip() for part in item.partition("="))
        try:
            each = [float(number) for number in numbers.split("/")]
            prompt, cached, answer = (each[0], each[0], 0) if len(each) == 1 else each
            valid = name and all(math.isfinite(n) and n >= 0 for n in (prompt, cached, answer))
        except ValueError:
            valid = False
        if not valid:
            raise ValueError(f"{item!r} is not a price, as name=prompt/cached/answer")
        prices.append((name, Price(prompt, cached, answer)))
    return tuple(prices)


class SpendingSettings(Settings):
    """Prices of models, and the daily spend limit.

    Attributes:
        model_prices: of each model. The ledger has no cost of a model without a price.
        daily_spend_limit: USD that all processes together may spend in a day (UTC); 0 for no limit.
    """

    model_prices: Annotated[tuple[tuple[str, Price], ...], BeforeValidator(parse_prices)] = ()
    daily_spend_limit: float = Field(default=0, ge=0)

    def price_of(self, model: str) -> Price | None:
        """Return the price of a model; None if it is not known."""
        return dict(self.model_prices).get(model)

    def check_priced(self, models: Sequence[str]) -> None:
        """Check that the limit can be enforced.

        Raises:
            ValueError: there is a limit, and a model has no price.
        """
        missing = [model for model in models if self.price_of(model) is None]
        if self.daily_spend_limit and missing:
            raise ValueError(f"DAILY_SPEND_LIMIT needs MODEL_PRICES of {', '.join(missing)}")


@dataclass
class Spending:
    """The cost of one job's models, in all its attempts. Threads can share it.

    Attributes:
        usage: by model and tier, the number of `calls`, tokens by their kind, and `usd`.
        usd: the cost of this attempt.
    """

    usage: dict[tuple[str, str | None], dict[str, float]] = field(default_factory=dict)
    usd: float = 0
    _lock: Lock = field(default_factory=Lock, repr=False, compare=False)

    @classmethod
    def read(cls, spent: Sequence[dict[str, Any]] | None) -> "Spending":
        """Read the spending of earlier attempts from the ledger's form (see `as_json`)."""
        usage = {}
        for entry in spent or ():
            key = entry["model"], entry.get("tier")
            usage[key] = {name: n for name, n in entry.items() if name not in ("model", "tier")}
        return cls(usage)

    def add(self, model: str, tier: object, price: Price | None, **tokens: int) -> None:
        """Add one call as soon as it is billed, even if its answer is not usable.

        Args:
            model: its name.
            tier: the service tier that the server reports; None if it is unknown.
            price: None if it is unknown.
            tokens: `prompt_tokens` and `completion_tokens`, and of these `cached_tokens` and
                `reasoning_tokens`.
        """
        tier = well_formed(tier)[:MOST_CHARS_OF_TIER] if isinstance(tier, str) else None
        usd = price.cost(tokens, tier) if price else 0
        with self._lock:
            usage = self.usage.setdefault((model, tier), {})
            for name, n in {"calls": 1, **tokens, "usd": usd}.items():
                usage[name] = usage.get(name, 0) + n
            self.usd += usd

    def as_json(self) -> list[dict[str, Any]] | None:
        """Return the ledger's form: an object for each model and tier, without zeros; None if empty."""
        with self._lock:
            found = [
                {"model": model, **({"tier": tier} if tier else {})}
                | {name: round(n, 9) for name, n in usage.items() if n}
                for (model, tier), usage in self.usage.items()
            ]
        return found or None


class Budget:
    """The day's spending of all processes, and the circuit that opens at the limit."""

    def __init__(self, database: Database, settings: SpendingSettings, circuits: Circuits) -> None:
        self.circuits = circuits
        self._database = database
        self._limit = settings.daily_spend_limit
        self._lock = Lock()
        self._unsaved = 0.0

    def add(self, usd: float) -> None:
        """Add the cost of a job's attempt, for the next `save`."""
        with self._lock:
            self._unsaved += usd

    def save(self, process: str, now: datetime) -> None:
        """Save the added cost, and open or close the circuit. If that fails, the next call tries again.

        While the circuit is open, each call checks whether the day's sum is below the limit again, because a
        new day has begun or the limit was raised. Never raises, because the batch's jobs are done.

        Args:
            process: the one that spent it.
            now: the present moment (aware); the day is that of UTC.
        """
        with self._lock:
            usd, self._unsaved = self._unsaved, 0.0
        if not usd and not self.circuits.is_open(DAILY_SPEND_LIMIT):
            return
        row = {"day": now.date(), "process": process, "slot": random.randrange(SLOTS), "usd": usd}
        try:
            with self._database.session() as session:
                today = session.execute(SPEND, row).scalar_one()
                session.commit()
        except Exception as error:
            self.add(usd)
            logger.error("cost of models was not saved", extra={"error": type(error).__name__})
            return
        if usd:
            count("ModelCost", usd)
        if not self._limit or today < self._limit:
            self.circuits.succeeded(DAILY_SPEND_LIMIT)
        elif self.circuits.open(DAILY_SPEND_LIMIT, f"{today:g} USD of {self._limit:g} are spent"):
            count("SpendLimitReached", service="all")
