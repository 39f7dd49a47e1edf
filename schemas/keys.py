"""The keys of a job: which jobs share an order, and which are the same job twice.

Templates are filled from the job's data and the time it was accepted, never from the clock, so that a replay
gets the same keys. A placeholder is a member of the data (`{venueId}`), alternatives (`{seatId|ticketId}`, a
quoted text last), `{date}` or `{minute}` of acceptance in UTC, or `{hash:title+body}`.
"""

import hashlib
import re
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

_PLACEHOLDER = re.compile(r"\{([^}]+)\}")


def fill(template: str, data: Mapping[str, Any], accepted_at: int) -> str:
    """The key that a template gives for this data; a member that is absent counts as the empty text."""
    parts = _parts(template)
    return "".join([part if isinstance(part, str) else _value(part, data, accepted_at) for part in parts])


@lru_cache(1_000)
def _parts(template: str) -> list[str | list[str]]:
    """The texts of a template and, between them, the choices of each placeholder."""
    found = _PLACEHOLDER.split(template)
    return [part.split("|") if index % 2 else part for index, part in enumerate(found)]


def unknown_members(template: str, members: Collection[str]) -> Iterator[str]:
    """What a template asks for that no data will have: it would be the empty text in every key."""
    if any(brace in _PLACEHOLDER.sub("", template) for brace in "{}"):
        yield f"{template!r} has a brace without its other"
    for placeholder in _PLACEHOLDER.findall(template):
        if placeholder in ("date", "minute"):
            continue
        for choice in placeholder.split("|"):
            names = choice[5:].split("+") if choice.startswith("hash:") else [choice]
            known = choice.startswith("'") or set(names) <= set(members)
            if not known:
                yield f"{{{placeholder}}} names no member of the data"


def _value(choices: list[str], data: Mapping[str, Any], accepted_at: int) -> str:
    if choices == ["date"]:
        return _utc(accepted_at).strftime("%Y-%m-%d")
    if choices == ["minute"]:
        return _utc(accepted_at).strftime("%Y-%m-%dT%H:%M")
    for choice in choices:
        if choice.startswith("'"):
            return choice.strip("'")
        if choice.startswith("hash:"):
            return digest(*(str(data.get(member, "")) for member in choice[5:].split("+"))).hex()
        if data.get(choice) is not None:
            return str(data[choice])
    return ""


def digest(*parts: str) -> bytes:
    """16 bytes that stand for these texts in this order; not the same for another split of them."""
    return digest_of_bytes(*(part.encode() for part in parts))


def digest_of_bytes(*parts: bytes) -> bytes:
    """As `digest`, of texts that are encoded already."""
    framed = b""
    for raw in parts:
        framed += len(raw).to_bytes(4, "big") + raw
    return hashlib.blake2b(framed, digest_size=16).digest()


def _utc(at: int) -> datetime:
    return datetime.fromtimestamp(at / 1000, UTC)
