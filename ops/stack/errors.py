"""What can go wrong while the local stack is started or stopped.

    StackError          a reason and, when there is one, the line that mends it
    ├── PartFailed      a part ended or never became ready
    └── AlreadyRunning  another `tierflow up` holds the data folder
"""


class StackError(Exception):
    """The local stack cannot do what was asked; the message says why and `fix` what to do."""

    def __init__(self, reason: str, fix: str = "") -> None:
        super().__init__(reason)
        self.fix = fix

    def __str__(self) -> str:
        reason = super().__str__()
        return f"{reason}\n  {self.fix}" if self.fix else reason


class PartFailed(StackError):
    """A part ended while it started, or was not ready in time."""


class AlreadyRunning(StackError):
    """The data folder belongs to a stack that runs."""
