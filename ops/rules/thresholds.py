"""When a queue is in trouble: the severity and three limits of each class of queues."""

from dataclasses import dataclass

from schemas.catalogue import EVENTS_QUEUE, QUEUES, SELECTIONS_QUEUE

MESSAGING = (
    "chat_messages", "agent_responses", "proactive_actions", "stream_chunks", "status_updates",
    "validation_requests", "goal_seeking_updates", "conversation_events",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Threshold:
    """A class of queues; more waiting or dead jobs than this, or an older waiting job, is an alert."""

    name: str
    severity: str
    queues: tuple[str, ...]
    depth: int
    oldest_s: int
    failed: int


THRESHOLDS = (
    Threshold("money", "critical", ("money",), 50, 10 * 60, 10),
    Threshold(
        "communication", "warning",
        ("communication", "robot", "agent-tasks", EVENTS_QUEUE, *MESSAGING), 5_000, 30 * 60, 100,
    ),
    Threshold("background", "info", ("background", SELECTIONS_QUEUE), 50_000, 120 * 60, 1_000),
)  # fmt: skip


def threshold_of(queue: str) -> Threshold:
    """The class of a queue; one that no class names, as a job author's own, is like communication."""
    return next((one for one in THRESHOLDS if queue in one.queues), THRESHOLDS[1])


def queues_of(threshold: Threshold) -> list[str]:
    """Every queue of the catalogue that falls into a class."""
    return [queue for queue in QUEUES if threshold_of(queue) is threshold]
