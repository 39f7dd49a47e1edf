"""Python's cycle collector in a process that makes many short-lived records and few cycles.

Modules, contracts and generated code are here for good: they are taken out of its sight once a role has
started, and it looks less often at the rest. A tenth of a worker's CPU (docs/benchmarks.md).
"""

import gc

# Containers made since the last look at the youngest; Python's own default is 700.
YOUNGEST = 20_000


def settle() -> None:
    """Call once, when everything that stays has been made."""
    gc.collect()
    gc.freeze()
    _, older, oldest = gc.get_threshold()
    gc.set_threshold(YOUNGEST, older, oldest)
