"""Every topic once, with what its tier promises."""

import pytest

from schemas import records
from schemas.priorities import Lane
from schemas.tiers import Tier
from streams.codec import FILES
from streams.settings import KafkaSettings
from streams.topics import Topology

DAY_MS = 86_400_000
TOPOLOGY = Topology.of(
    KafkaSettings.model_validate({"TIERFLOW_TOPIC_PREFIX": "x.", "TIERFLOW_PARTITIONS": 6})
)
TOPICS = {topic.name: topic for topic in TOPOLOGY.topics()}


def test_the_names_are_these() -> None:
    tiers = [
        f"x.{name.format(n=n)}"
        for n in (1, 2, 3)
        for name in (
            "tier-{n}.urgent", "tier-{n}.normal", "tier-{n}.bulk", "tier-{n}.retry", "tier-{n}.idempotency",
            "dlq.tier-{n}", "lifecycle.tier-{n}",
        )
    ]  # fmt: skip
    others = [
        "x.events",
        "x.job-requests",
        "x.dlq.ingress",
        "x.documents",
        "x.live-updates",
        "x.control",
        "x.router.positions",
        "x.limit-requests",
        "x.limit-grants",
        "x.rate-limits",
    ]
    assert sorted(TOPICS) == sorted(tiers + others)
    assert len(TOPOLOGY.topics()) == len(TOPICS)


@pytest.mark.parametrize(
    ("name", "days"),
    [
        ("tier-1.urgent", 365), ("tier-2.normal", 30), ("tier-3.bulk", 1),
        ("lifecycle.tier-1", 365), ("lifecycle.tier-2", 30), ("lifecycle.tier-3", 1),
        ("job-requests", 30), ("dlq.tier-1", 90), ("dlq.tier-3", 90), ("dlq.ingress", 90),
        ("live-updates", 1),
    ],
)  # fmt: skip
def test_a_topic_is_kept_as_long_as_promised(name: str, days: int) -> None:
    config = TOPICS[f"x.{name}"].config(2)
    assert (config["cleanup.policy"], config["retention.ms"]) == ("delete", str(days * DAY_MS))


def test_tables_are_compacted_and_keep_tombstones_for_a_week() -> None:
    compacted = {name for name, topic in TOPICS.items() if topic.cleanup == "compact"}
    tables = {f"x.tier-{n}.{table}" for n in (1, 2, 3) for table in ("retry", "idempotency")}
    assert compacted == tables | {"x.documents", "x.control", "x.router.positions", "x.rate-limits"}
    for name in compacted:
        config = TOPICS[name].config(2)
        assert config["delete.retention.ms"] == str(7 * DAY_MS)
        assert "retention.ms" not in config


def test_only_the_ephemeral_tier_and_live_updates_go_without_full_acks() -> None:
    weak = {name for name, topic in TOPICS.items() if topic.config(2)["min.insync.replicas"] == "1"}
    assert weak == {f"x.tier-3.{lane.label}" for lane in Lane} | {"x.live-updates"}


def test_all_topics_but_control_share_their_partitions() -> None:
    assert [name for name, topic in TOPICS.items() if not topic.keyed] == ["x.control"]
    assert TOPOLOGY.partitions == 6


def test_every_topic_holds_a_record_with_a_contract() -> None:
    assert {topic.record for topic in TOPICS.values() if topic.record is not None} == set(FILES)
    assert [name for name, topic in TOPICS.items() if topic.record is None] == ["x.router.positions"]
    assert TOPICS["x.tier-2.retry"].record is records.Parked


def test_dead_letters_are_listed_whole() -> None:
    assert TOPOLOGY.all_dead_letters == ["x.dlq.tier-1", "x.dlq.tier-2", "x.dlq.tier-3", "x.dlq.ingress"]
    assert TOPOLOGY.lanes(Tier.CRITICAL) == ["x.tier-1.urgent", "x.tier-1.normal", "x.tier-1.bulk"]


@pytest.mark.parametrize(("replication", "in_sync"), [(1, 1), (2, 1), (3, 2), (5, 4)])
def test_all_replicas_but_one_must_hold_a_record(replication: int, in_sync: int) -> None:
    kafka = KafkaSettings.model_validate({"TIERFLOW_REPLICATION": replication})
    assert Topology.of(kafka).min_in_sync == in_sync


def test_the_log_tells_when_a_request_for_tokens_was_written() -> None:
    stamped = {
        name for name, topic in TOPICS.items()
        if topic.config(2).get("message.timestamp.type") == "LogAppendTime"
    }  # fmt: skip
    assert stamped == {"x.limit-requests"}
