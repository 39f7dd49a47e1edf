"""What operators ordered: the fold of the topic `control`."""

from typing import Any

import pytest

from schemas.records import Control
from schemas.states import State
from streams.core.orders import Orders, key_of
from tests.unit.streams.core.builders import NOW, a_job


def an_order(action: str, queue: str = "robot", **members: Any) -> Control:
    return Control(action, queue, NOW, "ada", **members)


def taken(*orders: Control) -> Orders:
    found = Orders()
    for order in orders:
        found.take(key_of(order), order)
    return found


def test_a_pause_holds_until_its_resume() -> None:
    assert taken(an_order("pause")).is_paused("robot")
    assert not taken(an_order("pause"), an_order("resume")).is_paused("robot")
    assert not taken(an_order("pause")).is_paused("money")


def test_a_held_type_does_not_pause_its_queue() -> None:
    orders = taken(an_order("pause", type="validation"))
    assert not orders.is_paused("robot")
    assert orders.held_types(["validation", "data_fetch"]) == ["validation"]


def test_the_resume_of_a_queue_leaves_its_held_types_held() -> None:
    orders = taken(an_order("pause"), an_order("pause", type="validation"), an_order("resume"))
    assert list(orders.closed) == ["type:validation"]


def test_a_clear_does_not_replace_a_pause() -> None:
    orders = taken(an_order("pause"), an_order("clear", before=NOW))
    assert orders.is_paused("robot")
    assert len({key_of(an_order(action, before=NOW)) for action in ("pause", "clear")}) == 2


def test_an_emptied_key_is_forgotten() -> None:
    orders = taken(an_order("pause"))
    orders.take("queue:robot", None)
    assert orders.closed == {}


@pytest.mark.parametrize(
    ("order", "state", "expected"),
    [
        ({"before": NOW}, State.WAITING, True),
        ({"before": NOW}, State.DELAYED, True),
        ({"before": NOW}, State.ACTIVE, False),
        ({"before": NOW - 1}, State.WAITING, False),
        ({"before": NOW, "state": "delayed"}, State.WAITING, False),
        ({"before": NOW, "state": "delayed"}, State.DELAYED, True),
        ({"before": NOW, "type": "validation"}, State.WAITING, True),
        ({"before": NOW, "type": "data_fetch"}, State.WAITING, False),
        ({"before": NOW, "queue": "money"}, State.WAITING, False),
        ({}, State.WAITING, False),
    ],
)
def test_a_clear_ends_older_jobs_of_its_queue_type_and_state(
    order: dict[str, Any], state: State, expected: bool
) -> None:
    found = taken(an_order("clear", **order)).clearing(a_job(), state)
    assert (found is not None) == expected
