"""The bodies of re-drive orders."""

from typing import Any

import msgspec

from connectors.redrive.canary import STAGES, Plan
from connectors.redrive.edit import Edit
from schemas.errors import ContractError

MAX_IDS = 10_000
_EDITS = ("data", "patch", "record")


class _Bulk(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    ids: list[str] | None = None
    filter: dict[str, Any] | None = None
    all: bool = False
    edit: dict[str, Any] | None = None
    rate: float | None = None
    canary: bool | list[int] = True
    tolerated: float = 0.1
    patience_s: float = msgspec.field(default=600.0, name="patienceSeconds")
    dry_run: bool = False


class BulkBody(msgspec.Struct, frozen=True):
    """An order for many letters, as far as it is understood; which letters is for `LetterFilter` to say."""

    ids: list[str] | None
    filter: dict[str, Any] | None
    all: bool
    edit: Edit
    plan: Plan
    dry_run: bool


def edit_body(body: bytes) -> Edit:
    """The edit that a body is; the texts in it stay as they were written."""
    try:
        members = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except msgspec.ValidationError:
        raise ContractError.of("", "an object with data, patch or record") from None
    unknown = sorted(set(members) - set(_EDITS))
    if unknown:
        raise ContractError.of(unknown[0], f"unknown; an edit is one of {', '.join(_EDITS)}")
    if len(members) > 1:
        raise ContractError.of("", f"give one of {', '.join(_EDITS)}")
    texts = {name: bytes(raw).decode() for name, raw in members.items()}
    for name, text in texts.items():
        if not text.startswith("{"):
            raise ContractError.of(name, "must be an object")
    return Edit(**texts)


def bulk_body(body: bytes) -> BulkBody:
    """The order in a body; ContractError names what does not hold."""
    try:
        given = msgspec.json.decode(body, type=_Bulk)
        stages = STAGES if given.canary is True else (100,) if given.canary is False else tuple(given.canary)
        plan = Plan(stages, given.tolerated, given.patience_s, given.rate)
    except (msgspec.ValidationError, ValueError) as error:
        raise ContractError.of("", str(error)) from None
    if given.ids is not None and not 0 < len(given.ids) <= MAX_IDS:
        raise ContractError.of("ids", f"1 to {MAX_IDS} of them")
    edit = Edit()
    if given.edit is not None:
        edit = edit_body(bytes(msgspec.json.decode(body, type=dict[str, msgspec.Raw])["edit"]))
    if edit.record is not None:
        raise ContractError.of("edit.record", "belongs to one letter: POST /failed/:id/retry")
    return BulkBody(given.ids, given.filter, given.all, edit, plan, given.dry_run)
