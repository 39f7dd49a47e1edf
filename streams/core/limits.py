"""The bounds of a worker's memory and of its work at a time."""

from dataclasses import dataclass, field

from streams.core.blast import HoldRule


@dataclass(frozen=True, slots=True)
class Limits:
    """`slots`: attempts at a time in the process. A lane of a partition with `full` jobs in memory is not
    fetched until it has only `room`; a key holds at most `key_share` jobs in memory behind its first. Of what
    is in the table a lane of a partition has at most `loaded` jobs and `loaded_bytes` of data ready; times of
    `page` rows are read at once. Before a provider's gate at most `at_gate` jobs wait in memory. `hold` says
    when a type is held because its jobs die; `suspects` how many check in after an owner that died. Jobs
    of the types `in_process` run in so many `processes`, one in each."""

    slots: int
    full: int = 2_500
    room: int = 1_250
    key_share: int = 100
    loaded: int = 250
    loaded_bytes: int = 4_000_000
    page: int = 1_000
    at_gate: int = 200
    suspects: int = 10_000
    hold: HoldRule = field(default_factory=HoldRule)
    processes: int = 0
    in_process: frozenset[str] = frozenset()
