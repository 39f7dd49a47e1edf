"""One open document: its cells in a spreadsheet engine that computes only what an edit makes dirty.

The engine is fast and lets other threads run meanwhile, but two things it does not do alone: say which
cells an edit changed (found here by following dependents), and put an array that a formula spills back in
order when a cell in its way changes (a document with such arrays is opened anew for each edit).
"""

import contextlib
import datetime as dt
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby

import formualizer

from agents.spreadsheet.cells import (
    ERRORS,
    MAX_COLUMN,
    MAX_ROW,
    Address,
    Value,
    address_of,
    id_of,
    is_formula,
    shown,
)
from schemas.errors import ContractError, PermanentError

# An edit that computes more cells, or for longer, is refused. The time is looked at between formulas only.
MAX_WORK_UNITS = 5_000_000
MAX_EVALUATION_MS = 5_000
_SHEET = "S"
_SEED = 7
# No cell id reaches these: where formulas are computed that belong to no cell.
_SCRATCH_ROW, _SCRATCH_COLUMN = MAX_ROW + 1, MAX_COLUMN
_NO_LIMIT = 10_000_000


class Workbook:
    """A document's cells and their values. One thread at a time; after an exception it must be dropped."""

    def __init__(self, inputs: Mapping[str, Value], now: dt.datetime) -> None:
        config = formualizer.EvaluationConfig()
        config.workbook_seed = _SEED
        config.enable_parallel = False
        config.max_work_units = MAX_WORK_UNITS
        config.max_eval_time_ms = MAX_EVALUATION_MS
        self._engine = formualizer.Workbook(config=formualizer.WorkbookConfig(eval_config=config))
        self._engine.add_sheet(_SHEET)
        self._volatile: set[Address] = set()
        self.spilled: set[Address] = set()
        self.spills = False
        self.busy_s = 0.0
        addressed = {address_of(cell, "document"): value for cell, value in inputs.items()}
        with _translated("document"):
            self._fill(addressed)
            self._evaluate(now)
        self._values = {address: shown(self._raw(address)) for address in addressed}
        self._note(address for address, value in addressed.items() if is_formula(value))

    @property
    def size(self) -> int:
        """How many cells it holds."""
        return len(self._values)

    def _fill(self, inputs: Mapping[Address, Value]) -> None:
        formulas = []
        for (row, column), value in inputs.items():
            if is_formula(value):
                formulas.append((column, row, value))
            elif value is not None:
                self._engine.set_value(_SHEET, row, column, value)
        # Runs of formulas down a column go in as one batch: ten times as fast.
        formulas.sort()
        for (column, _), run in groupby(enumerate(formulas), lambda item: (item[1][0], item[1][1] - item[0])):
            cells = [cell for _, cell in run]
            self._engine.set_formulas_batch(_SHEET, cells[0][1], column, [[cell[2]] for cell in cells])

    def apply(self, edits: Mapping[str, Value], now: dt.datetime) -> dict[str, Value]:
        """Set cells and compute; return the edited cells and all whose value changed, inputs before results.

        ContractError for a formula that does not parse or names its own cell, PermanentError for one that
        needs too much computing. The workbook is then in an unknown state.
        """
        addressed = {address_of(cell): value for cell, value in edits.items()}
        for address, value in addressed.items():
            with _translated("formula" if is_formula(value) else "value"):
                self._set(address, value)
        with _translated("formula"):
            self._evaluate(now)
        # Only now does the engine know who depends on whom.
        for address, value in addressed.items():
            if is_formula(value) and address in self._direct(address):
                raise ContractError.of("data.formula", "a formula cannot name its own cell")
        affected = self._dependents([*addressed, *self._volatile])
        self._note(affected)
        changed = {}
        for address in affected:
            value = shown(self._raw(address))
            if address in addressed or not _same(value, self._values.get(address)):
                changed[id_of(address)] = value
            self._values[address] = value
        for address, value in addressed.items():
            if value is None:
                del self._values[address]
        return changed

    def cancel(self) -> None:
        """Stop what another thread computes here, at the next formula. The workbook is then to be dropped."""
        self._engine.cancel()

    def values(self, cells: Iterable[str]) -> dict[str, Value]:
        """What these cells show."""
        return {cell: shown(self._raw(address_of(cell))) for cell in cells}

    def compute(self, formulas: Sequence[str], now: dt.datetime) -> list[Value]:
        """What formulas give that stand in no cell."""
        scratch = [(row, _SCRATCH_COLUMN) for row in range(_SCRATCH_ROW, _SCRATCH_ROW + len(formulas))]
        with _translated("formula"):
            for address, formula in zip(scratch, formulas, strict=True):
                formualizer.parse(formula)
                self._engine.set_formula(_SHEET, *address, formula)
            self._evaluate(now)
            values = [shown(self._raw(address)) for address in scratch]
            for address in scratch:
                self._engine.set_value(_SHEET, *address, None)
        return values

    def _set(self, address: Address, value: Value) -> None:
        self._volatile.discard(address)
        if is_formula(value):
            # The engine may put parsing off, and would then show #ERROR!.
            formualizer.parse(str(value))
            self._engine.set_formula(_SHEET, *address, str(value))
        else:
            self._engine.set_value(_SHEET, *address, value)

    def _raw(self, address: Address) -> object:
        return self._engine.get_value(_SHEET, *address)

    def _evaluate(self, now: dt.datetime) -> None:
        started = time.perf_counter()
        self._engine.set_deterministic_clock(now)
        self._engine.evaluate_all()
        self.busy_s = time.perf_counter() - started

    def _dependents(self, roots: list[Address]) -> list[Address]:
        """The roots and all that depends on them, each before its own dependents unless they form a cycle."""
        finished: list[Address] = []
        seen: set[Address] = set()
        for root in reversed(roots):
            stack = [(root, False)]
            while stack:
                address, expanded = stack.pop()
                if expanded:
                    finished.append(address)
                elif address not in seen:
                    seen.add(address)
                    stack.append((address, True))
                    stack.extend((next_, False) for next_ in self._direct(address) if next_ not in seen)
        finished.reverse()
        return finished

    def _direct(self, address: Address) -> list[Address]:
        report = self._engine.dependents(
            f"{_SHEET}!{id_of(address)}", max_results=_NO_LIMIT, max_work=_NO_LIMIT
        )
        return [address_of(found.cell.rpartition("!")[2]) for found in report.dependents]

    def _note(self, addresses: Iterable[Address]) -> None:
        for address in addresses:
            cell = self._engine.inspect_cell(f"{_SHEET}!{id_of(address)}", include_values=False).cell
            if cell.volatile:
                self._volatile.add(address)
            if cell.spill is not None:
                self.spilled |= _cells_of(cell.spill.extent or id_of(address))
            if cell.spill is not None or shown(self._raw(address)) == ERRORS["Spill"]:
                self.spills = True


