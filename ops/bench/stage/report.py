"""`tierflow bench stage`: runs the comparison and says the ratio."""

from typing import Any

from ops.bench import peers
from ops.bench.infrastructure import infrastructure
from ops.bench.stage import compare
from ops.stack.errors import StackError
from ops.stack.progress import Say


async def run(records: int, with_quix: bool, say: Say) -> dict[str, Any]:
    """Figures of every engine, the ratio to plain Faust agents, and the same as lines for people."""
    python, missing = None, None
    try:
        python = await peers.quix_python(say) if with_quix else None
    except StackError as error:
        missing = str(error)
        say(f"stage: without Quix Streams: {missing}")
    async with infrastructure(say, databases=False) as on:
        results = await compare.compare(on, records, python, say)
    ratio = compare.ratio(results)
    return {
        "engines": [compare.as_dict(result) for result in results],
        "ratio_to_plain_faust": round(ratio, 1),
        "cpu_ratio_to_plain_faust": round(compare.cpu_ratio(results), 1),
        "wanted_ratio": compare.RATIO_WANTED,
        "reached": ratio >= compare.RATIO_WANTED,
        "missing": missing,
        "lines": [*_table(results), _verdict(ratio, compare.cpu_ratio(results))],
    }


def _table(results: list[compare.Result]) -> list[str]:
    rows = [f"{'stream stage, one process':28} {'records/s':>10} {'us CPU/record':>14} {'outputs':>9}"]
    return rows + [
        f"{result.engine:28} {result.rate:>10,.0f} {result.cpu_us:>14.1f} {result.counted:>9,}"
        for result in results
    ]


def _verdict(ratio: float, cpu_ratio: float) -> str:
    word = "reached" if ratio >= compare.RATIO_WANTED else "MISSED"
    return (
        f"{ratio:.1f} times the records a second of plain Faust agents, {cpu_ratio:.1f} times per CPU second"
        f" (wanted: {compare.RATIO_WANTED:.0f}): {word}"
    )
