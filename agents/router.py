"""The router: classifies what producers send, fills in every default, and writes it to its tier's lane.

Keeps no state but its positions, and is the only writer of the tier topics. What does not decode or validate
becomes a dead letter.
"""

from typing import Any

from agents.routing import Routing
from streams.codec import Codec
from streams.metrics import RouterMetrics
from streams.topics import Topology
from streams.transport.app import EngineApp


class Router:
    """Two agents, one for each ingress topic."""

    def __init__(self, app: EngineApp, topology: Topology, codec: Codec, metrics: RouterMetrics) -> None:
        self._app, self._topology = app, topology
        self._routing = Routing(topology, codec, metrics)

    def attach(self) -> None:
        """Declare the agents on the app."""
        # Never written to by us: the engine keeps its source positions in the changelog of an app's table.
        self._app.Table("positions", changelog=self._topology.router_positions)
        for topic in (self._topology.events, self._topology.job_requests):
            self._app.agent(self._app.chunks(topic), name=f"route-{topic}")(self._agent)

    async def _agent(self, stream: Any) -> None:
        async for chunk in stream:
            self._routing.pass_on(chunk)
