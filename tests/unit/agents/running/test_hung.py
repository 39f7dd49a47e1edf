"""Functions past their time: counted while they go on; too many that hang, and the process is replaced."""

import threading
from concurrent.futures import Future
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from agents.running import hung
from agents.running.hung import Hung
from agents.running.threads import Threads
from streams.metric_names import OVERDUE
from tests.unit.agents.running.test_modes import until
from tests.unit.streams.core.builders import a_job

JOB = a_job(queue="robot", type="validation")


class Rig:
    """Functions that go on until they may end."""

    def __init__(self, most: int) -> None:
        self.registry, self.replaced = CollectorRegistry(), 0
        self.hung = Hung(OVERDUE.gauge(self.registry), most, self._replace)
        self._threads, self._go = Threads(), threading.Event()

    def _replace(self) -> None:
        self.replaced += 1

    def starts(self) -> "Future[Any]":
        return self._threads.run(self._go.wait)

    def end(self) -> None:
        self._go.set()
        self._threads.close()

    def overdue(self) -> float | None:
        labels = {"queue_name": JOB.queue, "job_type": JOB.type}
        return self.registry.get_sample_value("handlers_overdue", labels)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hung, "HANGS_AFTER_S", 0.01)


async def test_too_many_that_hang_ask_for_a_new_process_and_fewer_do_not() -> None:
    rig = Rig(most=2)
    rig.hung.goes_on(rig.starts(), JOB)
    await until(lambda: len(rig.hung._hanging) == 1)
    assert rig.replaced == 0
    rig.hung.goes_on(rig.starts(), JOB)
    await until(lambda: rig.replaced == 1)
    rig.end()


async def test_one_that_returns_is_forgotten() -> None:
    rig = Rig(most=2)
    calls = [rig.starts() for _ in range(3)]
    for call in (*calls[:1], *calls[:1]):
        rig.hung.goes_on(call, JOB)
    assert rig.overdue() == 1
    rig.end()
    await until(lambda: rig.overdue() == 0)
    assert (rig.hung._calls, rig.hung._hanging) == ({}, set())
    rig.hung.goes_on(calls[0], JOB)
    assert rig.overdue() == 0


async def test_what_returns_in_time_never_counts_as_hanging(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hung, "HANGS_AFTER_S", 600)
    rig = Rig(most=1)
    rig.hung.goes_on(rig.starts(), JOB)
    rig.end()
    await until(lambda: rig.overdue() == 0)
    assert rig.replaced == 0
