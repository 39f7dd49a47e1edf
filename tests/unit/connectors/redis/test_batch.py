import struct
from collections.abc import Sequence

import msgspec
import pytest

from connectors.consuming.positions import Move
from connectors.redis import entries
from connectors.redis.batch import Batch, arguments, as_text
from connectors.redis.parts import JobPart, LifecyclePart, Part
from connectors.views import rank
from schemas.records import Job, Lifecycle, Transition
from streams.codec import Codec
from streams.parts import PartReader
from tests.unit.connectors.postgres.builders import NOW, completed, job, lifecycle, started

DAY_MS = 24 * 3_600_000
CODEC = Codec()
READ_JOB = PartReader(CODEC, Job, JobPart).read
READ_LIFECYCLE = PartReader(CODEC, Lifecycle, LifecyclePart).read


def read(record: Job | Lifecycle) -> tuple[Part, bytes]:
    raw = CODEC.encode(record)
    return READ_JOB(raw) if isinstance(record, Job) else READ_LIFECYCLE(raw)


def batch(records: Sequence[Job | Lifecycle]) -> Batch:
    made = Batch()
    for record in records:
        made.add(*read(record))
    return made


def kinds(value: bytes) -> list[bytes]:
    return [identity[:1] for identity, _, _ in entries.split(value)]


def test_the_records_of_a_job_are_one_value() -> None:
    found = batch([job("a"), job("b"), lifecycle(job("a"), started(), completed())])
    assert found.ids == ["a", "b"]
    assert [kinds(value) for value in found.values] == [[b"J", b"K", b"L"], [b"J", b"K"]]


def test_a_record_that_comes_twice_is_there_once() -> None:
    one = lifecycle(job(), started())
    assert batch([job(), one, job(), one]).values == batch([job(), one]).values


def test_the_first_record_of_a_transition_counts() -> None:
    late = Transition(1, "waiting", "cancelled", 0, NOW + 99)
    found = batch([lifecycle(job(), started()), lifecycle(job(), late)])
    assert found.states == ["active"]
    assert b"cancelled" not in found.values[0]


@pytest.mark.parametrize("job_first", [True, False])
def test_the_transition_of_the_highest_rank_stands_for_its_job(job_first: bool) -> None:
    ended = lifecycle(job(), started(), completed())
    found = batch([job(), ended] if job_first else [ended, job()])
    assert (found.ranks, found.states) == ([rank(0, completed().number, "completed")], ["completed"])
    assert found.times == [completed().at]


def test_an_entry_is_the_record_as_it_stands_on_its_topic() -> None:
    ended = lifecycle(job(), started(), completed())
    (value,) = batch([ended]).values
    ((identity, head, content),) = entries.split(value)
    assert content == CODEC.encode(ended)
    assert head.startswith(identity)
    assert head.endswith(b"\x09completed")


def test_a_record_without_transitions_says_nothing() -> None:
    assert batch([lifecycle(job())]).ids == []


def test_a_job_with_an_idempotency_key_brings_its_digest_and_how_long_it_counts() -> None:
    one = job()
    assert one.idempotency is not None
    each: list[list[Job | Lifecycle]] = [[one], [lifecycle(one, started()), one]]
    for records in each:
        found = batch(records)
        assert found.keyed == {0: f"{one.idempotency.hex()} {one.data_hash.hex()} {90 * DAY_MS}"}
        assert kinds(found.values[0])[-1] == b"K"


def test_a_long_content_lies_aside() -> None:
    long = job("b", data="x" * (entries.LONG + 1))
    found = batch([job("a"), long])
    ((place, identity, content),) = found.aside
    head = entries.split(found.values[1])[0]
    assert head[2] == b""
    assert len(found.values[1]) < 300
    assert (place, identity) == (2, as_text(head[0]))
    assert content == as_text(CODEC.encode(long))


def test_an_unknown_tier_and_numbers_that_nobody_gives_are_refused() -> None:
    made = Batch()
    with pytest.raises(ValueError, match="Tier"):
        made.add(*read(job(tier=9)))
    with pytest.raises(struct.error):
        made.add(*read(job(series=-1)))
    assert (made.ids, made.values) == ([], [])
    made.add(*read(job()))
    with pytest.raises(ValueError, match="Tier"):
        made.add(*read(lifecycle(job(tier=9), started())))
    assert made.states == ["waiting"]


def test_the_argument_holds_the_moves_as_redis_keeps_offsets() -> None:
    told, values = arguments("p", [Move("t", 3, 0, 17)], Batch())
    prefix, _, *moves, kinds, ids = msgspec.msgpack.decode(told)[:7]
    assert (prefix, moves, kinds, ids, values) == ("p", [["t|3"], ["0"], ["17"]], [], [], b"")


def test_bytes_are_texts_of_32_bits_of_length_for_lua() -> None:
    assert bytes(as_text(b"\xff\x00")) == b"\xdb\x00\x00\x00\x02\xff\x00"
