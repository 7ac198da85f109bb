"""The errors that decide what becomes of a message.

    MojodexError
    ├── TransientError         it may work later: the message comes back
    ├── PermanentError         it can never work: the job fails with this reason, and is not tried again
    ├── InvalidMessageError    the message itself is wrong: it goes to the dead-letter queue with this reason
    └── NothingToDoError       the subject is deleted or already handled: the job is skipped

Clients classify what went wrong once, where they meet it; `worker` acts on the class. Any other exception is
unknown: its message comes back, and after the queue's maxReceiveCount it goes to the dead-letter queue.

The texts of these errors are stored and logged, so they never hold a user's words, an address or a secret.
"""

# `retry_after` of what an operator has to put right, or of a day's quota: neither is there in a minute.
OPERATOR_SECONDS = 1800


class MojodexError(Exception):
    """The root of the tree."""


class TransientError(MojodexError):
    """Something outside is not available now.

    Args:
        reason: what is not available.
        retry_after: seconds before which a new try is useless, as told by the other side; None if it did not
            say.
    """

    def __init__(self, reason: str, *, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class PermanentError(MojodexError):
    """Trying again cannot help, and may cost money."""


class InvalidMessageError(MojodexError):
    """The message is not one that its queue is for."""


class NothingToDoError(MojodexError):
    """The work is not wanted (any more)."""
