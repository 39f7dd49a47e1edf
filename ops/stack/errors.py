"""What can go wrong while the local stack is started or stopped.

TierflowError
└── StackError               a reason and, when there is one, the line that mends it
    ├── PartFailedError      a part ended or never became ready
    └── AlreadyRunningError  another `tierflow up` holds the data folder
"""

from schemas.errors import TierflowError


class StackError(TierflowError):
    """The local stack cannot do what was asked; the message says why and `fix` what to do."""

    def __init__(self, reason: str, fix: str = "") -> None:
        super().__init__(reason)
        self.fix = fix

    def __str__(self) -> str:
        reason = super().__str__()
        return f"{reason}\n  {self.fix}" if self.fix else reason


class PartFailedError(StackError):
    """A part ended while it started, or was not ready in time."""


class AlreadyRunningError(StackError):
    """The data folder belongs to a stack that runs."""
