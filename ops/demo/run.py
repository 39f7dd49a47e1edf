"""The course of a demo: everything is sent, two workers die, everything is checked."""

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator

import httpx

from connectors.kafka.registry import codec
from ops.demo import ledger
from ops.demo.analytics import Analytics
from ops.demo.broken import Broken
from ops.demo.checks import Check
from ops.demo.documents import Cells, Edits
from ops.demo.gateway import Gateway
from ops.demo.kills import Kills
from ops.demo.mails import Mails
from ops.demo.observer import Observer
from ops.demo.payments import Payments
from ops.demo.scenario import Scenario, World
from ops.demo.show import Bars, Outcome
from ops.demo.surroundings import Surroundings
from ops.demo.tasks import Tasks
from ops.demo.validations import Validations
from ops.demo.wait import until
from streams.settings import KafkaSettings, load

# The longest wait for the last job of a part: retries and a restart of a worker are in it.
PART_LIMIT_S = 240.0
KILL_AFTER = 1_000


async def demo(around: Surroundings, bars: Bars) -> Outcome:
    """Run it all. DemoError when something cannot even be handed in."""
    began = time.monotonic()
    kafka = load().kafka.model_copy(update={"bootstrap_servers": around.state.kafka_bootstrap})
    run = secrets.token_hex(3)
    async with _world(run, around, kafka) as world:
        checks, killed = await _course(world, around, kafka, bars)
        accepted = world.gateway.accepted
        await _until_ended(world, bars)
        checks += ledger.once(accepted, world.observer)
        checks += await ledger.rows(around.state.database_url, accepted, world.observer)
        tiers = ledger.lines(accepted, world.observer)
    return Outcome(run, time.monotonic() - began, tiers, checks, killed, around.state.gateway_url)


async def _course(
    world: World, around: Surroundings, kafka: KafkaSettings, bars: Bars
) -> tuple[list[Check], dict[str, int]]:
    run, cells = world.run, Cells(world.run)
    first: list[Scenario] = [
        Payments(run), Mails(run), Tasks(run), Analytics(run), Broken(run, kafka, codec(kafka)), cells
    ]  # fmt: skip
    kills = Kills(around.folder, bars.say)
    bars.say(f"run {run}: {len(cells.sheets)} tables as documents, payments, e-mails, tasks, analytics")
    striking = asyncio.create_task(kills.strike(world.observer, world.gateway.accepted, KILL_AFTER))
    try:
        await asyncio.gather(*(scenario.send(world) for scenario in first))
        await _until_ended(world, bars)
    finally:
        striking.cancel()
        await asyncio.gather(striking, return_exceptions=True)
    bars.say("the documents are complete: edits, formula jobs and validations")
    second: list[Scenario] = [Edits(cells), Validations(cells)]
    for scenario in second:
        await scenario.send(world)
    await _until_ended(world, bars)
    bars.say("checking")
    found = [await scenario.check(world) for scenario in (*first, *second)]
    return [check for checks in (*found, await kills.check()) for check in checks], kills.pids


async def _until_ended(world: World, bars: Bars) -> None:
    """Wait until every accepted job has ended, or the limit has passed: the checks then say which did not."""
    accepted, observer = world.gateway.accepted, world.observer

    def all_ended() -> bool:
        bars.update(accepted, observer)
        return observer.ended(accepted) == len(accepted)

    await until(all_ended, PART_LIMIT_S, every_s=0.2)


@contextlib.asynccontextmanager
async def _world(run: str, around: Surroundings, kafka: KafkaSettings) -> AsyncIterator[World]:
    def client(url: str | None) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=url or "", timeout=120.0, trust_env=False)

    async with (
        client(f"{around.state.gateway_url}/api/v1/queue") as gateway,
        client(around.emulated.stripe_url) as stripe,
        client(around.emulated.mailbox_url) as mailbox,
    ):
        observer = Observer(kafka, codec(kafka))
        await asyncio.to_thread(observer.start)
        try:
            yield World(run, Gateway(gateway), observer, stripe, mailbox)
        finally:
            await asyncio.to_thread(observer.close)
