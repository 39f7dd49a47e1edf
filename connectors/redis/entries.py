"""What is stored under a job's key: entries one after the other, in the order in which they came.

An entry is a head that the script reads, and behind it a record as it stands on its topic. What it says is
read from it when somebody asks, which is seldom. The head, little-endian:

    kind (1 byte), series, first and last number (4 each): two entries that agree in these are one
    rank, time (doubles) and state (a byte of length before it) of its transition of the highest rank
    size of what follows (4, before the state); 0 when that lies aside, because of its length

Many records of one job are read together, and with each new one: so what is long lies in a hash beside, under
the first 13 bytes of its head.
"""

from collections.abc import Mapping
from functools import lru_cache
from struct import Struct
from typing import NamedTuple

JOB, LIFECYCLE, KEY, ACCEPTED = b"J", b"L", b"K", b"A"
"""A job's record, one of transitions, its idempotency key, a request that the router has not seen."""
LONG = 4_096
_HEAD = Struct("<cIIIddIB")
IDENTITY = Struct("<cIII").size


class Entry(NamedTuple):
    """One entry. Without `content` what lies aside is not there: it is forgotten by itself."""

    kind: bytes
    content: bytes


@lru_cache(64)
def _text(state: str) -> bytes:
    return state.encode()


def entry(
    kind: bytes, series: int, first: int, last: int, rank: float, at: float, state: str, content: bytes
) -> bytes:
    """An entry with its content, whatever its length. struct.error when a number is none that we give."""
    text = _text(state)
    return _HEAD.pack(kind, series, first, last, rank, at, len(content), len(text)) + text + content


def without_content(made: bytes, content: bytes) -> bytes:
    """The entry whose content lies aside."""
    size = IDENTITY + 16
    return made[:size] + bytes(4) + made[size + 4 : len(made) - len(content)]


def accepted(content: bytes) -> list[bytes]:
    """The entry of a request; when its content is too long, also its identity and the content."""
    made = entry(ACCEPTED, 0, 0, 0, -1, 0, "", content)
    if len(content) <= LONG:
        return [made]
    return [without_content(made, content), made[:IDENTITY], content]


def split(value: bytes) -> list[tuple[bytes, bytes, bytes]]:
    """Identity, head and content of each entry; ValueError when it holds something else."""
    found, at = [], 0
    while at < len(value):
        if len(value) - at < _HEAD.size:
            raise ValueError("no entry")
        *_, size, length = _HEAD.unpack_from(value, at)
        start = at + _HEAD.size + length
        found.append((value[at : at + IDENTITY], value[at:start], value[start : start + size]))
        at = start + size
    return found


def has_long(value: bytes) -> bool:
    """Whether something of it lies aside."""
    return any(not content for _, _, content in split(value))


def entries(value: bytes, aside: Mapping[bytes, bytes]) -> list[Entry]:
    """What is stored under a job's key, with what lies aside."""
    found = []
    for identity, _, content in split(value):
        found.append(Entry(identity[:1], content or aside.get(identity, b"")))
    return found
