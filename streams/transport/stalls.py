"""Finds partitions whose fetching stopped although the log goes on."""

from collections.abc import Mapping

Part = tuple[str, int]


class Stalls:
    """Counts how often in a row a partition stood at the same position before the end of its log."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._seen: dict[Part, tuple[int, int]] = {}

    def judge(self, positions: Mapping[Part, int], ends: Mapping[Part, int]) -> tuple[set[Part], set[Part]]:
        """Those to be sought again, and those for which that has not helped `limit` times."""
        behind = {part for part, position in positions.items() if ends.get(part, 0) > position}
        seen = {}
        for part in behind:
            position, times = self._seen.get(part, (-1, 0))
            seen[part] = (positions[part], times + 1 if position == positions[part] else 1)
        self._seen = seen
        hopeless = {part for part, (_, times) in seen.items() if times > self._limit}
        return behind - hopeless, hopeless
