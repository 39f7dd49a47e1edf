"""How the parts of a job are stored in its hash: each a short MessagePack list, in a field of its own.

Lists, not maps: half the size. So new members are only ever added at the end, with a default.
"""

from collections.abc import Mapping
from typing import TypeVar

import msgspec

from connectors.views import Envelope, JobView, Moment, Subject, fold
from schemas.records import Transition

S = TypeVar("S", bound=msgspec.Struct)

ACCEPTED = b"accepted"
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


def subject_field(series: int) -> str:
    """Where the subject of a series is."""
    return f"s:{series}"


def envelope_field(series: int) -> str:
    """Where the envelope of a series is."""
    return f"e:{series}"


def transition_field(series: int, number: int) -> str:
    """Where a transition is."""
    return f"t:{series}:{number}"


def pack(part: msgspec.Struct) -> bytes:
    """The stored form of a part."""
    return _encode(msgspec.structs.astuple(part))


def pack_accepted(subject: Subject, envelope: Envelope) -> bytes:
    """The stored form of a request that the router has not seen."""
    return _encode([msgspec.structs.astuple(subject), msgspec.structs.astuple(envelope)])


def view(stored: Mapping[bytes, bytes]) -> JobView | None:
    """The job in its hash; None when nothing says what it is."""
    subjects: list[Subject] = []
    envelopes: list[Envelope] = []
    moments: list[Moment] = []
    for field, value in stored.items():
        match field.split(b":"):
            case [b"s", _]:
                subjects.append(_unpack(Subject, _decode(value)))
            case [b"e", _]:
                envelopes.append(_unpack(Envelope, _decode(value)))
            case [b"t", series, _]:
                moments.append(Moment(int(series), _unpack(Transition, _decode(value))))
    if ACCEPTED in stored:
        subject, envelope = _decode(stored[ACCEPTED])
        # What the router made of the request counts more than the request.
        subjects = subjects or [_unpack(Subject, subject)]
        envelopes = envelopes or [_unpack(Envelope, envelope)]
    if not subjects:
        return None
    return fold(min(subjects, key=lambda one: one.accepted_at), envelopes, moments)


def _unpack(part: type[S], values: list[object]) -> S:
    return msgspec.convert(dict(zip(part.__struct_fields__, values, strict=False)), part)
