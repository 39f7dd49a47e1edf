"""A dashboard and its panels as data: what is asked, in which unit it is shown, and what it tells."""

from dataclasses import dataclass, field
from enum import StrEnum


class Shape(StrEnum):
    """How a panel shows its answer."""

    LINES = "lines"
    NUMBER = "number"
    HEATMAP = "heatmap"
    TABLE = "table"


class Unit(StrEnum):
    """Grafana's words for units."""

    COUNT = "short"
    SECONDS = "s"
    PER_SECOND = "ops"
    SHARE = "percentunit"
    BYTES = "bytes"
    STATE = "none"


@dataclass(frozen=True, slots=True)
class Query:
    """PromQL, and a legend in which `{{label}}` stands for a label's value."""

    expression: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel. From `warn` and `alarm` on its values are yellow and red."""

    title: str
    about: str
    queries: tuple[Query, ...]
    unit: Unit = Unit.COUNT
    shape: Shape = Shape.LINES
    warn: float | None = None
    alarm: float | None = None
    width: int = 12
    quiet: bool = False
    """Empty while all is well: nothing has failed, nothing is limited."""
    sql: str = ""
    """Asked of PostgreSQL instead of Prometheus."""


@dataclass(frozen=True, slots=True)
class Board:
    """One dashboard; `name` is its file and its uid."""

    name: str
    title: str
    panels: tuple[Panel, ...] = field(repr=False)


def lines(
    title: str, about: str, *queries: Query, unit: Unit = Unit.COUNT, quiet: bool = False, **more: float
) -> Panel:
    """Values over time."""
    return Panel(title, about, queries, unit, quiet=quiet, warn=more.get("warn"), alarm=more.get("alarm"))


def number(title: str, about: str, expression: str, unit: Unit = Unit.COUNT, **more: float) -> Panel:
    """One value, the last."""
    return Panel(
        title, about, (Query(expression),), unit, Shape.NUMBER, more.get("warn"), more.get("alarm"), width=6
    )
