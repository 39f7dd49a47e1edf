import random

from hypothesis import given
from hypothesis import strategies as st

from connectors.redis.stored import (
    envelope_field,
    pack,
    pack_accepted,
    subject_field,
    transition_field,
    view,
)
from connectors.views import accepted, envelope_of, fold_records, requested, subject_of
from schemas.records import Job, JobRequest, Lifecycle
from tests.unit.connectors.postgres.builders import NOW, history, job


def stored(records: list[Job | Lifecycle]) -> dict[bytes, bytes]:
    """A job's hash as the script would leave it."""
    found: dict[str, bytes] = {}
    for record in records:
        found[subject_field(record.series)] = pack(subject_of(record))
        changes = [accepted(record)] if isinstance(record, Job) else record.transitions
        if isinstance(record, Job):
            found[envelope_field(record.series)] = pack(envelope_of(record))
        found |= {transition_field(record.series, change.number): pack(change) for change in changes}
    return {field.encode(): value for field, value in found.items()}


@given(st.integers(0, 2**32))
def test_what_was_stored_folds_to_the_view_of_the_records(seed: int) -> None:
    records = history(job(), random.Random(seed))
    assert view(stored(records)) == fold_records(records)


def test_an_accepted_request_is_waiting() -> None:
    request = JobRequest("job-1", "money", "payment-process", "{}", NOW, tenant_id="venue-1")
    kept = pack_accepted(requested(request, 1), envelope_of(job(data="{}")))
    found = view({b"accepted": kept})
    assert found is not None
    assert (found.state, found.data, found.tenant_id, found.timeline) == ("waiting", "{}", "venue-1", [])


def test_what_the_router_made_of_a_request_counts_more() -> None:
    request = JobRequest("job-1", "money", "payment-process", "{}", NOW)
    kept = pack_accepted(requested(request, 1), envelope_of(job(data="{}")))
    assert view({**stored([job()]), b"accepted": kept}) == fold_records([job()])


def test_a_hash_that_does_not_say_what_it_is_gives_no_view() -> None:
    assert view({b"rank": b"1"}) is None
