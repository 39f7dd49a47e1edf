"""`validation`: checks cells of the document against rules (`agents/spreadsheet/rules.py`)."""

import asyncio
from collections.abc import Mapping
from typing import Any

from agents.context import Context
from agents.handlers.registry import handles
from agents.spreadsheet.cells import Value, checked
from agents.spreadsheet.edits import accepted
from agents.spreadsheet.rules import Check, check_of
from schemas.errors import ContractError
from schemas.payloads.robot import Rule, Validation

# A result is a record's member; 2,000 verdicts are about 200 kB.
MAX_VERDICTS = 2_000
Verdict = dict[str, Any]


@handles("validation")
async def validation(ctx: Context, data: Validation) -> dict[str, Any]:
    """A verdict per cell and rule, on what the cells show, not on their formulas.

    Above MAX_VERDICTS the faults are kept first, and `omitted` counts what was left out.
    """
    values = await ctx.workbooks.values(ctx.document, data.cell_ids, accepted(ctx))
    verdicts: list[Verdict] = []
    for index, rule in enumerate(data.rules):
        field = f"data.rules.{index}"
        if rule.type == "cross-cell":
            faults = await _cross_cell(ctx, rule, field, data.cell_ids)
        else:
            check = check_of(rule, field, values)
            # Ten thousand cells take long enough to be felt by other jobs.
            faults = await asyncio.to_thread(_faults, check, values)
        verdicts += [verdict(cell, rule.type, fault) for cell, fault in faults.items()]
    return summary(verdicts)


async def _cross_cell(ctx: Context, rule: Rule, field: str, cells: list[str]) -> Mapping[str, str | None]:
    template = rule.parameters.get("formula")
    if not isinstance(template, str) or not template.startswith("="):
        raise ContractError.of(f"{field}.parameters.formula", "give a formula that begins with =")
    asked = {cell: template.replace("{cell}", cell) for cell in cells}
    formulas = list(dict.fromkeys(asked.values()))
    for formula in formulas:
        checked(formula, f"{field}.parameters.formula")
    results = await ctx.workbooks.compute(ctx.document, formulas, accepted(ctx))
    given = dict(zip(formulas, results, strict=True))
    return {cell: fault_of(given[formula]) for cell, formula in asked.items()}


def _faults(check: Check, values: Mapping[str, Value]) -> dict[str, str | None]:
    return {cell: check(value) for cell, value in values.items()}


def fault_of(result: Value) -> str | None:
    """What the result of a cross-cell formula says: TRUE or a number other than 0 is valid."""
    if result is not None and not isinstance(result, str) and result:
        return None
    return f"the formula gives {'FALSE' if result is False else result}"


def verdict(cell: str, rule: str, fault: str | None) -> Verdict:
    """One line of the result."""
    return {"cellId": cell, "rule": rule, "valid": fault is None, "message": fault}


def summary(verdicts: list[Verdict]) -> dict[str, Any]:
    """The whole result; it is valid when every verdict is."""
    kept = verdicts
    if len(verdicts) > MAX_VERDICTS:
        kept = sorted(verdicts, key=lambda line: bool(line["valid"]))[:MAX_VERDICTS]
    left_out = len(verdicts) - len(kept)
    valid = all(line["valid"] for line in verdicts)
    return {"valid": valid, "results": kept, **({"omitted": left_out} if left_out else {})}
