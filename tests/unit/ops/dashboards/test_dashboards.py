"""The dashboards as data, and the files that Grafana gets."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from ops.cli.dashboards import files
from ops.cli.main import main
from ops.dashboards import grafana
from ops.dashboards.boards import boards
from ops.dashboards.panel import Board, Panel, Shape
from streams.metric import Kind
from streams.metric_names import METRICS

PANELS = [(board, panel) for board in boards() for panel in board.panels]
PROCESS = {"process_cpu_seconds_total", "process_resident_memory_bytes", "up", "ALERTS"}
WORDS = {
    "sum", "max", "min", "by", "rate", "increase", "histogram_quantile", "count", "vector", "or", "le",
    "sort_desc", "Inf", "and", "unless", "offset",
}  # fmt: skip


def test_the_seven_dashboards_of_the_specification_are_there() -> None:
    assert [board.name for board in boards()] == [
        "queue-overview", "job-performance", "consumer-lag", "alerts", "providers", "system-health", "slo",
    ]  # fmt: skip


@pytest.mark.parametrize("path", files(), ids=lambda path: path.name)
def test_a_committed_file_is_what_the_declarations_make(path: Path) -> None:
    assert path.read_text() == files()[path], "run `tierflow dashboards`"


def test_no_dashboard_lies_there_that_nothing_makes() -> None:
    assert set(grafana.FOLDER.glob("*.json")) == {grafana.path(board) for board in boards()}


@pytest.mark.parametrize(("board", "panel"), PANELS, ids=lambda one: getattr(one, "title", ""))
def test_every_metric_of_a_panel_is_declared(board: Board, panel: Panel) -> None:
    suffixes = {Kind.HISTOGRAM: ("_bucket", "_count", "_sum"), Kind.COUNTER: ("",), Kind.GAUGE: ("",)}
    known = {metric.name + suffix for metric in METRICS for suffix in suffixes[metric.kind]} | PROCESS
    for query in panel.queries:
        bare = re.sub(r'\{[^}]*\}|\[[^\]]*\]|"[^"]*"|by \([^)]*\)|offset \w+', " ", query.expression)
        found = set(re.findall(r"[A-Za-z_]{2,}", bare)) - WORDS
        assert found
        assert found <= known


@pytest.mark.parametrize("board", boards(), ids=lambda board: board.name)
def test_grafana_gets_every_panel_with_its_query_unit_and_source(board: Board) -> None:
    made = json.loads(grafana.text(board))
    assert made["uid"] == f"tierflow-{board.name}"
    assert [panel["title"] for panel in made["panels"]] == [panel.title for panel in board.panels]
    for panel, declared in zip(made["panels"], board.panels, strict=True):
        assert panel["fieldConfig"]["defaults"]["unit"] == declared.unit
        if declared.sql:
            assert (panel["datasource"]["uid"], panel["targets"][0]["rawSql"]) == ("postgres", declared.sql)
        else:
            assert panel["datasource"]["uid"] == "prometheus"
            assert [t["expr"] for t in panel["targets"]] == [q.expression for q in declared.queries]


@pytest.mark.parametrize("board", boards(), ids=lambda board: board.name)
def test_no_panel_lies_on_another(board: Board) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(grafana.text(board))["panels"]:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"])
                 for y in range(place["y"], place["y"] + place["h"])}  # fmt: skip
        assert place["x"] + place["w"] <= 24
        assert not cells & taken
        taken |= cells


def test_titles_are_unique_within_a_dashboard() -> None:
    for board in boards():
        titles = [panel.title for panel in board.panels]
        assert len(set(titles)) == len(titles)


def test_every_panel_has_a_query() -> None:
    for _, panel in PANELS:
        assert bool(panel.sql) is not bool(panel.queries)
        assert panel.shape is Shape.TABLE or not panel.sql


def test_the_command_tells_that_nothing_differs() -> None:
    done = CliRunner().invoke(main, ["dashboards", "--check"])
    assert (done.exit_code, done.output) == (0, "")