def changes(old: Workbook, new: Workbook, cells: Iterable[str], edited: Iterable[str]) -> dict[str, Value]:
    """What differs between two states of a document: the edited cells, then others in no order."""
    before, after = old.values(cells), new.values(cells)
    differing = {cell: value for cell, value in after.items() if not _same(value, before[cell])}
    return new.values(edited) | differing


def _cells_of(extent: str) -> set[Address]:
    """The cells of a range such as `S!B2:C9`."""
    first, _, last = extent.rpartition("!")[2].partition(":")
    (top, left), (bottom, right) = address_of(first), address_of(last or first)
    return {(row, column) for row in range(top, bottom + 1) for column in range(left, right + 1)}


def _same(one: Value, other: Value) -> bool:
    return one == other and isinstance(one, bool) == isinstance(other, bool)


@contextlib.contextmanager
def _translated(subject: str) -> Iterator[None]:
    """Turns the engine's errors into ours; `subject` says what was wrong."""
    try:
        yield
    except (RuntimeError, formualizer.ParserError, formualizer.ExcelEvaluationError) as error:
        raise _translation(subject, error) from error
    except BaseException as error:
        # A panic of the engine is no Exception; it concerns this workbook only.
        if type(error).__name__ == "PanicException":
            raise _translation(subject, error) from error
        raise


def _translation(subject: str, error: BaseException) -> ContractError | PermanentError:
    text = str(error).removeprefix("Backend error in parser: ").removeprefix("Engine error: ")
    if "Self-reference" in text:
        return ContractError.of(f"data.{subject}", "a formula cannot name its own cell")
    if "resource exhausted" in text:
        limit = f"it needs more computing than one edit may: {text}"
        return PermanentError(limit, code="formula_too_heavy")
    return ContractError.of(f"data.{subject}", text)
