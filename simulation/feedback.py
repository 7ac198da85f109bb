"""SES's events about its mails: late, twice, in any order, some before the worker has saved the mail."""

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

# The first event may come before SES has answered the worker, the last hours later.
SECONDS = (0.0, 6 * HOUR)
SHARE_AT_ONCE, SHARE_TWICE = 0.1, 0.3
# Of a hundred mails, how many get an out-of-office reply: a soft bounce of a delivered mail.
OUT_OF_OFFICE = 3


@dataclass
class Feedback:
    """SES's events in one run.

    Attributes:
        kernel: the kernel of the run.
        configuration_set: the configuration set that the mails are sent with.
        publish: puts the body of an event on the queue.
        ends: when SES stops publishing (seconds since 1970), so that the queue can empty.
        reported: for each mail, by SES's id, the columns that the published events must have set.
    """

    kernel: Kernel
    configuration_set: str
    publish: Callable[[str], object]
    ends: float = float("inf")
    reported: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def schedule_events(self, message_id: str, job: str) -> None:
        """Schedule the events of a mail that SES accepted."""
        rng, sent_at = self.kernel.stream("feedback"), self.kernel.moment
        tags: dict[str, Any] = {"sent_at": sent_at, "configuration_set": self.configuration_set, "job": job}
        at = sent_at + timedelta(seconds=1)
        events = {
            "sent_at": ses_event("Send", message_id, sent_at, **tags),
            "delivered_at": ses_event("Delivery", message_id, at, **tags),
        }
        if rng.randrange(100) < OUT_OF_OFFICE:
            events["soft_bounced_at"] = soft_bounce(message_id, at, **tags)
        for column, event in events.items():
            for _ in range(2 if rng.random() < SHARE_TWICE else 1):
                delay = 0.0 if rng.random() < SHARE_AT_ONCE else rng.uniform(*SECONDS)
                self.kernel.call_later(delay, partial(self._publish_event, message_id, column, event))

    def _publish_event(self, message_id: str, column: str, event: dict[str, object]) -> None:
        if self.kernel.now < self.ends:
            self.reported[message_id].add(column)
            self.publish(json.dumps(event))
