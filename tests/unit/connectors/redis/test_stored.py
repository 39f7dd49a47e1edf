import random

from hypothesis import given
from hypothesis import strategies as st

from connectors.redis import entries
from connectors.redis.entries import ACCEPTED, Entry
from connectors.redis.stored import pack_accepted, view
from connectors.views import envelope_of, fold_records, requested
from schemas.records import Job, JobRequest, Lifecycle
from streams.codec import Codec
from tests.unit.connectors.postgres.builders import NOW, history, job, shuffled
from tests.unit.connectors.redis.test_batch import batch

CODEC = Codec()
REQUEST = JobRequest("job-1", "money", "payment-process", "{}", NOW, tenant_id="venue-1")


def stored(records: list[Job | Lifecycle]) -> list[Entry]:
    """A job's entries as the script would leave them."""
    (value,) = batch(records).values
    return entries.entries(value, {})


def accepted() -> Entry:
    return Entry(ACCEPTED, pack_accepted(requested(REQUEST, 1), envelope_of(job(data="{}"))))


@given(st.integers(0, 2**32))
def test_any_order_and_repeats_fold_to_the_view_of_the_records(seed: int) -> None:
    chance = random.Random(seed)
    records = history(job(), chance)
    again = chance.random() < 0.5
    records += history(job(series=1, at=NOW + 9_000), chance) if again else []
    assert view(stored(shuffled(records, chance)), CODEC) == fold_records(records)


def test_an_accepted_request_is_waiting() -> None:
    found = view([accepted()], CODEC)
    assert found is not None
    assert (found.state, found.data, found.tenant_id, found.timeline) == ("waiting", "{}", "venue-1", [])


def test_what_the_router_made_of_a_request_counts_more() -> None:
    assert view([accepted(), *stored([job()])], CODEC) == fold_records([job()])


def test_what_was_forgotten_or_is_of_a_version_to_come_is_left_out() -> None:
    odd = [Entry(b"J", b""), Entry(b"L", b"\xc3\x01another."), Entry(b"?", b"x")]
    assert view(odd, CODEC) is None
    assert view([*odd, *stored([job()])], CODEC) == fold_records([job()])
