"""The local stack: what it starts is healthy, what it stores survives, what it starts ends with it."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
import redis
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from ops.stack.state import StackState
from tests.living import still
from tests.stack import ROOT, TestStack, clean_environment
from tests.topics import await_known

LIMIT_S = 180.0

# Kafka's own variable. These brokers live for seconds: the quick compiler alone halves their start.
SHORT_LIVED = {"KAFKA_OPTS": "-XX:TieredStopAtLevel=1"}


def small_stack(folder: Path, *arguments: str, environment: dict[str, str] | None = None) -> TestStack:
    """A stack without roles."""
    more = SHORT_LIVED if environment is None else environment
    return TestStack(folder, "--infrastructure", *arguments, environment=more)


def until(holds: Callable[[], bool], what: str) -> None:
    """Wait until it holds; fail when it does not in time."""
    deadline = time.monotonic() + LIMIT_S
    while not holds():
        assert time.monotonic() < deadline, f"not within {LIMIT_S:.0f} s: {what}"
        time.sleep(0.1)


def everything_of(stack: TestStack) -> list[psutil.Process]:
    """Every process under the supervisor, with the children of children, and the supervisor."""
    supervisor = psutil.Process(stack.state.supervisor)
    return [supervisor, *supervisor.children(recursive=True)]


def answers(stack: TestStack) -> bool:
    """Say whether every part is healthy."""
    return all(part["health"] == "healthy" for part in stack.report()["parts"])


def write(state: StackState) -> None:
    """Leave a record, a row and a key."""
    admin = AdminClient({"bootstrap.servers": state.kafka_bootstrap})
    admin.create_topics([NewTopic("kept", 1)])["kept"].result(60)
    await_known(admin, ["kept"])
    producer = Producer({"bootstrap.servers": state.kafka_bootstrap, "acks": "all"})
    producer.produce("kept", b"a record")
    assert producer.flush(60) == 0
    with psycopg.connect(state.database_url) as connection:
        connection.execute("create table kept as select 42 as figure")
    with redis.Redis.from_url(state.redis_url) as client:
        client.set("kept", "a value")


def assert_written(state: StackState) -> None:
    """Find the record, the row and the key."""
    consumer = Consumer({"bootstrap.servers": state.kafka_bootstrap, "group.id": "kept"})
    consumer.assign([TopicPartition("kept", 0, 0)])
    try:
        found = consumer.poll(60)
        assert found is not None
        assert found.value() == b"a record"
    finally:
        consumer.close()
    with psycopg.connect(state.database_url) as connection:
        assert connection.execute("select figure from kept").fetchone() == (42,)
    with redis.Redis.from_url(state.redis_url, decode_responses=True) as client:
        assert client.get("kept") == "a value"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestStack]:
    """A stack that the tests of this module may hurt, as long as it is healthy afterwards."""
    with small_stack(tmp_path_factory.mktemp("stack")) as running:
        yield running


def tierflow(*arguments: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run a command of ours on a data folder."""
    command = (sys.executable, "-m", "ops.cli.main", *arguments, "--data", str(folder))
    return subprocess.run(
        command, capture_output=True, text=True, timeout=240, check=False, cwd=ROOT, env=clean_environment({})
    )


def test_a_second_start_on_the_same_folder_is_refused_with_the_owner_named(stack: TestStack) -> None:
    second = tierflow("up", "--infrastructure", folder=stack.folder.root)
    assert second.returncode == 1
    assert f"already runs on {stack.folder.root} (supervisor pid {stack.state.supervisor})" in second.stderr


def test_status_is_0_while_healthy_and_names_every_part(stack: TestStack) -> None:
    found = tierflow("status", folder=stack.folder.root)
    assert found.returncode == 0, found.stderr
    assert all(
        name in found.stdout for name in ("kafka-1", "postgres", "valkey", stack.state.kafka_bootstrap)
    )


def test_status_is_2_where_nothing_runs(tmp_path: Path) -> None:
    assert tierflow("status", folder=tmp_path).returncode == 2


@pytest.mark.parametrize("name", ["valkey", "postgres", "kafka-1"])
def test_a_killed_server_is_started_again_and_said_so(stack: TestStack, name: str) -> None:
    before = stack.part(name)
    assert before.pid is not None
    os.kill(before.pid, signal.SIGKILL)
    until(lambda: stack.part(name).restarts > before.restarts, f"{name} is restarted")
    until(lambda: answers(stack), f"{name} answers again")
    assert f"{name} ended with SIGKILL; starts again in" in stack.said()


def test_children_inherit_no_descriptor_but_their_log(stack: TestStack) -> None:
    lock = os.stat(stack.folder.lock)
    for part in stack.state.parts:
        for descriptor in Path(f"/proc/{part.pid}/fd").iterdir():
            try:
                opened = os.stat(descriptor)
            except OSError:
                continue
            assert (opened.st_dev, opened.st_ino) != (lock.st_dev, lock.st_ino), part.name


def test_the_data_is_for_its_owner_only(stack: TestStack) -> None:
    assert stack.folder.state.stat().st_mode & 0o077 == 0
    assert stack.folder.shape.stat().st_mode & 0o077 == 0


