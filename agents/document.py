"""The document that a job works on: its cells, and the changes of this attempt."""

from collections.abc import Mapping
from typing import Any

from agents.tables import CellsTable
from schemas.records import Cell, Job, JobRequest


class JobDocument:
    """Reads the table; keeps its writes until the attempt's outcome is recorded, or drops them with it."""

    __slots__ = ("_changes", "_job", "_table", "id", "partition", "tenant_id")

    def __init__(self, table: CellsTable | None, partition: int, job: Job) -> None:
        self._table = table
        self._job = job
        self._changes: dict[str, str | None] | None = None
        self.partition = partition
        self.tenant_id = job.tenant_id
        self.id = job.document_id or ""

    def cells(self) -> Mapping[str, str]:
        """Every cell's content by id, this attempt's changes included."""
        if self._table is None:
            return {}
        known = dict(self._table.of(self.partition, self._job.tenant_id, self.id))
        for cell, content in (self._changes or {}).items():
            if content is None:
                known.pop(cell, None)
            else:
                known[cell] = content
        return known

    def write(self, cell_id: str, content: str | None) -> None:
        """Set a cell's content; None empties it."""
        if self._changes is None:
            self._changes = {}
        self._changes[cell_id] = content

    def save(self, now: int) -> None:
        """Put the changes into the table, in the current step."""
        if self._table is None or self._changes is None:
            return
        for cell, content in self._changes.items():
            value = None if content is None else Cell(content, now, self._job.user_id)
            self._table.put(self._job.tenant_id, self.id, cell, value)


class Carried:
    """What a handler wrote besides its result: cells of its document, what its viewers hear, child jobs."""

    __slots__ = ("document", "submitted", "updates")

    def __init__(
        self, document: JobDocument, updates: list[tuple[str, dict[str, Any]]], submitted: list[JobRequest]
    ) -> None:
        self.document, self.updates, self.submitted = document, updates, submitted
