"""One call to the outside: latency, the kill that waits for it, the fault, the effect, latency again."""

from collections.abc import Callable
from dataclasses import dataclass, field

from simulation.faults import Fault, Faults
from simulation.kernel import Group, Kernel

# Share of a call's latency that passes before its effect.
BEFORE = 0.5

type Seconds = tuple[float, float]


@dataclass(eq=False)
class Invocation(Group):
    """A process of Lambda's that handles one event.

    Attributes:
        function: its logical id.
        ends: when it times out, in seconds since 1970.
        skew: seconds that its clock is ahead.
        calls, commits: how many calls to the outside it has made, and transactions it has committed.
        dies, stalls, aborts: the kill, the stall and the abort that wait for one of them.
        state: what its execution environment keeps between invocations, by name.
    """

    function: str = ""
    ends: float = 0
    skew: float = 0
    calls: int = 0
    commits: int = 0
    dies: Fault | None = None
    stalls: Fault | None = None
    aborts: Fault | None = None
    state: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Outside:
    """The way from a task to everything outside of its process."""

    kernel: Kernel
    faults: Faults

    @property
    def invocation(self) -> Invocation | None:
        """Return the invocation that the present task belongs to; None for the world itself."""
        group = self.kernel.current.group if self.kernel.current else None
        return group if isinstance(group, Invocation) else None

    def call[T](
        self,
        service: str,
        effect: Callable[[], T],
        seconds: Seconds,
        error: Callable[[str], Exception],
        lost: str = "",
    ) -> T:
        """Make a call. What the world itself calls takes no time and does not fail.

        Args:
            service: whose outages and slowness count.
            effect: what it does there.
            seconds: range of its latency.
            error: makes the error for a failure (`Faults.failure`); "lost" means that the answer is lost.
            lost: the kind of request for the fault `lost`; '' if it has none.

        Raises:
            Killed: the process dies, before the effect or after it.
        """
        if self.kernel.current is None:
            return effect()
        latency = self.latency(service, seconds)
        self.kernel.sleep(latency * BEFORE)
        self.arrive(service)
        if failure := self.faults.failure(service):
            raise error(failure)
        result = effect()
        self.leave()
        if lost and self.faults.next("lost", lost):
            self.kernel.trace("answer lost", lost)
            raise error("lost")
        self.kernel.sleep(latency * (1 - BEFORE))
        return result

    def latency(self, service: str, seconds: Seconds) -> float:
        """Draw how long a call takes."""
        return self.kernel.stream(f"latency {service}").uniform(*seconds) * self.faults.slowness(service)

    def arrive(self, service: str = "") -> None:
        """Count a call; hang if a stall waits for it, die if a kill waits to hit just before its effect.

        No call to a website hangs: a website that does not answer is none of our dependencies.
        """
        if invocation := self.invocation:
            invocation.calls += 1
            stalls = invocation.stalls
            if stalls and invocation.calls >= stalls.number and service != "websites":
                invocation.stalls = None
                self.kernel.trace("stall", stalls.seconds)
                self.kernel.sleep(stalls.seconds)
            self._die(invocation, "before")

    def leave(self) -> None:
        """Die if a kill waits to hit just after the effect of the call that has arrived."""
        if invocation := self.invocation:
            self._die(invocation, "after")

    def aborts_commit(self) -> bool:
        """Count a commit; tell whether an abort waits for it."""
        invocation = self.invocation
        if invocation is None:
            return False
        invocation.commits += 1
        aborts = invocation.aborts
        if aborts is None or invocation.commits < aborts.number:
            return False
        invocation.aborts = None
        self.kernel.trace("commit aborted")
        return True

    def _die(self, invocation: Invocation, how: str) -> None:
        dies = invocation.dies
        if dies and dies.how == how and invocation.calls >= dies.number:
            self.kernel.kill(invocation, f"killed {how} call {invocation.calls}")
        self.kernel.check()
