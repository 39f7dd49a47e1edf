"""The keys of a job: which jobs share an order, and which are the same job twice.

Templates are filled from the job's data and the time it was accepted, never from the clock, so that a replay
gets the same keys. A placeholder is a member of the data (`{venueId}`), alternatives (`{seatId|ticketId}`, a
quoted text last), `{date}` or `{minute}` of acceptance in UTC, or `{hash:title+body}`.
"""

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

_PLACEHOLDER = re.compile(r"\{([^}]+)\}")


def fill(template: str, data: Mapping[str, Any], accepted_at: int) -> str:
    """The key that a template gives for this data; a member that is absent counts as the empty text."""
    at = datetime.fromtimestamp(accepted_at / 1000, UTC)
    return _PLACEHOLDER.sub(lambda match: _value(match[1], data, at), template)


def _value(placeholder: str, data: Mapping[str, Any], at: datetime) -> str:
    if placeholder == "date":
        return at.strftime("%Y-%m-%d")
    if placeholder == "minute":
        return at.strftime("%Y-%m-%dT%H:%M")
    for choice in placeholder.split("|"):
        if choice.startswith("'"):
            return choice.strip("'")
        if choice.startswith("hash:"):
            return digest(*(str(data.get(member, "")) for member in choice[5:].split("+"))).hex()
        if data.get(choice) is not None:
            return str(data[choice])
    return ""


def digest(*parts: str) -> bytes:
    """16 bytes that stand for these texts in this order; not the same for another split of them."""
    state = hashlib.blake2b(digest_size=16)
    for part in parts:
        raw = part.encode()
        state.update(len(raw).to_bytes(4, "big"))
        state.update(raw)
    return state.digest()
