"""The declared topology against what a cluster has."""

from connectors.kafka.admin import Found, compare, partitions_of
from streams.topics import Topology

TOPOLOGY = Topology("t.", 4, 3, 2)


def as_declared() -> dict[str, Found]:
    return {
        topic.name: Found(partitions_of(TOPOLOGY, topic), topic.config(TOPOLOGY.min_in_sync))
        for topic in TOPOLOGY.topics()
    }


def test_a_cluster_as_declared_has_no_differences() -> None:
    assert compare(TOPOLOGY, as_declared()) == []


def test_settings_that_nobody_declared_are_no_differences() -> None:
    found = as_declared()
    events = found[TOPOLOGY.events]
    found[TOPOLOGY.events] = Found(events.partitions, {**events.config, "compression.type": "zstd"})
    assert compare(TOPOLOGY, found) == []


def test_a_missing_topic_names_the_command_that_creates_it() -> None:
    found = as_declared()
    del found[TOPOLOGY.control]
    [difference] = compare(TOPOLOGY, found)
    assert (difference.topic, difference.kind) == ("t.control", "missing")
    assert "tierflow topics create" in difference.sentence


def test_another_partition_count_names_the_setting_that_fits() -> None:
    found = as_declared()
    found[TOPOLOGY.events] = Found(3, found[TOPOLOGY.events].config)
    [difference] = compare(TOPOLOGY, found)
    assert difference.kind == "partitions"
    assert "TIERFLOW_PARTITIONS=3" in difference.sentence


def test_a_setting_that_drifted_is_told_with_both_values() -> None:
    found = as_declared()
    events = found[TOPOLOGY.events]
    found[TOPOLOGY.events] = Found(events.partitions, {**events.config, "min.insync.replicas": "1"})
    [difference] = compare(TOPOLOGY, found)
    assert difference.sentence == "t.events has min.insync.replicas=1 instead of 2"


def test_only_the_topic_without_keys_has_one_partition() -> None:
    counts = {topic.name: partitions_of(TOPOLOGY, topic) for topic in TOPOLOGY.topics()}
    assert {name for name, count in counts.items() if count == 1} == {TOPOLOGY.control}
