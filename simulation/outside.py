"""A call from a function to a service: latency, a waiting kill, the fault, the effect, latency again."""

from collections.abc import Callable
from dataclasses import dataclass, field

from simulation.faults import Fault, Faults
from simulation.kernel import Group, Kernel

# The share of a call's latency that passes before its effect.
BEFORE = 0.5

type Seconds = tuple[float, float]


@dataclass(eq=False)
class Invocation(Group):
    """A Lambda process that handles one event.

    Attributes:
        function: its logical id.
        ends: when it times out (seconds since 1970).
        skew: how many seconds its clock is ahead.
        calls, commits: how many calls to services and how many commits it has made.
        dies, stalls, aborts: the kill, stall and abort that wait for one of its calls or commits.
        state: the memory of its execution environment, by name.
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
    """The way from a task to the services outside its process."""

    kernel: Kernel
    faults: Faults

    @property
    def invocation(self) -> Invocation | None:
        """Return the invocation of the current task; None for a task outside the bundle."""
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
        """Make a call. Outside of tasks a call takes no time and does not fail.

        Args:
            service: the service whose outages and slowness apply.
            effect: performs the call in the service.
            seconds: the range of its latency.
            error: returns the exception for a failure (`Faults.failure`); "lost" stands for a lost answer.
            lost: the kind of request for the fault `lost`; '' if that fault does not apply.

        Raises:
            Killed: the process dies before or after the effect.
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
        """Draw the latency of a call, in seconds."""
        return self.kernel.stream(f"latency {service}").uniform(*seconds) * self.faults.slowness(service)

    def arrive(self, service: str = "") -> None:
        """Count a call. Hang if a stall waits for it; die if a kill must hit just before its effect.

        Calls to websites never hang: a website is not one of our dependencies.
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
        """Die if a kill must hit just after the effect of this call."""
        if invocation := self.invocation:
            self._die(invocation, "after")

    def aborts_commit(self) -> bool:
        """Count a commit, and tell whether an abort hits it."""
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
