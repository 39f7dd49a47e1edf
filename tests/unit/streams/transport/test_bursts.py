"""Work that ends at once shares a task; what waits has its own."""

import asyncio
import gc
import weakref
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import pytest

from streams.transport.bursts import Work
from streams.transport.limits import Limits
from streams.transport.owned import OwnedPartition

WHO: ContextVar[str] = ContextVar("who", default="nobody")


class Rig:
    """One partition, and how its work ended."""

    def __init__(self) -> None:
        self.owned = OwnedPartition(0, Limits(1_000, dict), lambda _: None)
        self.ended: dict[str, Any] = {}
        self.tasks: dict[str, Any] = {}

    def start(self, name: str, work: Callable[[], Any] | None = None) -> Work:
        return self.owned.start(self._noted(name, work), self._after, name)

    async def _noted(self, name: str, work: Callable[[], Any] | None) -> str:
        self.tasks[name] = asyncio.current_task()
        if work is not None:
            await work()
        return f"{name} ended"

    def _after(self, name: Any, result: Any, error: BaseException | None) -> None:
        self.ended[name] = result if error is None else type(error)

    async def until(self, *names: str) -> None:
        async with asyncio.timeout(30):
            while not self.ended.keys() >= set(names):  # noqa: ASYNC110
                await asyncio.sleep(0)


@pytest.fixture
def rig() -> Rig:
    return Rig()


async def test_what_ends_at_its_first_step_shares_a_task(rig: Rig) -> None:
    rig.start("a")
    rig.start("b")
    await rig.until("a", "b")
    assert rig.tasks["a"] is rig.tasks["b"]
    assert rig.ended == {"a": "a ended", "b": "b ended"}


async def test_what_waits_holds_up_nobody_and_keeps_its_task(rig: Rig) -> None:
    gate = asyncio.Event()
    rig.start("waits", gate.wait)
    rig.start("b")
    await rig.until("b")
    assert rig.tasks["waits"] is not rig.tasks["b"]
    gate.set()
    await rig.until("waits")
    async with asyncio.timeout(30):
        while rig.owned.tasks:  # noqa: ASYNC110
            await asyncio.sleep(0)


async def test_one_that_waits_is_cancelled_alone(rig: Rig) -> None:
    gate = asyncio.Event()
    works = {name: rig.start(name, gate.wait) for name in "abc"}
    while len(rig.tasks) < 3:  # noqa: ASYNC110
        await asyncio.sleep(0)
    works["b"].cancel()
    await rig.until("b")
    gate.set()
    await rig.until("a", "c")
    assert rig.ended == {"b": asyncio.CancelledError, "a": "a ended", "c": "c ended"}


async def test_one_that_is_cancelled_before_its_first_step_never_begins(rig: Rig) -> None:
    rig.start("a")
    rig.start("b").cancel()
    rig.start("c")
    await rig.until("a", "b", "c")
    assert rig.ended["b"] is asyncio.CancelledError
    assert "b" not in rig.tasks
    assert rig.ended["c"] == "c ended"


async def test_what_has_not_begun_when_the_partition_goes_is_cancelled(rig: Rig) -> None:
    rig.start("a")
    rig.start("b")
    rig.owned.close()
    await rig.until("a", "b")
    assert set(rig.ended.values()) == {asyncio.CancelledError}
    assert not rig.tasks


async def test_what_waits_when_the_partition_goes_is_cancelled(rig: Rig) -> None:
    rig.start("a", asyncio.Event().wait)
    while not rig.tasks:  # noqa: ASYNC110
        await asyncio.sleep(0)
    rig.owned.close()
    await rig.until("a")
    assert rig.ended["a"] is asyncio.CancelledError


async def test_a_cancel_that_work_asks_for_itself_does_not_meet_the_next(rig: Rig) -> None:
    async def cancels_itself() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()

    rig.start("a", cancels_itself)
    rig.start("b", lambda: asyncio.sleep(0))
    await rig.until("a", "b")
    assert rig.ended["b"] == "b ended"


async def test_work_may_clean_up_after_its_cancel(rig: Rig) -> None:
    seen = []

    async def tidy() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            seen.append("clean")

    work = rig.start("a", tidy)
    while not rig.tasks:  # noqa: ASYNC110
        await asyncio.sleep(0)
    work.cancel()
    await rig.until("a")
    assert (seen, rig.ended["a"]) == (["clean"], asyncio.CancelledError)


async def test_an_error_is_the_work_s_own(rig: Rig) -> None:
    async def fails() -> None:
        raise ValueError("no")

    rig.start("a", fails)
    rig.start("b")
    await rig.until("a", "b")
    assert rig.ended == {"a": ValueError, "b": "b ended"}


async def test_context_variables_stay_with_their_work_over_its_steps(rig: Rig) -> None:
    seen = []

    def says(name: str) -> Callable[[], Any]:
        async def work() -> None:
            token = WHO.set(name)
            await asyncio.sleep(0)
            seen.append(WHO.get())
            WHO.reset(token)

        return work

    async def looks() -> None:
        seen.append(WHO.get())

    rig.start("a", says("a"))
    rig.start("b", says("b"))
    rig.start("c", looks)
    await rig.until("a", "b", "c")
    assert sorted(seen) == ["a", "b", "nobody"]


async def test_time_limits_of_the_library_hold_within_work(rig: Rig) -> None:
    async def waits() -> None:
        async with asyncio.timeout(0.01):
            await asyncio.Event().wait()

    rig.start("a", waits)
    rig.start("b")
    await rig.until("a", "b")
    assert rig.ended == {"a": TimeoutError, "b": "b ended"}


async def test_work_that_is_added_by_the_end_of_other_work_runs(rig: Rig) -> None:
    rig.owned.start(rig._noted("a", None), lambda *_: rig.start("b"), "a")
    await rig.until("b")
    assert rig.ended == {"b": "b ended"}


async def test_what_ended_is_freed_without_the_collector(rig: Rig) -> None:
    class Subject:
        work: Work

    async def nothing() -> None:
        pass

    subject = Subject()
    subject.work = rig.owned.start(nothing(), lambda *_: rig._after("a", None, None), subject)
    await rig.until("a")
    seen = weakref.ref(subject)
    gc.disable()
    try:
        del subject
        assert seen() is None
    finally:
        gc.enable()


async def test_so_many_that_wait_have_begun_after_a_few_turns_of_the_loop(rig: Rig) -> None:
    gate = asyncio.Event()
    names = [f"w{n}" for n in range(100)]
    for name in names:
        rig.start(name, gate.wait)
    for _ in range(8):
        await asyncio.sleep(0)
    assert list(rig.tasks) == names
    gate.set()
    await rig.until(*names)


async def test_what_ends_at_once_behind_one_that_waits_shares_a_task_again(rig: Rig) -> None:
    gate = asyncio.Event()
    rig.start("waits", gate.wait)
    names = [f"w{n}" for n in range(100)]
    for name in names:
        rig.start(name)
    await rig.until(*names)
    assert len({rig.tasks[name] for name in names}) == 1
    assert len(rig.owned.tasks) <= 3
    gate.set()
    await rig.until("waits")
