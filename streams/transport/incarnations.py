"""Which incarnation of a topic this is: each has an id of its own, and offsets of another tell nothing.

A topic that is deleted and made anew, or the whole cluster, begins again at 0: a store that was kept from
before would be continued somewhere in the middle of other records.
"""

import logging
import time
from collections.abc import Callable, Collection

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from streams.transport.store import Store

log = logging.getLogger(__name__)

Ask = Callable[[Collection[str]], dict[str, str]]

_TIMEOUT_S = 10.0
_ASKED_FOR_S = 30.0
_NOTE = b"changelog-id"


def topic_ids(admin: AdminClient, names: Collection[str]) -> dict[str, str]:
    """The ids of those topics that there are. Blocks for some seconds; KafkaException, TimeoutError."""
    found = {}
    asked = admin.describe_topics(TopicCollection(sorted(names)), request_timeout=_TIMEOUT_S)
    for name, answer in asked.items():
        try:
            found[name] = str(answer.result(_TIMEOUT_S).topic_id)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise
    return found


def patiently(
    ask: Ask, names: Collection[str], abandoned: Callable[[], bool], limit_s: float = _ASKED_FOR_S
) -> dict[str, str]:
    """The ids of all these topics, asked for again until they are told or nobody waits any more.

    A cluster that does not tell them costs the protection, not the worker: then those that are known.
    """
    deadline, found, reason = time.monotonic() + limit_s, dict[str, str](), ""
    while not abandoned():
        try:
            found = ask(names)
            reason = f"not there: {sorted(set(names) - found.keys())}"
        except (KafkaException, TimeoutError) as error:
            reason = str(error)
        if len(found) == len(set(names)):
            break
        if time.monotonic() > deadline:
            log.error("topics' ids are not told, stores of topics made anew would be trusted: %s", reason)
            break
        time.sleep(0.2)
    return found


def bind(store: Store, path: str, topic_id: str | None) -> None:
    """Let the store belong to this incarnation of its changelog; what another one left is thrown away."""
    if topic_id is None:
        return
    known = store.notes().get(_NOTE)
    if known == topic_id.encode():
        return
    if store.offset:
        log.warning(
            "store of %s is that of changelog %s, which is %s now: rebuilding it",
            path, known.decode() if known else "of an unknown id", topic_id,
        )  # fmt: skip
        store.clear()
    store.write({}, {_NOTE: topic_id.encode()}, None)
