"""`tierflow bench shapes`: jobs of other shapes than no-ops, each drained on servers of its own.

Rows in Postgres; jobs that take 10 ms, over many keys in order; the same on a single partition (`keyed.py`).
"""

from typing import Any

from ops.bench import jobs as reporting
from ops.bench import keyed
from ops.bench.drain import Figures, Shape, drain
from ops.bench.load import SHORT_S
from ops.stack.progress import Say

ROWS = Shape("no-op jobs of tier 1, with rows in Postgres", row=True)
# With 200 at a time the slots would be what is measured; with 1,000 each would wait for the loop.
ORDERED = Shape("jobs of 10 ms over 1,000 keys, in order", handler="short", concurrency=500)
WANTED = {ROWS: 5_000, ORDERED: 10_000}


async def run(count: int, say: Say) -> dict[str, Any]:
    """Drain `count` jobs of each shape."""
    found: dict[str, Any] = {"lines": []}
    for shape, wanted in WANTED.items():
        figures, _ = await drain(shape, count, say)
        say(f"shapes: {shape.name}: ended after {figures.ended_s:.1f} s")
        found[shape.name] = as_dict(figures)
        found["lines"] += [*reporting.table(shape.name, figures), *_verdict(figures, wanted), ""]
    found[keyed.NAME] = one = await keyed.run(count, say)
    found["lines"] += one.pop("lines")
    return found


def as_dict(figures: Figures) -> dict[str, Any]:
    """For JSON; `times_serial` compares with doing one job after the other, of those that take time."""
    return {
        **reporting.as_dict(figures),
        "out_of_order": figures.out_of_order,
        "times_serial": round(figures.jobs * SHORT_S / figures.ended_s, 1),
    }


def _verdict(figures: Figures, wanted: int) -> list[str]:
    found = as_dict(figures)
    reached = "reached" if found["jobs_per_s"] >= wanted else "MISSED"
    return [
        f"  wanted    {wanted:>8,} jobs/s: {reached}; {found['times_serial']} times as fast as 10 ms each",
        f"  ended out of their key's order: {found['out_of_order']}",
    ]
