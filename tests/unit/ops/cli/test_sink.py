from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from ops.cli.sink import is_ready, make_consumers
from streams.settings import load


def consumers(**environment: str) -> int:
    return len(make_consumers(load(environment), CollectorRegistry()))


def test_postgres_has_as_many_consumers_as_asked_for() -> None:
    assert consumers() == 1 + 1
    assert consumers(TIERFLOW_SINK_WRITERS="5") == 5 + 1


def test_but_never_one_that_would_have_no_partition() -> None:
    assert consumers(TIERFLOW_SINK_WRITERS="5", TIERFLOW_PARTITIONS="3") == 3 + 1


def consumer(target: str, *, joined: bool = True, well: bool = True) -> Any:
    return SimpleNamespace(target=target, joined=joined, well=well)


@pytest.mark.parametrize(
    ("consumers", "expected"),
    [
        ([consumer("postgres"), consumer("postgres"), consumer("redis")], True),
        # Other processes have all partitions that it could have had.
        ([consumer("postgres"), consumer("postgres", joined=False), consumer("redis")], True),
        ([consumer("postgres"), consumer("postgres"), consumer("redis", joined=False)], False),
        ([consumer("postgres"), consumer("postgres", well=False), consumer("redis")], False),
    ],
)
def test_ready_is_one_of_which_each_target_has_a_consumer_and_all_are_well(
    consumers: list[Any], expected: bool
) -> None:
    assert is_ready(consumers) is expected
