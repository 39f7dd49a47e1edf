"""Queue `robot`: work on the cells of a document."""

from typing import Annotated, Any, Literal

from pydantic import Field

from schemas.payloads.contract import CellId, Contract, Name, Text

Cells = Annotated[list[CellId], Field(min_length=1, max_length=10_000)]
RuleType = Literal[
    "required", "type", "range", "length", "regex", "enum", "unique", "date", "email", "cross-cell"
]


class FormulaCalculation(Contract):
    """Evaluate a formula in a cell; its dependents follow."""

    document_id: Name
    user_id: Name
    cell_id: CellId
    formula: Text
    dependencies: list[CellId] = []


class DataFetch(Contract):
    """Fetch outside data into cells."""

    document_id: Name
    user_id: Name
    source: Literal["api", "database", "file"]
    endpoint: Text
    parameters: dict[str, Any] = {}
    target_cells: Cells


class Rule(Contract):
    """One validation rule; its parameters depend on its type."""

    type: RuleType
    parameters: dict[str, Any] = {}


class Validation(Contract):
    """Check cells against rules."""

    document_id: Name
    user_id: Name
    cell_ids: Cells
    rules: Annotated[list[Rule], Field(min_length=1, max_length=100)]
