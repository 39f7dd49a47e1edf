"""What the gateway's producer does when its client fails for good."""

import asyncio
from typing import Any
from unittest.mock import Mock

import pytest
from confluent_kafka import KafkaError, KafkaException

from connectors.kafka import producer as module
from connectors.kafka.producer import Producer
from streams.settings import KafkaSettings

FATAL = KafkaException(KafkaError(KafkaError._FENCED, "gone", fatal=True))


def masked() -> SystemError:
    hidden = SystemError("returned a result with an exception set")
    hidden.__cause__ = FATAL
    return hidden


@pytest.mark.parametrize("error", [FATAL, masked()])
async def test_a_client_that_failed_for_good_is_replaced(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Any] = []

    def client(_: object) -> Any:
        one = Mock()
        one.poll.side_effect = error if not made else None
        made.append(one)
        return one

    monkeypatch.setattr(module, "Client", client)
    sender = Producer(KafkaSettings.model_validate({}), "gateway-1")
    monkeypatch.setattr(sender._batch, "warm", asyncio.Event().wait)
    sender.start()
    for _ in range(500):
        if len(made) == 2:
            break
        await asyncio.sleep(0.01)
    await sender.close()
    assert len(made) == 2
    made[0].purge.assert_called_once()
