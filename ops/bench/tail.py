"""Notes when records become readable to a read_committed reader."""

import threading
import time
from collections.abc import Sequence

from confluent_kafka import TopicPartition

from ops.bench import offsets

POLL_S = 0.1


class Tail:
    """Reads the topics from their present end on, in a thread. `seen`: topic, nanoseconds, value."""

    def __init__(self, bootstrap: str, topics: Sequence[str], partitions: int) -> None:
        self.seen: list[tuple[str, int, bytes]] = []
        self._consumer = offsets.reader(bootstrap, "bench-tail")
        places = [TopicPartition(topic, partition) for topic in topics for partition in range(partitions)]
        for place in places:
            place.offset = offsets.end(self._consumer, place)
        self._consumer.assign(places)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tail", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread. Blocks for a moment."""
        self._stopping.set()
        self._thread.join()
        self._consumer.close()

    def _run(self) -> None:
        while not self._stopping.is_set():
            message = self._consumer.poll(POLL_S)
            if message is not None and message.error() is None:
                self.seen.append((message.topic() or "", time.time_ns(), message.value() or b""))
