"""The index of the parked jobs: which of a key is next, and what a cursor meets."""

from typing import Any

from schemas.priorities import Lane
from schemas.states import State
from streams.core.rows import BEHIND, Cursor, Next, Rows, job_entry
from tests.unit.streams.core.builders import NOW, MemoryTables, an_entry

GATE = "queue:robot"


class Table(MemoryTables):
    """A table that is filled row by row."""

    def put(
        self,
        offset: int,
        state: State,
        *,
        key: str = "k",
        holder: bool = False,
        lane: Lane = Lane.NORMAL,
        **row: Any,
    ) -> bytes:
        entry = an_entry(offset, lane, ordering_key=key)
        self.rows[entry.position] = entry.parked(state, holder=holder, **row)
        return entry.position

    def next_of(self, key: str, open_gates: tuple[str, ...] = ()) -> Next:
        return Rows(self, 0).next_of(an_entry(ordering_key=key).key, NOW, open_gates.__contains__)


def test_a_key_without_rows_has_no_next() -> None:
    table = Table()
    table.put(0, State.WAITING, key="other")
    assert table.next_of("k") == Next()


def test_who_holds_a_key_is_next_whatever_else_waits() -> None:
    table = Table()
    table.put(0, State.WAITING, lane=Lane.URGENT)
    holder = table.put(1, State.DELAYED, holder=True, due=NOW + 1)
    assert table.next_of("k")[:2] == (holder, True)


def test_the_first_of_those_behind_what_is_due_and_what_passes_its_gate_is_next() -> None:
    table = Table()
    table.put(0, State.DELAYED, due=NOW + 1)
    gated = table.put(1, State.WAITING, gate=GATE)
    due = table.put(2, State.DELAYED, due=NOW)
    table.put(3, State.WAITING)
    assert table.next_of("k") == Next(due, behind=True, more=True)
    assert table.next_of("k", (GATE,)) == Next(gated, behind=True, more=True)


def test_what_is_not_due_and_what_waits_at_a_closed_gate_is_not_next() -> None:
    table = Table()
    table.put(0, State.DELAYED, due=NOW + 1)
    table.put(1, State.WAITING, gate=GATE)
    table.put(2, State.WAITING, gate=GATE + "s")
    assert table.next_of("k") == Next()


def test_an_urgent_job_behind_goes_before_a_normal_one() -> None:
    table = Table()
    table.put(0, State.WAITING)
    urgent = table.put(1, State.WAITING, lane=Lane.URGENT)
    assert table.next_of("k").place == urgent


def test_a_cursor_meets_every_key_once_and_sees_no_second_row_of_one() -> None:
    table = Table()
    places = {table.put(offset, State.WAITING, key=f"k{offset % 4}")[:16] for offset in range(40)}
    cursor = Cursor(Rows(table, 0), BEHIND + bytes([Lane.NORMAL]))
    met = [cursor.next_key(NOW) for _ in range(5)]
    assert met == [*sorted(places), None]
    assert cursor.is_over


def test_the_gates_with_rows_are_listed_once_each() -> None:
    table = Table()
    for offset in range(6):
        table.put(offset, State.WAITING, gate=("type:a", "type:ab", "queue:a")[offset % 3])
    assert list(Rows(table, 0).gates()) == ["queue:a", "type:a", "type:ab"]


def test_a_job_is_found_by_its_id() -> None:
    table = Table()
    place = table.put(7, State.WAITING)
    prefix = job_entry("job-normal-7")
    assert [found for _, found in Rows(table, 0).index(prefix, prefix)] == [place]
