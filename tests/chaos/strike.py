"""Carries out a plan of faults and writes down what was done when."""

import contextlib
import os
import signal
import threading
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
import psycopg

from tests.chaos.faults import NAIVE, Fault
from tests.chaos.surroundings import Surroundings

SLOW_S = 0.15
FOUND_LIMIT_S = 20.0
# How long the answer to a payment is held back: a handler as slow as that, or time to kill its worker.
LATE_S = 6.0
AT_WORK_LIMIT_S = 30.0
NAIVE_TABLES = {"naive-sink": "naive_rows", "naive-worker": "naive_effects"}


def naive_rows(around: Surroundings, table: str) -> int:
    """How many rows a naive peer has written; 0 when nobody can tell."""
    try:
        with psycopg.connect(around.services.state.database_url, connect_timeout=2) as connection:
            found = connection.execute(f"select count(*) from {table}").fetchone()
    except psycopg.Error:
        return 0
    return int(found[0]) if found else 0


@dataclass
class Strikes:
    """`done` tells each fault that took place, `missed` those whose process was not there in time."""

    around: Surroundings
    done: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    missed: list[str] = field(default_factory=list)

    def run(self, plan: Sequence[Fault]) -> None:
        """Return when the last fault is over."""
        began = time.monotonic()
        lasting: list[threading.Thread] = []
        for fault in plan:
            time.sleep(max(0.0, began + fault.at_s - time.monotonic()))
            thread = threading.Thread(target=self._strike, args=(fault, began))
            thread.start()
            lasting.append(thread)
        for thread in lasting:
            thread.join()

    def _strike(self, fault: Fault, began: float) -> None:
        match fault.kind:
            case "provider":
                self._tell_provider(fault.target)
                happened = True
            case "fill":
                self._fill(fault, began)
                return
            case "effect":
                happened = self._wait_for_effect() and self._signal(fault, began)
            case "cut" | "slow":
                self._note(fault, began, "")
                self._disturb(fault)
                return
            case _:
                if fault.target in NAIVE:
                    self._wait_for_work(NAIVE_TABLES[fault.target])
                happened = self._signal(fault, began)
        if fault.kind == "effect" and not happened:
            self.missed.append(f"{fault}: no payment came")
        if fault.kind == "provider" and happened:
            self._note(fault, began, "")

    def _signal(self, fault: Fault, began: float) -> bool:
        deadline = time.monotonic() + FOUND_LIMIT_S
        while time.monotonic() < deadline:
            pid = self.around.pid(fault.target)
            if pid is not None:
                with contextlib.suppress(ProcessLookupError):
                    self._hit(pid, fault)
                    self._note(fault, began, f" (pid {pid})")
                    self._wake(pid, fault)
                    return True
            time.sleep(0.1)
        self.missed.append(str(fault))
        return False

    def _hit(self, pid: int, fault: Fault) -> None:
        # At SIGTERM PostgreSQL would wait until the last client has left, and none of ours leaves.
        gently = signal.SIGINT if fault.target == "postgres" else signal.SIGTERM
        numbers = {"stop": signal.SIGSTOP, "restart": gently}
        os.kill(pid, numbers.get(fault.kind, signal.SIGKILL))

    def _wake(self, pid: int, fault: Fault) -> None:
        if fault.kind == "stop":
            time.sleep(fault.for_s)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def _disturb(self, fault: Fault) -> None:
        link = self.around.links[fault.target]
        if fault.kind == "cut":
            link.cut()
        else:
            link.slow(SLOW_S)
        time.sleep(fault.for_s)
        link.mend()

    def _fill(self, fault: Fault, began: float) -> None:
        disk = self.around.disks.get(fault.target)
        if disk is None:
            self.missed.append(f"{fault}: {self.around.no_disk or 'there is no such disk'}")
            return
        self._note(fault, began, "")
        disk.stay_full(fault.for_s)

    def _wait_for_work(self, table: str) -> None:
        """A naive peer does wrong when it is killed at work; on a slow machine it is often not there yet."""
        before = naive_rows(self.around, table)
        deadline = time.monotonic() + AT_WORK_LIMIT_S
        while naive_rows(self.around, table) <= before and time.monotonic() < deadline:
            time.sleep(0.1)

    def _wait_for_effect(self) -> bool:
        """Whether a payment was made of which its worker does not know yet."""
        self._tell_provider("late")
        deadline = time.monotonic() + FOUND_LIMIT_S
        while time.monotonic() < deadline:
            with urllib.request.urlopen(f"{self.around.stripe_url}/_control", timeout=10) as answer:
                if msgspec.json.decode(answer.read())["held"]:
                    return True
            time.sleep(0.1)
        return False

    def _tell_provider(self, kind: str) -> None:
        # A 500 to the creation stays that for the life of its key (Stripe): only a person can help then.
        path = "/confirm" if kind in ("500", "late") else ""
        body = msgspec.json.encode([{"kind": kind, "path": path, "seconds": LATE_S}])
        headers = {"content-type": "application/json"}
        request = urllib.request.Request(f"{self.around.stripe_url}/_control/faults", body, headers)
        urllib.request.urlopen(request, timeout=10).close()

    def _note(self, fault: Fault, began: float, more: str) -> None:
        self.done.append(f"{time.monotonic() - began:6.1f} s  {fault}{more}")
        if fault.target in NAIVE:
            return  # not a fault of ours
        name = f"{fault.kind} {fault.target}"
        self.counts[name] = self.counts.get(name, 0) + 1
