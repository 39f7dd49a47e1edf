"""Which ports are chosen and kept."""

import pytest

from ops.stack import ports
from ops.stack.errors import StackError
from ops.stack.ports import CHOICE, Ports, is_free, kept


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """The ports that others listen on."""
    numbers: set[int] = set()
    monkeypatch.setattr(ports, "is_free", lambda port: port not in numbers)
    return numbers


@pytest.mark.usefixtures("taken")
def test_a_chosen_port_is_remembered() -> None:
    remembered: dict[str, int] = {}
    chosen = Ports(remembered).get("kafka-1")
    assert chosen in CHOICE
    assert Ports(remembered).get("kafka-1") == chosen


def test_a_remembered_port_that_is_taken_is_replaced(taken: set[int]) -> None:
    taken.add(25_000)
    remembered = {"kafka-1": 25_000}
    assert Ports(remembered).get("kafka-1") != 25_000
    assert remembered["kafka-1"] != 25_000


@pytest.mark.usefixtures("taken")
def test_two_names_never_get_one_port() -> None:
    found = Ports({"a": 25_000, "b": 25_000})
    assert found.get("a") != found.get("b")


@pytest.mark.usefixtures("taken")
def test_a_port_remembered_for_a_later_name_is_not_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.sample", lambda *_: [25_000, 25_001])
    assert Ports({"later": 25_000}).get("sooner") == 25_001


def test_an_exact_port_that_is_taken_is_an_error_that_names_it(taken: set[int]) -> None:
    taken.add(3020)
    with pytest.raises(StackError, match="port 3020 for the gateway is taken"):
        Ports({}).claim("gateway", 3020)


def test_a_preferred_port_gives_way_when_it_is_taken(taken: set[int]) -> None:
    taken.add(3020)
    assert Ports({}).prefer("gateway", 3020) in CHOICE
    taken.clear()
    assert Ports({"gateway": 25_000}).prefer("gateway", 3020) == 3020


def test_a_kept_port_is_free_for_its_server_only_after_the_block() -> None:
    port = Ports({}).get("emulator")
    with kept(port):
        assert not is_free(port)
    assert is_free(port)
