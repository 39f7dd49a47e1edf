"""`formula_calculation`: puts a formula in a cell of the document and computes it and what depends on it."""

import time
from typing import Any

from agents.context import Context
from agents.handlers.registry import handles
from agents.spreadsheet.cells import checked
from agents.spreadsheet.edits import edit
from schemas.payloads.robot import FormulaCalculation


@handles("formula_calculation")
async def formula_calculation(ctx: Context, data: FormulaCalculation) -> dict[str, Any]:
    """The cell's new value; `calculationTime` in milliseconds. An error such as `#DIV/0!` is a value too.

    Dependencies are found in the formula itself; the list that the client gives is not needed.
    """
    started = time.perf_counter()
    formula = data.formula if data.formula.startswith("=") else f"={data.formula}"
    checked(formula, "data.formula")
    changed = await edit(ctx, {data.cell_id: formula})
    spent_ms = (time.perf_counter() - started) * 1000
    return {"cellId": data.cell_id, "result": changed[data.cell_id], "calculationTime": round(spent_ms, 3)}
