"""Partitions that are to be read and from which nothing ever came, not even word of where their log ends.

librdkafka has had defects in which the fetcher of a partition never starts, and the process lives on as if
all were well (its issue 5301). Only a new process helps.
"""

from collections.abc import Mapping

from connectors.consuming.log_ends import LogEnds
from connectors.consuming.positions import Place

SILENT_LOOKS, REST_LOOKS = 30, 10


class UnheardError(Exception):
    """A partition has records, and none of them ever comes."""


class Unheard:
    """Watches the partitions of one consumer, a look a second."""

    def __init__(self) -> None:
        self._looks: dict[Place, int] = {}
        self._rest = 0

    def look(self, assigned: Mapping[Place, int], ends: LogEnds) -> None:
        """Call while all that was fetched is read. Blocks for seconds at most, now and then; UnheardError.

        `assigned`: the position of each partition, 0 where it is not known.
        """
        silent = [place for place in assigned if ends.known(place) is None]
        self._looks = {place: self._looks.get(place, 0) + 1 for place in silent}
        self._rest -= 1
        place = max(silent, key=lambda one: self._looks[one], default=None)
        if place is None or self._rest > 0 or self._looks[place] < SILENT_LOOKS:
            return
        # Seldom: a broker that cannot be reached answers after seconds, and the others' partitions wait.
        self._rest, self._looks[place] = REST_LOOKS, 0
        end = ends.end(place)
        if end is not None and end > assigned[place]:
            raise UnheardError(f"nothing comes from {place[0]} [{place[1]}], and its log ends at {end}")

    def heard(self, place: Place) -> None:
        """Something came of it, if only an error."""
        self._looks.pop(place, None)

    def pause(self) -> None:
        """Something else is to be done first: what is silent now may not have had its turn."""
        self._looks.clear()
