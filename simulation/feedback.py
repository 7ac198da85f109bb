"""SES tells what became of its mails: late, twice, in any order, some of it before the worker has saved."""

import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

from simulation.kernel import Kernel
from simulation.plan import HOUR
from tests.ses_events import ses_event, soft_bounce

# An event of some mails comes before SES has answered, that of others hours later.
SECONDS = (0.0, 6 * HOUR)
SHARE_AT_ONCE, SHARE_TWICE = 0.1, 0.3
# Of a hundred mails, those that somebody answers who is out of office: a soft bounce of a delivered mail.
OUT_OF_OFFICE = 3


@dataclass
class Feedback:
    """What SES tells in one run.

    Attributes:
        kernel: see there.
        configuration_set: that the mails are sent with.
        publish: puts the body of an event on the queue.
        ends: when SES falls silent, in seconds since 1970, so that the queue can run empty.
        told: of each mail, by SES's id, the columns that must be set then.
    """

    kernel: Kernel
    configuration_set: str
    publish: Callable[[str], object]
    ends: float = float("inf")
    told: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def tell(self, message_id: str, job: str) -> None:
        """Tell of a mail that SES has taken, by and by."""
        luck, sent_at = self.kernel.stream("feedback"), self.kernel.moment
        tags: dict[str, Any] = {"sent_at": sent_at, "configuration_set": self.configuration_set, "job": job}
        at = sent_at + timedelta(seconds=1)
        events = {
            "sent_at": ses_event("Send", message_id, sent_at, **tags),
            "delivered_at": ses_event("Delivery", message_id, at, **tags),
        }
        if luck.randrange(100) < OUT_OF_OFFICE:
            events["soft_bounced_at"] = soft_bounce(message_id, at, **tags)
        for column, event in events.items():
            for _ in range(2 if luck.random() < SHARE_TWICE else 1):
                delay = 0.0 if luck.random() < SHARE_AT_ONCE else luck.uniform(*SECONDS)
                self.kernel.call_later(delay, partial(self._tell, message_id, column, event))

    def _tell(self, message_id: str, column: str, event: dict[str, object]) -> None:
        if self.kernel.now < self.ends:
            self.told[message_id].add(column)
            self.publish(json.dumps(event))
