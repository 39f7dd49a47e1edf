"""Re-drives put together from the settings, for the gateway and for `tierflow dlq`."""

import os

from uuid_utils import uuid7

from connectors.kafka.producer import Outgoing, Producer
from connectors.postgres.dead_letters import DeadLetterStore
from connectors.postgres.redrives import RedriveStore
from connectors.redis.status import StatusStore
from connectors.redrive.runner import Runner
from connectors.redrive.service import Redrives
from streams.codec import Codec
from streams.settings import Settings
from streams.topics import Topology


def make_redrives(
    settings: Settings, letters: DeadLetterStore, producer: Producer, status: StatusStore, codec: Codec
) -> Redrives:
    """Re-drives on these connections; their owner opens and closes them."""

    async def send(record: Outgoing) -> None:
        await producer.send(record.topic, record.key, record.value, record.headers)

    # The process id too: a second process of the same name is another holder.
    holder = f"{settings.process.instance}-{os.getpid()}"
    store = RedriveStore(letters.pool)
    runner = Runner(store, send, status.job, Topology.of(settings.kafka), codec, holder)
    return Redrives(store, runner, holder, lambda: str(uuid7()))
