"""What the roles are started with."""

from ops.stack.local_stack import role_environment
from ops.stack.roles import ROLES, Role, role_part
from ops.stack.services import addresses
from ops.stack.shape import Shape


class FixedPorts:
    """Ports in the order of asking."""

    def __init__(self) -> None:
        self._next = 25_000

    def get(self, name: str) -> int:
        self._next += 1
        return self._next


def environment(given: dict[str, str]) -> dict[str, str]:
    """The variables that all roles share, where the person's environment is `given`."""
    at = addresses(Shape(brokers=3, partitions=6), FixedPorts(), given)  # type: ignore[arg-type]
    return role_environment(at, 6, given)


def test_the_gateway_is_asked_on_the_port_that_it_serves() -> None:
    part = role_part(
        Role("gateway", ("gateway",), serves=True), port=3020, metrics_port=25_000, environment={}
    )
    assert part.health == "http://127.0.0.1:3020/health/ready"
    assert part.address == "http://127.0.0.1:3020"


def test_the_other_roles_are_asked_on_their_metrics_port() -> None:
    part = role_part(Role("worker-1", ("worker", "1")), port=3020, metrics_port=25_000, environment={})
    assert part.health == "http://127.0.0.1:25000/health/ready"
    assert part.env["TIERFLOW_METRICS_PORT"] == "25000"


def test_each_role_has_a_name_of_its_own_that_never_changes() -> None:
    parts = [role_part(role, port=1, metrics_port=2, environment={}) for role in ROLES]
    instances = [part.env["TIERFLOW_INSTANCE"] for part in parts]
    assert instances == [f"{role.name}-0" for role in ROLES]
    assert len(set(instances)) == len(ROLES)


def test_roles_are_told_the_addresses_and_the_shape_of_the_topics() -> None:
    found = environment({})
    assert found["KAFKA_BOOTSTRAP_SERVERS"].count(",") == 2
    assert found["TIERFLOW_REPLICATION"] == "3"
    assert found["TIERFLOW_PARTITIONS"] == "6"
    assert found["DATABASE_URL"].startswith("postgresql://tierflow:")
    assert found["REDIS_URL"].startswith("redis://127.0.0.1:")


def test_services_of_the_environment_are_passed_on_and_their_copies_left_to_it() -> None:
    found = environment({"KAFKA_BOOTSTRAP_SERVERS": "there:9092", "DATABASE_URL": "postgresql://there/db"})
    assert found["KAFKA_BOOTSTRAP_SERVERS"] == "there:9092"
    assert found["DATABASE_URL"] == "postgresql://there/db"
    assert "TIERFLOW_REPLICATION" not in found


def test_without_identity_the_stack_is_open_and_on_loopback() -> None:
    found = environment({})
    assert (found["TIERFLOW_AUTH"], found["TIERFLOW_HOST"]) == ("open", "127.0.0.1")


def test_a_configured_identity_is_never_opened() -> None:
    for name in ("JWT_SECRET", "JWT_PUBLIC_KEY_FILE", "JWT_JWKS_URL", "TIERFLOW_AUTH"):
        assert "TIERFLOW_AUTH" not in environment({name: "set"})
