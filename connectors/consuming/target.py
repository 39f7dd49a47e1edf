"""Where a consumer writes: a store that keeps the consumer's offsets beside what it wrote."""

from collections.abc import Collection, Sequence
from typing import Protocol

from confluent_kafka import Message

from connectors.consuming.positions import Move, Place
from schemas.errors import TierflowError, UnavailableError


class TargetAwayError(UnavailableError):
    """The target does not answer. Whether the last write happened is not known."""


class PositionMovedError(TierflowError):
    """Another writer moved a partition, or the target lost its offsets: nothing of the batch was written."""


class Target(Protocol):
    """A store that takes batches of records together with the offsets that come next."""

    name: str

    def positions(self, places: Collection[Place]) -> dict[Place, int]:
        """The next offset of each partition, 0 for one that was never written. TargetAwayError."""

    def write(self, messages: Sequence[Message], moves: Sequence[Move]) -> int:
        """Write everything and the new positions, or nothing; the number of rows. Blocks.

        Raises PositionMovedError when a partition does not stand at its `expected`, TargetAwayError when the
        outcome is unknown: the same call again finds out.
        """

    def close(self) -> None:
        """Let go of connections."""
