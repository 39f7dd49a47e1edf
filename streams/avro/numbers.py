"""Avro's numbers, lengths and block counts: zigzag, seven bits a byte, at most 64 bits.

Reading takes the bytes, the place behind the first byte of the number, and that byte.
"""

from functools import lru_cache
from struct import Struct
from typing import NoReturn

_DOUBLE = Struct("<d")
pack, unpack = _DOUBLE.pack, _DOUBLE.unpack_from
_SMALL = 8_192
# The times of our days in milliseconds have six bytes, and many records share one.
_TIME_BYTES = 6
_TIMES = 4_096
# The smallest number of so many bytes: half a year after the epoch.
_FIRST_TIME = 1 << 34
_times_read: dict[bytes, int] = {}


def varint(number: int) -> bytes:
    """The bytes of a number; ValueError when it has more than 64 bits."""
    if not -(1 << 63) <= number < 1 << 63:
        raise ValueError(f"{number} does not fit into 64 bits")
    rest = (number << 1) ^ (number >> 63)
    out = bytearray()
    while rest > 127:
        out.append(rest & 127 | 128)
        rest >>= 7
    out.append(rest)
    return bytes(out)


_time = lru_cache(_TIMES)(varint)


class Varints(dict[int, bytes]):
    """Number -> its bytes; a small one that was asked for stays at hand, and a time for a while."""

    def __missing__(self, number: int) -> bytes:
        if 0 <= number < _SMALL:
            found = self[number] = varint(number)
            return found
        return _time(number) if number >= _FIRST_TIME else varint(number)


NUMBER = Varints()


def unknown(what: str, at: int) -> NoReturn:
    """Say that there is something else in the bytes."""
    raise ValueError(f"no {what} at byte {at}")


def read_long(raw: bytes, at: int, first: int) -> tuple[int, int]:
    """A number of several bytes, still in zigzag, and where it ends. ValueError past 64 bits."""
    second = raw[at]
    if second < 128:
        return first & 127 | second << 7, at + 1
    # No number's bytes begin another's: what is found ends where it ended before.
    time = _times_read.get(raw[at - 1 : at - 1 + _TIME_BYTES])
    if time is not None:
        return time, at - 1 + _TIME_BYTES
    begun = at - 1
    number, shift = first & 127, 7
    while True:
        byte = raw[at]
        at += 1
        number |= (byte & 127) << shift
        if byte < 128:
            break
        shift += 7
        if shift > 63:
            raise ValueError("a number of more than 10 bytes")
    if number >> 64:
        raise ValueError("a number of more than 64 bits")
    if at - begun == _TIME_BYTES:
        if len(_times_read) >= _TIMES:
            _times_read.clear()
        _times_read[raw[begun:at]] = number
    return number, at


def read_length(raw: bytes, at: int, first: int) -> tuple[int, int]:
    """A length, still in zigzag. ValueError for a negative one: so reading only goes forward."""
    number, at = (first, at) if first < 128 else read_long(raw, at, first)
    if number & 1:
        raise ValueError("a negative length")
    return number, at


def read_count(raw: bytes, at: int) -> tuple[int, int]:
    """The number of items in the block of an array or map that begins at `at`; 0 is the end."""
    first = raw[at]
    number, at = (first, at + 1) if first < 128 else read_long(raw, at + 1, first)
    if not number & 1:
        return number >> 1, at
    # A negative one is followed by the block's size in bytes, which nobody needs.
    _, at = read_length(raw, at + 1, raw[at])
    return (number + 1) >> 1, at
