"""The executor with handlers of every mode: what a function in a thread may do, and how it is stopped."""

import asyncio
import json
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from agents.document import Carried
from agents.executor import Executor
from agents.handlers.registry import Handler, Mode
from agents.providers import Providers
from agents.running.threads import Threads
from agents.spreadsheet.workbooks import Workbooks
from schemas import catalogue
from schemas.errors import JobError, PermanentError, TransientError
from schemas.job_type import Queue, job_type
from schemas.payloads.contract import Contract
from schemas.tiers import Tier
from streams.core.attempt import Attempt
from streams.core.entry import Entry, position
from tests.unit.agents.engine import metrics
from tests.unit.streams.core.builders import a_job

LIMIT_S = 60.0


class Rig:
    """An executor, and one attempt of `chat-message` (or another kind) under way."""

    def __init__(
        self, function: Callable[..., Any], mode: Mode, kind: str = "chat-message", **job: Any
    ) -> None:
        handlers = {kind: Handler(kind, function, mode=mode)}
        self.executor = Executor(handlers, Providers(), Workbooks(), None, metrics(), now=lambda: 5_000)
        self.said: list[tuple[int, str | None, str | None, str]] = []
        data = json.dumps({"userId": "u", "conversationId": "c", "message": "m"})
        made = a_job(**{"type": kind, "data": data, "timeout_ms": 10_000, **job})
        self.home = SimpleNamespace(closing=False)
        home: Any = self.home
        self.attempt = Attempt(Entry(made, position("k", 1, 0), 0), home, 0)
        self.task = asyncio.ensure_future(self.executor.perform(self.attempt, self._report))

    def _report(self, percentage: int, stage: str | None, message: str | None) -> None:
        self.said.append((percentage, stage, message, threading.current_thread().name))

    async def result(self) -> tuple[Any, Carried]:
        async with asyncio.timeout(LIMIT_S):
            text, carried = await self.task
        return json.loads(text)["data"], carried


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(LIMIT_S):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.002)


def held(began: threading.Event, go: threading.Event) -> Callable[[Any, Any], dict[str, Any]]:
    """A function that says that it runs, and ends when it may."""

    def work(ctx: Any, data: Any) -> dict[str, Any]:
        began.set()
        go.wait(LIMIT_S)
        return {}

    return work


async def test_a_plain_function_runs_in_a_thread_and_reports_in_the_loop() -> None:
    def work(ctx: Any, data: Any) -> dict[str, Any]:
        ctx.progress(40, "reading", "half")
        ctx.document.write("A1", "1")
        return {"thread": threading.current_thread().name, "cells": dict(ctx.document.cells())}

    rig = Rig(work, Mode.THREAD)
    result, carried = await rig.result()
    assert (result, carried.document._changes) == ({"thread": "handler", "cells": {}}, {"A1": "1"})
    await until(lambda: bool(rig.said))
    assert rig.said == [(40, "reading", "half", threading.main_thread().name)]


async def test_children_and_updates_go_out_with_the_result() -> None:
    def work(ctx: Any, data: Any) -> None:
        ctx.submit("chat-message", data)
        ctx.live("seen", {})

    _, carried = await Rig(work, Mode.THREAD).result()
    assert [child.accepted_at for child in carried.submitted] == [5_000]
    assert carried.updates == [("seen", {})]


async def test_what_a_function_raises_is_raised() -> None:
    def work(ctx: Any, data: Any) -> None:
        raise TransientError("later", code="busy", retry_after_s=3)

    with pytest.raises(TransientError) as caught:
        await Rig(work, Mode.THREAD).result()
    assert (caught.value.code, caught.value.retry_after_s) == ("busy", 3)


async def test_a_function_past_its_time_is_asked_to_stop_and_waited_for() -> None:
    """Else its next attempt would run beside it."""

    def work(ctx: Any, data: Any) -> None:
        while not ctx.cancelled.is_set():
            threading.Event().wait(0.001)
        ctx.cancelled.check()

    with pytest.raises(TimeoutError):
        await Rig(work, Mode.THREAD, timeout_ms=20).result()


async def test_a_function_past_its_time_is_counted_while_it_goes_on() -> None:
    began, go = threading.Event(), threading.Event()
    rig = Rig(held(began, go), Mode.THREAD, timeout_ms=20)
    await until(lambda: len(rig.executor._hung._calls) == 1)
    go.set()
    await rig.result()
    await until(lambda: not rig.executor._hung._calls)


