"""The report as one HTML file: the views of the dashboards, over the stretch that was read."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files

from connectors.kafka.lag import PartitionLag, by_topic, total
from connectors.redis.figures import QueueFigures
from ops.report.history import History
from ops.report.plot import Line, bars, lines, shown
from schemas.states import TERMINAL, State

_LATE_S = 60.0


@dataclass(frozen=True, slots=True)
class Found:
    """What the report is made of. Queues are None when Redis did not answer."""

    history: History
    lags: Sequence[PartitionLag]
    queues: Mapping[str, QueueFigures] | None
    took_s: float


def page(found: Found) -> str:
    """The whole file."""
    stretch = found.history.stretch
    body = f'{_numbers(found)}<div class="plots">{_plots(found)}{_standing(found)}</div>'
    body += _lag(found.lags) + _queues(found.queues)
    title = f"Tierflow, {_clock(stretch.start)} to {_clock(stretch.end)} UTC"
    style = (files(__package__) / "page.css").read_text()
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{style}</style>'
        f"<h1>{title}</h1>{body}<footer>Read from the topics in {found.took_s:.1f} s.</footer></html>\n"
    )


def _plots(found: Found) -> str:
    history = found.history
    plots: list[tuple[str, str, Mapping[str, Line], str]] = [
        ("Accepted", "jobs a second, by queue", _rates(history, history.accepted), ""),
        ("Ended", "jobs a second, by queue", _rates(history, history.ended), ""),
        ("Open jobs", "accepted and not ended", _open(found), ""),
        ("Failures", "a second", _failures(history), ""),
        ("Wait for a worker", "from acceptance to the first start", _shares(history, history.waits_s), "s"),
        ("Time in the handler", "by attempt", _shares(history, history.runs_s), "s"),
    ]
    times = history.stretch.times()
    return "".join(
        f"<section><h2>{title} <small>{about}</small></h2>{lines(series, times, unit)}</section>"
        for title, about, series, unit in plots
    )


def _standing(found: Found) -> str:
    """Bars of what stands now, and of what went wrong."""
    queues, errors = found.queues or {}, found.history.errors
    return "".join(
        (
            _bars("Waiting now", {queue: one.counts[State.WAITING] for queue, one in queues.items()}),
            _bars("Oldest waiting job", {queue: one.oldest_s for queue, one in queues.items()}, "s"),
            _bars("Dead now", {queue: one.counts[State.DEAD] for queue, one in queues.items()}),
            _bars("Errors in this time", {f"{kind}: {error}": n for (kind, error), n in errors.items()}),
        )
    )


def _numbers(found: Found) -> str:
    history, whole = found.history, total(found.lags)
    ended = sum(sum(counts.values()) for counts in history.ended.values())
    completed, dead = (sum(history.states[state].values()) for state in (State.COMPLETED, State.DEAD))
    figures = {
        "accepted": shown(sum(sum(counts.values()) for counts in history.accepted.values()), ""),
        "ended": shown(ended, ""),
        "of them completed": f"{100 * completed / ended:.2f} %" if ended else "-",
        "dead": shown(dead, ""),
        "unread records": shown(whole.records, ""),
        "oldest unread": "?" if whole.seconds is None else shown(whole.seconds, "s"),
    }
    boxes = (f"<div><b>{value}</b>{escape(name)}</div>" for name, value in figures.items())
    return f'<div class="numbers">{"".join(boxes)}</div>'


def _rates(history: History, counts: Mapping[str, Counter[int]]) -> dict[str, Line]:
    return {queue: history.rate(counts[queue]) for queue in sorted(counts)}


def _open(found: Found) -> dict[str, Line]:
    history = found.history
    if found.queues is None:
        return {}
    series: dict[str, Line] = {}
    for queue, figures in found.queues.items():
        now = sum(count for state, count in figures.counts.items() if state not in TERMINAL)
        if now or queue in history.accepted or queue in history.ended:
            series[queue] = history.open_jobs(queue, now)
    return series


def _failures(history: History) -> dict[str, Line]:
    words = {State.FAILED: "failed, tried again", State.DEAD: "dead"}
    return {
        word: history.rate(history.states[state]) for state, word in words.items() if state in history.states
    }


def _shares(history: History, values: dict[int, list[float]]) -> dict[str, Line]:
    return {f"p{100 * share:g}": history.quantile(values, share) for share in (0.5, 0.95, 0.99)}


def _bars(title: str, values: Mapping[str, float], unit: str = "") -> str:
    return f"<section><h2>{title}</h2>{bars(values, unit)}</section>"


def _lag(lags: Sequence[PartitionLag]) -> str:
    rows = []
    for (group, topic), of_topic in by_topic(lags).items():
        whole = total(of_topic)
        late = ' class="late"' if whole.lost or (whole.seconds or 0) > _LATE_S else ""
        seconds = "?" if whole.seconds is None else shown(whole.seconds, "s")
        rows.append(
            f"<tr{late}><td>{escape(group)}</td><td>{escape(topic)}</td><td>{whole.records:,}</td>"
            f"<td>{seconds}</td><td>{whole.lost:,}</td><td>{escape(of_topic[0].kept_in)}</td></tr>"
        )
    heads = ("group", "topic", "unread", "oldest", "lost", "kept in")
    return _table("Consumer lag", heads, rows)


def _queues(queues: Mapping[str, QueueFigures] | None) -> str:
    if queues is None:
        return "<section><h2>Queues</h2><p class='none'>Valkey does not answer</p></section>"
    rows = [
        f"<tr><td>{escape(queue)}</td>{''.join(f'<td>{one.counts[state]:,}</td>' for state in State)}</tr>"
        for queue, one in queues.items()
    ]
    return _table("Queues", ("queue", *(state.value for state in State)), rows)


def _table(title: str, heads: Sequence[str], rows: Sequence[str]) -> str:
    head = "".join(f"<th>{escape(one)}</th>" for one in heads)
    return f"<section><h2>{title}</h2><table><tr>{head}</tr>{''.join(rows)}</table></section>"


def _clock(at: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(at / 1000))
