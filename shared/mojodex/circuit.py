"""Circuits: while a provider is away, one probe at a time asks it, whatever the number of workers.

A provider is a model, or SES. An execution environment opens a provider's circuit after some failures in a
row, for all environments: a row in `md_background_circuit`. While the row is there, jobs that need the
provider are retried later, and now and then one of them asks it all the same: the probe. The first success
deletes the row. The daily spend limit has a circuit, too (see `spending`), which nobody probes.

`jobs.begin` reads the rows, so that a job costs no statement more. The database's clock counts.
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
# Longer than a call may take (LlmTimeoutSeconds in template.yaml). After that, the probe's worker has died.
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
        """Take over which circuits are open, as `jobs.begin` has read it."""
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
        """Tell whether the provider is away, as far as this environment knows. A call to it is a probe."""
        return provider in self._open

    def succeeded(self, provider: str) -> None:
        """Take note that the provider has answered; close its circuit if it is open."""
        was_open = provider in self._open
        if was_open or self._failures[provider]:
            self._forget(provider)
        if was_open and self._write(CLOSE, provider):
            logger.info("circuit closed", extra={"provider": provider})

    def failed(
        self, provider: str, reason: str, *, seconds_until_probe: float = SECONDS_BETWEEN_PROBES
    ) -> None:
        """Take note that the provider failed in a way that hits everybody; open its circuit after several.

        Args:
            provider: name of the provider.
            reason: what it answered, without anybody's words.
            seconds_until_probe: for which it is not asked after this, while its circuit is open.
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
        """Open a circuit; tell whether it was closed before. Arguments: as `failed`."""
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
        """Write to the table; tell whether a row was written. If the database is away, others will do it."""
        try:
            with self._database.session() as session:
                written = session.execute(statement, {"provider": provider, **values}).scalar()
                session.commit()
        except TransientError:
            return False
        return written is not None
