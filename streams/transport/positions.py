"""The source position beside the data: the guard against a broker that forgets committed offsets.

In every transaction the positions of the touched sources go into the changelog of one table, too. A new
owner takes the higher of the group's offset and this one: a broker killed with SIGKILL was seen to forget
whole groups, and starting from the log's beginning would then double everything.
"""

import json
import logging
from collections.abc import Iterable, Mapping

from streams.transport import offset_metadata
from streams.transport.batch import Position
from streams.transport.limits import RESERVED_PREFIX

log = logging.getLogger(__name__)


def key(topic: str) -> bytes:
    """Changelog key of the position in this source topic."""
    return RESERVED_PREFIX + topic.encode()


def is_position(changelog_key: bytes | None) -> bool:
    """Whether a changelog record holds a position and no entry of the table."""
    return changelog_key is not None and changelog_key.startswith(RESERVED_PREFIX)


def dump(position: Position) -> bytes:
    """Offset, completed offsets above it in the form of the offset metadata, and the topic's id if known."""
    found = [position.offset, offset_metadata.encode(position.mask)]
    return json.dumps([*found, position.topic_id] if position.topic_id else found).encode()


def load(partition: int, changelog_key: bytes, value: bytes) -> Position:
    """The position back."""
    offset, metadata, *topic_id = json.loads(value)
    topic = changelog_key[len(RESERVED_PREFIX) :].decode()
    return Position(topic, partition, int(offset), offset_metadata.decode(metadata), *topic_id)


def highest(
    partition: int, noted: Iterable[Mapping[bytes, bytes]], ids: Mapping[str, str]
) -> dict[str, Position]:
    """The highest position of every source topic among the notes of stores.

    One in a topic that was made anew since (its id is another) tells nothing.
    """
    found: dict[str, Position] = {}
    for notes in noted:
        for changelog_key, value in notes.items():
            if not is_position(changelog_key):
                continue
            position = load(partition, changelog_key, value)
            now = ids.get(position.topic, "")
            if position.topic_id and now and position.topic_id != now:
                log.warning(
                    "position %d of %s-%d is of topic %s, which was made anew as %s: forgotten",
                    position.offset, position.topic, partition, position.topic_id, now,
                )  # fmt: skip
                continue
            best = found.get(position.topic)
            if best is None or position.offset > best.offset:
                found[position.topic] = position
    return found
