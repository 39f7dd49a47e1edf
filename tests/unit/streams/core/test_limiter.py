"""The limiter of one group, case by case; what holds over all of them is the simulator's."""

from typing import Any

from schemas.limits import ProviderLimit
from schemas.records import LimitGrant, LimitRequest, Probe
from streams.core.limiter import ASK_KEPT_S, SLOT_S, Limiter
from streams.core.ports import Time

LIMIT = ProviderLimit("stripe", 10, 4, 20, 1_000)


def at(seconds: float) -> Time:
    return Time(1_700_000_000_000 + round(seconds * 1000), seconds)


def a_limiter(limit: ProviderLimit = LIMIT) -> Limiter:
    """One whose bucket has had time to fill."""
    return Limiter(limit, at(-100))


def ask(limiter: Limiter, now: float, number: int = 1, worker: str = "a", **members: Any) -> list[LimitGrant]:
    given: dict[str, Any] = {"wants": [0, 9, 0], **members}
    limiter.asked(LimitRequest("stripe", worker, 1, number, **given), round(now * 1000), at(now))
    return limiter.serve(at(now))


def tokens(grants: list[LimitGrant]) -> list[tuple[str, int]]:
    return [(grant.worker, grant.tokens) for grant in grants]


def test_a_worker_gets_what_the_slots_allow_and_the_rest_when_they_come_back() -> None:
    limiter = a_limiter()
    assert tokens(ask(limiter, 0)) == [("a", 4)]
    assert ask(limiter, 0.1, 2, seen=1, held=4) == []
    assert tokens(ask(limiter, 0.2, 3, seen=1, held=1)) == [("a", 3)]


def test_what_a_worker_has_not_seen_yet_counts_as_held_and_as_given() -> None:
    limiter = a_limiter()
    assert tokens(ask(limiter, 0, wants=[0, 2, 0])) == [("a", 2)]
    assert ask(limiter, 0.05, 2, wants=[0, 2, 0]) == [], "they are on their way"
    assert limiter.slots == 2


def test_the_bucket_is_smaller_than_the_burst_by_what_comes_in_half_a_second() -> None:
    limiter = a_limiter(ProviderLimit("stripe", 10, 100, 20, 1_000))
    assert tokens(ask(limiter, 0, wants=[0, 99, 0])) == [("a", 15)]


def test_a_request_waits_for_a_token_but_not_until_it_is_useless() -> None:
    limiter = Limiter(LIMIT, at(0))
    assert ask(limiter, 0) == []
    assert tokens(limiter.serve(at(0.1))) == [("a", 1)]
    assert ask(limiter, 0.11, 2, seen=1, held=1) == []
    assert [grant.tokens for grant in limiter.serve(at(0.12 + ASK_KEPT_S))] == [], "it was told lately"
    assert not limiter.waiting


def test_lanes_share_what_is_scarce_and_workers_take_turns() -> None:
    limiter = a_limiter()
    for name, wants in (("a", [0, 0, 9]), ("b", [9, 0, 0]), ("c", [9, 0, 0])):
        limiter.asked(LimitRequest("stripe", name, 1, 1, wants=wants), 0, at(0))
    assert sorted(tokens(limiter.serve(at(0)))) == [("a", 1), ("b", 2), ("c", 1)]


def test_slots_of_a_silent_worker_are_free_only_when_both_clocks_say_so() -> None:
    limiter = a_limiter()
    ask(limiter, 0)
    late = SLOT_S + 0.1
    limiter.asked(LimitRequest("stripe", "b", 1, 1, wants=[1, 0, 0]), 5_000, at(late))
    assert limiter.serve(at(late)) == [], "renewals may still wait in the log"
    limiter.asked(LimitRequest("stripe", "b", 1, 2, wants=[1, 0, 0]), round(late * 1000), at(late + 0.1))
    assert tokens(limiter.serve(at(late + 0.1))) == [("b", 1)]


def test_slots_of_a_silent_worker_are_kept_back_and_not_shown_as_running() -> None:
    limiter = a_limiter()
    ask(limiter, 0)
    assert [limiter.heard_slots(at(now)) for now in (1, SLOT_S, SLOT_S + 0.1)] == [4, 4, 0]
    assert limiter.slots == 4


