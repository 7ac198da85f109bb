"""The stage of all parts of the demo: the running stack, its database, the account."""

import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import Connection, Row, text

from local.demo.seed import Account
from local.runtime import model
from local.runtime.stack import Stack
from local.runtime.website import FINAL

SECONDS_TO_DRAIN = 180
JOBS = text("SELECT * FROM md_background_job WHERE process = :process ORDER BY queued_at, subject")


class DemoError(Exception):
    """The demo did not end as expected. The text has the reason."""


@dataclass(frozen=True)
class Stage:
    """The running stack, a connection to its database in autocommit, and the demo account."""

    stack: Stack
    connection: Connection
    account: Account

    @property
    def offline(self) -> bool:
        """Tell whether the stand-in answers, so that every word of the result is known."""
        return self.stack.model == model.OFFLINE

    def rows(self, sql: str, **values: Any) -> Sequence[Row[Any]]:
        """Return the rows of a query."""
        return self.connection.execute(text(sql), values).all()

    def jobs(self, process: str) -> Sequence[Row[Any]]:
        """Return the jobs of a process from the ledger, oldest first."""
        return self.connection.execute(JOBS, {"process": process}).all()

    def fire(self, schedule: str) -> int:
        """Invoke a schedule function, and return how many messages it published.

        Raises:
            DemoError: it failed; the text has the end of its log.
        """
        answer, succeeded = self.stack.invoke(schedule)
        if not succeeded:
            logs = "\n".join(self.stack.logs(schedule)[-20:])
            raise DemoError(f"{schedule} failed: {answer}\n{logs}")
        return int(answer["published"])

    def drain(self, process: str, published: int) -> None:
        """Show the states of a process's jobs until `published` of them have ended.

        Raises:
            DemoError: they did not end in time.
        """
        deadline = time.monotonic() + SECONDS_TO_DRAIN
        shown = ""
        while True:
            states = Counter(job.state for job in self.jobs(process))
            line = "   ".join(f"{state} {states[state]}" for state in ("queued", "running", *FINAL))
            if line != shown:
                # A terminal overwrites the line.
                print(f"\r  {line} " if sys.stdout.isatty() else f"  {line}\n", end="", flush=True)
                shown = line
            if sum(states[state] for state in FINAL) >= published:
                break
            if time.monotonic() > deadline:
                raise DemoError(f"the queue of {process} did not drain in {SECONDS_TO_DRAIN} s")
            time.sleep(0.2)
        if sys.stdout.isatty():
            print()


def short_day(day: date) -> str:
    """Return a day in ten columns: "Tue 24 Nov"."""
    return f"{day:%a %d %b}"
