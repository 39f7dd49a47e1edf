"""Priorities 1 to 10, their names, and the lanes they fall into."""

from enum import IntEnum

NAMES = {"critical": 10, "high": 7, "normal": 5, "low": 3, "background": 1}


class Lane(IntEnum):
    """A priority band of a tier, each a topic of its own; the number is its order in a key's queue."""

    URGENT = 0
    NORMAL = 1
    BULK = 2

    @property
    def label(self) -> str:
        """As it stands in topic names and metric labels."""
        return _LABELS[self]


_LABELS = tuple(lane.name.lower() for lane in Lane)


def lane_of(priority: int) -> Lane:
    """Urgent 8-10, normal 4-7, bulk 1-3."""
    if priority >= 8:
        return Lane.URGENT
    return Lane.NORMAL if priority >= 4 else Lane.BULK
