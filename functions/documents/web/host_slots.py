"""Politeness: at most two requests at once per host, across all workers, and none while the host rests.

A host has slots in `md_background_host_slot`, each with the time at which it is free. Taking a slot moves
that time ahead, past the end of any request; giving it back resets it. So the slot of a killed worker becomes
free, too. All times are the database's.

A host that answers "slow down" rests: nobody sends it anything for a while. Then only the first slot can be
taken, so a single request probes. If it asks for a page and is answered, the rest is over. Otherwise the host
rests for longer. The first slot's row holds the end of the rest.
"""

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import text

from documents.web.errors import FetchError, HostRestsError
from mojodex.clock import Deadline, utc_now
from mojodex.database import Database
from mojodex.errors import TransientError

REQUESTS_AT_ONCE = 2
# Longer than a request can take (fetch's `seconds`).
HELD_SECONDS = 60
LONGEST_PAUSE_SECONDS = 5.0
# The first rest; each further one in a row doubles. A server may ask for more, up to an hour.
FIRST_REST_SECONDS = 10
MOST_DOUBLINGS = 8
LONGEST_REST_SECONDS = 600
LONGEST_RETRY_AFTER_SECONDS = 3600
# A host whose last rest ended longer ago starts with the first rest again.
FORGOTTEN_SECONDS = 24 * 3600
# After this time without progress, work gives up on a host that rests.
PATIENCE = timedelta(hours=72)
SLOTS = text(
    "INSERT INTO md_background_host_slot (host, slot, free_at)"
    " SELECT :host, slot, clock_timestamp() FROM generate_series(1, :slots) AS slot ON CONFLICT DO NOTHING"
)
TAKE = text(
    # Materialized: the planner may rerun a subquery for each row, and take several slots.
    "WITH rest AS MATERIALIZED (SELECT rests_until, pauses FROM md_background_host_slot"
    " WHERE host = :host AND slot = 1 AND rests_until IS NOT NULL),"
    " free AS MATERIALIZED (SELECT slot FROM md_background_host_slot WHERE host = :host"
    " AND slot <= CASE WHEN EXISTS (SELECT FROM rest) THEN 1 ELSE :slots END"
    " AND NOT EXISTS (SELECT FROM rest WHERE rests_until > clock_timestamp())"
    " AND free_at <= clock_timestamp() ORDER BY slot LIMIT 1 FOR UPDATE SKIP LOCKED)"
    " UPDATE md_background_host_slot AS taken"
    " SET free_at = clock_timestamp() + make_interval(secs => :seconds) FROM free"
    " WHERE taken.host = :host AND taken.slot = free.slot RETURNING taken.slot, taken.free_at,"
    " EXISTS (SELECT FROM rest) AS probes, COALESCE((SELECT pauses FROM rest"
    " WHERE rests_until > clock_timestamp() - make_interval(secs => :forgotten)), 0) AS pauses"
).bindparams(forgotten=FORGOTTEN_SECONDS)
WAIT = text(
    "SELECT extract(epoch FROM min(free_at) - clock_timestamp()) AS wait,"
    " extract(epoch FROM max(rests_until) - clock_timestamp()) AS rest FROM md_background_host_slot"
    " WHERE host = :host AND slot <= :slots"
)
GIVE_BACK = text(
    "UPDATE md_background_host_slot SET free_at = clock_timestamp() + make_interval(secs => :delay)"
    " WHERE host = :host AND slot = :slot AND free_at = :free_at"
)
REST = text(
    # If two requests were refused, the longer rest counts.
    "UPDATE md_background_host_slot SET pauses = GREATEST(pauses, :pauses),"
    " rests_until = GREATEST(rests_until, clock_timestamp() + make_interval(secs => :seconds))"
    " WHERE host = :host AND slot = 1 RETURNING extract(epoch FROM rests_until - clock_timestamp())"
)
FORGET = text(
    "UPDATE md_background_host_slot SET rests_until = NULL, pauses = NULL, origin = NULL, robots = NULL"
    " WHERE host = :host AND slot = 1"
)
KEEP_ROBOTS = text(
    "UPDATE md_background_host_slot SET origin = :origin, robots = :robots"
    " WHERE host = :host AND slot = 1 AND rests_until IS NOT NULL"
)
KEPT_ROBOTS = text(
    "SELECT robots FROM md_background_host_slot WHERE host = :host AND slot = 1 AND origin = :origin"
)


@dataclass(frozen=True)
class _Slot:
    """A slot held until `free_at`; whether its request probes, and the rests in a row before it."""

    slot: int
    free_at: datetime
    probes: bool
    pauses: int

    def values(self, host: str, delay: float) -> dict[str, object]:
        """Return the parameters of GIVE_BACK."""
        return {"host": host, "slot": self.slot, "free_at": self.free_at, "delay": delay}


