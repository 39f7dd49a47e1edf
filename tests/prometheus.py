"""A real Prometheus that scrapes a running stack, for as long as a test needs it."""

import json
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from ops import prometheus
from ops.stack.ports import Ports

Series = dict[str, str]
Answer = list[tuple[Series, list[float]]]
START_LIMIT_S = 120.0
RATE = "15s"
"""What Grafana would put for $__rate_interval, at a scrape every two seconds."""


class Prometheus:
    """The server as a child process. `targets` are addresses by role."""

    def __init__(self, folder: Path, targets: Mapping[str, str], rules: str = "") -> None:
        self._folder = folder
        self._port = Ports({}).get("prometheus")
        self._url = f"http://127.0.0.1:{self._port}"
        groups = [{"targets": [address], "labels": {"role": role}} for role, address in targets.items()]
        config = {
            "global": {"scrape_interval": "2s", "scrape_timeout": "2s", "evaluation_interval": "1s"},
            "rule_files": [str(folder / "rules.yml")],
            "scrape_configs": [{"job_name": "tierflow", "static_configs": groups}],
        }
        (folder / "rules.yml").write_text(rules)
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))

    def __enter__(self) -> Self:
        command = [
            str(prometheus.find("prometheus")),
            f"--config.file={self._folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={self._folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self._port}",
        ]
        with (self._folder / "log").open("wb") as log:
            self._child = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + START_LIMIT_S
        while not self._ready():
            assert self._child.poll() is None, (self._folder / "log").read_text()
            assert time.monotonic() < deadline, "Prometheus was not ready in time"
            time.sleep(0.1)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._child.terminate()
        self._child.wait(60)

    def now(self, expression: str) -> Answer:
        """Every series of an expression and its one value now."""
        found = self._ask("query", query=_plain(expression))
        if found["resultType"] == "scalar":
            return [({}, [float(found["result"][1])])]
        return [(one["metric"], [float(one["value"][1])]) for one in found["result"]]

    def lately(self, expression: str, seconds: int = 30) -> Answer:
        """Every series of an expression and its values in the last seconds, as a panel asks."""
        now = time.time()
        found = self._ask(
            "query_range", query=_plain(expression), start=str(now - seconds), end=str(now), step="1"
        )
        return [(one["metric"], [float(value) for _, value in one["values"]]) for one in found["result"]]

    def value(self, expression: str) -> float | None:
        """The one value of an expression that has one; None when there is none."""
        found = self.now(expression)
        return found[0][1][0] if found else None

    def _ask(self, endpoint: str, **query: str) -> Any:
        url = f"{self._url}/api/v1/{endpoint}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=60) as answer:
            found = json.load(answer)
        assert found["status"] == "success", found
        return found["data"]

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self._url}/-/ready", timeout=1) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


def _plain(expression: str) -> str:
    return expression.replace("$__rate_interval", RATE)
