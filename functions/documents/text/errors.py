"""Why a text cannot be read."""


class UnreadableError(Exception):
    """Nothing was read.

    Attributes:
        reason: for the ledger.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
