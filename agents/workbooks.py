"""The open workbooks of a worker: the documents in use, the longest unused closed first.

A workbook runs ahead of the table: an attempt's edits are in it before its writes are committed. Whoever
drops an attempt says `forget`, whoever loses a partition `forget_partition`; the next use opens the
document from its table again. An edit that fails or is cancelled forgets by itself.
"""

import asyncio
import datetime as dt
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Protocol, TypeVar

from agents.cells import Value, id_of, input_of, is_formula
from agents.workbook import Workbook, changes
from schemas.errors import PermanentError

# About 0.3 MB a workbook of a few hundred formulas, 1 kB a cell at most.
MAX_OPEN = 500
MAX_OPEN_CELLS = 500_000
MAX_CELLS = 100_000
# What computes for longer than this, or holds more cells, runs beside the event loop.
INLINE_S = 0.005
INLINE_CELLS = 2_000

T = TypeVar("T")


class Source(Protocol):
    """Where a document's cells come from."""

    @property
    def partition(self) -> int:
        """The partition that owns the document."""

    @property
    def id(self) -> str:
        """The document's id."""

    def cells(self) -> Mapping[str, str]:
        """Every cell's content by id: a JSON text (`12`, `"=A1*2"`)."""


class Workbooks:
    """Opens documents on first use and keeps them open. Used by one event loop."""

    def __init__(self, *, max_open: int = MAX_OPEN, max_open_cells: int = MAX_OPEN_CELLS) -> None:
        self._open: OrderedDict[tuple[int, str], Workbook] = OrderedDict()
        self._max_open = max_open
        self._max_open_cells = max_open_cells

    def __len__(self) -> int:
        return len(self._open)

    async def apply(self, source: Source, edits: Mapping[str, Value], now: dt.datetime) -> dict[str, Value]:
        """Set cells; return what changed: the edited cells, then their dependents in order.

        Raises ContractError or PermanentError when the edit cannot be; the document is then as before.
        """

        def edit(workbook: Workbook) -> dict[str, Value]:
            if workbook.size + len(edits) > MAX_CELLS:
                raise PermanentError(f"a document takes at most {MAX_CELLS} cells", code="document_too_large")
            if not workbook.spills:
                changed = workbook.apply(edits, now)
                return changed | workbook.values(map(id_of, workbook.spilled))
            new = Workbook({**inputs_of(source), **edits}, now)
            cells = {*map(id_of, workbook.spilled | new.spilled), *inputs_of(source)}
            self._open[source.partition, source.id] = new
            return changes(workbook, new, cells, edits)

        heavy = any(map(is_formula, edits.values()))
        return await self._with(source, now, edit, heavy=heavy)

    async def values(self, source: Source, cells: list[str], now: dt.datetime) -> dict[str, Value]:
        """What these cells show."""
        return await self._with(source, now, lambda workbook: workbook.values(cells))

    async def compute(self, source: Source, formula: str, now: dt.datetime) -> Value:
        """What a formula over the document gives, without a cell of its own."""
        return await self._with(source, now, lambda workbook: workbook.compute(formula, now), heavy=True)

    def forget(self, partition: int, document_id: str) -> None:
        """Close a document; nothing happens when it is not open."""
        self._open.pop((partition, document_id), None)

    def forget_partition(self, partition: int) -> None:
        """Close every document of a partition."""
        for key in [key for key in self._open if key[0] == partition]:
            del self._open[key]

    async def _with(
        self, source: Source, now: dt.datetime, use: Callable[[Workbook], T], *, heavy: bool = False
    ) -> T:
        try:
            workbook = await self._workbook(source, now)
            return await _run(lambda: use(workbook), heavy=heavy or _is_heavy(workbook))
        except BaseException:
            # Cancelled or failed halfway: nobody knows what is in it, and a thread may still work on it.
            self.forget(source.partition, source.id)
            raise

    async def _workbook(self, source: Source, now: dt.datetime) -> Workbook:
        key = (source.partition, source.id)
        workbook = self._open.get(key)
        if workbook is None:
            inputs = inputs_of(source)
            heavy = len(inputs) > INLINE_CELLS or any(map(is_formula, inputs.values()))
            workbook = await _run(lambda: Workbook(inputs, now), heavy=heavy)
            self._open[key] = workbook
        self._open.move_to_end(key)
        self._close_oldest()
        return workbook

    def _close_oldest(self) -> None:
        cells = sum(workbook.size for workbook in self._open.values())
        while len(self._open) > 1 and (len(self._open) > self._max_open or cells > self._max_open_cells):
            _, closed = self._open.popitem(last=False)
            cells -= closed.size


def inputs_of(source: Source) -> dict[str, Value]:
    """The inputs of a document's cells."""
    return {cell: input_of(content) for cell, content in source.cells().items()}


def _is_heavy(workbook: Workbook) -> bool:
    return workbook.size > INLINE_CELLS or workbook.busy_s > INLINE_S


async def _run(work: Callable[[], T], *, heavy: bool) -> T:
    return await asyncio.to_thread(work) if heavy else work()
