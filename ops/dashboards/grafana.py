"""A dashboard in Grafana's words, made with Grafana's own library so that it is what Grafana reads."""

import json
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.builders import common, dashboard, heatmap, prometheus, stat, table, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as words
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DataSourceRef,
    Threshold,
    ThresholdsMode,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from ops.dashboards.panel import Board, Panel, Shape

FOLDER = Path(__file__).parent
PROMETHEUS = DataSourceRef(type_val="prometheus", uid="prometheus")
POSTGRES = DataSourceRef(type_val="postgres", uid="postgres")
HEIGHT, NUMBER_HEIGHT = 8, 4


def text(board: Board) -> str:
    """The file of a dashboard."""
    made = (
        dashboard.Dashboard(f"Tierflow / {board.title}")
        .uid(f"tierflow-{board.name}")
        .tags(["tierflow"])
        .timezone("browser")
        .refresh("10s")
        .time("now-1h", "now")
        .tooltip(DashboardCursorSync.CROSSHAIR)
    )
    for panel in board.panels:
        made = made.with_panel(_panel(panel))
    return json.dumps(json.loads(JSONEncoder().encode(made.build())), indent=1, ensure_ascii=False) + "\n"


def path(board: Board) -> Path:
    """Where its file lies."""
    return FOLDER / f"{board.name}.json"


def _panel(panel: Panel) -> Any:
    makers = {
        Shape.LINES: _lines,
        Shape.NUMBER: _number,
        Shape.HEATMAP: _heatmap,
        Shape.TABLE: _table,
    }
    made = makers[panel.shape]()
    made = (
        made.title(panel.title)
        .description(panel.about)
        .unit(str(panel.unit))
        .span(panel.width)
        .height(NUMBER_HEIGHT if panel.shape is Shape.NUMBER else HEIGHT)
        .thresholds(_steps(panel))
        .datasource(POSTGRES if panel.sql else PROMETHEUS)
    )
    if panel.sql:
        return made.with_target(_Sql(panel.sql))
    for letter, query in zip("ABCDEFG", panel.queries, strict=False):
        made = made.with_target(_target(panel, letter, query.expression, query.legend))
    return made


def _lines() -> Any:
    return (
        timeseries.Panel()
        .line_width(1)
        .fill_opacity(10)
        .show_points(words.VisibilityMode.NEVER)
        .min(0)
        .legend(
            common.VizLegendOptions()
            .display_mode(words.LegendDisplayMode.TABLE)
            .placement(words.LegendPlacement.BOTTOM)
            .show_legend(True)
            .calcs(["lastNotNull", "max"])
        )
    )


def _number() -> Any:
    last = common.ReduceDataOptions().calcs(["lastNotNull"]).values(False)
    return stat.Panel().reduce_options(last).graph_mode(words.BigValueGraphMode.AREA)


def _heatmap() -> Any:
    return heatmap.Panel().calculate(False)


def _table() -> Any:
    return table.Panel().filterable(True)


def _target(panel: Panel, letter: str, expression: str, legend: str) -> Any:
    made = prometheus.Dataquery().ref_id(letter).expr(expression).datasource(PROMETHEUS)
    match panel.shape:
        case Shape.TABLE:
            return made.format(PromQueryFormat.TABLE).instant()
        case Shape.HEATMAP:
            return made.format(PromQueryFormat.HEATMAP).legend_format("{{le}}").range()
        case _:
            return made.legend_format(legend or "__auto").range()


def _steps(panel: Panel) -> Any:
    steps = [Threshold(value=None, color="green")]
    if panel.warn is not None:
        steps.append(Threshold(value=panel.warn, color="yellow"))
    if panel.alarm is not None:
        steps.append(Threshold(value=panel.alarm, color="red"))
    return dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)


class _Sql:
    """A query of PostgreSQL: the library has no builder for that source."""

    def __init__(self, sql: str) -> None:
        self._sql = sql

    def build(self) -> Any:
        """As the library asks for it."""
        return self

    def to_json(self) -> dict[str, object]:
        """Its members in the file."""
        return {
            "refId": "A",
            "datasource": {"type": POSTGRES.type_val, "uid": POSTGRES.uid},
            "rawSql": self._sql,
            "rawQuery": True,
            "editorMode": "code",
            "format": "table",
        }