def test_where_an_attempt_makes_several_requests_as_many_fewer_start() -> None:
    limiter = a_limiter(ProviderLimit("stripe", 10, 100, 25, 1_000, requests=2))
    assert tokens(ask(limiter, 0)) == [("a", 9)]
    assert tokens(ask(limiter, 0.1, 2, seen=1, held=9)) == [("a", 1)]
    assert tokens(ask(limiter, 1.1, 3, seen=2, held=10)) == [("a", 5)]


def test_a_next_owner_has_the_slots_and_an_empty_bucket() -> None:
    limiter = a_limiter()
    ask(limiter, 0)
    following = Limiter(LIMIT, at(1), limiter.row(at(0)))
    assert (following.slots, following.tokens(at(1))) == (4, 0)
    assert tokens(ask(following, 1.1, 2, seen=1, held=0)) == [("a", 1)]


def test_a_stop_outlives_its_owner_and_a_resume_ends_it() -> None:
    limiter = a_limiter()
    limiter.ordered("stop", "ada")
    following = Limiter(LIMIT, at(1), limiter.row(at(0)))
    assert (following.state(at(50)), following.stopped_by) == ("stopped", "ada")
    assert ask(following, 50) == []
    following.ordered("resume", "ada")
    assert tokens(following.serve(at(50.1))) == [("a", 4)]


def test_a_429_closes_the_group_for_its_cooldown_or_longer() -> None:
    for pause_ms, until in ((0, 1.0), (3_000, 3.0)):
        limiter = a_limiter()
        assert ask(limiter, 0, pause_ms=pause_ms) == []
        assert limiter.state(at(until - 0.01)) == "cooldown"
        assert tokens(ask(limiter, until, 2)) == [("a", 4)]


def test_a_pause_outlives_its_owner_and_a_reset_ends_it() -> None:
    limiter = a_limiter()
    ask(limiter, 0, pause_ms=5_000)
    following = Limiter(LIMIT, at(1), limiter.row(at(1)))
    assert following.state(at(4.9)) == "cooldown"
    following.ordered("reset", "ada")
    assert following.state(at(4.9)) == "closed"


def test_an_open_circuit_outlives_its_owner_for_the_rest_of_its_time() -> None:
    limiter = a_limiter()
    ask(limiter, 0, outcomes=[False] * 5, wants=[])
    row = limiter.row(at(20))
    # Another machine, whose steady clock began elsewhere: the wall clock is what they share.
    woke = Time(at(22).wall, 5_000.0)
    following = Limiter(LIMIT, woke, row)
    third = Limiter(LIMIT, at(25), following.row(woke))
    assert following.state(Time(at(29.9).wall, 5_007.9)) == "open"
    assert (third.state(at(29.9)), ask(third, 29.9)) == ("open", [])
    assert [grant.tokens for grant in ask(third, 30.1, 2)] == [1]
    assert following.state(Time(at(30.1).wall, 5_008.1)) == "half_open"


def test_one_probe_goes_through_a_half_open_circuit_and_its_outcome_closes_it() -> None:
    limiter = a_limiter()
    assert ask(limiter, 0, outcomes=[False] * 5, wants=[]) == []
    assert [(g.tokens, g.probe) for g in ask(limiter, 30, 2, "b")] == [(1, 1)]
    assert ask(limiter, 31, 3, "c") == []
    following = Limiter(LIMIT, at(32), limiter.row(at(31)))
    assert ask(following, 33, 4, "c") == [], "a next owner knows who probes"
    ask(following, 34, 3, "b", seen=2, probe=Probe(1, True), wants=[])
    assert following.state(at(34)) == "closed"


def test_a_probe_that_was_never_used_is_given_to_another() -> None:
    limiter = a_limiter()
    ask(limiter, 0, outcomes=[False] * 5, wants=[])
    ask(limiter, 30, 2, "b")
    assert ask(limiter, 31, 3, "b", seen=2, wants=[]) == []
    assert [(g.worker, g.probe) for g in ask(limiter, 32, 4, "c")] == [("c", 2)]
