"""Reads a few fields of the records of a topic, for who keeps the rest as it is.

The bytes are checked like all others, so what is kept can be read later. They are given Avro's own frame,
which needs no Schema Registry, whatever the frame on the topic is.
"""

from typing import Generic, TypeVar

import msgspec

from schemas.errors import DecodeError
from streams.avro.module import reader_ahead
from streams.avro.reading import Read, reader_of
from streams.codec import Codec, schema_of

P = TypeVar("P", bound=msgspec.Struct)


class PartReader(Generic[P]):
    """Reads the fields of `part` out of the bytes of a `record`. Safe to share between threads."""

    def __init__(self, codec: Codec, record: type[msgspec.Struct], part: type[P]) -> None:
        self._codec = codec
        self._record = record
        self._read: Read = reader_ahead(part) or reader_of(schema_of(record), part, part=True)
        self._frame = codec.frame_of(record)
        self._plain = Codec()
        self._kept_frame = self._plain.frame_of(record)
        self._same = self._frame == self._kept_frame

    def read(self, raw: bytes) -> tuple[P, bytes]:
        """The part, and the record's bytes in Avro's own frame; DecodeError as the codec has it."""
        if not raw.startswith(self._frame):
            # Of an older schema: in today's from here on.
            kept = self._plain.encode(self._codec.decode(self._record, raw))
            part, _ = self._read(kept, len(self._kept_frame))
            return part, kept
        start = len(self._frame)
        try:
            part, end = self._read(raw, start)
        except Exception:
            end = -1
        if end != len(raw):
            self._codec.decode(self._record, raw)  # says what is wrong
            raise DecodeError.of("value", f"not a {self._record.__name__}")
        return part, raw if self._same else self._kept_frame + raw[start:]
