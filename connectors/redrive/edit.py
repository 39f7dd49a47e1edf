"""What a person changes about a letter's data before it is driven again; pure."""

from typing import Any

import msgspec

from schemas.catalogue import find_event, find_type
from schemas.errors import ContractError
from schemas.records import DeadLetter


class Edit(msgspec.Struct, frozen=True, omit_defaults=True):
    """`data` replaces a letter's data, `patch` (RFC 7396) changes members of it, `record` replaces a record
    that is no job by one, as for `POST /jobs`. JSON texts, at most one of them."""

    data: str | None = None
    patch: str | None = None
    record: str | None = None

    def __post_init__(self) -> None:
        if sum(part is not None for part in (self.data, self.patch, self.record)) > 1:
            raise ValueError("give one of data, patch and record")


def edited(letter: DeadLetter, edit: Edit) -> str | None:
    """The letter's data as they are to be sent, a JSON text; None leaves them as they were.

    ContractError when there are none to patch, or when they break their type's contract.
    """
    if edit.data is not None:
        text = edit.data
    elif edit.patch is not None:
        if letter.data is None:
            raise ContractError.of("patch", "the letter keeps no data to patch: give `data`")
        patch = msgspec.json.decode(edit.patch)
        text = msgspec.json.encode(merged(msgspec.json.decode(letter.data), patch)).decode()
    else:
        return None
    check(letter, text)
    return text


def check(letter: DeadLetter, data: str) -> None:
    """ContractError when data break the contract of the letter's type, as far as that is known."""
    if letter.type is None:
        return
    job_type = find_type(letter.queue, letter.type) if letter.queue else find_event(letter.type)
    job_type.contract.parse(data)


def merged(value: Any, patch: Any) -> Any:
    """A value after a JSON Merge Patch: null takes a member away."""
    if not isinstance(patch, dict):
        return patch
    members = dict(value) if isinstance(value, dict) else {}
    for name, change in patch.items():
        if change is None:
            members.pop(name, None)
        else:
            members[name] = merged(members.get(name), change)
    return members
