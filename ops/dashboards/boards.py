"""The seven dashboards, in the order of Grafana's menu."""

from ops.dashboards import (
    alerts,
    consumer_lag,
    job_performance,
    providers,
    queue_overview,
    slo,
    system_health,
)
from ops.dashboards.panel import Board

_PAGES = (queue_overview, job_performance, consumer_lag, alerts, providers, system_health, slo)


def boards() -> list[Board]:
    """All of them."""
    return [page.board() for page in _PAGES]
