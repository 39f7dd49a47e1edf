"""The limiter: owns the table of provider groups and answers the workers' requests for tokens and slots.

Every decision is the core's (`streams/core/limiter.py`). A grant and the row that remembers it are one step.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from confluent_kafka import Message

from agents.executor import present
from schemas.errors import DecodeError
from schemas.limits import ProviderLimit
from schemas.records import LimitGrant, LimitRequest, RateLimit
from streams.codec import Codec
from streams.core.limiter import Limiter
from streams.core.ports import Time
from streams.log import get
from streams.metrics import LimiterMetrics
from streams.topics import Topology
from streams.transport.app import EngineApp
from streams.transport.owned import OwnedPartition
from streams.transport.step import Chunk, Step

log = get("tierflow.limiter")

TICK_S = 0.02
SHOWN_EVERY_S = 0.5


class LimiterAgent:
    """The limits of the groups whose partitions this process owns."""

    def __init__(
        self, app: EngineApp, topology: Topology, codec: Codec, limits: Mapping[str, ProviderLimit],
        metrics: LimiterMetrics,
    ) -> None:  # fmt: skip
        self._app, self._topology, self._codec, self._metrics = app, topology, codec, metrics
        self._limits = limits
        self._table: Any = app.Table("rate_limits", changelog=topology.rate_limits)
        self._groups: dict[int, dict[str, Limiter]] = defaultdict(dict)
        self._opened: dict[int, Time] = {}

    def attach(self) -> None:
        """Declare the agent, the clock and the hand-over on the app."""
        self._app.on_open(self._open)
        self._app.on_close(self._close)
        self._app.task(self._clock)
        topic = self._app.chunks(self._topology.limit_requests)
        self._app.agent(topic, name="limit-requests")(self._agent)

    async def _open(self, owned: OwnedPartition) -> None:
        """Take over the slots, stops, pauses and circuits; the buckets start empty."""
        time, found = present(), self._table.partition(owned.partition)
        self._opened[owned.partition] = time
        self._groups[owned.partition] = {
            row.group: Limiter(self._limits[row.group], time, row)
            for row in (self._codec.decode(RateLimit, raw) for _, raw in found.scan())
            if row.group in self._limits
        }
        log.info("limits taken over", partition=owned.partition, groups=sorted(self._groups[owned.partition]))

    async def _close(self, owned: OwnedPartition, lost: bool) -> None:
        for group in self._groups.pop(owned.partition, {}):
            self._metrics.forget(group)

    async def _agent(self, stream: Any) -> None:
        async for chunk in stream:
            self._hear(chunk)

    def _hear(self, chunk: Chunk) -> None:
        time = present()
        touched: dict[str, Limiter] = {}
        for message in chunk.records:
            request = self._request(message)
            limiter = None if request is None else self._limiter(chunk.partition, request.group)
            if request is None or limiter is None:
                continue
            touched[request.group] = limiter
            self._metrics.requests.labels(request.group).inc()
            if request.order is None:
                limiter.asked(request, message.timestamp()[1], time)
            else:
                limiter.ordered(request.order, request.by)
                log.warning("limits ordered", group=request.group, order=request.order, by=request.by)
        for limiter in touched.values():
            self._write(chunk, limiter, limiter.serve(time), time)

    def _request(self, message: Message) -> LimitRequest | None:
        try:
            return self._codec.decode(LimitRequest, message.value() or b"")
        except DecodeError as error:
            log.warning("no request for tokens", offset=message.offset(), error=str(error))
            return None

    def _limiter(self, partition: int, group: str) -> Limiter | None:
        groups = self._groups[partition]
        if group not in groups and group in self._limits:
            # Nobody was given a token of it since the partition is ours: its bucket has filled from then on.
            groups[group] = Limiter(self._limits[group], self._opened[partition])
        return groups.get(group)

    def _write(self, step: Step, limiter: Limiter, grants: Iterable[LimitGrant], time: Time) -> None:
        row = limiter.row(time)
        step.put("rate_limits", row.group.encode(), self._codec.encode(row))
        for grant in grants:
            # By partition: each is written by one owner, so a dead one's open transaction stops its own only.
            topic, key = self._topology.limit_grants, grant.worker.encode()
            step.send(topic, self._codec.encode(grant), key, step.owned.partition)
            self._metrics.tokens_granted.labels(grant.group).inc(grant.tokens)

    async def _clock(self) -> None:
        """Answer requests that waited for a token, and show the figures."""
        shown = 0.0
        while True:
            time = present()
            for partition in list(self._groups):
                self._serve(partition, time)
            if time.steady - shown >= SHOWN_EVERY_S:
                shown = time.steady
                self._show(time)
            await asyncio.sleep(TICK_S)

    def _serve(self, partition: int, time: Time) -> None:
        for limiter in self._groups[partition].values():
            if not limiter.waiting or not (grants := limiter.serve(time)):
                continue
            try:
                with self._app.step(partition) as step:
                    self._write(step, limiter, grants, time)
            except LookupError:
                return  # it is on its way to another owner, who starts with an empty bucket

    def _show(self, time: Time) -> None:
        for groups in self._groups.values():
            for name, limiter in groups.items():
                tokens, state = limiter.tokens(time), limiter.state(time)
                self._metrics.show(name, tokens, limiter.heard_slots(time), state, stopped=limiter.stopped)
