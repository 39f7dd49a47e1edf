"""The limit of one provider group, held by one owner for all workers: tokens for the rate, slots for calls.

Pure: requests and the time go in, grants come out; `row` is everything that a next owner needs to know.

Why it is exact. A token leaves the bucket when it is granted and may be used until `TOKEN_VALID_S` after the
worker *sent* its request, by the worker's own clock: so the calls of any window W were granted within W +
that span, and the bucket's capacity is the burst less what refills meanwhile. A next owner starts with an
empty bucket, which is never fuller than the one it follows. A slot is taken with its token and given back
by the worker; those of a worker that is gone are free only when both the log and this process's clock say
that it was silent for `SLOT_S`. So every error is on the side of too few calls.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from schemas.limits import ProviderLimit
from schemas.records import Granted, LimitGrant, LimitRequest, RateLimit, SlotHolder
from streams.core.breaker import OPEN_S, Breaker, Circuit
from streams.core.ports import Time

SLOT_S = 10.0
# A request that could not be answered at once is kept for a while: most of its half second is then left.
ASK_KEPT_S = 0.2
TOLD_EVERY_S = 1.0
# How long a provider may keep its group closed by `Retry-After`.
MAX_PAUSE_MS = 3_600_000
# Tokens that lanes get in turn when there are too few for all: 16 : 4 : 1.
STRIDE = (1, 4, 16)
_CRUMB = 1e-9

Name = tuple[str, int]
"""A worker's instance and its incarnation."""


@dataclass(slots=True)
class Holder:
    """What one worker holds. `heard` is in steady seconds here, `renewed` in ms by the log."""

    number: int
    held: int
    renewed: int
    heard: float
    granted: list[Granted] = field(default_factory=list)

    @property
    def slots(self) -> int:
        """Calls that it runs, or may start without asking again."""
        return self.held + sum(grant.tokens for grant in self.granted)


@dataclass(slots=True)
class Ask:
    """The unanswered request of a worker."""

    number: int
    wants: list[int]
    at: float


