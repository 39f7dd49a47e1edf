"""What the machine needs of the world: the time, the tables that it reads, the hands that act for it.

Shells implement these: the worker on the engine, the simulator on its model of it.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple, Protocol

from schemas.records import DeadLetter, Failure, IdempotencyEntry, Parked
from streams.core.entry import Entry
from streams.core.outcome import Outcome, Writes

if TYPE_CHECKING:
    from schemas.priorities import Lane
    from streams.core.attempt import Attempt


class Time(NamedTuple):
    """When an event happened.

    `wall` is in ms since the epoch and may be set back; `steady` in seconds never is, and goes on while the
    process is stopped.
    """

    wall: int
    steady: float


class Unwritable(Exception):  # noqa: N818
    """No record can hold what was to be written; nothing of it was."""


class Tables(Protocol):
    """The tables of the partitions that are ours, with everything that `Hands` wrote."""

    def parked(self, partition: int, prefix: bytes = b"") -> Iterator[tuple[bytes, Parked]]:
        """The parked jobs of a partition, or of one key, in their order."""

    def known(self, partition: int, key: bytes) -> IdempotencyEntry | None:
        """What is known of an idempotency key."""


class Hands(Protocol):
    """Carries out what the machine decided. None of it calls back into the machine before it returns.

    `write` and `check_in` raise LookupError when the partition is no longer ours, Unwritable when no record
    can hold it; nothing is written then.
    """

    def write(self, entry: Entry, writes: Writes) -> None:
        """Everything in one step, which also completes the entry's source offset."""

    def check_in(self, attempt: "Attempt", writes: Writes) -> None:
        """Write, and say when it is committed (`committed`), or that it never was (`lost`)."""

    def run(self, attempt: "Attempt") -> None:
        """Start the handler; `returned`, `raised` or `stopped` follows."""

    def ended(self, attempt: "Attempt", result: Outcome) -> None:
        """The attempt is over and its outcome is written: to be counted."""

    def letter(self, entry: Entry, failure: Failure, now: int) -> DeadLetter:
        """The dead letter of a job, with the original bytes."""

    def hold(self, partition: int, lane: "Lane") -> None:
        """Fetch no more of the lane."""

    def release(self, partition: int, lane: "Lane") -> None:
        """Fetch it again."""
