"""The editor's events: cells that change, and what is only passed on to the document's other viewers."""

import time
from typing import Any

from agents.context import Context
from agents.handlers.registry import handles
from agents.spreadsheet.cells import checked
from agents.spreadsheet.edits import edit
from schemas.payloads.events import AnyChange, CellUpdate, FormulaChange


@handles("cell_update")
async def cell_update(ctx: Context, data: CellUpdate) -> dict[str, Any]:
    """Set a cell to a value or, when the text begins with `=`, a formula; null empties it."""
    changed = await edit(ctx, {data.cell_id: checked(data.new_value, "data.newValue")})
    _processed(ctx)
    return {"cellId": data.cell_id, "value": changed[data.cell_id], "changed": len(changed)}


@handles("formula_change")
async def formula_change(ctx: Context, data: FormulaChange) -> dict[str, Any]:
    """Set a cell's formula."""
    formula = data.formula if data.formula.startswith("=") else f"={data.formula}"
    changed = await edit(ctx, {data.cell_id: checked(formula, "data.formula")})
    _processed(ctx)
    return {"cellId": data.cell_id, "value": changed[data.cell_id], "changed": len(changed)}


@handles("document_change")
@handles("selection_change")
async def passed_on(ctx: Context, data: AnyChange) -> dict[str, Any]:
    """Tell the document's viewers; nothing is kept."""
    _processed(ctx, {"data": data.model_dump(mode="json", by_alias=True)})
    return {}


def _processed(ctx: Context, more: dict[str, Any] | None = None) -> None:
    told = {"eventId": ctx.job.job_id, "type": ctx.job.type, "timestamp": time.time_ns() // 1_000_000}
    ctx.live("event_processed", {**told, **(more or {})})
