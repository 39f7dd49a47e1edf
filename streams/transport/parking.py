"""Where a newly assigned partition stands, paused, until its real position is known.

Not at a logical offset like END: librdkafka then asks the broker for it, and an answer that comes late
(leader down, retry by timer) moves the partition away from where a seek has put it meanwhile: records
would be skipped. An absolute offset asks nothing. It has to lie inside the log, because a fetch that is
sent before the pause takes hold and is out of range leaves the partition in a state that cannot be sought.
"""

import concurrent.futures
import logging
import time
from collections.abc import Sequence

from confluent_kafka import IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

log = logging.getLogger(__name__)

_LIMIT_S = 2.0


def parked(admin: AdminClient, parts: Sequence[TopicPartition]) -> list[TopicPartition]:
    """The partitions with an offset to be assigned at: the log's end, or 0 where no leader answers now."""
    pairs = [(part.topic, part.partition) for part in parts]
    ends = log_ends(admin, pairs)
    return [TopicPartition(*pair, ends.get(pair, 0)) for pair in pairs]


def log_ends(admin: AdminClient, parts: Sequence[tuple[str, int]]) -> dict[tuple[str, int], int]:
    """Where committed reading would end now, for those whose leader answers. Blocks for 2 s at most."""
    if not parts:
        return {}
    latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
    asked = admin.list_offsets(
        {TopicPartition(*part): latest for part in parts},
        isolation_level=IsolationLevel.READ_COMMITTED,
        request_timeout=_LIMIT_S,
    )
    deadline = time.monotonic() + _LIMIT_S
    found: dict[tuple[str, int], int] = {}
    for part, answer in asked.items():
        try:
            found[part.topic, part.partition] = answer.result(max(0.0, deadline - time.monotonic())).offset
        except (KafkaException, concurrent.futures.TimeoutError) as error:
            log.warning("end of %s-%d: %s", part.topic, part.partition, error)
    return found
