"""Which records a replay is about: by document, tenant, job or type; decided from the record's bytes; pure.

The text that is looked for stands in the Avro bytes as it is, so that bytes without it are never decoded.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from schemas.errors import DecodeError
from schemas.records import Event, JobRequest, Parked
from streams.codec import FILES, Codec
from streams.topics import Topology

KEYS = ("document", "tenant", "job")
"""What an index is kept of: few records have each. Types are few, and every block has most of them."""


@dataclass(frozen=True, slots=True)
class Selection:
    """What is asked for; None asks for nothing, and everything given must hold."""

    document: str | None = None
    tenant: str | None = None
    job: str | None = None
    type: str | None = None

    @property
    def wanted(self) -> dict[str, str]:
        """What is asked for, by its name."""
        named = {name: getattr(self, name) for name in (*KEYS, "type")}
        return {name: text for name, text in named.items() if text is not None}


@dataclass(slots=True)
class Selector:
    """Tells records of one topic apart. Counts what it could not read."""

    selection: Selection
    codec: Codec
    records: list[type[msgspec.Struct]]
    unreadable: int = 0
    _needles: list[bytes] = field(init=False)

    def __post_init__(self) -> None:
        self._needles = [text.encode() for text in self.selection.wanted.values()]

    def matches(self, value: bytes | None) -> bool:
        """Whether a record is asked for. One that does not decode is not, but when everything is."""
        if not self._needles:
            return True
        if value is None or not all(needle in value for needle in self._needles):
            return False
        said = self.said(value)
        return all(said.get(name) == text for name, text in self.selection.wanted.items())

    def said(self, value: bytes) -> dict[str, str]:
        """What a record says of document, tenant, job and type; nothing when it cannot be read."""
        record = self.decoded(value)
        return {} if record is None else dict(_said(record))

    def decoded(self, value: bytes) -> msgspec.Struct | None:
        """The record, None when it is none of ours."""
        for place, record in enumerate(self.records):
            try:
                found = self.codec.decode(record, value)
            except DecodeError:
                continue
            # A topic of somebody's own holds records of one kind, mostly.
            self.records.insert(0, self.records.pop(place))
            return found
        self.unreadable += 1
        return None


def records_of(topology: Topology, topic: str) -> list[type[msgspec.Struct]]:
    """What the records of a topic may be: what it declares, or anything for a topic of somebody's own."""
    for declared in topology.topics():
        if declared.name == topic:
            return [declared.record] if declared.record else []
    return list(FILES)


def _said(record: msgspec.Struct) -> Iterator[tuple[str, str]]:
    subject: Any = record.job if isinstance(record, Parked) else record
    job = subject.event_id if isinstance(subject, Event) else getattr(subject, "job_id", None)
    document = getattr(subject, "document_id", None)
    if document is None and isinstance(subject, JobRequest):
        document = _inside(subject.data)
    found = {
        "document": document,
        "tenant": getattr(subject, "tenant_id", None),
        "job": job,
        "type": getattr(subject, "type", None),
    }
    return ((name, text) for name, text in found.items() if isinstance(text, str))


def _inside(data: str) -> str | None:
    """The document that a request names in its data only."""
    if "documentId" not in data:
        return None
    try:
        found = json.loads(data)
    except ValueError:
        return None
    document = found.get("documentId") if isinstance(found, dict) else None
    return document if isinstance(document, str) else None
