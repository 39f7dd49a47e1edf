"""A repeat of a payment is told from a new one by the gateway or, where its store is slow, by the worker."""

from typing import Any, cast

import pytest

from ops.demo.payments import Payments
from ops.demo.scenario import World

Json = dict[str, Any]


class Gateway:
    """Answers as it is told to."""

    def __init__(self, status: int, answer: Json, ended: Json | None = None) -> None:
        self.status, self.answer, self.ended = status, answer, ended or {}

    async def job(self, queue: str, job: Json) -> tuple[int, Json]:
        return self.status, self.answer

    async def shown(self, ids: list[str]) -> dict[str, Json]:
        return dict.fromkeys(ids, self.ended)


async def came_to(gateway: Gateway) -> tuple[str, str | None]:
    world = World("run", cast(Any, gateway), cast(Any, None), cast(Any, None), cast(Any, None))
    return await Payments("run")._answer(world, {})


@pytest.mark.parametrize(
    "gateway",
    [
        Gateway(200, {"status": "duplicate", "jobId": "first"}),
        Gateway(201, {"jobId": "second"}, {"state": "duplicate", "duplicateOf": "first"}),
    ],
)
async def test_a_repeat_names_the_first_whoever_says_so(gateway: Gateway) -> None:
    assert await came_to(gateway) == ("duplicate", "first")


@pytest.mark.parametrize(
    "gateway",
    [
        Gateway(422, {"code": "idempotency_conflict"}),
        Gateway(201, {"jobId": "second"}, {"state": "dead", "error": {"class": "idempotency_conflict"}}),
    ],
)
async def test_other_data_are_refused_whoever_says_so(gateway: Gateway) -> None:
    assert await came_to(gateway) == ("refused", "idempotency_conflict")


async def test_a_repeat_that_is_paid_again_shows() -> None:
    assert await came_to(Gateway(201, {"jobId": "second"}, {"state": "completed"})) == ("completed", None)
    assert await came_to(Gateway(503, {})) == ("503", None)
