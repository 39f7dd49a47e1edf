"""A batch of records as the script takes it: all entries of a job as one, and each thing about jobs a column.

Columns, because Lua then makes a table for each thing and not one for each job.
"""

from collections.abc import Sequence

import msgspec

from connectors.consuming.positions import Move
from connectors.redis import entries, keys
from connectors.redis.parts import JobPart, LifecyclePart, Part
from connectors.views import rank
from schemas.catalogue import JOB_TYPES
from schemas.states import State
from schemas.tiers import DAY_MS

_WAITING = State.WAITING.value
_DEFAULT_KEY_DAYS = 7
_TEXT_32 = b"\xdb"
_encode = msgspec.msgpack.Encoder().encode


class Batch:
    """What the jobs of a batch gain. Each list but `kinds` and `aside` has an item a job."""

    def __init__(self) -> None:
        self.kinds: list[tuple[str, str]] = []
        """Queue, and milliseconds to keep an ended job: those that occur, one for many jobs."""
        self.ids: list[str] = []
        self.kind_of: list[int] = []
        self.values: list[bytes] = []
        """New entries, of the same job one after the other, none twice."""
        self.ranks: list[int] = []
        self.states: list[str] = []
        self.times: list[int] = []
        """Of its transition of the highest rank."""
        self.keyed: dict[int, str] = {}
        """Of jobs with an idempotency key: see `_key_of`."""
        self.aside: list[tuple[int, msgspec.Raw, msgspec.Raw]] = []
        """Of contents that are too long: whose, under which identity, and they."""
        self._place: dict[str, int] = {}
        self._numbers: dict[tuple[str, int], int] = {}
        self._seen: list[list[bytes]] = []

    def add(self, part: Part, content: bytes) -> None:
        """Take in a record: what was read of it, and its bytes.

        ValueError when its tier is unknown, struct.error when its numbers are none that we give.
        """
        if isinstance(part, JobPart):
            self._add_job(part, content)
        elif part.transitions:  # else it says nothing
            self._add_lifecycle(part, content)

    def _add_job(self, job: JobPart, content: bytes) -> None:
        order = rank(job.series, 0, _WAITING)
        made = entries.entry(entries.JOB, job.series, 0, 0, order, job.accepted_at, _WAITING, content)
        at = self._gain(job.job_id, job.queue, job.tier, made, content, order, _WAITING, job.accepted_at)
        if job.idempotency is not None and at not in self.keyed:
            key = self.keyed[at] = _key_of(job, job.idempotency)
            self.values[at] += entries.entry(entries.KEY, 0, 0, 0, -1, 0, "", key.encode())

    def _add_lifecycle(self, record: LifecyclePart, content: bytes) -> None:
        order, state, moment = -1, "", 0
        for change in record.transitions:
            found = rank(record.series, change.number, change.to_state)
            if found > order:
                order, state, moment = found, change.to_state, change.at
        first, last = record.transitions[0].number, record.transitions[-1].number
        made = entries.entry(entries.LIFECYCLE, record.series, first, last, order, moment, state, content)
        self._gain(record.job_id, record.queue, record.tier, made, content, order, state, moment)

    def _gain(
        self, job_id: str, queue: str, tier: int, made: bytes, content: bytes, order: int, state: str, at: int
    ) -> int:
        """Note an entry of a job, unless it is there; the job's place."""
        kind = self._numbers.get((queue, tier)) or self._kind(queue, tier)
        identity = made[: entries.IDENTITY]
        place = self._place.get(job_id)
        if place is None:
            self.kind_of.append(kind)
            place = self._place[job_id] = len(self.ids)
            self.ids.append(job_id)
            self.ranks.append(order)
            self.states.append(state)
            self.times.append(at)
            self._seen.append([identity])
            self.values.append(b"")
        elif identity in self._seen[place]:
            return place
        else:
            self._seen[place].append(identity)
            if order > self.ranks[place]:
                self.ranks[place], self.states[place], self.times[place] = order, state, at
        if len(content) > entries.LONG:
            self.aside.append((place + 1, as_text(identity), as_text(content)))
            made = entries.without_content(made, content)
        self.values[place] += made
        return place

    def _kind(self, queue: str, tier: int) -> int:
        """The number of a new kind, from 1 on as Lua counts."""
        self.kinds.append((queue, str(keys.keep_ms(tier))))
        found = self._numbers[queue, tier] = len(self.kinds)
        return found


def arguments(prefix: str, moves: Sequence[Move], batch: Batch) -> list[bytes]:
    """The script's arguments."""
    told = (
        prefix,
        keys.SAMPLES,
        [place_field(move.topic, move.partition) for move in moves],
        [str(move.expected) for move in moves],
        [str(move.next) for move in moves],
        batch.kinds,
        batch.ids,
        batch.kind_of,
        list(map(len, batch.values)),
        batch.states,
        batch.times,
        {place + 1: key for place, key in batch.keyed.items()},
        batch.aside,
    )
    return [_encode(told), b"".join(batch.values)]


def place_field(topic: str, partition: int) -> str:
    """Where the offset of a partition is."""
    return f"{topic}|{partition}"


def as_text(value: bytes) -> msgspec.Raw:
    """Bytes as a MessagePack text: Lua's reader knows no bytes, and its texts are bytes."""
    return msgspec.Raw(_TEXT_32 + len(value).to_bytes(4, "big") + value)


def _key_of(job: JobPart, digest: bytes) -> str:
    """The idempotency key's digest, the hash of the job's data, how many milliseconds the key counts."""
    job_type = JOB_TYPES.get(job.type)
    days = job_type.idempotency_days if job_type else _DEFAULT_KEY_DAYS
    return f"{digest.hex()} {job.data_hash.hex()} {days * DAY_MS}"
