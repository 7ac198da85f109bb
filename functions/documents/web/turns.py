"""Politeness: at most two requests at once per host, whatever the number of workers.

A host has slots in `md_background_host_slot`, each with the moment from which on it is free. Whoever takes
one sets that moment far enough ahead for one request, and sets it back afterwards; the slot of a worker that
was killed becomes free by itself. The database's clock counts.
"""

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import text

from mojodex.clock import Deadline
from mojodex.database import Database
from mojodex.errors import TransientError

REQUESTS_AT_ONCE = 2
# Longer than a request can take (fetch's `seconds`).
HELD_SECONDS = 60
LONGEST_PAUSE_SECONDS = 5.0
SLOTS = text(
    "INSERT INTO md_background_host_slot (host, slot, free_at)"
    " SELECT :host, slot, clock_timestamp() FROM generate_series(1, :slots) AS slot ON CONFLICT DO NOTHING"
)
TAKE = text(
    # Materialized: the planner may run a subquery again for each row, and then take several.
    "WITH free AS MATERIALIZED (SELECT slot FROM md_background_host_slot WHERE host = :host"
    " AND slot <= :slots AND free_at <= clock_timestamp() ORDER BY slot LIMIT 1 FOR UPDATE SKIP LOCKED)"
    " UPDATE md_background_host_slot AS taken"
    " SET free_at = clock_timestamp() + make_interval(secs => :seconds) FROM free"
    " WHERE taken.host = :host AND taken.slot = free.slot RETURNING taken.slot, taken.free_at"
)
WAIT = text(
    "SELECT extract(epoch FROM min(free_at) - clock_timestamp()) FROM md_background_host_slot"
    " WHERE host = :host AND slot <= :slots"
)
GIVE_BACK = text(
    "UPDATE md_background_host_slot SET free_at = clock_timestamp() + make_interval(secs => :delay)"
    " WHERE host = :host AND slot = :slot AND free_at = :free_at"
)


class Turns:
    """Requests to a host, one after the other.

    Args:
        database: holds the turns.
        deadline: when the invocation ends.
    """

    def __init__(self, database: Database, deadline: Deadline) -> None:
        self._database, self._deadline = database, deadline

    @contextmanager
    def turn(self, host: str, delay: float) -> Iterator[None]:
        """Wait for one's turn to send a request to a host; the turn ends with the context.

        Args:
            host: its name.
            delay: seconds between two requests that the host asks for; 0 if it does not, and then two may
                run at once.

        Raises:
            TransientError: it did not come in time, or as `Database.session`.
        """
        slot, free_at = self._take(host, 1 if delay else REQUESTS_AT_ONCE)
        try:
            yield
        finally:
            with self._database.session() as session:
                session.execute(GIVE_BACK, {"host": host, "slot": slot, "free_at": free_at, "delay": delay})
                session.commit()

    def _take(self, host: str, slots: int) -> tuple[int, object]:
        values = {"host": host, "slots": slots}
        while True:
            with self._database.session() as session:
                taken = session.execute(TAKE, values | {"seconds": HELD_SECONDS}).one_or_none()
                if taken is None:
                    session.execute(SLOTS, values)
                    wait = float(session.execute(WAIT, values).scalar_one())
                session.commit()
            if taken is not None:
                slot, free_at = taken
                return slot, free_at
            # Somebody may give it back earlier, so it is asked for again soon.
            longest = LONGEST_PAUSE_SECONDS if slots == 1 else 0.1
            pause = min(max(wait, 0.02), longest) + random.uniform(0, 0.02)
            if self._deadline.seconds_left() < pause:
                raise TransientError(
                    "the host is busy with other requests", retry_after=LONGEST_PAUSE_SECONDS
                )
            time.sleep(pause)
