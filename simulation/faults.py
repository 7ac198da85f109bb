"""Faults: which services are broken now, and which calls will fail.

outage     a service is unreachable or answers with errors (`how`), for `seconds`. The consumption of a queue
           ("queue ExtractTodosQueue") and all schedules ("schedules") count as services too
slow       a service takes `number` times as long
blip       the next `number` calls of a service fail
kill       the next invocation of a function dies at its call number `number`, before or after it (`how`)
stall      the next invocation of a function hangs for `seconds` at its call number `number`
abort      the connection breaks before commit number `number` of the next invocation of a function
restart    Postgres restarts: every connection breaks, and it is unavailable for `seconds`
cut        every connection to Postgres breaks
lost       the next request of a kind takes effect, but its answer is lost: commit, send, delete, change, mail
deploy     all execution environments are replaced; running invocations finish
double     the next message that is received from a queue is delivered a second time
twice      the next run of a schedule is invoked twice
late       the next run of a schedule is late by `seconds`
"""

from collections import Counter, defaultdict, deque
from dataclasses import dataclass

from simulation.kernel import Kernel

# Kinds that wait for the call they will hit. Their `seconds` are the delay of that call.
WAITING = ("late", "stall")


@dataclass(frozen=True, order=True)
class Fault:
    """One fault of a plan.

    Attributes:
        at: when it begins, in seconds since the plan's beginning.
        kind, how, number: explained at the top of this module.
        target: the service, function or queue.
        seconds: how long it lasts.
    """

    at: float
    kind: str
    target: str = ""
    seconds: float = 0
    how: str = ""
    number: int = 1

    def __str__(self) -> str:
        lasts = f" for {self.seconds:.0f} s" if self.seconds else ""
        how = f" ({self.how})" if self.how else ""
        return f"{self.at / 86400:6.3f} d  {self.kind} {self.target}{how} {self.number}{lasts}"


class Faults:
    """The faults that are active, and those that wait for the next call they can hit.

    Attributes:
        struck: how many faults have hit something, by kind.
        strikes: each fault that has hit something, with the moment (seconds since 1970).
    """

    def __init__(self, kernel: Kernel) -> None:
        self.struck: Counter[str] = Counter()
        self.strikes: list[tuple[float, Fault]] = []
        self._kernel = kernel
        self._active: dict[str, list[Fault]] = defaultdict(list)
        self._waiting: dict[tuple[str, str], deque[Fault]] = defaultdict(deque)

    def begin(self, fault: Fault) -> None:
        """Begin a fault now. A fault with a duration ends on its own."""
        self._kernel.trace("fault", fault)
        if fault.seconds and fault.kind not in WAITING:
            self._active[fault.target].append(fault)
            self._kernel.call_later(fault.seconds, lambda: self._end(fault))
            self._note(fault)
        else:
            self._waiting[fault.kind, fault.target].extend(
                [fault] * (fault.number if fault.kind == "blip" else 1)
            )

    def failure(self, service: str) -> str:
        """Return the kind of failure of a call to a service now, or ''."""
        for fault in self._active[service]:
            if fault.kind in ("outage", "restart"):
                return fault.how or "away"
        if blip := self.next("blip", service):
            return blip.how
        return ""

    def is_unavailable(self, service: str) -> bool:
        """Tell whether a service has an outage now, without using up a fault."""
        return any(fault.kind in ("outage", "restart") for fault in self._active[service])

    def slowness(self, service: str) -> float:
        """Return the factor by which a service is slower now."""
        return max(
            (float(fault.number) for fault in self._active[service] if fault.kind == "slow"), default=1
        )

    def next(self, kind: str, target: str) -> Fault | None:
        """Take the next waiting fault of a kind for this target."""
        waiting = self._waiting[kind, target]
        if not waiting:
            return None
        self._note(waiting[0])
        return waiting.popleft()

    def calm(self) -> None:
        """Drop the faults that have hit nothing yet."""
        self._waiting.clear()

    def _note(self, fault: Fault) -> None:
        self.struck[fault.kind] += 1
        self.strikes.append((self._kernel.now, fault))

    def _end(self, fault: Fault) -> None:
        self._active[fault.target].remove(fault)
        self._kernel.trace("fault ended", fault)
