"""Faust's streams, completing a step when the agent comes back for the next one."""

import logging
from collections.abc import AsyncIterator
from typing import Any, NoReturn

from faust.serializers.schemas import Schema
from faust.streams import Stream
from faust.types.tuples import Message

from streams.transport.delivery import StepMessage
from streams.transport.step import Step, enter, leave

log = logging.getLogger(__name__)


class ChunkSchema(Schema[Any, Any]):
    """Schema of a topic that is read in chunks: hands the chunk through."""

    def compile(self, app: Any, **_: Any) -> Any:
        """The decode function of the topic."""

        async def decode(message: Message, *, propagate: bool = False) -> Any:
            return app.create_event(None, message.value, None, message)

        return decode


class EngineStream(Stream[Any]):
    """Makes the step current while its agent works on it and completes it afterwards.

    An agent that raises never comes back: its step is not completed, its records stay open and come again
    after a restart or a move of the partition. Acknowledgements of Faust are off.
    """

    app: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.enable_acks = False

    def __aiter__(self) -> AsyncIterator[Any]:
        return self._steps(super().__aiter__())

    async def _steps(self, values: AsyncIterator[Any]) -> AsyncIterator[Any]:
        async for value in values:
            event = self.current_event
            if event is None or not isinstance(event.message, StepMessage):
                yield value  # an in-memory channel
                continue
            step = _take_step(event.message)
            if step.owned.is_stopping:
                continue  # revoked while it waited here: the next owner gets it
            step.owned.active += 1
            token = enter(step)
            try:
                yield value
                step.complete()
            finally:
                step.owned.active -= 1
                leave(token)
                if not step.is_complete and not step.owned.is_closed:
                    self._report(event.message, step)

    def _report(self, message: StepMessage, step: Step) -> None:
        self.app.metrics.failed_steps.inc()
        log.error(
            "an agent left %s-%d at offsets %d..%d with an exception: not completed, its records stay open",
            message.topic, message.partition, step.low, step.high - 1,
        )  # fmt: skip

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise NotImplementedError(
            "take, group_by, through and joins are not exactly once: use chunks and steps"
        )

    take = noack_take = group_by = through = _refuse
    join = left_join = inner_join = outer_join = _refuse


def _take_step(message: StepMessage) -> Step:
    step, message.step = message.step, None
    if step is None:
        raise RuntimeError(f"two streams read topic {message.topic}: a record is one step of one agent")
    return step