class Limiter:
    """One group. Every request is told in the order of the log, with the log's time."""

    def __init__(self, limit: ProviderLimit, time: Time, row: RateLimit | None = None) -> None:
        self.limit = limit
        self.holders: dict[Name, Holder] = {}
        self.stopped, self.stopped_by = False, None if row is None else row.stopped_by
        self.breaker = Breaker()
        self._tokens, self._filled = 0.0, time.steady
        self._closed_until = time.steady
        self._log_time = 0
        self._probe, self._prober, self._probe_request = 0, ("", 0), 0
        self._asks: dict[Name, Ask] = {}
        self._told: dict[Name, float] = {}
        self._passes, self._turn = [0] * len(STRIDE), 0
        if row is not None:
            self._restore(row, time)

    # -- what is shown

    @property
    def slots(self) -> int:
        """Calls that run or may start, anywhere."""
        return sum(holder.slots for holder in self.holders.values())

    def heard_slots(self, time: Time) -> int:
        """Those of workers that are heard: the rest are kept back, and belong to processes that are gone."""
        live = (holder for holder in self.holders.values() if time.steady - holder.heard <= SLOT_S)
        return sum(holder.slots for holder in live)

    @property
    def waiting(self) -> bool:
        """Whether a request waits for an answer: `serve` is to be called again soon."""
        return bool(self._asks)

    def tokens(self, time: Time) -> float:
        """Calls that could start now, as far as the rate goes."""
        self._fill(time.steady)
        return self._tokens

    def state(self, time: Time) -> str:
        """Why no call may start; else the circuit's state."""
        if self.stopped:
            return "stopped"
        if time.steady < self._closed_until:
            return "cooldown"
        return self.breaker.state(time.steady)

    # -- what happens

    def asked(self, request: LimitRequest, log_time: int, time: Time) -> None:
        """A worker says what it holds, what became of its calls, and what it wants."""
        self._log_time = max(self._log_time, log_time)
        name = (request.worker, request.incarnation)
        holder = self.holders.get(name)
        if holder is None:
            holder = Holder(0, 0, log_time, time.steady)
        if request.number <= holder.number:
            return
        holder.number, holder.held = request.number, request.held
        holder.renewed, holder.heard = log_time, time.steady
        holder.granted = [grant for grant in holder.granted if grant.number > request.seen]
        self._hear(request, name, time)
        coming = sum(grant.tokens for grant in holder.granted)
        wants = _less(request.wants, coming)
        if any(wants):
            self._asks[name] = Ask(request.number, wants, time.steady)
        else:
            self._asks.pop(name, None)
        if holder.slots or any(wants):
            self.holders[name] = holder
        else:
            self._forget(name)

    def ordered(self, order: str, by: str | None) -> None:
        """An operator's word: `stop`, `resume`, or `reset` (end the pause, close the circuit)."""
        match order:
            case "stop":
                self.stopped, self.stopped_by = True, by
            case "resume":
                self.stopped, self.stopped_by = False, None
            case "reset":
                self._closed_until = float("-inf")
                self.breaker.close()
                self._prober = ("", 0)

    def serve(self, time: Time) -> list[LimitGrant]:
        """The answers that can be given now: each request gets one, if it gets any."""
        self._fill(time.steady)
        self._expire(time.steady)
        return [*self._given_up(time), *self._grants(time)]

    def row(self, time: Time) -> RateLimit:
        """What the table keeps. Times are wall clock there, and `log_time` is the log's."""
        circuit = self.breaker.state(time.steady)
        return RateLimit(
            self.limit.group, time.wall, int(self.tokens(time) * 1000), self._log_time,
            [
                SlotHolder(*name, holder.number, holder.held, holder.renewed, holder.granted)
                for name, holder in self.holders.items()
                if holder.slots
            ],
            self.stopped, self.stopped_by,
            _wall(self._closed_until, time), circuit, _wall(self.breaker.until, time),
            list(self.breaker.outcomes), self._probe, self._prober[0] or None, self._prober[1],
            self._probe_request,
        )  # fmt: skip

    # -- inside

    def _restore(self, row: RateLimit, time: Time) -> None:
        self.stopped, self._log_time = row.stopped, row.log_time
        self._closed_until = time.steady + min(MAX_PAUSE_MS, max(0, row.closed_until - time.wall)) / 1000
        left = min(OPEN_S, max(0, row.open_until - time.wall) / 1000)
        self.breaker = Breaker(Circuit(row.circuit), time.steady + left, row.outcomes)
        self._probe, self._probe_request = row.probe, row.probe_request
        self._prober = (row.prober or "", row.prober_incarnation)
        for one in row.holders:
            self.holders[one.worker, one.incarnation] = Holder(
                one.number, one.held, one.renewed, time.steady, list(one.granted)
            )

    def _hear(self, request: LimitRequest, name: Name, time: Time) -> None:
        now = time.steady
        for succeeded in request.outcomes:
            self.breaker.note(succeeded, now)
        if request.pause_ms is not None:
            pause_ms = min(MAX_PAUSE_MS, max(self.limit.cooldown_ms, request.pause_ms))
            self._closed_until = max(self._closed_until, now + pause_ms / 1000)
        if name == self._prober and request.seen >= self._probe_request:
            probe = request.probe
            if probe is None or probe.number != self._probe:
                self._prober = ("", 0)  # never used
            elif probe.succeeded is not None:
                self._prober = ("", 0)
                self.breaker.probed(probe.succeeded, now)

    def _fill(self, now: float) -> None:
        gained = (now - self._filled) * self.limit.attempts_per_second
        self._tokens = min(self.limit.capacity, self._tokens + gained)
        self._filled = now

    def _expire(self, now: float) -> None:
        """Free the slots of workers that are gone.

        Both clocks must say so: ours, for one that has just taken over knows nothing of renewals that wait in
        the log; the log's, for they may have waited there for long.
        """
        for name, holder in list(self.holders.items()):
            is_silent = now - holder.heard > SLOT_S and self._log_time - holder.renewed > SLOT_S * 1000
            if is_silent and name not in self._asks:
                self._forget(name)

    def _forget(self, name: Name) -> None:
        self.holders.pop(name, None)
        self._told.pop(name, None)
        if name == self._prober:
            self._prober = ("", 0)

    def _given_up(self, time: Time) -> list[LimitGrant]:
        """Drop requests that are too old to be answered with tokens; now and then a worker is told why."""
        told, now = [], time.steady
        for name, ask in list(self._asks.items()):
            if now - ask.at <= ASK_KEPT_S:
                continue
            del self._asks[name]
            if now - self._told.get(name, float("-inf")) >= TOLD_EVERY_S:
                self._told[name] = now
                state = self.state(time)
                told.append(self._answer(name, ask, 0, "busy" if state == Circuit.CLOSED else state))
        return told

    def _grants(self, time: Time) -> list[LimitGrant]:
        state = self.state(time)
        free = min(int(self._tokens + _CRUMB), self.limit.concurrent - self.slots)
        if free < 1 or not self._asks or state not in (Circuit.CLOSED, Circuit.HALF_OPEN):
            return []
        if state == Circuit.HALF_OPEN:
            return [] if self._prober[0] else [self._probing(time)]
        shares = self._shares(free)
        return [self._grant(name, tokens, time) for name, tokens in shares.items()]

    def _probing(self, time: Time) -> LimitGrant:
        (name,) = self._shares(1)
        self._probe += 1
        self._prober, self._probe_request = name, self._asks[name].number
        return self._grant(name, 1, time, self._probe)

    def _grant(self, name: Name, tokens: int, time: Time, probe: int = 0) -> LimitGrant:
        ask = self._asks.pop(name)
        self._tokens -= tokens
        self.holders[name].granted.append(Granted(ask.number, tokens))
        self._told[name] = time.steady
        return self._answer(name, ask, tokens, self.state(time), probe)

    def _answer(self, name: Name, ask: Ask, tokens: int, state: str, probe: int = 0) -> LimitGrant:
        return LimitGrant(self.limit.group, *name, ask.number, tokens, state, probe)

    def _shares(self, free: int) -> dict[Name, int]:
        """Who gets how many: lanes take turns by their stride, and within a lane one after the other."""
        left = {name: list(ask.wants) for name, ask in self._asks.items()}
        shares: dict[Name, int] = {}
        while free and (lane := self._next_lane(left.values())) is not None:
            name = next(name for name, wants in left.items() if wants[lane])
            left[name][lane] -= 1
            left[name] = left.pop(name)  # the lane's next one is another's
            shares[name] = shares.get(name, 0) + 1
            free -= 1
        return shares

    def _next_lane(self, wants: Iterable[list[int]]) -> int | None:
        lanes = {lane for want in wants for lane in range(len(STRIDE)) if want[lane]}
        if not lanes:
            return None
        turns = {lane: max(self._passes[lane], self._turn) for lane in lanes}
        lane = min(lanes, key=lambda lane: (turns[lane], lane))
        self._turn = turns[lane]
        self._passes[lane] = self._turn + STRIDE[lane]
        return lane


def _less(wants: list[int], coming: int) -> list[int]:
    """What is still wanted when so many are on their way: the most urgent ones count first."""
    left = []
    for want in (list(wants) + [0] * len(STRIDE))[: len(STRIDE)]:
        used = min(max(0, want), coming)
        coming -= used
        left.append(max(0, want) - used)
    return left


def _wall(steady: float, time: Time) -> int:
    """A coming moment by the wall clock; 0 for one that is over."""
    return time.wall + int((steady - time.steady) * 1000) + 1 if steady > time.steady else 0
