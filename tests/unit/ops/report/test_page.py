import re
from html.parser import HTMLParser

import pytest

from connectors.kafka.lag import PartitionLag
from connectors.redis.figures import QueueFigures
from ops.report.history import History, Stretch
from ops.report.page import Found, page
from ops.report.plot import bars, ceiling, lines, shown
from schemas.states import State
from tests.unit.connectors.postgres.builders import job
from tests.unit.ops.report.test_history import START, active, lifecycle, to

EMPTY = {"meta"}


class Nesting(HTMLParser):
    """Fails for a tag that is closed where another is open; svg's paths close themselves."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def found(queues: bool = True) -> Found:
    history = History(Stretch(START, START + 100_000, steps=10))
    history.job(job(at=START))
    history.lifecycle(lifecycle(active(2_000), to("dead", 5_000, error="<b>odd</b>")))
    lag = PartitionLag("tierflow.worker-1", "tierflow.tier-1.urgent", 0, 3, 10, 7, True, 90.0, lost=2)
    counts = dict.fromkeys(State, 0) | {State.WAITING: 3, State.DEAD: 1}
    return Found(history, [lag], {"money": QueueFigures(counts, 4.0)} if queues else None, 0.5)


def test_the_page_is_whole_and_needs_nothing_from_elsewhere() -> None:
    text = page(found())
    nesting = Nesting()
    nesting.feed(text)
    assert nesting.open == []
    assert not re.search(r"<script|<link|src=|href=|url\(|@import", text)


def test_the_page_shows_throughput_lag_latency_failures_and_queues() -> None:
    text = page(found())
    for title in ("Accepted", "Ended", "Open jobs", "Failures", "Wait for a worker", "Time in the handler",
                  "Waiting now", "Dead now", "Errors in this time", "Consumer lag", "Queues"):  # fmt: skip
        assert f"<h2>{title}" in text
    assert '<tr class="late"><td>tierflow.worker-1</td>' in text


def test_what_a_job_wrote_cannot_become_markup() -> None:
    text = page(found())
    assert "<b>odd</b>" not in text
    assert "&lt;b&gt;odd&lt;/b&gt;" in text


def test_a_page_without_valkey_says_so() -> None:
    assert "Valkey does not answer" in page(found(queues=False))


def test_a_plot_is_broken_where_nothing_is_known() -> None:
    text = lines({"p50": [1.0, 2.0, None, 4.0]}, [0, 1, 2, 3], "s")
    (path,) = re.findall(r'<path d="([^"]+)" stroke', text)
    assert path.count("M") == 2
    assert "<b>4 s</b> max 4 s" in text


def test_a_plot_of_nothing_is_a_sentence() -> None:
    assert lines({"p50": [None, None]}, [0, 1], "s") == lines({}, [0, 1], "s") == (
        '<p class="none">nothing in this time</p>'
    )  # fmt: skip


def test_bars_stand_in_the_order_of_their_values_and_zero_is_none() -> None:
    text = bars({"a": 1.0, "b": 3.0, "c": 0.0}, "")
    assert re.findall(r"<td>([abc])</td>", text) == ["b", "a"]
    assert bars({"c": 0.0}, "") == '<p class="none">none</p>'


@pytest.mark.parametrize(
    ("value", "top"), [(0, 1), (0.03, 0.05), (1, 1), (1.1, 2), (4.2, 5), (51, 100), (500, 500)]
)
def test_an_axis_ends_at_a_round_number(value: float, top: float) -> None:
    assert ceiling(value) == pytest.approx(top)


def test_values_are_for_people() -> None:
    texts = [shown(value, unit) for value, unit in ((0.0123, "s"), (3.14159, "s"), (1234567, ""), (0, ""))]
    assert texts == ["12.3 ms", "3.14 s", "1,234,567", "0"]
