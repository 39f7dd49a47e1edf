"""What every part of the demo has in common: it sends something, and later says whether it came out right."""

from dataclasses import dataclass
from typing import Protocol

import httpx

from ops.demo.checks import Check
from ops.demo.gateway import Gateway
from ops.demo.observer import Observer


@dataclass(frozen=True)
class World:
    """What a scenario may look at."""

    run: str
    gateway: Gateway
    observer: Observer
    stripe: httpx.AsyncClient
    mailbox: httpx.AsyncClient


class Scenario(Protocol):
    """One part of the demo."""

    async def send(self, world: World) -> None:
        """Hand everything in. DemoError when it is not accepted."""

    async def check(self, world: World) -> list[Check]:
        """What came of it; called when every job has ended."""
