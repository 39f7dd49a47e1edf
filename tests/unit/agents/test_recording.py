"""Everything that follows from an outcome is one step: topics, keys, partitions, tables."""

from typing import Any

import pytest

from agents.document import Carried, JobDocument
from agents.recording import Recording, headers_of
from agents.tables import CellsTable
from schemas.records import AttemptError, Failure, Job, Lifecycle, LiveUpdate
from schemas.states import State
from streams.core import outcome
from streams.core.outcome import Completed
from streams.core.ports import Unwritable
from tests.unit.agents.engine import CODEC, TOPOLOGY, MemoryApp, a_recording, from_topic, metrics
from tests.unit.streams.core.builders import NOW, a_job

WHO: dict[str, Any] = {
    "document_id": "doc-1", "user_id": "u", "tenant_id": "t", "request_id": "r", "traceparent": "00-x",
}  # fmt: skip


@pytest.fixture
def app() -> MemoryApp:
    return MemoryApp()


@pytest.fixture
def recording(app: MemoryApp) -> Recording:
    return a_recording(app, metrics())


def test_the_history_goes_to_the_lifecycle_topic_in_the_jobs_partition(
    app: MemoryApp, recording: Recording
) -> None:
    entry = from_topic(app, **WHO)
    recording.write(entry, outcome.completed(entry, Completed("{}"), NOW, NOW))
    ((topic, value, key, partition, headers),) = app.partition.sent
    history = CODEC.decode(Lifecycle, value)
    assert (topic, key, partition) == ("tierflow.lifecycle.tier-2", b"doc-1", 0)
    assert dict(headers)["job-id"] == b"job-0"
    assert (history.job_id, history.worker, history.tier) == ("job-0", "worker-1", 2)
    assert (history.tenant_id, history.user_id, history.document_id) == ("t", "u", "doc-1")


def test_live_updates_and_cells_leave_with_the_outcome(app: MemoryApp) -> None:
    cells = CellsTable(app, TOPOLOGY, CODEC)  # type: ignore[arg-type]
    recording = a_recording(app, metrics())
    entry = from_topic(app, 7, **WHO)
    document = JobDocument(cells, 0, entry.job)
    document.write("A1", "1")
    carried = Carried(document, [("cells_changed", {"a": 1})], [])
    recording.write(entry, outcome.completed(entry, Completed("{}", carried), NOW, NOW))
    (update,) = [CODEC.decode(LiveUpdate, v) for topic, v, *_ in app.partition.sent if "live" in topic]
    assert (update.kind, update.document_id, update.sequence) == ("cells_changed", "doc-1", 7)
    assert (update.payload, update.tenant_id) == ('{"a":1}', "t")
    assert JobDocument(cells, 0, entry.job).cells() == {"A1": "1"}


def test_a_step_that_cannot_be_written_leaves_nothing_and_may_be_tried_again(
    app: MemoryApp, recording: Recording
) -> None:
    entry = from_topic(app, **WHO)
    document = JobDocument(None, 0, entry.job)
    writes = outcome.started(entry, NOW)
    writes.carried = Carried(document, [("x", {"y": object()})], [])
    with pytest.raises(Unwritable):
        recording.write(entry, writes)
    assert (app.partition.sent, list(recording.parked.scan(0))) == ([], [])
    assert entry.step is not None
    recording.write(entry, outcome.started(entry, NOW))
    assert len(list(recording.parked.scan(0))) == 1


def test_a_job_that_ends_leaves_the_table(app: MemoryApp, recording: Recording) -> None:
    entry = from_topic(app)
    recording.write(entry, outcome.started(entry, NOW))
    entry.step = None
    assert [place for place, _ in recording.parked.scan(0, entry.key)] == [entry.position]
    recording.write(entry, outcome.completed(entry, Completed("{}"), NOW, NOW))
    assert list(recording.parked.scan(0)) == []


def test_an_illegal_move_is_counted_and_not_written(app: MemoryApp) -> None:
    counted = metrics()
    recording = a_recording(app, counted)
    entry = from_topic(app)
    entry.state = State.DEAD
    recording.write(entry, outcome.completed(entry, Completed("{}"), NOW, NOW))
    assert app.partition.sent == []
    assert counted.illegal.labels("dead -> completed")._value.get() == 1


def test_a_write_without_the_partition_is_refused(app: MemoryApp, recording: Recording) -> None:
    entry = from_topic(app)
    entry.step = None
    app.owned.clear()
    with pytest.raises(LookupError):
        recording.write(entry, outcome.behind(entry))


def test_a_letter_says_all_that_is_known_of_its_job(app: MemoryApp, recording: Recording) -> None:
    entry = from_topic(app, **WHO)
    entry.failed(AttemptError(1, NOW - 5, "timeout", "slow"))
    letter = recording.letter(entry, Failure("card_declined", "no", retryable=False), NOW)
    assert (letter.letter_id, letter.job_id, letter.series) == ("job-0:0", "job-0", 0)
    assert (letter.queue, letter.type, letter.data, letter.tier) == ("robot", "validation", "{}", 2)
    assert (letter.first_failed_at, letter.last_failed_at) == (NOW - 5, NOW)
    assert (letter.tenant_id, letter.user_id, letter.request_id) == ("t", "u", "r")
    assert (letter.traceparent, letter.document_id) == ("00-x", "doc-1")
    assert letter.value is not None
    assert CODEC.decode(Job, letter.value) == entry.job


def test_a_letter_is_sent_with_the_history(app: MemoryApp, recording: Recording) -> None:
    entry = from_topic(app)
    failure = Failure("timeout", "slow", retryable=True)
    letter = recording.letter(entry, failure, NOW)
    recording.write(entry, outcome.dead(entry, failure, letter, NOW, NOW))
    assert [topic for topic, *_ in app.partition.sent] == [
        "tierflow.lifecycle.tier-2", "tierflow.dlq.tier-2",
    ]  # fmt: skip
    assert app.letters() == [letter]


def test_headers_hold_what_is_known() -> None:
    assert headers_of(a_job()) == [("job-id", b"job-1")]
    assert [name for name, _ in headers_of(a_job(**WHO))] == ["job-id", "request-id", "tenant", "traceparent"]
