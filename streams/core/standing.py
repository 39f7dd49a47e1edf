"""Jobs whose turn came at a closed gate: they stand there without a slot, in memory or in the table.

Who holds no key goes to the table at once. The first ones before a provider stay in memory, and follow when
they have stood for over a second, or their offsets would hold up all others.
"""

from collections import Counter, deque
from collections.abc import Mapping

from streams.core import outcome
from streams.core.entry import Entry
from streams.core.gates import Gates, keeps_key
from streams.core.home import Home
from streams.core.lasting import STAYS_S
from streams.core.ports import Time
from streams.core.ready import Ready
from streams.core.writing import Writing


class Standing:
    """Those at the gates of a process, over all its partitions."""

    def __init__(
        self, gates: Gates, ready: Ready, writing: Writing, homes: Mapping[int, Home], caps: Counter[str]
    ) -> None:
        self._gates, self._ready, self._writing = gates, ready, writing
        self._homes, self._caps = homes, caps
        # Those in memory, by the time they came.
        self._in_memory: deque[tuple[float, Entry, Home]] = deque()

    def stand(self, home: Home, entry: Entry, gate: str, time: Time) -> None:
        """A job that was taken waits instead: in the table, or in memory if the gate is a provider's."""
        self._ready.free(entry)
        entry.stood = time.steady if entry.stood is None else entry.stood
        out: Entry | None = entry
        if keeps_key(gate):
            out = self._gates.wait(gate, entry, others=self._has_rows_at(gate))
            if entry.gate is not None:
                if entry.step is not None:
                    home.left(entry)
                self._in_memory.append((time.steady, entry, home))
        if out is not None:
            self._caps["group"] += keeps_key(gate)
            self._stand_in_table(self._homes[out.partition], out, gate, time)

    def go_on(self, gate: str, room: int | None) -> None:
        """The gate is open, or has room for so many: these are ready, and those in the table come in."""
        for entry in self._gates.take(gate, room):
            entry.passes = room is not None
            self._ready.add(entry)
        if room is None or self._gates.is_half_empty(gate):
            for home in self._homes.values():
                if not home.closing:
                    home.scheduler.let_in(gate)

    def tick(self, time: Time) -> None:
        """Who stands in memory for long has its row from now on."""
        standing = self._in_memory
        while standing and (standing[0][1].gate is None or time.steady - standing[0][0] >= STAYS_S):
            self._let_stand(*standing.popleft()[1:], time)
        for gate in self._gates.closed:
            if keeps_key(gate) and not self._gates.waiting(gate):
                self._fetch(gate)

    def _fetch(self, gate: str) -> None:
        """Those in memory are gone, cancelled or with their partition: others must ask for a token.

        Nobody else would, and without an answer those in the table would stand there for ever.
        """
        for home in self._homes.values():
            if not home.closing and home.scheduler.has_rows_at(gate):
                home.scheduler.let_in(gate)

    def _let_stand(self, entry: Entry, home: Home, time: Time) -> None:
        if entry.gate is not None and not home.closing:
            if entry.step is not None:
                self._stood(home, entry, entry.gate)
            # Behind one that has its row already there may be open steps all the same.
            self._writing.park(home, home.scheduler.parked_behind(entry), time)

    def _stand_in_table(self, home: Home, entry: Entry, gate: str, time: Time) -> None:
        if entry.at != gate:
            self._stood(home, entry, gate)
        if not home.closing:
            self._writing.park(home, home.scheduler.stands(entry, gate, time.wall), time)

    def _stood(self, home: Home, entry: Entry, gate: str) -> None:
        entry.holds = keeps_key(gate) or entry.began
        self._writing.write(home, entry, outcome.at_gate(entry, gate, holder=entry.holds))
        entry.at = gate

    def _has_rows_at(self, gate: str) -> bool:
        return any(home.scheduler.has_rows_at(gate) for home in self._homes.values())
