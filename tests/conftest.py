"""Fixtures that need servers. None is started before a test asks for it; each is started once per session.

TIERFLOW_TEST_KAFKA, TIERFLOW_TEST_DATABASE and TIERFLOW_TEST_REDIS name servers to use instead.
"""

import itertools
import os
import re
import secrets
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
import redis
from hypothesis import HealthCheck, settings
from psycopg.sql import SQL, Identifier

from schemas import catalogue
from tests.stack import TestStack

_redis_numbers = itertools.count(1)

# How long an example takes is the machine's to say.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


@pytest.fixture(scope="session")
def infrastructure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestStack]:
    """Kafka (one node), PostgreSQL and Valkey of this session."""
    with TestStack(tmp_path_factory.mktemp("infrastructure"), "--infrastructure") as stack:
        yield stack


@pytest.fixture(scope="session")
def running_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestStack]:
    """The whole product, as `tierflow up` starts it: `running_stack.state.gateway_url` and so on."""
    with TestStack(tmp_path_factory.mktemp("product")) as stack:
        yield stack


@pytest.fixture(scope="session")
def kafka_bootstrap(request: pytest.FixtureRequest) -> str:
    """Kafka's address. Shared by all tests: take topics and groups of your own."""
    return _address(request, "TIERFLOW_TEST_KAFKA", "kafka_bootstrap")


@pytest.fixture(scope="module")
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of an empty database for this test module alone."""
    server = _address(request, "TIERFLOW_TEST_DATABASE", "database_url")
    module = re.sub(r"\W", "_", request.module.__name__.rpartition(".")[2])[:40]
    name = f"{module}_{secrets.token_hex(4)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(SQL("create database {}").format(Identifier(name)))
        yield f"{server.rpartition('/')[0]}/{name}"
        connection.execute(SQL("drop database {} with (force)").format(Identifier(name)))


@pytest.fixture(scope="module")
def redis_url(request: pytest.FixtureRequest) -> str:
    """The URL of a database for this test module alone, emptied before."""
    server = _address(request, "TIERFLOW_TEST_REDIS", "redis_url")
    url = f"{server.rpartition('/')[0]}/{1 + next(_redis_numbers) % 15}"
    with redis.Redis.from_url(url) as client:
        client.flushdb()
    return url


def _address(request: pytest.FixtureRequest, variable: str, member: str) -> str:
    given = os.environ.get(variable)
    if given:
        return given
    stack: TestStack = request.getfixturevalue("infrastructure")
    return str(getattr(stack.state, member))


@pytest.fixture
def own_catalogue() -> Iterator[None]:
    """The catalogue is afterwards as it was: what a test declares is its own."""
    tables: tuple[dict[str, Any], ...] = (
        catalogue.JOB_TYPES, catalogue.QUEUES, catalogue._BY_ALIAS, catalogue._QUEUE_BY_ALIAS,
    )  # fmt: skip
    before = [dict(table) for table in tables]
    yield
    for table, kept in zip(tables, before, strict=True):
        table.clear()
        table.update(kept)
