"""Who we are in the consumer group, read from librdkafka's opaque group metadata.

Layout (librdkafka 2.x, `rd_kafka_consumer_group_metadata_write`):
`CGMDv2:`, int32 generation or member epoch, then group id, member id and instance id, each ending in NUL.
"""

import struct
from dataclasses import dataclass

_MAGIC = b"CGMDv2:"


@dataclass(frozen=True, slots=True)
class GroupIdentity:
    """Generation (classic) or member epoch (KIP-848), and the member id."""

    generation: int
    member: str

    @property
    def is_member(self) -> bool:
        """False between the loss of the membership and the next join.

        The broker does not fence a transactional offset commit of generation -1 with an empty member id
        (it takes it for an old client), so the engine never commits with such an identity.
        """
        return self.generation >= 0 and bool(self.member)


NOBODY = GroupIdentity(-1, "")


def parse(metadata: bytes | None) -> GroupIdentity:
    """The identity in the metadata; `NOBODY` when there is none.

    Raises ValueError for a layout it does not know: then the fence could not be trusted.
    """
    if not metadata:
        return NOBODY
    start = len(_MAGIC)
    if not metadata.startswith(_MAGIC) or len(metadata) < start + 4:
        raise ValueError(f"unknown layout of the group metadata: {metadata[:16]!r}")
    (generation,) = struct.unpack_from("<i", metadata, start)
    fields = metadata[start + 4 :].split(b"\0")
    if len(fields) < 3:
        raise ValueError("group metadata without group and member id")
    return GroupIdentity(generation, fields[1].decode())
