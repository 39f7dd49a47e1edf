"""Who has a partition: a mark that is committed before its first job starts, and taken away when all is over.

A mark that is still there tells the next owner that the last one died at work, or had not yet met all jobs
that may have killed the one before.
"""

from contextlib import suppress

from agents.tables import IdempotencyTable
from schemas.records import IdempotencyEntry
from schemas.states import State
from streams.transport.owned import OwnedPartition

# No key of a job is as short.
MARK = b"owner"
NEVER = (1 << 63) - 1


class Ownership:
    """The marks of one worker, in the table of idempotency keys."""

    def __init__(self, table: IdempotencyTable, worker: str) -> None:
        self._table, self._worker = table, worker

    async def take(self, owned: OwnedPartition) -> bool:
        """Mark the partition; whether its last owner died. Returns when the mark is committed."""
        died = self._table.get(owned.partition, MARK) is not None
        with owned.step() as step:
            self._table.put(MARK, IdempotencyEntry(self._worker, b"", State.ACTIVE, NEVER))
        await step.committed()
        return died

    def give_back(self, owned: OwnedPartition) -> None:
        """The work on it is over, if it is still ours to say so."""
        with suppress(LookupError), owned.step():
            self._table.remove(MARK)
