"""A worker's leases, case by case; what holds over all of them is the simulator's."""

from typing import Any

import pytest

from schemas.records import Failure, LimitGrant, LimitRequest, Probe
from streams.core.leases import CANCEL_S, USABLE_S, CallEnd, Leases
from streams.core.limited import end_of

WANTS = {"stripe": (1, 2, 0)}


def asking(now: float = 0.0) -> tuple[Leases, LimitRequest]:
    """Leases whose first request has just been sent."""
    leases = Leases("w", 1, ["stripe"])
    (request,) = leases.requests(WANTS, now)
    return leases, request


def grant(number: int = 1, tokens: int = 2, **members: Any) -> LimitGrant:
    given: dict[str, Any] = {"worker": "w", "incarnation": 1, "state": "closed", **members}
    return LimitGrant("stripe", number=number, tokens=tokens, **given)


def test_a_request_states_what_waits_and_what_is_held() -> None:
    leases, request = asking()
    assert (request.number, request.seen, request.held, request.wants) == (1, 0, 0, [1, 2, 0])
    assert leases.granted(grant(), 0.1)
    lease = leases.take("stripe", 0.1)
    assert lease is not None
    (second,) = leases.requests(WANTS, 0.2)
    assert (second.number, second.seen, second.held) == (2, 1, 2), "one runs, one may start"


def test_a_token_is_good_for_less_than_half_a_second_from_when_it_was_asked_for() -> None:
    leases, _ = asking()
    leases.granted(grant(), 0.3)
    lease = leases.take("stripe", 0.3)
    assert lease is not None
    assert (lease.is_good(USABLE_S), lease.is_good(USABLE_S + 0.001)) == (True, False)
    assert leases.take("stripe", USABLE_S + 0.001) is None, "the other one is stale too"
    (told,) = leases.requests({}, USABLE_S + 0.001)
    assert told.held == 1, "and is given back at once"


def test_a_late_grant_is_not_taken_and_never_will_be() -> None:
    leases, _ = asking()
    assert not leases.granted(grant(), USABLE_S + 0.001)
    assert not leases.granted(grant(), 0.1)
    assert leases.take("stripe", 0.1) is None


def test_a_request_without_an_answer_is_declared_unused_when_it_is_told_again() -> None:
    leases, _ = asking()
    (second,) = leases.requests(WANTS, 0.25)
    assert second.seen == 0, "its grant may still come"
    (third,) = leases.requests(WANTS, 0.51)
    assert third.seen == 1


@pytest.mark.parametrize("other", [{"worker": "v"}, {"incarnation": 2}])
def test_a_grant_for_another_worker_or_a_former_life_is_not_ours(other: dict[str, Any]) -> None:
    leases, _ = asking()
    assert not leases.granted(grant(**other), 0.1)


def test_a_call_that_ended_is_told_soon_with_what_it_says_of_the_provider() -> None:
    leases, _ = asking()
    leases.granted(grant(), 0.1)
    first, second = leases.take("stripe", 0.1), leases.take("stripe", 0.1)
    assert first is not None
    assert second is not None
    leases.release(first, CallEnd(False))
    leases.release(second, CallEnd(True, 3_000))
    leases.release(second, CallEnd(False))
    (told,) = leases.requests({}, 0.2)
    assert (told.held, told.outcomes, told.pause_ms) == (0, [False, True], 3_000)
    assert leases.requests({}, 60.0) == [], "then there is nothing to say"


def test_what_was_not_delivered_is_told_again() -> None:
    leases, _ = asking()
    leases.granted(grant(), 0.1)
    lease = leases.take("stripe", 0.1)
    assert lease is not None
    leases.release(lease, CallEnd(False, 500))
    (lost,) = leases.requests({}, 0.2)
    leases.undelivered(lost)
    (again,) = leases.requests({}, 0.3)
    assert (again.outcomes, again.pause_ms) == ([False], 500)


def test_a_probe_tells_its_outcome_apart() -> None:
    leases, _ = asking()
    leases.granted(grant(tokens=1, probe=4), 0.1)
    lease = leases.take("stripe", 0.1)
    assert lease is not None
    assert leases.requests({}, 5.0)[0].probe == Probe(4)
    leases.release(lease, CallEnd(True))
    (told,) = leases.requests({}, 6.0)
    assert (told.probe, told.outcomes) == (Probe(4, True), [])


def test_slots_are_renewed_and_calls_are_lost_when_kafka_takes_no_renewal() -> None:
    leases, _ = asking()
    leases.granted(grant(tokens=1), 0.1)
    lease = leases.take("stripe", 0.1)
    (renewal,) = leases.requests({}, 5.0)
    leases.delivered("stripe", renewal.number)
    assert leases.lost(5.0 + CANCEL_S) == []
    assert leases.lost(5.1 + CANCEL_S) == [lease]


def test_a_limiter_that_says_nothing_is_noticed() -> None:
    leases, _ = asking()
    assert leases.silent_for(9.0) == {"stripe": 9.0}
    leases.granted(grant(tokens=0, state="stopped"), 0.3)
    assert leases.silent_for(9.0)["stripe"] == pytest.approx(8.7)
    leases.requests({}, 10.0)
    assert leases.silent_for(11.0) == {}


@pytest.mark.parametrize(
    ("failure", "end"),
    [
        (Failure("timeout", "", retryable=True), CallEnd(False)),
        (Failure("connection", "", retryable=True), CallEnd(False)),
        (Failure("provider_503", "", retryable=True), CallEnd(False)),
        (Failure("rate_limited", "", retryable=True), CallEnd(True, 2_000)),
        (Failure("card_declined", "", retryable=False), CallEnd(True)),
        (Failure("validation", "", retryable=False), CallEnd()),
        (Failure("KeyError", "", retryable=True), CallEnd()),
    ],
)
def test_only_what_the_provider_does_says_something_of_it(failure: Failure, end: CallEnd) -> None:
    assert end_of(failure, 2.0 if failure.error_class == "rate_limited" else None) == end
