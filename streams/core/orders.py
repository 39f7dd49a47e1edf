"""Operators' orders as they stand: which gates are closed, and which waiting jobs are cleared.

The fold of the compacted topic `control`: the last order of each key counts, in any order of reading.
"""

from collections.abc import Collection
from dataclasses import dataclass, field

from schemas.records import Control, Job
from schemas.states import State
from streams.core.gates import queue_gate, type_gate

PAUSE, RESUME, CLEAR = "pause", "resume", "clear"
CLEARED = frozenset({State.WAITING, State.DELAYED})


def gate_of(order: Control) -> str:
    """The gate that an order closes or opens."""
    return type_gate(order.type) if order.type else queue_gate(order.queue)


def key_of(order: Control) -> str:
    """The record's key: a later order of the same key replaces it, so a clear must not replace a pause."""
    if order.action != CLEAR:
        return gate_of(order)
    return ":".join(["clear", order.queue, order.type or "*", order.state or "*"])


@dataclass(slots=True)
class Orders:
    """What holds now. `closed`: gate -> the order that closed it; `clears`: the clears by their key."""

    closed: dict[str, Control] = field(default_factory=dict)
    clears: dict[str, Control] = field(default_factory=dict)

    def take(self, key: str, order: Control | None) -> None:
        """An order was read; None: its key was emptied."""
        if order is None:
            self.closed.pop(key, None)
            self.clears.pop(key, None)
        elif order.action == PAUSE:
            self.closed[key] = order
        elif order.action == RESUME:
            self.closed.pop(key, None)
        elif order.action == CLEAR:
            self.clears[key] = order

    def is_paused(self, queue: str) -> bool:
        """Whether nothing of a queue starts."""
        return queue_gate(queue) in self.closed

    def held_types(self, kinds: Collection[str]) -> list[str]:
        """Those of these types that are held."""
        return sorted(kind for kind in kinds if type_gate(kind) in self.closed)

    def clearing(self, job: Job, state: State) -> Control | None:
        """The clear that ends this job, which stands in this state and never began; None: it may go on."""
        for order in self.clears.values():
            if clears(order, job, state):
                return order
        return None


def clears(order: Control, job: Job, state: State) -> bool:
    """Whether an order ends this job, which stands in this state and never began."""
    return (
        job.queue == order.queue
        and (order.type is None or job.type == order.type)
        and state in CLEARED
        and (order.state is None or state == order.state)
        and order.before is not None
        and job.accepted_at <= order.before
    )
