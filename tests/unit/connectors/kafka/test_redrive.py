"""Another series of a dead job: what goes to `job-requests`, and what the router makes of it."""

import json
from typing import Any

import msgspec
import pytest

from connectors.kafka.redrive import Redrive, next_series, redrive
from schemas.catalogue import JOB_TYPES
from schemas.errors import ContractError
from schemas.records import DeadLetter, Event, Job, JobOptions, JobRequest
from streams.codec import Codec
from streams.core.admission import Source, job_of_event, job_of_request
from streams.settings import KafkaSettings
from streams.topics import Topology
from tests.unit.schemas.examples import GOOD
from tests.unit.streams.core.builders import NOW

CODEC = Codec()
TOPOLOGY = Topology.of(KafkaSettings.model_validate({}))
SOURCE = Source("job-requests", 3, 17)


def a_job(kind: str, options: JobOptions | None = None, **changes: Any) -> Job:
    request = JobRequest(
        "job-1", JOB_TYPES[kind].queue, kind, json.dumps(GOOD[kind]), NOW, options or JobOptions(),
        tenant_id="t-1", user_id="u-1", request_id="r-1",
    )  # fmt: skip
    return job_of_request(msgspec.structs.replace(request, **changes), SOURCE)


def a_letter(
    record: msgspec.Struct | None, tier: int = 2, topic: str = "tierflow.job-requests"
) -> DeadLetter:
    value = None if record is None else CODEC.encode(record)
    return DeadLetter("l-1", tier, topic, 1, 2, b"k", value, {}, "boom", "boom", "f", NOW, NOW)


def driven(job: Job, **given: Any) -> tuple[Redrive, Job]:
    """The record, and the job that the router makes of it."""
    made = redrive(a_letter(job), TOPOLOGY, CODEC, **given)
    return made, job_of_request(CODEC.decode(JobRequest, made.outgoing.value), SOURCE)


def same_but_for_the_series(one: Job, other: Job) -> bool:
    return msgspec.structs.replace(one, series=0) == msgspec.structs.replace(other, series=0)


@pytest.mark.parametrize("kind", [kind for kind in GOOD if JOB_TYPES[kind].public])
def test_another_series_is_the_same_job_but_for_its_number(kind: str) -> None:
    job = a_job(kind)
    made, again = driven(job)
    assert (made.job_id, made.series, again.series) == ("job-1", 1, 1)
    assert same_but_for_the_series(again, job)


def test_a_third_series_follows_the_second() -> None:
    _, again = driven(msgspec.structs.replace(a_job("validation"), series=4))
    assert again.series == 5


def test_what_the_producer_set_is_kept_and_the_delay_is_not() -> None:
    own = JobOptions(priority=9, attempts=7, timeout_ms=5_000, delay_ms=60_000, idempotency_key="mine")
    job = a_job("send-email", own)
    _, again = driven(job)
    assert again.not_before is None
    assert same_but_for_the_series(again, msgspec.structs.replace(job, not_before=None))


def test_the_record_carries_the_headers_of_the_job() -> None:
    made, _ = driven(a_job("validation"), traceparent="00-trace")
    assert made.outgoing.topic == TOPOLOGY.job_requests
    assert made.outgoing.headers == {
        "job-id": b"job-1", "request-id": b"r-1", "tenant": b"t-1", "traceparent": b"00-trace",
    }  # fmt: skip


def test_edited_data_get_a_key_of_their_own() -> None:
    job = a_job("payment-process")
    edited = json.dumps({**GOOD["payment-process"], "amount": 77})
    _, again = driven(job, data=edited)
    assert (
        again.idempotency_key
        == job_of_request(JobRequest("x", "money", "payment-process", edited, NOW), SOURCE).idempotency_key
    )
    assert again.idempotency != job.idempotency
    assert again.ordering_key != job.ordering_key


def test_a_key_that_the_producer_chose_outlives_an_edit() -> None:
    job = a_job("payment-process", JobOptions(idempotency_key="mine"))
    _, again = driven(job, data=json.dumps({**GOOD["payment-process"], "amount": 77}))
    assert (again.idempotency, again.ordering_key) == (job.idempotency, job.ordering_key)


def test_an_edit_moves_a_job_to_the_order_of_its_new_document() -> None:
    job = a_job("validation")
    data = {**GOOD["validation"], "documentId": "elsewhere"}
    _, again = driven(job, data=json.dumps(data))
    assert (again.ordering_key, again.document_id) == ("elsewhere", "elsewhere")


def test_data_that_break_the_contract_are_refused() -> None:
    with pytest.raises(ContractError) as caught:
        driven(a_job("payment-process"), data=json.dumps({**GOOD["payment-process"], "amount": -1}))
    assert [problem.field for problem in caught.value.problems] == ["data.amount"]


def test_a_letter_without_its_bytes_says_where_the_record_stands() -> None:
    with pytest.raises(ContractError, match=r"job-requests/1/2"):
        redrive(a_letter(None), TOPOLOGY, CODEC)


def test_a_job_made_of_an_event_is_driven_again_in_the_order_of_its_document() -> None:
    event = Event("e-1", "cell_update", "doc-1", "u-1", NOW, json.dumps(GOOD["cell_update"]), "t-1")
    job = job_of_event(event, SOURCE)
    _, again = driven(job)
    assert same_but_for_the_series(again, job)


def test_a_request_that_was_refused_is_handed_in_again_with_better_data() -> None:
    bad = JobRequest("job-1", "robot", "validation", "{}", NOW, tenant_id="t-1")
    with pytest.raises(ContractError):
        redrive(a_letter(bad, tier=0), TOPOLOGY, CODEC)
    made = redrive(a_letter(bad, tier=0), TOPOLOGY, CODEC, data=json.dumps(GOOD["validation"]))
    request = CODEC.decode(JobRequest, made.outgoing.value)
    assert (made.series, request.series, request.job_id) == (0, 0, "job-1")
    assert made.outgoing.key == GOOD["validation"]["documentId"].encode()


def test_an_event_that_was_refused_goes_back_to_the_events() -> None:
    event = Event("e-1", "cell_update", "doc-1", "u-1", NOW, "{}")
    letter = a_letter(event, tier=0, topic=TOPOLOGY.events)
    made = redrive(letter, TOPOLOGY, CODEC, data=json.dumps(GOOD["cell_update"]))
    assert (made.outgoing.topic, made.outgoing.key) == (TOPOLOGY.events, b"doc-1")


def test_the_request_of_a_series_can_be_made_without_a_letter() -> None:
    assert next_series(a_job("validation")).series == 1
