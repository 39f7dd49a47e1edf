"""Where Prometheus and its tool are: what `ops/install.sh --tests` unpacked, else the system's."""

import shutil
import sys
from pathlib import Path

UNPACKED = Path(sys.prefix) / "prometheus/usr/bin"
MISSING = "no Prometheus here; `ops/install.sh --tests` gets it, or: apt-get install -y prometheus"


def find(name: str) -> Path | None:
    """The path of `prometheus` or `promtool`; None when there is none."""
    unpacked = UNPACKED / name
    if unpacked.is_file():
        return unpacked
    found = shutil.which(name)
    return Path(found) if found else None
