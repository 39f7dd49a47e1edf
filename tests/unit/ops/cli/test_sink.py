from prometheus_client import CollectorRegistry

from ops.cli.sink import make_consumers
from streams.settings import load


def consumers(**environment: str) -> int:
    return len(make_consumers(load(environment), CollectorRegistry()))


def test_postgres_has_as_many_consumers_as_asked_for() -> None:
    assert consumers() == 2 + 1
    assert consumers(TIERFLOW_SINK_WRITERS="5") == 5 + 1
