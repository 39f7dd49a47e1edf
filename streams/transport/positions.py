"""The source position beside the data: the guard against a broker that forgets committed offsets.

In every transaction the positions of the touched sources go into the changelog of one table, too. A new
owner takes the higher of the group's offset and this one: a broker killed with SIGKILL was seen to forget
whole groups, and starting from the log's beginning would then double everything.
"""

import json

from streams.transport import offset_metadata
from streams.transport.batch import Position
from streams.transport.limits import RESERVED_PREFIX


def key(topic: str) -> bytes:
    """Changelog key of the position in this source topic."""
    return RESERVED_PREFIX + topic.encode()


def is_position(changelog_key: bytes | None) -> bool:
    """Whether a changelog record holds a position and no entry of the table."""
    return changelog_key is not None and changelog_key.startswith(RESERVED_PREFIX)


def dump(position: Position) -> bytes:
    """Offset and completed offsets above it, in the form of the offset metadata."""
    return json.dumps([position.offset, offset_metadata.encode(position.mask)]).encode()


def load(partition: int, changelog_key: bytes, value: bytes) -> Position:
    """The position back."""
    offset, metadata = json.loads(value)
    topic = changelog_key[len(RESERVED_PREFIX) :].decode()
    return Position(topic, partition, int(offset), offset_metadata.decode(metadata))
