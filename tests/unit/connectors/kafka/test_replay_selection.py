import pytest

from connectors.kafka.replay_selection import Selection, Selector, records_of
from connectors.kafka.replay_target import check_target
from schemas.errors import ConfigError
from schemas.records import Event, JobRequest, LiveUpdate
from streams.codec import Codec
from streams.topics import Topology
from tests.unit.connectors.postgres.builders import NOW, dead_letter, job

CODEC, TOPOLOGY = Codec(), Topology("t.", 4, 1, 1)
EVENT = Event("event-1", "cell_update", "doc-1", "user-1", NOW, '{"cell": "doc-2"}', tenant_id="tenant-1")


def selector(topic: str = "t.events", **asked: str) -> Selector:
    return Selector(Selection(**asked), CODEC, records_of(TOPOLOGY, topic))


@pytest.mark.parametrize(
    "asked",
    [
        {"document": "doc-1"},
        {"tenant": "tenant-1"},
        {"job": "event-1"},
        {"type": "cell_update"},
        {"document": "doc-1", "tenant": "tenant-1", "type": "cell_update"},
        {},
    ],
)
def test_a_record_is_found_by_everything_that_it_says_of_itself(asked: dict[str, str]) -> None:
    assert selector(**asked).matches(CODEC.encode(EVENT))


@pytest.mark.parametrize(
    "asked",
    [
        {"document": "doc"},
        {"document": "doc-2"},  # it stands in the data only
        {"tenant": "user-1"},
        {"document": "doc-1", "tenant": "tenant-2"},
    ],
)
def test_bytes_that_hold_the_text_somewhere_else_are_no_match(asked: dict[str, str]) -> None:
    assert not selector(**asked).matches(CODEC.encode(EVENT))


def test_a_request_is_found_by_the_document_in_its_data() -> None:
    request = JobRequest("job-1", "robot", "validation", '{"documentId": "doc-9"}', NOW)
    assert selector("t.job-requests", document="doc-9").matches(CODEC.encode(request))


def test_dead_letters_jobs_and_records_of_foreign_topics_are_found_too() -> None:
    assert selector("t.dlq.tier-2", job="job-1").matches(CODEC.encode(dead_letter()))
    assert selector("t.tier-1.urgent", tenant="venue-1").matches(CODEC.encode(job()))
    foreign = selector("my.copy", document="doc-1")
    assert foreign.matches(CODEC.encode(EVENT))
    assert foreign.matches(CODEC.encode(LiveUpdate("cells_changed", "doc-1", 1, NOW, "{}")))


def test_what_cannot_be_read_is_no_match_and_counted_but_passes_when_nothing_is_asked() -> None:
    asked = selector(document="doc-1")
    assert not asked.matches(b"no avro of doc-1")
    assert not asked.matches(None)
    assert asked.unreadable == 1
    assert selector().matches(b"anything")


def test_an_ingress_topic_is_written_only_with_effects() -> None:
    with pytest.raises(ConfigError, match="--with-effects"):
        check_target(TOPOLOGY, "t.events", "t.events", with_effects=False)
    check_target(TOPOLOGY, "t.events", "t.events", with_effects=True)
    check_target(TOPOLOGY, "t.events", "my.copy", with_effects=False)


def test_topics_that_only_tierflow_writes_are_refused_also_with_effects() -> None:
    for topic in ("t.tier-1.urgent", "t.tier-1.retry", "t.lifecycle.tier-1", "t.documents"):
        with pytest.raises(ConfigError, match="written by Tierflow alone"):
            check_target(TOPOLOGY, topic, topic, with_effects=True)


def test_records_of_another_kind_are_refused() -> None:
    with pytest.raises(ConfigError, match="of different kinds"):
        check_target(TOPOLOGY, "t.events", "t.job-requests", with_effects=True)
    check_target(TOPOLOGY, "my.copy", "t.job-requests", with_effects=True)
