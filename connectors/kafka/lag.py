"""What a consumer group has not read yet, as data: pure, so that every odd log can be a test.

An offset is not a record: markers of transactions, aborted records and what compaction took leave holes. A
group that has read everything may stand before the log's end, and its lag is 0 all the same.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

Place = tuple[str, int]
"""A topic and a partition number."""


@dataclass(frozen=True, slots=True)
class Position:
    """Everything below `offset` is done, and so are the bits of `mask` from there on."""

    offset: int
    mask: int = 0

    def has(self, offset: int) -> bool:
        """Whether the record at this offset is done."""
        return offset < self.offset or bool(self.mask >> (offset - self.offset) & 1)

    def undone(self, end: int) -> int:
        """Offsets before `end` that are not done, holes included."""
        if end <= self.offset:
            return 0
        return end - self.offset - (self.mask & ((1 << (end - self.offset)) - 1)).bit_count()


@dataclass(frozen=True, slots=True)
class LogEnds:
    """Where a log begins, where its committed part ends, and where it ends with open transactions."""

    start: int
    stable: int
    end: int


@dataclass(frozen=True, slots=True)
class Unread:
    """Records after a position: how many, whether counted one by one, and the time of the oldest."""

    records: int
    exact: bool = True
    oldest_ms: int | None = None


NOTHING = Unread(0)


class State(StrEnum):
    """What a group does with a partition."""

    CAUGHT_UP = "caught up"
    MOVING = "moving"
    STANDING = "standing"
    """Something is unread and the position has not moved, for a short time."""
    STALLED = "stalled"
    """The same for longer than a job, a commit or a rebalance takes."""
    REWOUND = "rewound"
    """The position went back: records are read again."""
    UNKNOWN = "unknown"
    """Seen once: nothing can be said about movement."""


@dataclass(frozen=True, slots=True)
class PartitionLag:
    """One group at one partition. `position` is None when it never committed there."""

    group: str
    topic: str
    partition: int
    position: int | None
    end: int
    records: int
    exact: bool
    seconds: float | None
    """Age of the oldest unread record; None when it could not be read."""
    lost: int = 0
    """Offsets that the log dropped before the group had read them."""
    hidden: int = 0
    """Offsets behind an open transaction: no reader sees them yet."""
    kept_in: str = "group"
    """What says the position: the group's commits, or the store that the rows are in."""

    @property
    def place(self) -> Place:
        """Topic and partition."""
        return self.topic, self.partition


def start_of(position: Position | None, ends: LogEnds) -> Position:
    """Where reading would go on: never before the log's start, and anew in a log that was made again."""
    if position is None or position.offset > ends.end:
        return Position(ends.start)
    if position.offset < ends.start:
        return Position(ends.start, position.mask >> (ends.start - position.offset))
    return position


def lost_before(position: Position | None, ends: LogEnds) -> int:
    """Offsets after the position that the log no longer has."""
    if position is None or position.offset >= ends.start:
        return 0
    return Position(position.offset, position.mask).undone(ends.start)


def partition_lag(
    group: str,
    place: Place,
    position: Position | None,
    ends: LogEnds,
    unread: Unread,
    now_ms: int,
    kept_in: str = "group",
) -> PartitionLag:
    """Put together what was read from the brokers."""
    age = None if unread.oldest_ms is None else max(0.0, (now_ms - unread.oldest_ms) / 1000)
    return PartitionLag(
        group=group,
        topic=place[0],
        partition=place[1],
        position=None if position is None else position.offset,
        end=ends.stable,
        records=unread.records,
        exact=unread.exact,
        seconds=0.0 if unread.records == 0 else age,
        lost=lost_before(position, ends),
        hidden=max(0, ends.end - ends.stable),
        kept_in=kept_in,
    )


@dataclass(frozen=True, slots=True)
class Total:
    """A group's partitions of one topic, or of all, in one line."""

    partitions: int
    records: int
    seconds: float | None
    lost: int


def total(lags: Iterable[PartitionLag]) -> Total:
    """Records add up; the oldest unread record is the oldest of all."""
    found = list(lags)
    ages = [lag.seconds for lag in found]
    known = [age for age in ages if age is not None]
    return Total(
        len(found),
        sum(lag.records for lag in found),
        max(known) if known and len(known) == len(ages) else None,
        sum(lag.lost for lag in found),
    )


def by_topic(lags: Iterable[PartitionLag]) -> Mapping[tuple[str, str], list[PartitionLag]]:
    """The partitions of each (group, topic), in the order found."""
    found: dict[tuple[str, str], list[PartitionLag]] = {}
    for lag in lags:
        found.setdefault((lag.group, lag.topic), []).append(lag)
    return found
