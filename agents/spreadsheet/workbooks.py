"""The open workbooks of a worker: the documents in use, the longest unused closed first.

A workbook runs ahead of the table: an attempt's edits are in it before its writes are committed. Whoever
drops an attempt says `forget`, whoever loses a partition `forget_partition`; the next use opens the
document from its table again. An edit that fails or is cancelled forgets by itself.
"""

import asyncio
import contextlib
import datetime as dt
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

from agents.spreadsheet.cells import Value, id_of, input_of, is_formula
from schemas.errors import PermanentError

if TYPE_CHECKING:
    # The engine takes 5 MB: it is imported when the first document is opened, which most workers never do.
    from agents.spreadsheet.workbook import Workbook

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
    def tenant_id(self) -> str | None:
        """Whose document it is: two tenants may use one id."""

    @property
    def id(self) -> str:
        """The document's id."""

    def cells(self) -> Mapping[str, str]:
        """Every cell's content by id: a JSON text (`12`, `"=A1*2"`)."""


class Workbooks:
    """Opens documents on first use and keeps them open. Used by one event loop."""

    def __init__(self, *, max_open: int = MAX_OPEN, max_open_cells: int = MAX_OPEN_CELLS) -> None:
        self._open: OrderedDict[tuple[int, str, str], Workbook] = OrderedDict()
        self._max_open = max_open
        self._max_open_cells = max_open_cells

    def __len__(self) -> int:
        return len(self._open)

    async def apply(self, source: Source, edits: Mapping[str, Value], now: dt.datetime) -> dict[str, Value]:
        """Set cells; return what changed: the edited cells, then their dependents in order.

        Raises ContractError or PermanentError when the edit cannot be; the document is then as before.
        """

        heavy = any(map(is_formula, edits.values()))
        async with self._using(source, now) as workbook:
            if workbook.size + len(edits) > MAX_CELLS:
                raise PermanentError(f"a document takes at most {MAX_CELLS} cells", code="document_too_large")
            if workbook.spills:
                return await self._reopen(workbook, source, edits, now)
            changed = await _run(lambda: workbook.apply(edits, now), workbook, heavy=heavy)
            return changed | workbook.values(map(id_of, workbook.spilled))

    async def values(self, source: Source, cells: list[str], now: dt.datetime) -> dict[str, Value]:
        """What these cells show."""
        async with self._using(source, now) as workbook:
            return workbook.values(cells)

    async def compute(self, source: Source, formulas: Sequence[str], now: dt.datetime) -> list[Value]:
        """What formulas over the document give, without cells of their own."""
        async with self._using(source, now) as workbook:
            return await _run(lambda: workbook.compute(formulas, now), workbook, heavy=True)

    def forget(self, partition: int, document_id: str) -> None:
        """Close a document, whosever it is; nothing happens when it is not open."""
        for key in [key for key in self._open if (key[0], key[2]) == (partition, document_id)]:
            del self._open[key]

    def forget_partition(self, partition: int) -> None:
        """Close every document of a partition."""
        for key in [key for key in self._open if key[0] == partition]:
            del self._open[key]

    @contextlib.asynccontextmanager
    async def _using(self, source: Source, now: dt.datetime) -> "AsyncIterator[Workbook]":
        try:
            yield await self._workbook(source, now)
        except BaseException:
            # Cancelled or failed halfway: nobody knows what is in it, and a thread may still work on it.
            self._open.pop(_key(source), None)
            raise

    async def _workbook(self, source: Source, now: dt.datetime) -> "Workbook":
        workbook = self._open.get(_key(source))
        if workbook is None:
            workbook = self._open[_key(source)] = await _opened(inputs_of(source), now)
        self._open.move_to_end(_key(source))
        self._close_oldest()
        return workbook

    async def _reopen(
        self, old: "Workbook", source: Source, edits: Mapping[str, Value], now: dt.datetime
    ) -> dict[str, Value]:
        from agents.spreadsheet.workbook import changes

        inputs = {**inputs_of(source), **edits}
        new = self._open[_key(source)] = await _opened(inputs, now)
        return changes(old, new, {*map(id_of, old.spilled | new.spilled), *inputs}, edits)

    def _close_oldest(self) -> None:
        cells = sum(workbook.size for workbook in self._open.values())
        while len(self._open) > 1 and (len(self._open) > self._max_open or cells > self._max_open_cells):
            _, closed = self._open.popitem(last=False)
            cells -= closed.size


def inputs_of(source: Source) -> dict[str, Value]:
    """The inputs of a document's cells."""
    return {cell: input_of(content) for cell, content in source.cells().items()}


def _key(source: Source) -> tuple[int, str, str]:
    return source.partition, source.tenant_id or "", source.id


async def _opened(inputs: Mapping[str, Value], now: dt.datetime) -> "Workbook":
    from agents.spreadsheet.workbook import Workbook

    heavy = len(inputs) > INLINE_CELLS or any(map(is_formula, inputs.values()))
    return await asyncio.to_thread(Workbook, inputs, now) if heavy else Workbook(inputs, now)


async def _run(work: Callable[[], T], workbook: "Workbook", *, heavy: bool) -> T:
    heavy = heavy or workbook.busy_s > INLINE_S
    if not heavy:
        return work()
    try:
        return await asyncio.to_thread(work)
    except asyncio.CancelledError:
        workbook.cancel()
        raise
