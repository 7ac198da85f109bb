"""The error of texts that cannot be read."""


class UnreadableError(Exception):
    """A page or file can never be read.

    Attributes:
        reason: for the ledger; quotes nothing from the file.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
