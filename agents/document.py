"""The document that a job works on: its cells, and the changes of this attempt."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agents.tables import CellsTable
from schemas.records import Cell, Job


class JobDocument:
    """Reads the table; keeps its writes until the attempt's outcome is recorded, or drops them with it."""

    def __init__(self, table: CellsTable | None, partition: int, job: Job) -> None:
        self._table = table
        self._job = job
        self._changes: dict[str, str | None] = {}
        self.partition = partition
        self.tenant_id = job.tenant_id
        self.id = job.document_id or ""

    def cells(self) -> Mapping[str, str]:
        """Every cell's content by id, this attempt's changes included."""
        if self._table is None:
            return {}
        known = dict(self._table.of(self.partition, self._job.tenant_id, self.id))
        for cell, content in self._changes.items():
            if content is None:
                known.pop(cell, None)
            else:
                known[cell] = content
        return known

    def write(self, cell_id: str, content: str | None) -> None:
        """Set a cell's content; None empties it."""
        self._changes[cell_id] = content

    def save(self, now: int) -> None:
        """Put the changes into the table, in the current step."""
        if self._table is None:
            return
        for cell, content in self._changes.items():
            value = None if content is None else Cell(content, now, self._job.user_id)
            self._table.put(self._job.tenant_id, self.id, cell, value)


@dataclass(frozen=True, slots=True)
class Carried:
    """What a handler wrote besides its result: the cells of its document, and what to tell its viewers."""

    document: JobDocument
    updates: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
