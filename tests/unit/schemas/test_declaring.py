"""A job author's types join the catalogue at start, or say what is wrong with them."""

from dataclasses import replace
from typing import Any

import pytest

from schemas.catalogue import JOB_TYPES, QUEUES, declare, find_kind, find_queue, find_type
from schemas.errors import ConfigError, UnknownTypeError
from schemas.job_type import JobType, Queue, check, job_type
from schemas.payloads.contract import Contract
from schemas.retry import RetryPolicy
from schemas.tiers import POLICIES, Tier

GREETINGS = Queue("greetings", Tier.EPHEMERAL, ("hellos",))


class Greet(Contract):
    first_name: str
    city: str | None = None


def greet(queue: Queue = GREETINGS, **changes: Any) -> JobType:
    return job_type(
        "greet", Greet, queue, **{"idempotency": "greet-{firstName}-{city|'x'}-{date}", **changes}
    )


pytestmark = pytest.mark.usefixtures("own_catalogue")


def test_a_declared_type_is_found_with_its_queue_by_any_spelling() -> None:
    declare(greet(aliases=("say_hello",)))
    assert find_type("greetings-queue", "GREET").contract is Greet
    assert find_type("hellos", "say-hello").kind == find_kind("say_hello").kind == "greet"
    assert (find_queue("greetings").tier, find_kind("greet").retry) == (3, POLICIES[Tier.EPHEMERAL].retry)


def test_declared_once_more_it_is_the_same() -> None:
    declare(greet())
    declare(greet())
    assert find_kind("greet").idempotency_days == 7


def test_a_type_may_join_a_queue_of_the_product() -> None:
    declare(greet(QUEUES["robot"]))
    assert find_type("robot", "greet").tier is Tier.IMPORTANT


def test_an_effect_outside_is_checked_in_and_says_what_becomes_of_it() -> None:
    assert not greet().check_in
    declared = greet(on_unknown="park")
    assert (declared.check_in, declared.on_unknown) == (True, "park")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            {"idempotency": "greet-{name}"},
            r"idempotency: \{name\} .*members: city, firstName",
        ),
        ({"order": "{firstName|town}"}, r"order: \{firstName\|town\} names no member"),
        ({"idempotency": "g-{hash:city+town}"}, "names no member"),
        ({"idempotency": "greet-{firstName"}, "a brace without its other"),
        ({"idempotency": "greet"}, "all jobs would share one key"),
        ({"idempotency": ""}, "all jobs would share one key"),
        ({"priority": 11}, "priority 11"),
        ({"timeout_s": 0}, "timeout_s 0"),
        ({"retry": RetryPolicy("fixed", 11, 1, 1)}, "11 attempts"),
        ({"limit_group": "acme"}, "limit_group: .*unknown provider 'acme'"),
        ({"idempotency_days": 0}, "idempotency_days"),
        ({"aliases": ("say hello",)}, "'say hello' is no name"),
        ({"queue": Queue("", Tier.IMPORTANT)}, "'' is no name"),
    ],
)
def test_what_does_not_hold_is_named(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=f"job type 'greet': .*{message}"):
        declare(greet(**wrong))
    assert "greet" not in JOB_TYPES


def test_every_fault_is_told_at_once() -> None:
    with pytest.raises(ConfigError, match=r"priority 0.*attempts"):
        check(greet(priority=0, retry=RetryPolicy("fixed", 0, 1, 1)))


def test_parking_without_a_check_in_is_refused() -> None:
    with pytest.raises(ConfigError, match="needs the check-in"):
        check(replace(greet(), on_unknown="park"))


@pytest.mark.parametrize("kind", ["send-email", "Send_Email", "email-send"])
def test_a_kind_or_alias_that_another_type_has_is_refused(kind: str) -> None:
    with pytest.raises(ConfigError, match=f"kind '{kind}' is declared twice .*'send-email'"):
        declare(replace(greet(), kind=kind))


def test_the_same_kind_with_another_policy_is_refused() -> None:
    declare(greet())
    with pytest.raises(ConfigError, match="declared twice"):
        declare(greet(priority=9))


def test_a_queue_has_one_tier() -> None:
    with pytest.raises(ConfigError, match="queue 'money' is declared otherwise"):
        declare(greet(Queue("money", Tier.EPHEMERAL)))
    with pytest.raises(ConfigError, match="queue 'greetings' lives in tier 3"):
        declare(replace(greet(), tier=Tier.CRITICAL))


def test_a_queue_whose_name_is_an_alias_of_another_is_refused() -> None:
    with pytest.raises(ConfigError, match="queue 'claude_code_tasks' is declared twice"):
        declare(greet(Queue("claude_code_tasks", Tier.IMPORTANT)))


def test_a_queue_that_nobody_declares_is_refused() -> None:
    with pytest.raises(ConfigError, match="queue 'greetings' is unknown: give a Queue"):
        declare(replace(greet(), home=None))


def test_an_unknown_kind_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UnknownTypeError, match="unknown type 'nope'; known: agent-response"):
        find_kind("nope")
