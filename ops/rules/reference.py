"""docs/metrics.md, written from the declarations."""

import re
from pathlib import Path

from ops.rules.alerts import alerts
from streams.metric import Metric
from streams.metric_names import METRICS

PATH = Path(__file__).parents[2] / "docs/metrics.md"
_LABEL = re.compile(r"\{\{ \$labels\.(\w+) \}\}")
_HEAD = """# Metrics and alerts

Written by `tierflow dashboards` from `streams/metric_names.py` and `ops/rules/alerts.py`; a test holds it
equal.

Every role exports its own on `/metrics` (the gateway on its port too), beside those of its process
(`process_*`, `python_*`). A label takes only the values that are named here, any other becomes `other`, so no
document, user or job can make a series.
"""
_LATER = """
## Not there yet

Of the names that the product specification lists, these come with what they count; all others are above.

| metric | labels | waits for |
| --- | --- | --- |
| `alerts_sent_total` | `severity`, `type`, `channel` | alerts of our own; until then Alertmanager sends |
| `live_clients` | - | live updates to browsers |
| `webhook_deliveries_total` | `result` | webhooks |
"""


def text() -> str:
    """The whole page."""
    lines = [_HEAD, "| metric | kind | labels | meaning |", "| --- | --- | --- | --- |"]
    lines += [_metric(metric) for metric in METRICS]
    lines += ["", "## Labels", "", "| label | values |", "| --- | --- |"]
    labels = {label.name + label.about: label for metric in METRICS for label in metric.labels}
    lines += [f"| `{label.name}` | {label.about} |" for label in labels.values()]
    lines += [
        "",
        "## Alerts",
        "",
        "As Prometheus rules in `ops/rules/tierflow.rules.yml`, looked at each 30 s.",
        "",
    ]
    lines += ["| alert | severity | when | holds for | what to do |", "| --- | --- | --- | --- | --- |"]
    for alert in alerts():
        condition = alert.condition.replace("|", "\\|")
        action = _LABEL.sub(lambda found: found[1].upper(), alert.action)
        lines.append(f"| {alert.name} | {alert.severity} | `{condition}` | {alert.hold} | {action} |")
    return "\n".join(lines) + "\n" + _LATER


def _metric(metric: Metric) -> str:
    labels = ", ".join(f"`{label.name}`" for label in metric.labels) or "-"
    return f"| `{metric.name}` | {metric.kind} | {labels} | {metric.help} |"
