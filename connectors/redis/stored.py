"""A job from what is stored of it: its records as they stand on the topics, and the gateway's own note of it.

That note is in MessagePack lists, not maps: half the size. So new members are only ever added at their end,
with a default.
"""

from collections.abc import Iterable
from typing import TypeVar

import msgspec

from connectors.redis.entries import ACCEPTED, JOB, LIFECYCLE, Entry
from connectors.views import Envelope, JobView, Subject, fold, fold_records
from schemas.errors import DecodeError
from schemas.records import Job, Lifecycle
from streams.codec import Codec

S = TypeVar("S", bound=msgspec.Struct)

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode
_listed = msgspec.structs.astuple


def pack_accepted(subject: Subject, envelope: Envelope) -> bytes:
    """The stored form of a request that the router has not seen."""
    return _encode((_listed(subject), _listed(envelope)))


def view(stored: Iterable[Entry], codec: Codec) -> JobView | None:
    """The job of these entries; None when nothing says what it is."""
    kept = list(stored)
    records = [record for entry in kept if (record := _record(entry, codec)) is not None]
    if records:
        # What the router made of the request counts more than the request.
        return fold_records(records)
    for entry in kept:
        if entry.kind == ACCEPTED and entry.content:
            subject, envelope = _decode(entry.content)
            return fold(_unpack(Subject, subject), [_unpack(Envelope, envelope)], ())
    return None


def _record(entry: Entry, codec: Codec) -> Job | Lifecycle | None:
    """The record; None for an entry that is none, and for what was forgotten or is of a version to come."""
    try:
        if entry.kind == JOB:
            return codec.decode(Job, entry.content)
        if entry.kind == LIFECYCLE:
            return codec.decode(Lifecycle, entry.content)
    except DecodeError:
        pass
    return None


def _unpack(part: type[S], values: list[object]) -> S:
    return msgspec.convert(dict(zip(part.__struct_fields__, values, strict=False)), part)
