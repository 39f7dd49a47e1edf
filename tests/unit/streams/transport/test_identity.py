"""The group identity is read from the real layout, and an unknown layout is refused."""

import struct

import pytest
from confluent_kafka import Consumer

from streams.transport import identity
from streams.transport.identity import NOBODY, GroupIdentity


def metadata(generation: int, group: str, member: str, instance: str = "") -> bytes:
    return b"CGMDv2:" + struct.pack("<i", generation) + b"\0".join(
        part.encode() for part in (group, member, instance)
    ) + b"\0"  # fmt: skip


def test_generation_and_member_are_read() -> None:
    assert identity.parse(metadata(7, "workers", "m-1")) == GroupIdentity(7, "m-1")


def test_no_metadata_is_nobody() -> None:
    assert identity.parse(b"") is NOBODY


def test_an_unknown_layout_is_refused() -> None:
    with pytest.raises(ValueError, match="layout"):
        identity.parse(b"CGMDv3:" + b"\0" * 20)


@pytest.mark.parametrize(("generation", "member"), [(-1, ""), (-1, "m"), (3, "")])
def test_who_lacks_generation_or_member_id_is_no_member(generation: int, member: str) -> None:
    assert not GroupIdentity(generation, member).is_member


def test_this_librdkafka_writes_the_layout_we_read() -> None:
    consumer = Consumer({"bootstrap.servers": "127.0.0.1:1", "group.id": "workers", "log_level": 0})
    found = consumer.consumer_group_metadata()
    consumer.close()
    assert not identity.parse(found).is_member
