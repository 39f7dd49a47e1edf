"""POST /events and /events/bulk."""

from typing import Any

from connectors.gateway.identity import Identity, OpenMode, Role
from tests.unit.connectors.gateway.fakes import API, NOW_MS, Gateway, bearer

BULK = f"{API}/events/bulk"


def event(**members: Any) -> dict[str, Any]:
    return {
        "type": "cell_update", "documentId": "d1", "timestamp": NOW_MS - 5,
        "data": {"cellId": "A1", "newValue": 3}, **members,
    }  # fmt: skip


async def test_an_event_is_answered_202_and_is_on_the_events_topic() -> None:
    gateway = Gateway()
    async with gateway.client() as client:
        answer = await client.post(f"{API}/events", json=event(), headers=bearer(Role.USER, "ada", "acme"))
    [record] = gateway.producer.events
    assert answer.status_code == 202
    assert record.event_id == answer.json()["eventId"]
    assert (record.user_id, record.tenant_id, record.document_id) == ("ada", "acme", "d1")
    assert record.timestamp == NOW_MS - 5
    assert gateway.producer.sent[0].key == b"d1"


async def test_our_time_is_taken_when_the_event_has_none_and_a_far_one_is_refused() -> None:
    gateway = Gateway()
    async with gateway.client() as client:
        await client.post(f"{API}/events", json=event(timestamp=None), headers=bearer())
        ahead = await client.post(f"{API}/events", json=event(timestamp=NOW_MS * 2), headers=bearer())
    assert gateway.producer.events[0].timestamp == NOW_MS
    assert ahead.status_code == 400


async def test_wrong_fields_of_envelope_and_data_are_told_together() -> None:
    async with Gateway().client() as client:
        answer = await client.post(
            f"{API}/events", json=event(documentId="", data={"cellId": "?"}, colour=1), headers=bearer()
        )
    assert answer.status_code == 400
    assert {error["field"] for error in answer.json()["errors"]} == {
        "colour", "documentId", "data.cellId", "data.newValue",
    }  # fmt: skip


async def test_an_unknown_type_is_422_and_one_without_a_handler_501() -> None:
    async with Gateway().client() as client:
        unknown = await client.post(f"{API}/events", json=event(type="nothing"), headers=bearer())
        later = await client.post(f"{API}/events", json=event(type="selection_change"), headers=bearer())
    assert (unknown.status_code, later.status_code) == (422, 501)


async def test_a_user_sends_events_as_nobody_else() -> None:
    async with Gateway().client() as client:
        answer = await client.post(
            f"{API}/events", json=event(userId="bob"), headers=bearer(Role.USER, "ada", "acme")
        )
    assert answer.status_code == 403


class OnlySomeDocuments(OpenMode):
    """A caller whose token lists documents."""

    async def identity(self, token: str | None) -> Identity:
        return Identity("ada", Role.USER, ("acme",), ("d-*",))


async def test_a_token_that_lists_documents_opens_no_other() -> None:
    async with Gateway(verifier=OnlySomeDocuments()).client() as client:
        listed = await client.post(f"{API}/events", json=event(documentId="d-1"))
        other = await client.post(f"{API}/events", json=event(documentId="e-1"))
    assert (listed.status_code, other.status_code) == (202, 403)


async def test_bulk_events_go_in_one_transaction_in_their_order() -> None:
    gateway = Gateway()
    events = [event(data={"cellId": "A1", "newValue": n}) for n in range(1_000)]
    async with gateway.client() as client:
        answer = await client.post(BULK, json={"events": events}, headers=bearer())
    assert answer.status_code == 202
    assert answer.json()["eventIds"] == [record.event_id for record in gateway.producer.events]
    assert gateway.producer.batches == [1_000]


async def test_one_wrong_event_keeps_all_out_and_is_named() -> None:
    gateway = Gateway()
    async with gateway.client() as client:
        answer = await client.post(BULK, json={"events": [event(), event(data=[])]}, headers=bearer())
        unknown = await client.post(BULK, json={"events": [event(), event(type="x")]}, headers=bearer())
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "events.1.data"
    assert unknown.status_code == 422
    assert gateway.producer.sent == []


async def test_more_than_a_thousand_events_are_refused() -> None:
    async with Gateway().client() as client:
        answer = await client.post(BULK, json={"events": [event()] * 1_001}, headers=bearer())
    assert answer.status_code == 400
