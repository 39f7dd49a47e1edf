"""Every private or semi-private member of Faust that the engine relies on, in one place.

Faust is pinned; before another version is taken, `tests/unit/streams/transport/test_faust_private.py` says
for each member whether it still is what the engine expects.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Touched:
    """A member of a class: where it is defined, its name, and what the engine does with it."""

    module: str
    owner: str
    member: str
    use: str

    def __str__(self) -> str:
        return f"{self.owner}.{self.member}"


OVERRIDDEN = (
    Touched("faust.app.base", "App", "_new_transport", "gives our transport instead of one by URL"),
    Touched("faust.app.base", "App", "_new_producer_transport", "the same transport for the producer"),
    Touched("faust.app.base", "App", "on_first_start", "the state directory is made first"),
    Touched("faust.app.base", "App", "on_stop", "drains before Faust cancels the agents"),
    Touched("faust.transport.consumer", "Consumer", "_commit_handler", "Faust's commit timer does nothing"),
    Touched("faust.transport.consumer", "Consumer", "_commit_livelock_detector", "nor its detector"),
    Touched("faust.transport.consumer", "Consumer", "_commit", "abstract"),
    Touched("faust.transport.consumer", "Consumer", "_seek", "abstract"),
    Touched("faust.transport.consumer", "Consumer", "_getmany", "abstract"),
    Touched("faust.transport.consumer", "Consumer", "_to_message", "abstract"),
    Touched("faust.transport.consumer", "Consumer", "_new_topicpartition", "abstract"),
    Touched("faust.transport.consumer", "Consumer", "ack", "steps complete offsets, acks do not"),
    Touched("faust.transport.consumer", "Consumer", "wait_empty", "drain() did it"),
    Touched("faust.transport.consumer", "Consumer", "on_task_error", "logs the exception of an agent"),
    Touched("faust.tables.manager", "TableManager", "on_start", "no recovery service"),
    Touched("faust.tables.manager", "TableManager", "on_partitions_revoked", "no recovery service"),
    Touched("faust.tables.manager", "TableManager", "wait_until_recovery_completed", "start at once"),
    Touched("faust.streams", "Stream", "__aiter__", "completes the step between two values"),
)
"""Methods the engine replaces: they must exist, and take the arguments ours takes."""

USED = (
    Touched("faust.app.base", "App", "_consumer", "the consumer, without making one"),
    Touched("faust.app.base", "App", "consumer_generation_id", "records bear it, streams drop others"),
    Touched("faust.app.base", "App", "flow_control", "resumed by hand: Faust's fetcher does not run"),
    Touched("faust.tables.manager", "TableManager", "_tables_finalized", "set: no table may come any more"),
    Touched("faust.tables.manager", "TableManager", "_tables_registered", "set: the conductor may subscribe"),
    Touched("faust.transport.conductor", "Conductor", "on_partitions_assigned", "routes records to agents"),
    Touched("faust.agents.manager", "AgentManager", "on_rebalance", "tells agents"),
    Touched("faust.streams", "Stream", "current_event", "leads from a value to its message"),
    Touched("faust.streams", "Stream", "enable_acks", "off"),
)
"""Members the engine reads, sets or calls."""