class HostSlots:
    """Hands out the slots of hosts.

    Args:
        database: holds the slots.
        deadline: when the invocation ends.
        since: when this work last made progress, or was queued (aware); see `PATIENCE`.
    """

    def __init__(self, database: Database, deadline: Deadline, since: datetime) -> None:
        self._database, self._deadline, self._since = database, deadline, since

    @contextmanager
    def slot(self, host: str, delay: float, *, page: bool) -> Iterator[None]:
        """Wait for a slot of a host, and hold it until the context ends.

        Args:
            host: its name.
            delay: seconds that the host wants between two requests; 0 allows two at once.
            page: whether the request is for a page. Many servers that refuse pages answer robots.txt.

        Raises:
            HostRestsError: the host asks us to slow down, or did so before.
            FetchError: as the context; or the host has rested for too long.
            TransientError: no slot was free in time, or as `Database.session`.
        """
        slot = self._take(host, 1 if delay else REQUESTS_AT_ONCE)
        try:
            yield
        except FetchError as error:
            if error.slow_down or (slot.probes and error.unanswered):
                seconds = self._rest(host, slot, error, delay)
                if self._is_patient():
                    raise HostRestsError(seconds, error) from None
            else:
                self._give_back(host, slot, delay, forget=slot.probes and page)
            raise
        except BaseException:
            self._give_back(host, slot, delay, forget=False)
            raise
        self._give_back(host, slot, delay, forget=slot.probes and page)

    def keep_robots(self, host: str, origin: str, robots: bytes) -> None:
        """Store a robots.txt while its host rests.

        Args:
            host: its name.
            origin: scheme, name and port of the robots.txt.
            robots: its bytes.
        """
        with self._database.session() as session:
            session.execute(KEEP_ROBOTS, {"host": host, "origin": origin, "robots": robots})
            session.commit()

    def kept_robots(self, host: str, origin: str) -> bytes | None:
        """Return the stored robots.txt of a host that rests; None if there is none."""
        with self._database.session() as session:
            kept: bytes | None = session.execute(KEPT_ROBOTS, {"host": host, "origin": origin}).scalar()
            return kept

    def _give_back(self, host: str, slot: _Slot, delay: float, *, forget: bool) -> None:
        """Give a slot back; with `forget`, end the host's rest."""
        with self._database.session() as session:
            session.execute(GIVE_BACK, slot.values(host, delay))
            if forget:
                session.execute(FORGET, {"host": host})
            session.commit()

    def _rest(self, host: str, slot: _Slot, answer: FetchError, delay: float) -> float:
        """Give a slot back, let its host rest, and return the seconds of the rest."""
        with self._database.session() as session:
            session.execute(GIVE_BACK, slot.values(host, delay))
            values = {"host": host, "pauses": slot.pauses + 1, "seconds": _seconds(slot.pauses, answer)}
            seconds = float(session.execute(REST, values).scalar_one())
            session.commit()
        return seconds

    def _is_patient(self) -> bool:
        return utc_now() - self._since < PATIENCE

    def _take(self, host: str, slots: int) -> _Slot:
        values = {"host": host, "slots": slots}
        wait, rest = 0.0, None
        while True:
            with self._database.session() as session:
                taken = session.execute(TAKE, values | {"seconds": HELD_SECONDS}).one_or_none()
                if taken is None:
                    session.execute(SLOTS, values)
                    wait, rest = session.execute(WAIT, values).one()
                session.commit()
            if taken is not None:
                return _Slot(*taken)
            if rest is not None and rest > 0:
                if self._is_patient():
                    raise HostRestsError(float(rest))
                hours = PATIENCE // timedelta(hours=1)
                raise FetchError(f"its host has asked us to slow down for {hours} hours")
            # Another worker may give a slot back early, so ask again soon.
            longest = LONGEST_PAUSE_SECONDS if slots == 1 else 0.1
            pause = min(max(float(wait), 0.02 if rest is None else 0.1), longest) + random.uniform(0, 0.02)
            if self._deadline.seconds_left() < pause:
                raise TransientError(
                    "the host is busy with other requests", retry_after=LONGEST_PAUSE_SECONDS
                )
            time.sleep(pause)


def _seconds(pauses: int, answer: FetchError) -> float:
    """Return the seconds of a host's next rest, after this many in a row and this answer."""
    pause = min(FIRST_REST_SECONDS << min(pauses, MOST_DOUBLINGS), LONGEST_REST_SECONDS)
    return max(pause, min(answer.retry_after or 0, LONGEST_RETRY_AFTER_SECONDS))
