"""Lag is measured of exactly the groups and topics that the roles read."""

from pathlib import Path

from prometheus_client import CollectorRegistry

from connectors.kafka.readers import readers
from ops import compose
from schemas.tiers import Tier
from streams.settings import load
from streams.topics import Topology


def test_every_group_of_a_role_is_watched_with_its_topics(tmp_path: Path) -> None:
    settings = load({"TIERFLOW_DATA_DIR": str(tmp_path), "TIERFLOW_INSTANCE": "one"})
    made = [
        compose.router(settings, CollectorRegistry()),
        compose.limiter(settings, CollectorRegistry()),
        *(compose.worker(tier, {}, settings, CollectorRegistry()) for tier in Tier),
    ]
    read = {app.conf.id: set(app.chunked_topics) for app, _ in made}
    watched = {reader.group: set(reader.topics) for reader in readers(Topology.of(settings.kafka))}
    sinks = {group for group in watched if group.startswith("tierflow.sink-")}
    assert {group: topics for group, topics in watched.items() if group not in sinks} == read
    assert sinks == {"tierflow.sink-postgres", "tierflow.sink-redis"}
