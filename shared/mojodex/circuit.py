"""Circuits: while a provider is unavailable, one probe at a time asks it, however many workers there are.

A provider is a model, or SES. After some failures in a row, an execution environment opens the provider's
circuit for all environments: it inserts a row into `md_background_circuit`. While the row exists, jobs that
need the provider are retried later. Now and then, one of them calls the provider: the probe. The first
success deletes the row. The daily spend limit also has a circuit (see `spending`), which nobody probes.

`jobs.begin` reads the rows, so a job needs no extra statement. All times are the database's.
"""

from collections import Counter
from collections.abc import Collection
from threading import Lock

from sqlalchemy import TextClause, text

from mojodex.database import Database
from mojodex.errors import TransientError
from mojodex.observability import logger

FAILURES_TO_OPEN = 5
SECONDS_BETWEEN_PROBES = 5
# Longer than any call (LlmTimeoutSeconds in template.yaml). A probe without a result by then lost its worker.
PROBE_SECONDS = 120
OPEN = text(
    "INSERT INTO md_background_circuit (provider, opened_at, probe_at, reason) VALUES (:provider,"
    " clock_timestamp(), clock_timestamp() + make_interval(secs => :seconds), :reason) ON CONFLICT DO NOTHING"
    " RETURNING provider"
)
PROBE = text(
    "WITH probe AS (UPDATE md_background_circuit"
    " SET probe_at = clock_timestamp() + make_interval(secs => :seconds)"
    " WHERE provider = :provider AND probe_at <= clock_timestamp() RETURNING provider)"
    " SELECT EXISTS (SELECT FROM probe) AS is_probe,"
    " EXISTS (SELECT FROM md_background_circuit WHERE provider = :provider) AS is_open"
)
PROBE_FAILED = text(
    "UPDATE md_background_circuit SET probe_at = clock_timestamp() + make_interval(secs => :seconds)"
    " WHERE provider = :provider RETURNING provider"
)
CLOSE = text("DELETE FROM md_background_circuit WHERE provider = :provider RETURNING provider")


class Circuits:
    """The circuits of the providers that a worker calls. Threads can share it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = Lock()
        self._open: set[str] = set()
        self._probing: set[str] = set()
        self._failures: Counter[str] = Counter()

    def learn(self, open_circuits: Collection[str]) -> None:
        """Take over the open circuits that `jobs.begin` has read."""
        with self._lock:
            for provider in self._open.difference(open_circuits):
                del self._failures[provider]
            self._open = set(open_circuits)

    def allows(self, provider: str) -> bool:
        """Tell whether the provider may be called: its circuit is closed, or this call is the probe.

        Raises:
            TransientError: as `Database.session`.
        """
        if provider not in self._open:
            return True
        values = {"provider": provider, "seconds": PROBE_SECONDS}
        with self._database.session() as session:
            is_probe, is_open = session.execute(PROBE, values).one()
            session.commit()
        if not is_open:
            self._forget(provider)
        elif is_probe:
            self._probing.add(provider)
        return is_probe or not is_open

    def is_open(self, provider: str) -> bool:
        """Tell whether this environment knows the circuit as open. If so, a call is a probe."""
        return provider in self._open

    def succeeded(self, provider: str) -> None:
        """Note that the provider has answered, and close its circuit if it is open."""
        was_open = provider in self._open
        if was_open or self._failures[provider]:
            self._forget(provider)
        if was_open and self._write(CLOSE, provider):
            logger.info("circuit closed", extra={"provider": provider})

    def failed(
        self, provider: str, reason: str, *, seconds_until_probe: float = SECONDS_BETWEEN_PROBES
    ) -> None:
        """Note a failure that would hit every job, and open the circuit after `FAILURES_TO_OPEN` in a row.

        Args:
            provider: name of the provider.
            reason: the provider's answer, without anybody's words.
            seconds_until_probe: if the circuit is open, how long no probe is sent.
        """
        with self._lock:
            self._failures[provider] += 1
            has_probed = provider in self._probing
            self._probing.discard(provider)
            opens = self._failures[provider] >= FAILURES_TO_OPEN and provider not in self._open
        if has_probed:
            self._write(PROBE_FAILED, provider, seconds=seconds_until_probe)
        elif opens:
            self.open(provider, reason, seconds_until_probe=seconds_until_probe)

    def open(self, provider: str, reason: str, *, seconds_until_probe: float = PROBE_SECONDS) -> bool:
        """Open a circuit, and return whether it was closed before. Arguments: as `failed`."""
        with self._lock:
            self._open.add(provider)
        is_new = self._write(OPEN, provider, seconds=seconds_until_probe, reason=reason)
        if is_new:
            logger.error("circuit opened", extra={"provider": provider, "reason": reason})
        return is_new

    def _forget(self, provider: str) -> None:
        with self._lock:
            self._open.discard(provider)
            self._probing.discard(provider)
            del self._failures[provider]

    def _write(self, statement: TextClause, provider: str, **values: object) -> bool:
        """Run a statement, and return whether it wrote a row. If the database is unavailable, do nothing."""
        try:
            with self._database.session() as session:
                written = session.execute(statement, {"provider": provider, **values}).scalar()
                session.commit()
        except TransientError:
            return False
        return written is not None
