"""The alerts as a file of Prometheus rules."""

from pathlib import Path
from typing import Any

import yaml

from ops.rules.alerts import GUIDE, Alert, alerts

PATH = Path(__file__).parent / "tierflow.rules.yml"
INTERVAL = "30s"
_HEAD = "# Written by `tierflow dashboards` from ops/rules/alerts.py: change it there.\n"


def text(interval: str = INTERVAL) -> str:
    """The whole file; its conditions are looked at each `interval`."""
    group = {"name": "tierflow", "interval": interval, "rules": [_rule(alert) for alert in alerts()]}
    return _HEAD + yaml.safe_dump({"groups": [group]}, sort_keys=False, width=110, allow_unicode=True)


def _rule(alert: Alert) -> dict[str, Any]:
    return {
        "alert": alert.name,
        "expr": alert.condition,
        "for": alert.hold,
        "labels": {"severity": alert.severity, "type": alert.type},
        "annotations": {"summary": alert.summary, "action": alert.action, "guide": GUIDE},
    }
