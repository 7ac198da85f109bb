"""Why a text cannot be read."""


class UnreadableError(Exception):
    """A page or file cannot be read, now or later.

    Attributes:
        reason: for the ledger; it quotes nothing of the file.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