def test_data_survive_a_stop_under_their_addresses_or_others_where_those_are_taken(tmp_path: Path) -> None:
    with small_stack(tmp_path) as first:
        write(first.state)
        before = first.state
    with small_stack(tmp_path) as second:
        assert second.state.kafka_bootstrap == before.kafka_bootstrap
        assert second.state.database_url == before.database_url
        assert second.state.redis_url == before.redis_url
        assert_written(second.state)
    addresses = [part.address for part in before.parts]
    takers = [socket.create_server(("127.0.0.1", int(each.rpartition(":")[2]))) for each in addresses]
    try:
        with small_stack(tmp_path) as third:
            assert not set(addresses) & {part.address for part in third.state.parts}
            assert_written(third.state)
    finally:
        for taker in takers:
            taker.close()


def test_nothing_is_left_of_a_killed_supervisor_and_the_next_start_finds_the_data(tmp_path: Path) -> None:
    first = small_stack(tmp_path).start()
    write(first.state)
    processes = everything_of(first)
    assert len(processes) >= 5
    first.stop(signal.SIGKILL)
    # At once, while the parts are still ending: it waits for them.
    second = small_stack(tmp_path)
    second.begin()
    until(lambda: not still(processes), "all processes have ended")
    second.wait_ready()
    try:
        assert_written(second.state)
    finally:
        second.stop()


def test_ctrl_c_while_starting_leaves_nothing_and_does_no_harm(tmp_path: Path) -> None:
    for mark in ("postgres.new", "kafka/1.new.properties", "kafka/1.properties"):
        if mark.endswith(".properties"):
            (tmp_path / mark).unlink(missing_ok=True)  # What an earlier round left tells nothing.
        stack = small_stack(tmp_path)
        supervisor = stack.begin()
        until(lambda: (tmp_path / mark).exists(), f"{mark} is there")  # noqa: B023
        processes = [psutil.Process(supervisor), *psutil.Process(supervisor).children(recursive=True)]
        assert stack.stop(signal.SIGINT) == 130, stack.said()
        # Killed, and the last of their threads may still be ending.
        until(lambda: not still(processes), "all processes have ended")  # noqa: B023
    with small_stack(tmp_path) as again:
        until(lambda: answers(again), "all of it is healthy")


def test_a_gateway_port_that_is_taken_is_refused_by_name(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taker:
        port = taker.getsockname()[1]
        refused = tierflow("up", "--port", str(port), folder=tmp_path)
    assert refused.returncode == 1
    assert f"port {port} for the gateway is taken" in refused.stderr


def test_services_whose_url_is_set_are_used_and_not_started(tmp_path: Path, stack: TestStack) -> None:
    there = stack.state
    urls = {
        "KAFKA_BOOTSTRAP_SERVERS": there.kafka_bootstrap,
        "DATABASE_URL": there.database_url,
        "REDIS_URL": there.redis_url,
    }
    with small_stack(tmp_path, environment=urls) as second:
        assert [part.pid for part in second.state.parts] == [None, None, None]
        assert second.state.kafka_bootstrap == there.kafka_bootstrap
        until(lambda: answers(second), "all of it is healthy")
        assert "(DATABASE_URL is set)" in second.said()


def test_a_service_that_is_set_and_away_is_an_error_that_names_the_variable(tmp_path: Path) -> None:
    environment = clean_environment({"REDIS_URL": "redis://127.0.0.1:1/0"})
    command = (sys.executable, "-m", "ops.cli.main", "up", "--infrastructure", "--data", str(tmp_path))
    refused = subprocess.run(
        command, capture_output=True, text=True, timeout=240, check=False, cwd=ROOT, env=environment
    )
    assert refused.returncode == 1
    assert "unset REDIS_URL to start one here" in refused.stderr


def test_detach_returns_when_ready_down_stops_and_reset_empties(tmp_path: Path) -> None:
    started = tierflow("up", "--infrastructure", "--detach", "--json", folder=tmp_path)
    assert started.returncode == 0, started.stderr
    assert '"phase": "ready"' in started.stdout
    stopped = tierflow("down", folder=tmp_path)
    assert stopped.returncode == 0, stopped.stderr
    assert tierflow("status", folder=tmp_path).returncode == 2
    assert tierflow("reset", "--yes", folder=tmp_path).returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == [".gitignore"]


def test_three_brokers_keep_three_copies_and_outlive_the_loss_of_one(tmp_path: Path) -> None:
    with small_stack(tmp_path, "--brokers", "3") as stack:
        settings: dict[str, str | int | float | bool] = {"bootstrap.servers": stack.state.kafka_bootstrap}
        admin = AdminClient(settings)
        admin.create_topics([NewTopic("copies", 3)])["copies"].result(60)

        def copies() -> list[int]:
            partitions = admin.list_topics("copies", 60).topics["copies"].partitions
            return [len(partition.replicas) for partition in partitions.values()]

        # The broker that is asked may hear of a new topic later than the controller that made it.
        until(lambda: copies() == [3, 3, 3], "each partition has three copies")
        victim = stack.part("kafka-2")
        assert victim.pid is not None
        os.kill(victim.pid, signal.SIGKILL)
        producer = Producer({**settings, "acks": "all"})
        for partition in range(3):
            producer.produce("copies", b"one broker is gone", partition=partition)
        assert producer.flush(60) == 0
        until(lambda: answers(stack), "the broker is back")
