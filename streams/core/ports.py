"""What the machine needs of the world: the time, the tables that it reads, the hands that act for it.

Shells implement these: the worker on the engine, the simulator on its model of it.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

from schemas.records import DeadLetter, Failure, IdempotencyEntry, Parked
from streams.core.entry import Entry
from streams.core.outcome import Outcome, Writes

if TYPE_CHECKING:
    from schemas.priorities import Lane
    from streams.core.attempt import Attempt


class Time:  # no named tuple: one is made for each event, and a compiled class takes half as long
    """When an event happened.

    `wall` is in ms since the epoch and may be set back; `steady` in seconds never is, and goes on while the
    process is stopped.
    """

    __slots__ = ("steady", "wall")

    def __init__(self, wall: int, steady: float) -> None:
        self.wall, self.steady = wall, steady


class Unwritable(Exception):  # noqa: N818
    """No record can hold what was to be written; nothing of it was."""


class Tables(Protocol):
    """The tables of the partitions that are ours, with everything that `Hands` wrote."""

    def row(self, partition: int, place: bytes) -> Parked | None:
        """The parked job at a place."""

    def index(self, partition: int, start: bytes, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Index entries of the parked jobs (`rows.entries_of`) with this prefix, from `start` on.

        Each with its job's place, in the order of both together.
        """

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

    def cancel(self, attempt: "Attempt") -> None:
        """Ask the handler to stop; nothing happens when it does not listen."""

    def stop(self, attempt: "Attempt") -> None:
        """End its handler: `stopped` follows, or its own end if that comes first."""

    def ended(self, attempt: "Attempt", result: Outcome) -> None:
        """The attempt is over and its outcome is written: to be counted."""

    def hold_type(self, entry: Entry, reason: str) -> None:
        """The type of this job is held: tell every worker and whoever watches. It is held here already."""

    def letter(self, entry: Entry, failure: Failure, now: int) -> DeadLetter:
        """The dead letter of a job, with the original bytes."""

    def hold(self, partition: int, lane: "Lane") -> None:
        """Fetch no more of the lane."""

    def release(self, partition: int, lane: "Lane") -> None:
        """Fetch it again."""
