"""Which modules are compiled, and what tells one state of their sources from another."""

import hashlib
import sys
import sysconfig
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
MODULES = tuple(
    f"{package}.{name}"
    for package, names in {
        "schemas": "keys",
        "streams": "codec parts",
        "streams.avro": "numbers",
        "streams.core": (
            "admission attempt backoff blast breaker cancelling cancels endings entry gates home intake known"
            " lasting leases limited limiter limits machine orders outcome places ports ready rows scheduler"
            " standing sweep timers turns writing"
        ),
        "streams.transport": (
            "batch bursts index layers limits outbox owned reading sorted_map step table table_partition"
            " tracker transaction"
        ),
        "connectors.consuming": "loop positions",
        "connectors.postgres": "rows",
        "connectors.redis": "batch entries projector",
        "agents": "arrivals cancellation document executor failures hands recording routing tables",
        "agents.running": "deadlines",
    }.items()
    for name in names.split()
)
"""What every job passes through; a change to one of them is compiled with all of them."""
MADE = "tierflow_avro"
"""The functions made from the schemas: `streams/avro/module.py` looks for this name."""
LIBRARY = "tierflow__mypyc"
"""What holds all of them; each module is a door to it."""
COMPLETE = "complete"
"""The last file that is written: a folder without it is none."""
# The compiler believes the types that all of these declare, compiled or not.
_ROOMS = ("schemas", "streams", "connectors", "agents", "ops/compiled")


def source(module: str) -> Path:
    """Its file."""
    return ROOT / f"{module.replace('.', '/')}.py"


@cache
def digest() -> str:
    """Names this state of the sources under this interpreter."""
    found = hashlib.sha256(f"{sys.implementation.cache_tag} {sysconfig.get_platform()}".encode())
    paths = [*(path for room in _ROOMS for path in (ROOT / room).rglob("*.py")), *ROOT.glob("schemas/*.avsc")]
    for path in sorted(paths):
        found.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
    return found.hexdigest()[:16]


def folder() -> Path:
    """Where the compiled modules of these sources are, or would be: in this environment."""
    return Path(sys.prefix) / "tierflow-compiled" / digest()


def are_compiled() -> bool:
    """Whether they are there, all of them."""
    return (folder() / COMPLETE).is_file()
