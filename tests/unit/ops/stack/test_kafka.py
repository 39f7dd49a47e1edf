"""The configuration of the local Kafka."""

import asyncio
import re
from pathlib import Path
from typing import cast

import pytest

from ops.stack.folder import DataFolder
from ops.stack.kafka import SETTINGS, Cluster, Node, new_cluster_id, node_part, properties
from ops.stack.leash import Guard


def cluster(nodes: int) -> Cluster:
    """A cluster on made-up ports."""
    return Cluster("an-id", tuple(Node(n, 20_000 + n, 21_000 + n) for n in range(1, nodes + 1)))


def settings(nodes: int, number: int = 1) -> dict[str, str]:
    """The properties of one node as a mapping."""
    made = cluster(nodes)
    lines = properties(made, made.nodes[number - 1], Path("/data/1")).splitlines()
    return dict(line.split("=", 1) for line in lines)


COPIES = (
    "default.replication.factor",
    "offsets.topic.replication.factor",
    "transaction.state.log.replication.factor",
    "share.coordinator.state.topic.replication.factor",
)
IN_SYNC = ("min.insync.replicas", "transaction.state.log.min.isr", "share.coordinator.state.topic.min.isr")


@pytest.mark.parametrize(("nodes", "copies", "in_sync"), [(1, "1", "1"), (3, "3", "2")])
def test_every_topic_also_the_internal_ones_is_kept_as_often_as_the_nodes_allow(
    nodes: int, copies: str, in_sync: str
) -> None:
    found = settings(nodes)
    assert {found[name] for name in COPIES} == {copies}
    assert {found[name] for name in IN_SYNC} == {in_sync}


def test_every_node_knows_all_voters_and_its_own_addresses() -> None:
    found = settings(3, number=2)
    assert found["controller.quorum.voters"] == "1@127.0.0.1:21001,2@127.0.0.1:21002,3@127.0.0.1:21003"
    assert found["listeners"] == "PLAINTEXT://127.0.0.1:20002,CONTROLLER://127.0.0.1:21002"
    assert found["node.id"] == "2"


def test_clients_get_the_addresses_of_all_nodes() -> None:
    assert cluster(3).bootstrap == "127.0.0.1:20001,127.0.0.1:20002,127.0.0.1:20003"


def test_a_misspelt_topic_is_not_created_by_the_broker() -> None:
    assert settings(1)["auto.create.topics.enable"] == "false"


def test_a_cluster_id_is_one_that_kafka_takes() -> None:
    for _ in range(200):
        assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]{21}", new_cluster_id())


def test_settings_of_ones_own_come_after_ours_which_is_what_counts(tmp_path: Path) -> None:
    (tmp_path / "kafka" / "1").mkdir(parents=True)
    (tmp_path / "kafka" / "1.more.properties").write_text("num.io.threads=9\n")
    made = cluster(1)
    no_guard = cast(Guard, None)  # nothing is started where the data is there already
    asyncio.run(node_part(made, made.nodes[0], ("java",), DataFolder(tmp_path), no_guard))
    lines = (tmp_path / "kafka" / "1.properties").read_text().splitlines()
    assert [line for line in lines if line.startswith("num.io.threads")] == [
        f"num.io.threads={SETTINGS['num.io.threads']}",
        "num.io.threads=9",
    ]
