"""Partitions that are to be read and from which nothing comes, not even word of where their log ends.

librdkafka has had defects in which the fetcher of a partition never starts, and the process lives on as if
all were well (its issues 5301 and 5586). To place such a partition anew helps against some of them, a new
process against all.
"""

import time
from collections.abc import Callable, Mapping

from connectors.consuming.log_ends import LogEnds
from connectors.consuming.positions import Place

PATIENCE_S = 10.0
TRIES = 2


class UnheardError(Exception):
    """Placing the partition anew did not help."""


class Unheard:
    """Watches the placed partitions of one consumer. Times are monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since: dict[Place, float] = {}
        self._tries: dict[Place, int] = {}

    def find(self, placed: Mapping[Place, int], ends: LogEnds) -> Place | None:
        """One that is to be placed anew, as there is something to read in it. Blocks for seconds at most.

        UnheardError when that was done before and did not help.
        """
        now = self._clock()
        silent = [place for place in placed if ends.known(place) is None]
        self._since = {place: self._since.get(place, now) for place in silent}
        self._tries = {place: tries for place, tries in self._tries.items() if place in self._since}
        overdue = next((place for place in silent if now - self._since[place] >= PATIENCE_S), None)
        if overdue is None:
            return None
        self._since[overdue] = now
        end = ends.end(overdue)
        if end is None or end <= placed[overdue]:
            return None
        tries = self._tries[overdue] = self._tries.get(overdue, 0) + 1
        if tries > TRIES:
            raise UnheardError(f"{overdue[0]} [{overdue[1]}] is not fetched, its log ends at {end}")
        return overdue
