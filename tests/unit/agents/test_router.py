"""The router: from ingress records to lanes, or to the ingress dead letters; nothing stops it."""

import json
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from agents.router import Router
from schemas.commands import Cancel, cancel_request
from schemas.records import Event, Job, JobOptions, JobRequest
from streams.core.admission import MAX_JOB_BYTES
from streams.metrics import RouterMetrics
from tests.unit.agents.engine import CODEC, TOPOLOGY, MemoryApp, a_chunk, fetched
from tests.unit.schemas.examples import GOOD
from tests.unit.streams.core.builders import NOW

REQUEST = JobRequest(
    "job-1", "robot", "validation", json.dumps(GOOD["validation"]), NOW, tenant_id="t-1", user_id="u-1",
    request_id="r-1",
)  # fmt: skip
EVENT = Event("e-1", "cell_update", "doc-1", "u-1", NOW, json.dumps(GOOD["cell_update"]), "t-1")
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


async def routed(topic: str, *messages: Any) -> tuple[MemoryApp, list[tuple[Any, ...]]]:
    """What the router sends for these messages."""
    app: Any = MemoryApp()
    Router(app, TOPOLOGY, CODEC, RouterMetrics(CollectorRegistry())).attach()
    chunk = a_chunk(app, topic, *messages)

    async def stream() -> Any:
        yield chunk

    await app.agents[topic](stream())
    return app, chunk.outputs or []


async def letter_of(message: Any, topic: str = TOPOLOGY.job_requests) -> Any:
    app, outputs = await routed(topic, message)
    ((to, _, key, partition, _),) = outputs
    assert (to, partition) == (TOPOLOGY.ingress_dead_letters, 0)
    app.partition.sent = outputs
    (letter,) = app.letters()
    assert key == letter.key
    return letter


async def test_a_request_goes_to_the_lane_of_its_tier_with_its_key_and_headers() -> None:
    message = fetched(TOPOLOGY.job_requests, REQUEST, headers=[("traceparent", TRACE.encode())])
    _, ((topic, value, key, partition, headers),) = await routed(TOPOLOGY.job_requests, message)
    job = CODEC.decode(Job, value)
    assert (topic, key, partition) == ("tierflow.tier-2.normal", b"d", -1)
    assert dict(headers) == {
        "job-id": b"job-1", "request-id": b"r-1", "tenant": b"t-1", "traceparent": TRACE.encode(),
    }  # fmt: skip
    assert (job.job_id, job.source_offset, job.traceparent) == ("job-1", 5, TRACE)


@pytest.mark.parametrize(("priority", "lane"), [(9, "urgent"), (5, "normal"), (1, "bulk")])
async def test_the_priority_decides_the_lane(priority: int, lane: str) -> None:
    request = JobRequest("j", "robot", "validation", REQUEST.data, NOW, JobOptions(priority=priority))
    _, ((topic, *_),) = await routed(TOPOLOGY.job_requests, fetched(TOPOLOGY.job_requests, request))
    assert topic == f"tierflow.tier-2.{lane}"


async def test_a_cancel_goes_to_the_urgent_lane_of_its_jobs_tier() -> None:
    request = cancel_request(Cancel("job-1", 1, "ada"), "key:1", command_id="c-1", at=NOW)
    _, ((topic, _, key, *_),) = await routed(TOPOLOGY.job_requests, fetched(TOPOLOGY.job_requests, request))
    assert (topic, key) == ("tierflow.tier-1.urgent", b"key:1")


async def test_an_unknown_command_is_a_dead_letter() -> None:
    request = JobRequest("c-1", "control", "explode", "{}", NOW, ordering_key="k")
    letter = await letter_of(fetched(TOPOLOGY.job_requests, request))
    assert (letter.error_class, letter.type) == ("contract", "explode")


async def test_an_event_goes_to_its_documents_key() -> None:
    _, ((topic, _, key, *_),) = await routed(TOPOLOGY.events, fetched(TOPOLOGY.events, EVENT))
    assert (topic, key) == ("tierflow.tier-2.normal", b"doc-1")


async def test_a_tombstone_is_skipped() -> None:
    _, outputs = await routed(TOPOLOGY.job_requests, fetched(TOPOLOGY.job_requests, None))
    assert outputs == []


