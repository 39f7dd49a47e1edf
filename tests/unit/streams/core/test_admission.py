"""From what a producer asks for to the job that runs: defaults, bounds, keys, order, refusals."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.catalogue import JOB_TYPES
from schemas.commands import Cancel, cancel_of, cancel_request
from schemas.errors import ContractError, UnknownTypeError
from schemas.keys import digest
from schemas.priorities import Lane, lane_of
from schemas.records import Backoff, Event, Job, JobOptions, JobRequest
from streams.core import admission
from streams.core.admission import Source, job_of_command, job_of_event, job_of_request
from tests.unit.schemas.examples import GOOD, UUID
from tests.unit.streams.core.builders import NOW

SOURCE = Source("job-requests", 3, 17, "00-trace-01")


def a_request(kind: str, options: JobOptions | None = None, **changes: Any) -> JobRequest:
    data = {**GOOD[kind], **changes.pop("data", {})}
    request = JobRequest("job-1", JOB_TYPES[kind].queue, kind, json.dumps(data), NOW, options or JobOptions())
    return msgspec.structs.replace(request, **changes)


def admitted(kind: str, options: JobOptions | None = None, **changes: Any) -> Job:
    return job_of_request(a_request(kind, options, **changes), SOURCE)


def an_event(**changes: Any) -> Event:
    event = Event("e-1", "cell_update", "doc-1", "u-1", NOW, json.dumps(GOOD["cell_update"]), "t-1", "r-1")
    return msgspec.structs.replace(event, **changes)


def fields_refused(request: JobRequest | Event) -> list[str]:
    with pytest.raises(ContractError) as caught:
        job_of_event(request, SOURCE) if isinstance(request, Event) else job_of_request(request, SOURCE)
    return [problem.field for problem in caught.value.problems]


PUBLIC = [kind for kind, job_type in JOB_TYPES.items() if job_type.public]


@pytest.mark.parametrize("kind", PUBLIC)
def test_what_a_producer_leaves_out_comes_from_the_type(kind: str) -> None:
    job, job_type = admitted(kind), JOB_TYPES[kind]
    assert (job.priority, job.timeout_ms) == (job_type.priority, job_type.timeout_s * 1000)
    assert (job.attempts, job.backoff) == (job_type.retry.attempts, job_type.retry.kind)
    assert (job.backoff_delay_ms, job.backoff_max_ms) == (
        job_type.retry.delay_ms,
        job_type.retry.max_delay_ms,
    )
    assert job.backoff_jitter == job_type.retry.jitter
    assert (job.tier, job.queue, job.type, job.series) == (job_type.tier, job_type.queue, kind, 0)
    assert (job.not_before, job.accepted_at, job.traceparent) == (None, NOW, "00-trace-01")
    assert (job.source_topic, job.source_partition, job.source_offset) == ("job-requests", 3, 17)


def test_what_a_producer_sets_wins() -> None:
    own = Backoff("linear", 10, 20, True)
    job = admitted("send-email", JobOptions(priority=1, attempts=7, backoff=own, timeout_ms=5, delay_ms=100))
    assert (job.priority, job.attempts, job.timeout_ms, job.not_before) == (1, 7, 5, NOW + 100)
    assert (job.backoff, job.backoff_delay_ms, job.backoff_max_ms, job.backoff_jitter) == (
        "linear", 10, 20, True,
    )  # fmt: skip


def test_a_pause_of_ones_own_is_not_cut_to_the_cap_of_the_type() -> None:
    job = admitted("send-email", JobOptions(backoff=Backoff(delay_ms=60_000)))
    assert (job.backoff_delay_ms, job.backoff_max_ms) == (60_000, 60_000)
    assert admitted("send-email", JobOptions(backoff=Backoff(jitter=True))).backoff_max_ms == 5_000


def test_a_moment_to_run_at_is_kept() -> None:
    assert admitted("validation", JobOptions(run_at=NOW + 5)).not_before == NOW + 5


@pytest.mark.parametrize(
    ("options", "field"),
    [
        (JobOptions(priority=0), "priority"),
        (JobOptions(priority=11), "priority"),
        (JobOptions(attempts=0), "attempts"),
        (JobOptions(attempts=11), "attempts"),
        (JobOptions(timeout_ms=0), "timeout"),
        (JobOptions(timeout_ms=3_600_001), "timeout"),
        (JobOptions(delay_ms=-1), "delay"),
        (JobOptions(run_at=-1), "runAt"),
        (JobOptions(run_at=2**62), "runAt"),
        (JobOptions(backoff=Backoff(delay_ms=-1)), "backoff.delay"),
        (JobOptions(backoff=Backoff(max_delay_ms=-1)), "backoff.maxDelay"),
        (JobOptions(backoff=Backoff(type="magic")), "backoff.type"),
        (JobOptions(idempotency_key="x" * 1_001), "idempotencyKey"),
    ],
)
def test_an_option_out_of_bounds_is_named(options: JobOptions, field: str) -> None:
    assert fields_refused(a_request("validation", options)) == [f"options.{field}"]


def test_the_bounds_themselves_hold() -> None:
    for options in (JobOptions(1, 0, 0, 1, None, 1), JobOptions(10, admission.MAX_DELAY_MS, None, 10)):
        assert admission.option_problems(options) == []


def test_all_wrong_options_are_told_at_once() -> None:
    found = fields_refused(a_request("validation", JobOptions(priority=0, attempts=99)))
    assert found == ["options.priority", "options.attempts"]


# -- series and commands


def test_another_series_keeps_its_place_whatever_the_rules_say_today() -> None:
    job = admitted("validation", series=2, ordering_key="where it stood")
    assert (job.series, job.ordering_key) == (2, "where it stood")


def test_what_tierflow_makes_itself_may_be_driven_again_and_not_be_submitted() -> None:
    assert admitted("cell_update", series=1, document_id="d").series == 1
    assert fields_refused(a_request("cell_update")) == ["type"]


@pytest.mark.parametrize("series", [-1, admission.MAX_SERIES + 1])
def test_a_series_out_of_bounds_is_named(series: int) -> None:
    assert fields_refused(a_request("validation", series=series)) == ["series"]


def test_a_cancel_goes_to_the_urgent_lane_of_its_jobs_tier_under_its_jobs_key() -> None:
    request = cancel_request(Cancel("job-1", 3, "ada", series=2), "doc-1", command_id="c-1", at=NOW)
    job = job_of_command(request, SOURCE)
    assert (job.tier, lane_of(job.priority), job.ordering_key) == (3, Lane.URGENT, "doc-1")
    assert (job.job_id, job.series) == ("c-1", 2)
    assert cancel_of(job) == Cancel("job-1", 3, "ada", series=2)


def test_a_command_without_a_key_is_refused() -> None:
    request = cancel_request(Cancel("job-1", 3, "ada"), "", command_id="c-1", at=NOW)
    with pytest.raises(ContractError):
        job_of_command(request, SOURCE)


# -- keys and order


def test_two_spellings_of_a_uuid_are_one_idempotency_key() -> None:
    one, other = (admitted("refund-process", data={"transactionId": text}) for text in (UUID, UUID.upper()))
    assert one.idempotency == other.idempotency
    assert one.data_hash == other.data_hash
    assert one.ordering_key == other.ordering_key == f"key:{digest('', f'refund-{UUID}').hex()}"


def test_two_spellings_of_a_moment_are_one_idempotency_key() -> None:
    texts = ("2026-01-31T12:00:00Z", "2026-01-31T13:00:00+01:00", "2026-01-31T12:00:00.000+00:00")
    assert len({admitted("analytics-track", data={"timestamp": text}).idempotency for text in texts}) == 1


def test_tenants_do_not_share_idempotency_keys() -> None:
    one, other = (admitted("refund-process", tenant_id=tenant) for tenant in ("a", "b"))
    assert one.idempotency != other.idempotency
    assert one.ordering_key != other.ordering_key


def test_a_producers_own_key_wins_over_the_rule_and_orders_the_job() -> None:
    jobs = [
        admitted("refund-process", JobOptions(idempotency_key="mine"), data={"amount": amount})
        for amount in (1, 2)
    ]
    assert jobs[0].idempotency == jobs[1].idempotency == digest("", "mine")
    assert jobs[0].ordering_key == jobs[1].ordering_key
    assert jobs[0].data_hash != jobs[1].data_hash
    assert jobs[0].idempotency_key == "mine"


@pytest.mark.parametrize(
    ("kind", "changes", "ordering_key"),
    [
        ("formula_calculation", {}, "d"),
        ("chat-message", {}, "c"),
        ("agent-response", {}, "c"),
        ("proactive-action", {}, "u"),
    ],
)
def test_a_type_without_a_rule_is_ordered_by_document_or_conversation(
    kind: str, changes: dict[str, Any], ordering_key: str
) -> None:
    job = admitted(kind, **changes)
    assert (job.ordering_key, job.idempotency, job.idempotency_key) == (ordering_key, None, None)


def test_a_key_on_a_type_without_a_rule_leaves_the_order_as_it_is() -> None:
    job = admitted("formula_calculation", JobOptions(idempotency_key="once"))
    assert (job.ordering_key, job.idempotency) == ("d", digest("", "once"))


def test_a_date_in_a_key_is_that_of_acceptance() -> None:
    before_midnight = 1_769_903_999_999  # 2026-01-31T23:59:59.999Z
    keys = [admitted("send-email", accepted_at=before_midnight + by).idempotency_key for by in (0, 1)]
    assert keys == [f"email-welcome-ann@example.com-2026-0{day}" for day in ("1-31", "2-01")]


@given(st.permutations(list(GOOD["payment-process"])))
def test_the_order_of_members_does_not_make_another_job(order: list[str]) -> None:
    data = {name: GOOD["payment-process"][name] for name in order}
    request = msgspec.structs.replace(a_request("payment-process"), data=json.dumps(data))
    assert job_of_request(request, SOURCE).data_hash == admitted("payment-process").data_hash


# -- documents


def test_the_document_of_the_data_is_the_document_of_the_job() -> None:
    assert admitted("validation").document_id == "d"
    assert admitted("validation", document_id="d").document_id == "d"
    assert admitted("send-email", document_id="x").document_id == "x"


def test_two_documents_for_one_job_are_refused() -> None:
    assert fields_refused(a_request("validation", document_id="other")) == ["documentId"]


def test_a_document_that_is_no_text_is_refused() -> None:
    """It stopped the router: no contract of its type looked at it, and the record could not be written."""
    assert fields_refused(a_request("send-email", data={"documentId": {"a": 1}})) == ["data.documentId"]


# -- refusals


def test_what_tierflow_makes_itself_is_refused() -> None:
    assert fields_refused(a_request("scheduled-task")) == ["type"]
    assert fields_refused(a_request("cell_update")) == ["type"]


def test_an_unknown_queue_or_type_is_refused() -> None:
    for request in (a_request("validation", queue="nope"), a_request("validation", type="nope")):
        with pytest.raises(UnknownTypeError):
            job_of_request(request, SOURCE)


@pytest.mark.parametrize("at", [-1, 253_402_300_800_000, 2**63 - 1])
def test_a_time_that_is_none_is_refused(at: int) -> None:
    """It stopped the router: there is no date for it, and dates stand in keys."""
    assert fields_refused(a_request("send-email", accepted_at=at)) == ["accepted_at"]
    assert fields_refused(an_event(timestamp=at)) == ["accepted_at"]


@pytest.mark.parametrize(
    "name", ["job_id", "document_id", "ordering_key", "user_id", "tenant_id", "request_id"]
)
def test_a_text_too_long_for_an_id_is_refused(name: str) -> None:
    request = msgspec.structs.replace(a_request("send-email"), **{name: "x" * 1_001})
    assert fields_refused(request) == [name]


def test_a_record_without_its_id_is_refused() -> None:
    assert fields_refused(a_request("send-email", job_id="")) == ["job_id"]
    assert fields_refused(an_event(event_id="", document_id="")) == ["event_id", "document_id"]


@pytest.mark.parametrize("character", ["x", "ü"])
def test_data_that_its_dead_letter_could_not_hold_is_refused(character: str) -> None:
    text = character * (admission.MAX_JOB_BYTES // len(character.encode()))
    data = json.dumps({**GOOD["send-email"], "data": {"text": text}}, ensure_ascii=False)
    assert fields_refused(msgspec.structs.replace(a_request("send-email"), data=data)) == ["data"]


# -- events


def test_an_event_is_a_job_in_the_order_of_its_document() -> None:
    job = job_of_event(an_event(), Source("events", 1, 2))
    assert (job.job_id, job.type, job.queue, job.tier) == ("e-1", "cell_update", "events", 2)
    assert (job.ordering_key, job.document_id, job.user_id) == ("doc-1", "doc-1", "u-1")
    assert (job.tenant_id, job.request_id, job.accepted_at) == ("t-1", "r-1", NOW)
    assert (job.idempotency, job.traceparent, job.source_topic) == (None, None, "events")


def test_an_event_with_wrong_data_or_type_is_refused() -> None:
    assert fields_refused(an_event(data='{"cellId":"A1"}')) == ["data.newValue"]
    assert fields_refused(an_event(type="validation")) == ["type"]


def test_a_coding_task_sets_its_own_limit_and_attempts() -> None:
    job = admitted("coding-task", data={"config": {"timeout": 60, "retryAttempts": 0}})
    assert (job.timeout_ms, job.attempts) == (70_000, 1)


def test_options_win_over_what_the_data_asks_for() -> None:
    options = JobOptions(attempts=4, timeout_ms=5_000)
    job = admitted("coding-task", options, data={"config": {"timeout": 60, "retryAttempts": 0}})
    assert (job.timeout_ms, job.attempts) == (5_000, 4)
