"""What the engine raises, and the codes with which it ends the process.

TransportError
+- StepLost           the partition went before the step's transaction was committed
+- StepClosed         a step that is already complete was used again
+- UnknownTopic       an output names a topic that the cluster does not have
+- RecordTooLarge     an output or table value does not fit into a record
+- TopicMismatch      at start: a topic is missing or has another partition count
+- ProducerFatal      the transactional producer is dead or its outcome unknown
"""

from enum import IntEnum


class TransportError(Exception):
    """Root of the engine's errors."""


class StepLost(TransportError):  # noqa: N818
    """The partition was closed before the step was known to be committed: another owner decides now."""


class StepClosed(TransportError):  # noqa: N818
    """A step that is complete takes no more outputs and no more table writes."""


class UnknownTopic(TransportError):  # noqa: N818
    """The cluster has no such topic, so a transaction that wrote to it could never be committed."""


class RecordTooLarge(TransportError):  # noqa: N818
    """Key, value and headers together exceed `EngineConfig.max_record_bytes`."""


class TopicMismatch(TransportError):  # noqa: N818
    """A source or changelog topic is missing or has an unexpected number of partitions."""


class ProducerFatal(TransportError):  # noqa: N818
    """Only the broker knows what was committed: drop all state and start from its offsets."""


class Exit(IntEnum):
    """Exit codes of a process that ends itself: a supervisor restarts it under the same instance name."""

    CONSUME_THREAD_FAILED = 70
    CONSUMER_FATAL = 71
    REBALANCE_STUCK = 72
    OPENING_FAILED = 73
    SEEK_FAILED = 74
    FENCED_REPEATEDLY = 75
    TRANSACTION_STUCK = 76
    LOOP_STUCK = 77
    SHUTDOWN_STUCK = 78
    THREADS_HUNG = 79
