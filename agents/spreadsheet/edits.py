"""An edit of the job's document: computed, kept, and told to its viewers, as one."""

import datetime as dt
import json
from collections.abc import Iterator, Mapping

from agents.context import Context
from agents.spreadsheet.cells import Value, content_of

# Well below a record's limit of 1 MB, and small enough for a browser to take at once.
MAX_UPDATE_CHARS = 200_000


def accepted(ctx: Context) -> dt.datetime:
    """When the job was accepted: the clock of its formulas, so that a repeat computes the same."""
    return dt.datetime.fromtimestamp(ctx.job.accepted_at / 1000, dt.UTC)


async def edit(ctx: Context, inputs: Mapping[str, Value]) -> dict[str, Value]:
    """Set cells and tell the viewers; return what changed, dependents after what they depend on.

    Raises ContractError or PermanentError when a formula is refused; then nothing changed.
    """
    changed = await ctx.workbooks.apply(ctx.document, inputs, accepted(ctx))
    for cell, value in inputs.items():
        ctx.document.write(cell, content_of(value))
    for cells in in_parts(changed):
        ctx.live("cells_changed", {"cells": cells})
    return changed


def in_parts(changed: Mapping[str, Value]) -> Iterator[dict[str, Value]]:
    """The same in its order, in parts small enough for one update each."""
    part: dict[str, Value] = {}
    chars = 0
    for cell, value in changed.items():
        more = len(cell) + len(json.dumps(value)) + 6
        if part and chars + more > MAX_UPDATE_CHARS:
            yield part
            part, chars = {}, 0
        part[cell] = value
        chars += more
    if part:
        yield part
