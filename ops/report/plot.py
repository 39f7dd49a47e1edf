"""Lines and bars as SVG text: no script, no font, nothing to load."""

import math
import time
from collections.abc import Mapping, Sequence
from html import escape

WIDTH, HEIGHT = 620, 230
LEFT, RIGHT, TOP, BOTTOM = 58, 12, 10, 24
COLOURS = (
    "#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee",
    "#aa3377", "#ee8866", "#44bb99", "#999933", "#777777",
)  # fmt: skip
Line = Sequence[float | None]


def lines(series: Mapping[str, Line], times: Sequence[int], unit: str) -> str:
    """Values over time, each series with its last and highest value. Times are ms since the epoch."""
    known = [value for line in series.values() for value in line if value is not None]
    if not known:
        return '<p class="none">nothing in this time</p>'
    top = ceiling(max(known))
    body = [_grid(top, unit), _hours(times)]
    legend = []
    for (name, line), colour in zip(series.items(), _colours(len(series)), strict=True):
        body.append(f'<path d="{_path(line, top)}" stroke="{colour}" class="line"/>')
        found = [value for value in line if value is not None]
        last = shown(found[-1], unit) if found else "-"
        most = shown(max(found), unit) if found else "-"
        mark = f'<i style="background:{colour}"></i>'
        legend.append(f"<li>{mark}{escape(name)} <b>{last}</b> max {most}</li>")
    return _svg(body) + f'<ul class="legend">{"".join(legend)}</ul>'


def bars(values: Mapping[str, float], unit: str) -> str:
    """One bar each, the longest first."""
    found = sorted(((value, name) for name, value in values.items() if value > 0), reverse=True)[:12]
    if not found:
        return '<p class="none">none</p>'
    rows = []
    for value, name in found:
        bar = f'<td class="bar"><i style="width:{100 * value / found[0][0]:.1f}%"></i></td>'
        rows.append(f"<tr><td>{escape(name)}</td>{bar}<td>{shown(value, unit)}</td></tr>")
    return f'<table class="bars">{"".join(rows)}</table>'


def ceiling(value: float) -> float:
    """The next of 1, 2, 5 times a power of ten: where an axis ends."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(power * step for step in (1, 2, 5, 10) if power * step >= value * (1 - 1e-9))


def shown(value: float, unit: str) -> str:
    """A value for a person."""
    if unit == "s" and 0 < value < 1:
        return f"{value * 1000:.3g} ms"
    if value >= 1000:
        return f"{value:,.0f}" + (f" {unit}" if unit else "")
    return f"{value:.3g}" + (f" {unit}" if unit else "")


def _colours(count: int) -> list[str]:
    return [COLOURS[number % len(COLOURS)] for number in range(count)]


def _x(step: int, steps: int) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * step / max(1, steps - 1)


def _y(value: float, top: float) -> float:
    return TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / top)


def _path(line: Line, top: float) -> str:
    """Broken where nothing is known; a lone point is a short stroke."""
    words, drawing = [], False
    for step, value in enumerate(line):
        if value is None:
            drawing = False
            continue
        words.append(f"{'L' if drawing else 'M'}{_x(step, len(line)):.1f} {_y(value, top):.1f}h.5")
        drawing = True
    return "".join(words)


def _grid(top: float, unit: str) -> str:
    found = []
    for part in range(5):
        value = top * part / 4
        y = _y(value, top)
        found.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" class="grid"/>')
        found.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{shown(value, unit)}</text>')
    return "".join(found)


def _hours(times: Sequence[int]) -> str:
    found = []
    for part in range(5):
        step = (len(times) - 1) * part // 4
        clock = time.strftime("%H:%M", time.gmtime(times[step] / 1000))
        anchor = ("start", "middle", "middle", "middle", "end")[part]
        found.append(
            f'<text x="{_x(step, len(times)):.1f}" y="{HEIGHT - 6}" text-anchor="{anchor}">{clock}</text>'
        )
    return "".join(found)


def _svg(body: Sequence[str]) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img">{"".join(body)}</svg>'
