from connectors.redis.batch import arguments
from schemas.records import Transition
from tests.unit.connectors.postgres.builders import NOW, completed, job, lifecycle, started

DAY_MS = 24 * 3_600_000


def test_the_records_of_a_job_are_one_entry() -> None:
    (jobs, *rest) = arguments([job("a"), job("b"), lifecycle(job("a"), started(), completed())])
    assert jobs == 2
    assert [value for value in rest if value in ("a", "b")] == ["a", "b"]


def test_the_first_record_of_a_transition_counts() -> None:
    late = Transition(1, "waiting", "cancelled", 0, NOW + 99)
    flat = arguments([lifecycle(job(), started()), lifecycle(job(), late)])
    assert "active" in flat
    assert "cancelled" not in flat


def test_a_job_with_an_idempotency_key_brings_its_digest_and_how_long_it_counts() -> None:
    one = job()
    assert one.idempotency is not None
    flat = arguments([one])
    assert one.idempotency.hex() in flat
    assert 90 * DAY_MS in flat


def test_a_history_too_long_for_one_command_goes_in_pieces() -> None:
    changes = [Transition(number, "active", "active", 1, NOW, progress=1) for number in range(1, 1_202)]
    assert arguments([lifecycle(job(), *changes)])[0] == 3
