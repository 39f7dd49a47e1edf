"""The stage's records and its work, and the jobs that are drained."""

import msgspec

from ops.bench import load
from ops.bench.sampling import Sampler, name_of
from ops.bench.stage import work
from schemas.catalogue import find_type
from schemas.records import JobRequest
from streams.codec import Codec
from streams.core.admission import Source, job_of_request


def test_every_record_has_the_same_size() -> None:
    sizes = {len(work.record(number)[1]) for number in (0, 1, 999, 1_000, 299_999, 5_000_000)}
    assert sizes == {work.RECORD_BYTES}


def test_the_stage_raises_the_revision_and_keeps_the_rest() -> None:
    key, value = work.record(7)
    out_key, out = work.stage(value)
    assert out_key == key
    before, after = work.decode(value), work.decode(out)
    assert after.pop("revision") == before.pop("revision") + 1
    assert after == before


def test_records_spread_over_the_documents() -> None:
    assert len({work.record(number)[0] for number in range(2 * work.DOCUMENTS)}) == work.DOCUMENTS


def test_every_request_is_a_valid_job_of_its_conversation() -> None:
    codec = Codec()
    made = load.requests(3, codec)
    decoded = [codec.decode(JobRequest, value) for _, value in made.records]
    assert {request.job_id for request in decoded} == made.ids
    for (key, _), request in zip(made.records, decoded, strict=True):
        job = job_of_request(request, Source("t", 0, 0))
        assert job.ordering_key == key.decode()
        assert len(request.data) == load.DATA_BYTES
        assert find_type(load.QUEUE, load.KIND).contract.parse(request.data)
        assert msgspec.json.decode(request.data)["conversationId"] == key.decode()


def test_the_sampler_sees_the_function_that_runs() -> None:
    sampler = Sampler()
    sampler.start()
    sampler.on.set()
    try:
        _spin_until(lambda: any("_spin_until" in name for name in sampler.figures()["within"]))
    finally:
        sampler.stop()
    found = sampler.figures()
    assert found["busy"] <= found["samples"]
    assert any(name.startswith("tests/unit/ops/bench/test_work.py:") for name in found["within"])


def test_a_frame_is_named_by_its_file_and_function() -> None:
    import sys

    assert name_of(sys._getframe()).endswith("test_work.py:test_a_frame_is_named_by_its_file_and_function")


def _spin_until(done: object) -> None:
    import time

    deadline = time.monotonic() + 60
    while not done():  # type: ignore[operator]
        assert time.monotonic() < deadline, "the sampler saw nothing"
        sum(range(1_000))
