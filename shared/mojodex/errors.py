"""The errors whose class decides a message's outcome.

    MojodexError
    ├── TransientError         may work later: the message is retried later
    ├── PermanentError         can never work: the job fails with this reason and is not retried
    ├── InvalidMessageError    the message itself is wrong: it goes to the dead-letter queue with this reason
    └── NothingToDoError       the subject is deleted or already handled: the job is skipped

Each client classifies its errors once; `worker` acts on the class. Any other exception is unknown: the
message is retried, and goes to the dead-letter queue after the queue's maxReceiveCount.

The texts of these errors are stored and logged. They never hold a user's words, an address or a secret.
"""

# `retry_after` where an operator must act, or a daily quota must renew: neither happens within a minute.
OPERATOR_SECONDS = 900


class MojodexError(Exception):
    """Root of the tree."""


class TransientError(MojodexError):
    """A dependency is not available now.

    Args:
        reason: what is not available.
        retry_after: seconds that the dependency asked us to wait; None if it did not say.
        counts: whether it counts as an attempt all the same, because the job itself may be the cause.
    """

    def __init__(self, reason: str, *, retry_after: float | None = None, counts: bool = False) -> None:
        super().__init__(reason)
        self.retry_after, self.counts = retry_after, counts


class PermanentError(MojodexError):
    """A retry cannot help, and may cost money."""


class InvalidMessageError(MojodexError):
    """The message is not valid for its queue."""


class NothingToDoError(MojodexError):
    """The work is not wanted, or not wanted any more."""
