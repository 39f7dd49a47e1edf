"""Frontend events of the spreadsheet editor."""

from typing import Any

from schemas.payloads.contract import CellId, Contract, Text


class CellUpdate(Contract):
    """A cell got a new value; a text that begins with `=` is a formula, null empties the cell."""

    cell_id: CellId
    new_value: str | int | float | bool | None
    old_value: Any = None
    position: dict[str, int] | None = None


class FormulaChange(Contract):
    """A cell got a new formula."""

    cell_id: CellId
    formula: Text
    dependencies: list[CellId] = []


class AnyChange(Contract):
    """A selection or a document changed; passed on to the document's viewers as it is."""
