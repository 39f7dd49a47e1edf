"""The data of every job type: what holds is taken, what does not is named, nothing is guessed."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.catalogue import JOB_TYPES
from schemas.errors import ContractError
from schemas.payloads.messages import ChatMessage, Message
from tests.unit.schemas.examples import GOOD, NOON, UUID

REQUIRED = [(kind, member) for kind, data in GOOD.items() for member in data]
# One wrong value for a member: the other members hold.
WRONG = [
    ("payment-process", "amount", 0), ("payment-process", "amount", 1_000_001),
    ("payment-process", "amount", "12"), ("payment-process", "amount", 12.5),
    ("payment-process", "amount", True), ("payment-process", "userId", "not-a-uuid"),
    ("payment-process", "currency", "usd"), ("payment-process", "currency", "EURO"),
    ("payment-process", "paymentMethod", ""), ("refund-process", "reason", ""),
    ("payout-process", "type", "soon"), ("nft-mint", "metadata", []), ("nft-mint", "chain", "other"),
    ("send-email", "to", "nobody"), ("send-email", "template", 7), ("send-email", "from", "x"),
    ("send-sms", "to", "0151123"), ("send-sms", "to", "+0151123456"), ("send-sms", "message", "x" * 10_001),
    ("send-push", "title", "x" * 201), ("analytics-track", "timestamp", "yesterday"),
    ("analytics-track", "timestamp", 1767225600), ("analytics-track", "timestamp", "1767225600"),
    ("analytics-track", "timestamp", "0001-01-01T00:00:00+14:00"), ("analytics-track", "venueId", "v"),
    ("cleanup-old-data", "dataType", "everything"), ("generate-report", "startDate", "01.02.2026"),
    ("generate-report", "startDate", "2026-02-30"), ("generate-report", "format", "docx"),
    ("formula_calculation", "cellId", "a1"), ("formula_calculation", "cellId", "A0"),
    ("data_fetch", "source", "ftp"), ("data_fetch", "targetCells", []), ("validation", "rules", []),
    ("coding-task", "taskId", "1"), ("coding-task", "prompt", ""), ("chat-message", "message", ""),
    ("proactive-action", "timing", "later"), ("cell_update", "newValue", [1]),
    ("cell_update", "cellId", "1A"),
]  # fmt: skip


def problems(kind: str, data: Any) -> list[str]:
    """The fields that are wrong."""
    with pytest.raises(ContractError) as caught:
        JOB_TYPES[kind].contract.parse(json.dumps(data))
    return [problem.field for problem in caught.value.problems]


@pytest.mark.parametrize("kind", JOB_TYPES)
def test_good_data_is_taken(kind: str) -> None:
    parsed = JOB_TYPES[kind].contract.parse(json.dumps(GOOD[kind])).model_dump(mode="json", by_alias=True)
    assert {member: parsed[member] for member in GOOD[kind] if member != "rules"} == {
        member: value for member, value in GOOD[kind].items() if member != "rules"
    }


@pytest.mark.parametrize(("kind", "member"), REQUIRED)
def test_a_required_member_that_is_missing_is_named(kind: str, member: str) -> None:
    data = {name: value for name, value in GOOD[kind].items() if name != member}
    # A message belongs to a conversation or to a user: without either it is wrong as a whole.
    message = issubclass(JOB_TYPES[kind].contract, Message)
    whole = message and member in ("conversationId", "userId")
    assert problems(kind, data) == (["data"] if whole else [f"data.{member}"])


@pytest.mark.parametrize(("kind", "member", "value"), WRONG)
def test_a_wrong_value_is_named(kind: str, member: str, value: Any) -> None:
    assert {field.split(".")[1] for field in problems(kind, {**GOOD[kind], member: value})} == {member}


def test_everything_wrong_is_told_at_once() -> None:
    found = problems("payment-process", {**GOOD["payment-process"], "amount": "12", "userId": 1})
    assert found == ["data.userId", "data.amount"]


def test_a_wrong_member_deep_inside_is_named_with_its_place() -> None:
    data = {**GOOD["validation"], "rules": [{"type": "required"}, {"type": "magic"}]}
    assert problems("validation", data) == ["data.rules.1.type"]
    config = {**GOOD["coding-task"], "config": {"timeout": 3601, "retryAttempts": 6}}
    assert problems("coding-task", config) == ["data.config.timeout", "data.config.retryAttempts"]


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "12", '{"a":1}x'])
def test_what_is_no_json_object_is_refused_as_a_whole(text: str) -> None:
    with pytest.raises(ContractError) as caught:
        JOB_TYPES["validation"].contract.parse(text)
    assert caught.value.problems[0].field == "data"


def test_members_that_a_contract_does_not_name_are_kept() -> None:
    parsed = JOB_TYPES["send-email"].contract.parse(json.dumps({**GOOD["send-email"], "campaign": [1]}))
    assert parsed.model_dump(by_alias=True)["campaign"] == [1]


@pytest.mark.parametrize(
    "text", [NOON, "2026-01-31T13:00:00+01:00", "2026-01-31 12:00:00", "2026-01-31T12:00:00.000Z"]
)
def test_a_moment_has_one_spelling(text: str) -> None:
    parsed = JOB_TYPES["cleanup-old-data"].contract.parse(
        json.dumps({"dataType": "sessions", "olderThan": text})
    )
    assert parsed.model_dump(mode="json", by_alias=True)["olderThan"] == NOON


def test_a_uuid_has_one_spelling() -> None:
    parsed = JOB_TYPES["refund-process"].contract.parse(
        json.dumps({**GOOD["refund-process"], "transactionId": UUID.upper()})
    )
    assert parsed.model_dump(mode="json", by_alias=True)["transactionId"] == UUID


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text() | st.integers(), st.lists))
def test_nothing_but_a_contract_error_comes_out_of_any_json(value: Any) -> None:
    for kind in ("payment-process", "analytics-track", "generate-report", "coding-task"):
        for member in GOOD[kind]:
            text = json.dumps({**GOOD[kind], member: value})
            with contextlib.suppress(ContractError):
                assert JOB_TYPES[kind].contract.parse(text)


def test_the_names_of_python_are_no_members_of_the_json() -> None:
    made = ChatMessage(user_id="u", conversation_id="c", message="m")
    assert ChatMessage.parse(made.model_dump_json(by_alias=True)) == made
    with pytest.raises(ContractError, match=r"data\.userId: Field required"):
        ChatMessage.parse(made.model_dump_json(by_alias=False))


def test_contracts_with_the_same_members_share_what_says_so_and_others_do_not() -> None:
    said = {"userId": "u", "conversationId": "c", "message": "hello"}
    first, second = (ChatMessage.parse(json.dumps(said | {"message": text})) for text in ("a", "b"))
    other = ChatMessage.parse(json.dumps(said | {"mood": "good"}))
    assert first.model_fields_set is second.model_fields_set
    assert (first.model_extra, other.model_extra) == ({}, {"mood": "good"})
    assert other.model_fields_set == first.model_fields_set | {"mood"}
    assert first.model_dump(by_alias=True, exclude_unset=True) == said | {"message": "a"}
