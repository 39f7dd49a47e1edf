"""Which incarnation of each topic is read: offsets of a lost cluster mean nothing in a new one."""

import threading
import time
from collections.abc import Callable, Collection, Mapping

from schemas.errors import UnavailableError
from streams.log import get

log = get(__name__)

REFRESH_S = 15.0

Ask = Callable[[Collection[str]], Mapping[str, str]]


class Incarnations:
    """The topics' ids, asked again every few seconds; what is not known now is what was known before.

    A broker that does not tell them (too old, or no right to describe topics) costs the protection, not the
    sink: it is said once.
    """

    def __init__(self, ask: Ask, clock: Callable[[], float] = time.monotonic) -> None:
        self._ask = ask
        self._clock = clock
        self._known: dict[str, str] = {}
        self._asked_at: dict[str, float] = {}
        self._silent = False
        self._lock = threading.Lock()

    def of(self, topics: Collection[str]) -> dict[str, str]:
        """The ids of those topics whose id is known. Any thread; blocks for seconds when Kafka is away."""
        with self._lock:
            return self._of(topics)

    def _of(self, topics: Collection[str]) -> dict[str, str]:
        now = self._clock()
        due = {topic for topic in topics if now - self._asked_at.get(topic, -REFRESH_S) >= REFRESH_S}
        if due:
            # Also when it fails: who waits for Kafka at every turn writes nothing.
            self._asked_at.update(dict.fromkeys(due, now))
            self._refresh(due)
        return {topic: self._known[topic] for topic in topics if topic in self._known}

    def _refresh(self, due: Collection[str]) -> None:
        try:
            self._known.update(self._ask(due))
        except UnavailableError as error:
            if not self._silent:
                log.warning("the topics' ids are not known now", reason=str(error))
            self._silent = True
        else:
            self._silent = False