async def test_a_function_that_ends_well_after_its_time_has_ended_well() -> None:
    def work(ctx: Any, data: Any) -> dict[str, Any]:
        threading.Event().wait(0.1)
        return {"late": True}

    result, _ = await Rig(work, Mode.THREAD, timeout_ms=20).result()
    assert result == {"late": True}


async def test_a_cancelled_function_still_counts_until_it_returns() -> None:
    began, go = threading.Event(), threading.Event()
    rig = Rig(held(began, go), Mode.THREAD)
    await until(began.is_set)
    rig.task.cancel()
    await asyncio.sleep(0.02)
    assert not rig.task.done()
    go.set()
    await rig.result()


async def test_when_its_partition_goes_a_function_is_left_to_itself() -> None:
    began, go = threading.Event(), threading.Event()
    rig = Rig(held(began, go), Mode.THREAD)
    await until(began.is_set)
    rig.home.closing = True
    rig.executor.closing(0)
    rig.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await rig.result()
    go.set()


async def test_threads_are_used_again_and_never_queue() -> None:
    threads, gate = Threads(), threading.Barrier(4)
    for _ in range(3):
        calls = [asyncio.wrap_future(threads.run(gate.wait)) for _ in range(3)]
        gate.wait(LIMIT_S)
        await asyncio.gather(*calls)
    assert threads._started == 3
    threads.close()


# -- in the loop


async def test_a_cancel_reaches_the_handler_and_ends_the_attempt_without_a_failure() -> None:
    async def work(ctx: Any, data: Any) -> None:
        await ctx.cancelled.wait()
        ctx.cancelled.check()

    rig = Rig(work, Mode.LOOP)
    await asyncio.sleep(0)
    rig.executor.cancel(rig.attempt)
    with pytest.raises(asyncio.CancelledError):
        await rig.result()
    assert rig.task.cancelled()
    rig.executor.cancel(rig.attempt)  # it is over: nothing happens


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ConnectionResetError("gone"), asyncio.CancelledError),
        (PermanentError("no", code="no"), PermanentError),
    ],
)
async def test_after_a_cancel_only_what_a_handler_says_of_its_job_is_a_failure(
    error: Exception, expected: type[BaseException]
) -> None:
    async def work(ctx: Any, data: Any) -> None:
        await ctx.cancelled.wait()
        raise error

    rig = Rig(work, Mode.LOOP)
    await asyncio.sleep(0)
    rig.executor.closing(1)
    assert not next(iter(rig.executor._running.values())).cancelled.is_set()
    rig.executor.closing(0)
    with pytest.raises(expected):
        await rig.result()


async def test_a_result_that_is_no_json_is_the_handlers_fault() -> None:
    async def work(ctx: Any, data: Any) -> dict[str, Any]:
        return {"x": object()}

    with pytest.raises(PermanentError) as caught:
        await Rig(work, Mode.LOOP).result()
    assert caught.value.code == "result_no_json"


# -- where nobody knows what happened


class Wire(Contract):
    amount: int


@pytest.fixture
def _wire(own_catalogue: None) -> None:
    catalogue.declare(job_type("wire", Wire, Queue("wires", Tier.IMPORTANT), on_unknown="park"))


@pytest.mark.usefixtures("_wire")
@pytest.mark.parametrize(
    ("error", "code"),
    [
        (TransientError("not sent", code="away"), "away"),
        (PermanentError("refused", code="refused"), "refused"),
        (ConnectionResetError("after the request"), "unknown_outcome"),
        (ValueError("in the answer"), "unknown_outcome"),
    ],
)
async def test_where_a_person_decides_only_what_is_called_transient_is_tried_again(
    error: Exception, code: str
) -> None:
    async def work(ctx: Any, data: Any) -> None:
        raise error

    with pytest.raises(JobError) as caught:
        await Rig(work, Mode.LOOP, "wire", data='{"amount":1}').result()
    assert (caught.value.code, str(error) in str(caught.value)) == (code, True)


@pytest.mark.usefixtures("_wire")
async def test_where_a_person_decides_a_time_out_is_not_tried_again() -> None:
    async def work(ctx: Any, data: Any) -> None:
        await asyncio.Event().wait()

    with pytest.raises(PermanentError) as caught:
        await Rig(work, Mode.LOOP, "wire", data='{"amount":1}', timeout_ms=10).result()
    assert caught.value.code == "unknown_outcome"