async def test_a_poison_record_is_a_dead_letter_with_its_bytes_and_place() -> None:
    message = fetched(TOPOLOGY.job_requests, b"poison", headers=[("job-id", b"j"), ("x", b"y")])
    letter = await letter_of(message)
    assert (letter.value, letter.key, letter.headers) == (b"poison", b"key", {"job-id": b"j", "x": b"y"})
    assert (letter.source_topic, letter.source_offset) == (TOPOLOGY.job_requests, 5)
    assert (letter.tier, letter.job_id, letter.error_class) == (0, "j", "contract")
    assert "no Avro frame" in letter.message


async def test_the_same_record_always_has_the_same_letter_id() -> None:
    ids = [
        (await letter_of(fetched(TOPOLOGY.job_requests, b"poison", offset))).letter_id for offset in (5, 5, 6)
    ]
    assert ids[0] == ids[1] != ids[2]


async def test_an_invalid_request_is_a_dead_letter_that_says_which_job_it_is() -> None:
    request = JobRequest(
        "job-7", "robot", "validation", '{"documentId":"d"}', NOW, tenant_id="t-1", request_id="r-1",
        user_id="u-1", document_id="d",
    )  # fmt: skip
    letter = await letter_of(fetched(TOPOLOGY.job_requests, request))
    assert (letter.job_id, letter.queue, letter.type, letter.data) == (
        "job-7", "robot", "validation", '{"documentId":"d"}',
    )  # fmt: skip
    assert (letter.tenant_id, letter.request_id, letter.user_id, letter.document_id) == (
        "t-1", "r-1", "u-1", "d",
    )  # fmt: skip
    assert letter.value == CODEC.encode(request)
    assert "data.userId" in letter.message


async def test_an_invalid_event_is_a_dead_letter_that_says_which_event_it_is() -> None:
    letter = await letter_of(
        fetched(TOPOLOGY.events, Event("e-1", "nope", "d", "u", NOW, "{}")), TOPOLOGY.events
    )
    assert (letter.job_id, letter.type, letter.document_id, letter.data) == ("e-1", "nope", "d", "{}")


@pytest.mark.parametrize(
    "request_",
    [
        JobRequest("j", "communication", "send-email", json.dumps(GOOD["send-email"]), 2**62),
        JobRequest("j", "robot", "validation", '{"documentId":{"a":1}}', NOW),
        JobRequest(
            "j", "communication", "send-email", json.dumps(GOOD["send-email"] | {"documentId": 1}), NOW
        ),
        JobRequest("j" * 400_000, "q" * 400_000, "validation", "{}", NOW),
        JobRequest("j", "robot", "validation", "x" * (MAX_JOB_BYTES + 1), NOW),
        JobRequest("j", "robot", "validation", '{"a":"' + "x" * 600_000, NOW),
    ],
    ids=["time", "document", "foreign document", "ids", "size", "size of the letter"],
)
async def test_no_record_of_a_foreign_producer_stops_the_router(request_: JobRequest) -> None:
    letter = await letter_of(fetched(TOPOLOGY.job_requests, request_))
    assert letter.error_class == "contract"


async def test_a_key_too_large_to_be_written_twice_is_left_out_of_the_letter() -> None:
    letter = await letter_of(fetched(TOPOLOGY.job_requests, b"poison", key=b"k" * 500_000))
    assert (letter.key, letter.value, letter.source_offset) == (None, None, 5)


async def test_a_trace_that_is_none_is_not_passed_on() -> None:
    message = fetched(TOPOLOGY.job_requests, REQUEST, headers=[("traceparent", b"x" * 500)])
    _, ((*_, headers),) = await routed(TOPOLOGY.job_requests, message)
    assert "traceparent" not in dict(headers)


async def test_a_bad_record_does_not_hold_up_its_neighbours() -> None:
    messages = [
        fetched(TOPOLOGY.job_requests, record, offset)
        for offset, record in enumerate((b"poison", REQUEST, None, REQUEST))
    ]
    _, outputs = await routed(TOPOLOGY.job_requests, *messages)
    topics = [topic for topic, *_ in outputs]
    assert topics == [TOPOLOGY.ingress_dead_letters] + ["tierflow.tier-2.normal"] * 2
