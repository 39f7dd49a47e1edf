"""What a handler in a thread is given instead of things that belong to the loop."""

import asyncio
from collections.abc import Mapping

from agents.context import Document, Report


def in_loop(report: Report) -> Report:
    """The same, called in the loop that runs now, from any thread."""
    loop = asyncio.get_running_loop()

    def say(percentage: int, stage: str | None, message: str | None) -> None:
        loop.call_soon_threadsafe(report, percentage, stage, message)

    return say


class ThreadDocument:
    """A document whose table is read in the loop; its writes are the attempt's own."""

    def __init__(self, document: Document) -> None:
        self._document, self._loop = document, asyncio.get_running_loop()
        self.partition, self.tenant_id, self.id = document.partition, document.tenant_id, document.id

    def cells(self) -> Mapping[str, str]:
        """Every cell's content by id."""
        return asyncio.run_coroutine_threadsafe(self._cells(), self._loop).result()

    async def _cells(self) -> Mapping[str, str]:
        return self._document.cells()

    def write(self, cell_id: str, content: str | None) -> None:
        """Set a cell's content; None empties it."""
        self._document.write(cell_id, content)
