"""The health endpoints: open to everyone, 503 only when jobs cannot be accepted."""

import pytest
from prometheus_client import CollectorRegistry

from connectors.gateway.health import FRESH_S, Checks
from connectors.gateway.metrics import GatewayMetrics
from tests.unit.connectors.gateway.fakes import API, Gateway


@pytest.mark.parametrize("prefix", ["", API])
async def test_all_well_is_ready_and_healthy(prefix: str) -> None:
    async with Gateway().client() as client:
        live = await client.get(f"{prefix}/health/live")
        ready = await client.get(f"{prefix}/health/ready")
        health = await client.get(f"{prefix}/health")
        startup = await client.get(f"{prefix}/health/startup")
    assert [r.status_code for r in (live, ready, health, startup)] == [200] * 4
    assert ready.json()["status"] == "ready"
    assert set(ready.json()["checks"]) == {"kafka", "postgres", "redis"}
    assert ready.json()["checks"]["kafka"]["latencyMs"] >= 0
    assert health.json()["checks"] == dict.fromkeys(
        ("service", "database", "redis", "kafka", "queues"), "healthy"
    )


@pytest.mark.parametrize("service", ["postgres", "redis"])
async def test_a_store_away_degrades_and_no_more(service: str) -> None:
    async with Gateway(services_down={service}).client() as client:
        ready = await client.get("/health/ready")
        health = await client.get("/health")
    assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
    assert ready.json()["checks"][service]["status"] == "down"
    assert (health.status_code, health.json()["status"]) == (200, "degraded")


async def test_kafka_away_is_503_but_the_process_lives() -> None:
    async with Gateway(services_down={"kafka"}).client() as client:
        ready = await client.get("/health/ready")
        health = await client.get("/health")
        startup = await client.get("/health/startup")
        live = await client.get("/health/live")
    assert (ready.status_code, ready.json()["status"]) == (503, "unavailable")
    assert (health.status_code, health.json()["status"]) == (503, "unhealthy")
    assert (startup.status_code, live.status_code) == (503, 200)


async def test_startup_stays_passed_when_kafka_goes_later() -> None:
    gateway = Gateway()
    async with gateway.client() as client:
        assert (await client.get("/health/startup")).status_code == 200
        gateway.services_down.add("kafka")
        assert (await client.get("/health/startup")).status_code == 200


async def test_the_services_are_asked_once_however_many_ask_us() -> None:
    asked, now = [], 100.0

    async def probe() -> None:
        asked.append(now)

    checks = Checks({"kafka": probe}, GatewayMetrics(CollectorRegistry()), lambda: now)
    for _ in range(10):
        await checks.found()
    assert len(asked) == 1
    now += FRESH_S + 0.01
    await checks.found()
    assert len(asked) == 2


async def test_why_a_service_is_down_is_not_told() -> None:
    async with Gateway(services_down={"postgres"}).client() as client:
        assert "does not answer" not in (await client.get("/health/ready")).text
